"""Masks and point spread functions: pictures that say something about another picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesdip.io.encoding import to_rgb
from bayesdip.io.guards import FilePath, file_error
from bayesdip.io.picture import Array, as_stored, full_scale
from bayesdip.io.reading import read_picture


def read_mask(path: FilePath, shape: tuple[int, ...], orientation: int = 1) -> NDArray[np.bool_]:
    """Read which pixels are missing: white is missing, and a level between counts from half white on.

    Colours are averaged; a transparent pixel of the mask is not missing, whatever its colour. Whole
    numbers that are 0 and 1 only are taken as false and true. White is the largest value of the
    sample type, for real numbers 1, or the largest one found where that is more.

    Parameters
    ----------
    path : path-like
        Any picture that :func:`bayesdip.io.read_picture` reads.
    shape : tuple of int
        Shape of the picture: (M, N), (M, N, C) or (M,); channels do not matter.
    orientation : int
        EXIF orientation of the picture. A mask drawn on the picture as a viewer shows it, turned
        by 90 degrees, is turned back where its size tells.

    Returns
    -------
    bool array, shape (M, N) or (M,)
        True where the pixel is missing. See :func:`check_mask`.

    Raises
    ------
    FileError
        If the file is no mask of this size.
    """
    level = _gray(path, "mask")
    grid = tuple(shape[:2])
    if level.shape != grid and level.ndim == 2 and level.shape == grid[::-1]:
        level = as_stored(level, orientation)
    if level.shape != grid:
        given, expected = f"the mask is {_size(level.shape)}", f"the size of the picture, {_size(grid)}, is"
        raise file_error(path, given, expected, "make the mask from the picture itself")
    missing: NDArray[np.bool_] = level >= 0.5
    return missing


def check_mask(mask: NDArray[np.bool_], path: FilePath) -> None:
    """Refuse a mask that leaves nothing missing, or nothing known.

    Parameters
    ----------
    mask : bool array
        True where the pixel is missing.
    path : path-like
        The file it came from, for the message.

    Raises
    ------
    FileError
        If the mask is the same everywhere.
    """
    if not mask.any():
        given, expected = "the mask has nothing missing (no pixel is white)", "white where to fill in is"
        raise file_error(path, given, expected, "paint it, or invert the mask")
    if mask.all():
        given, expected = "the mask leaves nothing known (every pixel is white)", "black where it is known is"
        raise file_error(path, given, expected, "paint it, or invert the mask")


def read_psf(path: FilePath) -> NDArray[np.float64]:
    """Read a point spread function, as it is stored: :func:`bayesdip.deblur` brings it into form.

    Parameters
    ----------
    path : path-like
        A ``.npy`` array or a picture, of which the mean of the colours counts.

    Returns
    -------
    float64 array, shape (K, L), or (K,) from a 1-D ``.npy``

    Raises
    ------
    FileError
        If it is the same everywhere and not above zero, or not all of it is finite.
    """
    psf = _gray(path, "point spread function")
    if not psf.any():
        given = f"the point spread function sums to {psf.sum():g}"
        advice = "check that it holds the blur of one bright point on black"
        raise file_error(path, given, "a positive finite sum is", advice)
    return psf


def _gray(path: FilePath, what: str) -> NDArray[np.float64]:
    """Read a picture as gray from 0, black or transparent, to 1, white."""
    picture = read_picture(path)
    if picture.colour == "channels":
        given = f"the {what} has {picture.channels} channels"
        raise file_error(path, given, "gray or RGB is", "save it as gray")
    pixels = picture.pixels
    if picture.colour == "cmyk":
        pixels = to_rgb(pixels, "cmyk", None)
    bad = int(np.count_nonzero(~np.isfinite(pixels)))
    if bad:
        given = f"{bad} of {pixels.size} values of the {what} are NaN or infinite"
        raise file_error(path, given, "finite ones are", "replace them")
    level = pixels.astype(np.float64)
    level = level.mean(axis=-1) if level.ndim == 3 else level
    level /= _white(pixels)
    return level * (picture.alpha / full_scale(picture.alpha.dtype)) if picture.alpha is not None else level


def _size(grid: tuple[int, ...]) -> str:
    return f"{grid[1]}x{grid[0]} pixels" if len(grid) == 2 else f"{grid[0]} samples"


def _white(pixels: Array) -> float:
    """Return the value that stands for white in a mask of these samples."""
    largest = float(pixels.max())
    if pixels.dtype.kind in "ui" and largest > 1:
        return full_scale(pixels.dtype)
    return max(largest, 1.0)
