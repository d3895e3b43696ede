"""From arrays in the picture's own scale to what a page can show: 8-bit levels, and PNG or SVG data."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.io.encoding import fitted_alpha, to_rgb
from bayesdip.io.picture import Colour, Picture, colour_of, full_scale, upright

Array = NDArray[Any]
Levels = NDArray[np.uint8]

# Longest side of a picture on the page, of a small one beside others, and of one that is enlarged.
LARGE, SMALL, TINY = 1024, 360, 320
# A side shorter than this is stretched to THINNEST, or nothing would be seen of it.
THIN, THINNEST = 12, 48
# Missing pixels are painted in this colour: no photograph is full of it.
MISSING_COLOUR = (150, 105, 200)
# The uncertainty map ends at this percentile; a few extreme pixels would darken all others.
TOP_PERCENTILE = 99.8
#: Matplotlib's name of the colour map of standard deviations and of R-hat.
COLOUR_MAP = "magma"


@dataclass(frozen=True)
class Shown:
    """A picture on the page: its data, and how large it stands there (CSS pixels)."""

    uri: str
    width: int
    height: int
    alt: str
    pixelated: bool = False
    stretched: bool = False


@dataclass(frozen=True)
class View:
    """How arrays of one restoration are looked at.

    Attributes
    ----------
    colour : {"gray", "rgb", "cmyk", "channels"}
        What the channels are.
    channels_last : bool
        Whether there is a channel axis; it is the last one.
    low, high : float
        What is shown black and white, in the picture's own scale.
    orientation : int
        EXIF orientation of the stored pixels.
    icc_profile : bytes or None
        To show CMYK.
    """

    colour: Colour
    channels_last: bool
    low: float
    high: float
    orientation: int = 1
    icc_profile: bytes | None = None

    @classmethod
    def of(cls, mean: Array, channels_last: bool, like: Picture | None) -> View:
        colour = like.colour if like is not None else (colour_of(mean.shape) if channels_last else "gray")
        low, high = display_range(mean)
        orientation = like.orientation if like is not None else 1
        return cls(colour, channels_last, low, high, orientation, like.icc_profile if like else None)

    @property
    def channels_said(self) -> str:
        """What is shown of many channels; empty when all are."""
        return "the first three channels as red, green and blue" if self.colour == "channels" else ""

    def levels(self, array: Array) -> Levels:
        """(M, N) or (M, N, C) in the own scale to (M, N) or (M, N, 3), 8 bits, upright."""
        if self.colour == "cmyk":
            array = to_rgb(array, "cmyk", self.icc_profile)
        elif self.channels_last and array.shape[-1] in (1, 2):
            array = array.astype(np.float64).mean(axis=-1)
        elif self.channels_last:
            array = array[..., :3]
        scaled = (array.astype(np.float64) - self.low) / (self.high - self.low) * 255
        return upright(np.clip(np.rint(np.nan_to_num(scaled)), 0, 255).astype(np.uint8), self.orientation)


def display_range(mean: Array) -> tuple[float, float]:
    """What to show black and white: the type's range where the picture uses it, else the picture's own."""
    finite = mean[np.isfinite(mean)] if mean.dtype.kind == "f" else mean
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    white = full_scale(mean.dtype) if mean.dtype.kind != "b" else 1.0
    if mean.dtype == np.uint8 or (low >= -0.1 * white and 0.5 * white <= high <= 1.1 * white):
        return 0.0, white
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def enlarged_to(array: Array, grid: tuple[int, ...]) -> Array:
    """Repeat pixels until (M, N, ...) has the grid, which is a multiple of its own."""
    for axis, n in enumerate(grid):
        array = array.repeat(max(n // array.shape[axis], 1), axis=axis)
    return array


def paint_missing(levels: Levels, missing: NDArray[np.bool_]) -> Levels:
    """RGB levels with the missing pixels, bool (M, N), in a colour of their own."""
    colours = np.repeat(levels[..., None], 3, axis=-1) if levels.ndim == 2 else levels.copy()
    colours[missing] = MISSING_COLOUR
    return colours


def opacity(like: Picture | None, grid: tuple[int, int], orientation: int) -> Levels | None:
    """The source's transparency at the size of the restored picture, 8 bits, upright."""
    if like is None or like.alpha is None:
        return None
    alpha = fitted_alpha(like.alpha, grid).astype(np.float64) / full_scale(like.alpha.dtype)
    return upright(np.clip(np.rint(255 * alpha), 0, 255).astype(np.uint8), orientation)


def show(levels: Levels, alt: str, longest: int = LARGE, alpha: Levels | None = None) -> Shown:
    """Encode (M, N) or (M, N, 3) for the page; too large ones are shrunk by averaging, tiny ones shown large."""
    from PIL import Image

    if alpha is not None:
        colours = np.repeat(levels[..., None], 3, axis=-1) if levels.ndim == 2 else levels
        levels = np.concatenate([colours, alpha[..., None]], axis=-1)
    image = Image.fromarray(np.ascontiguousarray(levels))
    side = max(image.size)
    if side > longest:
        size = tuple(max(round(n * longest / side), 1) for n in image.size)
        image = image.resize((size[0], size[1]), Image.Resampling.BOX)
    data = BytesIO()
    image.save(data, "PNG")
    zoom = ceil(min(TINY, longest) / max(image.size)) if max(image.size) < min(TINY, longest) else 1
    sides = [n * zoom for n in image.size]
    width, height = (n if n >= THIN else THINNEST for n in sides)
    return Shown(uri(data.getvalue()), width, height, alt, zoom > 1, stretched=min(sides) < THIN)


def uri(data: bytes, kind: str = "png") -> str:
    """Return an image file as a ``data:`` address; ``kind`` is the second half of its media type."""
    return f"data:image/{kind};base64," + base64.b64encode(data).decode("ascii")


def spread_of(std: Array, channels_last: bool) -> NDArray[np.float64]:
    """One map (M, N) for all channels: the root of the mean variance."""
    spread = std.astype(np.float64)
    return np.sqrt((spread**2).mean(axis=-1)) if channels_last else spread


def top_of(spread: Array) -> float:
    """Where the colour scale of the uncertainty map ends."""
    top = float(np.percentile(spread, TOP_PERCENTILE))
    return top or float(spread.max()) or 1.0


def coloured(values: Array) -> Levels:
    """(M, N) in 0..1 through the colour map of the uncertainty."""
    from matplotlib import colormaps

    colours: Levels = colormaps[COLOUR_MAP](np.clip(values, 0, 1), bytes=True)[..., :3]
    return colours


def detail_place(levels: Levels, side: int) -> tuple[slice, slice] | None:
    """The cell of that side with the strongest contrast; None for a picture not much larger than that."""
    gray = levels.mean(axis=-1) if levels.ndim == 3 else levels.astype(np.float64)
    rows, columns = (n // side for n in gray.shape)
    if min(rows, columns) < 1 or rows * columns < 4:
        return None
    cells = gray[: rows * side, : columns * side].reshape(rows, side, columns, side)
    row, column = np.unravel_index(int(cells.std(axis=(1, 3)).argmax()), (rows, columns))
    return slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)
