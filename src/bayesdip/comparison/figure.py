"""All restorations side by side, each with a crop: look before you believe a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesdip.report.pictures import Levels, View, detail_place, enlarged_to, paint_missing

if TYPE_CHECKING:
    from bayesdip.comparison.ranking import Comparison, Entry

Array = NDArray[Any]

# Pictures in a row at most, the side of each (inches), and the height of two lines above it.
COLUMNS, CELL, TITLE = 5, 2.6, 0.35
# The crop's side is this share of the picture's shorter side, and at least so many pixels.
CROP_SHARE, SMALLEST_CROP = 4, 16


def comparison_figure(comparison: Comparison) -> Figure:
    """The given picture, the truth if there is one, and every restoration, best first; a crop below each."""
    panels = _panels(comparison)
    grid = comparison.setup.problem.grid
    best = panels[-len(comparison.applied)][1]
    place = detail_place(best, max(SMALLEST_CROP, min(grid) // CROP_SHARE))
    bands, rows = -(-len(panels) // COLUMNS), 1 if place is None else 2
    columns = -(-len(panels) // bands)
    height = CELL * min(grid[0] / grid[1], 2.0)
    # A crop is square, whatever the picture's shape.
    heights = [height + TITLE, *([CELL] if rows == 2 else [])] * bands
    figure = Figure(figsize=(CELL * columns, sum(heights) + TITLE), layout="constrained")
    axes = figure.subplots(bands * rows, columns, squeeze=False, height_ratios=heights)
    for cell in axes.flat:
        cell.set_axis_off()
    for number, (title, levels) in enumerate(panels):
        band, column = divmod(number, columns)
        axes[band * rows, column].set_title(title, fontsize=8)
        _draw(axes[band * rows, column], levels)
        if place is not None:
            _draw(axes[band * rows + 1, column], levels[place])
    figure.suptitle(comparison.sentence, fontsize=9, wrap=True)
    return figure


def _panels(comparison: Comparison) -> list[tuple[str, Levels]]:
    """What is shown, in order: titles and pictures of one size."""
    setup = comparison.setup
    given = enlarged_to(_levels(comparison, setup.given), setup.problem.grid)
    if setup.missing is not None:
        given = paint_missing(given, setup.missing)
    truth = [] if setup.truth is None else [("truth", _levels(comparison, setup.truth))]
    restored = [(_title(entry), _levels(comparison, entry.restored)) for entry in comparison.applied]
    return [("given", given), *truth, *restored]


def _levels(comparison: Comparison, picture: Array | None) -> Levels:
    """8 bits, channels last, all on the scale of the best restoration."""
    axis, best = comparison.setup.channel_axis, comparison.best.restored
    assert picture is not None and best is not None
    if axis is not None:
        picture, best = np.moveaxis(picture, axis, -1), np.moveaxis(best, axis, -1)
    return View.of(best, axis is not None, None).levels(picture)


def _title(entry: Entry) -> str:
    assert entry.behind is not None
    behind = f"{entry.behind.value:.2f} dB behind" if entry.behind.value else "best"
    quality = f", PSNR {entry.quality.psnr:.2f}" if entry.quality is not None else ""
    return f"{entry.name}\n{behind}{quality}"


def _draw(cell: Any, levels: Levels) -> None:
    cell.imshow(levels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
