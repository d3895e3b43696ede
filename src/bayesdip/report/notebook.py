"""What a notebook shows of a restoration: the picture, the map of its standard deviations, and one line."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.report import pictures
from bayesdip.report.facts import calibration_of, details_of, what_ran_and_why
from bayesdip.report.pictures import Shown, View
from bayesdip.snapshot import clock

if TYPE_CHECKING:
    from bayesdip.result import Restoration

_LONGEST_SIDE = 360  # CSS pixels: a picture and its map stand side by side
_PIXELATED = ' style="image-rendering:pixelated"'


def notebook_html(restoration: Restoration) -> str:
    """Return a restoration as HTML for a notebook, with its pictures inside.

    A picture is shown beside the map of its standard deviations, both shrunk to thumbnails; of a
    volume the middle plane is shown. A signal is plotted with its 90% interval; of several channels
    the first.

    Parameters
    ----------
    restoration : Restoration
        Of a signal, a picture or a volume; ``std`` may be None.

    Returns
    -------
    str
        One ``<div>``; the pictures in it are PNG data addresses.
    """
    axis, mean, std = restoration.channel_axis, restoration.mean, restoration.std
    if axis is not None:
        mean, std = np.moveaxis(mean, axis, -1), None if std is None else np.moveaxis(std, axis, -1)
    grid = mean.shape if axis is None else mean.shape[:-1]
    plane = ""
    if len(grid) == 3:
        middle = grid[0] // 2
        plane = f", plane {middle + 1} of {grid[0]}"
        mean, std = mean[middle], None if std is None else std[middle]
    has_channels = axis is not None
    shown = _signal(mean, std, has_channels) if len(grid) == 1 else _picture(mean, std, has_channels, plane)
    figures = "".join(
        f'<figure style="margin:0"><img src="{picture.uri}" width="{picture.width}" height="{picture.height}" '
        f'alt="{escape(picture.alt)}"{_PIXELATED * picture.pixelated}>'
        f"<figcaption>{escape(picture.alt)}</figcaption></figure>"
        for picture in shown
    )
    return (
        f'<div><div style="display:flex;flex-wrap:wrap;gap:1em">{figures}</div>'
        f"<p>{escape(_line(restoration, grid))}</p>{_found(restoration)}</div>"
    )


def _found(restoration: Restoration) -> str:
    items = "".join(f"<li>{escape(finding.text)}.</li>" for finding in restoration.findings)
    return f"<ul>{items}</ul>" if items else ""


def _picture(mean: NDArray[Any], std: NDArray[Any] | None, has_channels: bool, plane: str) -> list[Shown]:
    view = View.of(mean, has_channels, None)
    shown = [pictures.show(view.levels(mean), f"Restored{plane}", _LONGEST_SIDE)]
    if std is not None:
        spread = pictures.spread_of(std, has_channels)
        top = pictures.top_of(spread)
        title = f"Standard deviation{plane}, from 0 (black) to {top:.3g} (bright)"
        shown.append(pictures.show(pictures.coloured(spread / top), title, _LONGEST_SIDE))
    return shown


def _signal(mean: NDArray[Any], std: NDArray[Any] | None, has_channels: bool) -> list[Shown]:
    from bayesdip.report import figures

    def first(array: NDArray[Any]) -> NDArray[np.float64]:
        return (array[..., 0] if has_channels else array).astype(np.float64)

    plot = figures.signal_plot(first(mean), None if std is None else first(std))
    return [figures.show(plot, "png")]


def _line(restoration: Restoration, grid: tuple[int, ...]) -> str:
    """Return what ran and why, its details, the size, the time and the mean standard deviation on one line."""
    unit = {1: "samples", 2: "pixels", 3: "voxels"}[len(grid)]
    size = f"{' x '.join(str(n) for n in grid[::-1])} {unit}"
    parts = [details_of(restoration), size, clock(restoration.seconds)]
    if restoration.std is not None:
        parts.append(f"mean std {float(restoration.std.mean()):.4g}, {calibration_of(restoration)}")
    return f"{what_ran_and_why(restoration)} ({'; '.join(part for part in parts if part)})."
