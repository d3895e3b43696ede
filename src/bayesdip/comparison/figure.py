"""All restorations side by side, each with a crop: a person shall look before believing a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesdip.report.pictures import Levels, View, detail_place, enlarged_to, paint_missing

if TYPE_CHECKING:
    from bayesdip.comparison.result import Comparison, Entry

Array = NDArray[Any]

COLUMNS = 5
CELL = 2.6  # inches
SMALLEST_CROP = 16


@dataclass(frozen=True)
class Panel:
    """One picture and what is written above it."""

    title: str
    levels: Levels


def grid_figure(comparison: Comparison) -> Figure:
    """The given picture, the truth if there is one, and every restoration, best first; a crop below each."""
    shown = panels(comparison)
    place = detail_place(_levels(comparison, comparison.best.restored), _side(comparison))
    columns = min(COLUMNS, len(shown))
    bands = -(-len(shown) // columns)
    height = 1 if place is None else 2
    figure = Figure(figsize=(CELL * columns, (CELL + 0.25) * bands * height), layout="constrained")
    axes = figure.subplots(bands * height, columns, squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
    for number, panel in enumerate(shown):
        band, column = divmod(number, columns)
        whole = axes[band * height, column]
        _draw(whole, panel.levels)
        whole.set_title(panel.title, fontsize=8)
        if place is not None:
            _draw(axes[band * height + 1, column], panel.levels[place])
    figure.suptitle(comparison.sentence, fontsize=9, wrap=True)
    return figure


def panels(comparison: Comparison) -> list[Panel]:
    """What is shown, in order."""
    setup = comparison.setup
    given = enlarged_to(_levels(comparison, setup.given), setup.problem.grid)
    if setup.missing is not None:
        given = paint_missing(given, setup.missing)
    found = [Panel("given", given)]
    if setup.truth is not None:
        found.append(Panel("truth", _levels(comparison, setup.truth)))
    return found + [
        Panel(_title(entry), _levels(comparison, entry.restored))
        for entry in comparison.applied
        if entry.restored is not None
    ]


def _levels(comparison: Comparison, picture: Array | None) -> Levels:
    """8 bits, channels last, all on the scale of the best restoration."""
    axis, best = comparison.setup.layout.channel_axis, comparison.best.restored
    assert picture is not None and best is not None
    if axis is not None:
        picture, best = np.moveaxis(picture, axis, -1), np.moveaxis(best, axis, -1)
    return View.of(best, axis is not None, None).levels(picture)


def _side(comparison: Comparison) -> int:
    """A quarter of the shorter side."""
    return max(SMALLEST_CROP, min(comparison.setup.problem.grid) // 4)


def _title(entry: Entry) -> str:
    assert entry.behind is not None
    title = (
        f"{entry.name}\n{entry.behind.value:.2f} dB behind" if entry.behind.value else f"{entry.name}\nbest"
    )
    return title + (f", PSNR {entry.quality.psnr:.2f}" if entry.quality is not None else "")


def _draw(cell: Any, levels: Levels) -> None:
    cell.imshow(levels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
