"""Masks and point spread functions: pictures that say something about another picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesdip.findings import Finding
from bayesdip.io.encoding import to_rgb
from bayesdip.io.guards import FilePath, file_error
from bayesdip.io.painted import STROKES, clustering, is_photograph, painted
from bayesdip.io.picture import Array, Picture, as_stored, full_scale, upright
from bayesdip.io.reading import read_picture

# The share of missing pixels of one value from which on a picture shows that they are damaged.
DAMAGED = 0.8


@dataclass(frozen=True)
class Mask:
    """Which pixels are missing, and how that was taken from the file.

    Attributes
    ----------
    missing : bool array, shape (M, N), (M,), or (M, N, C) with a mask for each channel
    findings : tuple of Finding
        What the user has to know of how the file was understood.
    """

    missing: NDArray[np.bool_]
    findings: tuple[Finding, ...] = ()


def read_mask(path: FilePath, shape: tuple[int, ...], orientation: int = 1) -> NDArray[np.bool_]:
    """Read which pixels are missing: white ones, and what is painted.

    On black, all strokes count, gray and coloured ones too; on transparent, all that is painted,
    whatever its colour. Strokes whose edges fade are taken with their edges and one pixel more. Whole
    numbers that are 0 and 1 only are taken as false and true. In arrays of real numbers, and where levels
    pass gradually over the whole picture, missing is what is half white or more; white is the largest
    value of the sample type, for real numbers 1, or the largest one found where that is more.

    Parameters
    ----------
    path : path-like
        Any picture that :func:`bayesdip.io.read_picture` reads.
    shape : tuple of int
        Shape of the picture: (M, N), (M, N, C) or (M,). A mask of C channels that differ, in ``.npy`` or
        TIFF or in pure colours, is a mask for each channel.
    orientation : int
        EXIF orientation of the picture. A mask is taken as drawn on the picture as a viewer shows it,
        unless it fits only as stored, has an orientation of its own, or is an array.

    Returns
    -------
    bool array, shape (M, N), (M,) or (M, N, C)
        True where the pixel is missing. See :func:`check_mask`.

    Raises
    ------
    FileError
        If the file is no mask of this size.
    """
    return _read(path, shape, orientation, None).missing


def mask_of(path: FilePath, picture: Picture, invert: bool | None = None) -> Mask:
    """Read the mask that belongs to a picture, with an eye on the picture.

    Parameters
    ----------
    path : path-like
    picture : Picture
        Damage that it shows tells how a mask is to be turned; a mask painted on a copy of it is recognised.
    invert : bool, optional
        Exchange missing and known. None: as it is, but a mask that leaves little known and is as good
        the other way round is an error that asks.

    Returns
    -------
    Mask

    Raises
    ------
    FileError
        If the file is no mask of this size, or it is doubtful which part is missing.
    """
    mask = _read(path, picture.pixels.shape, picture.orientation, picture)
    if invert:
        return Mask(~mask.missing, mask.findings)
    if invert is None and mask.missing.ndim == 2:
        _ask_if_inverted(mask.missing, picture.pixels, path)
    return mask


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


def _read(path: FilePath, shape: tuple[int, ...], orientation: int, picture: Picture | None) -> Mask:
    source = read_picture(path)
    by_channel = _by_channel(source, shape)
    if by_channel is not None:
        found, how, soft = by_channel, "a mask for each channel", False
        drawn_on = source
    else:
        drawn_on = source
        level, opacity = _levels(source, path)
        gray = level.mean(-1) if level.ndim == 3 else level
        if source.format == "NPY":
            found, how, soft = gray >= 0.5, "", False
        else:
            before = None
            if picture is not None and picture.colour in ("gray", "rgb"):
                shown = picture.pixels if source.orientation != 1 else upright(picture.pixels, orientation)
                before = np.nan_to_num(np.asarray(shown, float)) / _white(picture.pixels)
                if before.ndim == 2 and level.ndim == 3:
                    before = np.repeat(before[..., None], level.shape[2], -1)
            taken = painted(level, opacity, before, lossy=source.format == "JPEG")
            found, how, soft = taken.missing, taken.how, taken.soft
    findings = []
    if how:
        text = f"the mask was taken for {how}: {int(found.sum()):,} of {found.size:,} values are missing"
        findings.append(Finding("mask", text, {"taken as": how, "missing": int(found.sum())}))
    if soft:
        text = "the mask's edges are soft, so it was taken with its edges and one pixel more"
        findings.append(Finding("soft mask", text))
    missing, turned = _turned(found, drawn_on, shape, orientation, picture, path)
    if not how and source.format != "NPY" and is_photograph(gray):
        given, expected = "the mask looks like a photograph", "paint on black, white or the picture is"
        raise file_error(path, given, expected, "choose the mask's file, or paint one")
    return Mask(missing, (*findings, *turned))


def _by_channel(source: Picture, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """The mask for each channel that the file holds; None if it holds one for all."""
    pixels = source.pixels
    if len(shape) != 3 or pixels.ndim != 3 or source.alpha is not None or pixels.shape[2] != shape[2]:
        return None
    if (pixels == pixels[..., :1]).all() or not _is_finite(pixels):
        return None
    white = _white(pixels)
    if source.format == "NPY" or (source.format == "TIFF" and pixels.max() <= 1):
        return np.asarray(pixels / white >= 0.5)
    if not ((pixels == 0) | (pixels == white)).all():
        return None
    missing = pixels == white
    # One colour on black is paint; several pure ones say which channels are missing.
    mixed = missing.any(-1) & ~missing.all(-1)
    several = len(np.unique(missing[mixed], axis=0)) > 1
    return missing if several else None


def _levels(source: Picture, path: FilePath) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Gray or RGB from 0, black, to 1, white; and the opacity."""
    if source.colour == "channels":
        given = f"the mask has {source.channels} channels"
        raise file_error(path, given, "gray, RGB or the picture's number of channels is", "save it as gray")
    pixels = to_rgb(source.pixels, "cmyk", None) if source.colour == "cmyk" else source.pixels
    if not _is_finite(pixels):
        given = f"{int(np.count_nonzero(~np.isfinite(pixels)))} of {pixels.size} values of the mask are NaN or infinite"
        raise file_error(path, given, "finite ones are", "replace them")
    opacity = None
    if source.alpha is not None:
        opacity = source.alpha.astype(np.float64) / full_scale(source.alpha.dtype)
    return pixels.astype(np.float64) / _white(pixels), opacity


def _turned(
    found: NDArray[np.bool_],
    source: Picture,
    shape: tuple[int, ...],
    orientation: int,
    picture: Picture | None,
    path: FilePath,
) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    """The mask as the picture's pixels are stored, from the mask as it was drawn or stored."""
    grid = tuple(shape[:2])
    own = source.orientation
    stored = found
    drawn = as_stored(upright(found, own), orientation) if found.ndim > 1 else found
    fits = [mask for mask in (drawn, stored) if mask.shape[: len(grid)] == grid]
    if not fits:
        given, expected = (
            f"the mask is {_size(found.shape[:2])}",
            f"the size of the picture, {_size(grid)}, is",
        )
        raise file_error(path, given, expected, "make the mask from the picture itself")
    if len(fits) == 1 or np.array_equal(drawn, stored):
        return np.ascontiguousarray(fits[0]), ()
    choice, why = drawn, "was taken as drawn on the picture as shown"
    if source.format == "NPY":
        choice, why = stored, "is an array and was taken as the pixels are stored"
    elif picture is not None and own == 1:
        shows = [_shows(mask, picture.pixels) for mask in (drawn, stored)]
        if shows[1] >= DAMAGED > shows[0]:
            choice, why = stored, "was taken as the pixels are stored, where the picture shows the damage"
    text = f"the mask {why} (EXIF orientation {orientation}); turn or mirror it if that is not meant"
    facts = {"orientation": orientation, "as stored": choice is stored}
    return np.ascontiguousarray(choice), (Finding("mask orientation", text, facts),)


def _shows(missing: NDArray[np.bool_], pixels: Array) -> float:
    """The share of the missing pixels that have the value, to a 16th of its range, which most of them have."""
    if missing.ndim > 2 or not missing.any():
        return 0.0
    values = np.nan_to_num(pixels.reshape(*missing.shape, -1)[missing].astype(np.float64))
    low, high = np.nanmin(pixels), np.nanmax(pixels)
    levels = np.rint(16 * (values - low) / (high - low or 1))
    return float(np.unique(levels, axis=0, return_counts=True)[1].max() / len(levels))


def _ask_if_inverted(missing: NDArray[np.bool_], pixels: Array, path: FilePath) -> None:
    """Raise where most is missing, the rest would do as a mask, and the picture does not show which is which."""
    share, rest = float(missing.mean()), ~missing
    if share <= 0.5 or not rest.any() or clustering(rest) < STROKES:
        return
    if _shows(missing, pixels) >= DAMAGED > _shows(rest, pixels):
        return
    given = (
        f"the mask makes {100 * share:.0f}% of the picture missing, and could be meant the other way round"
    )
    raise file_error(
        path,
        given,
        "paint where to fill in is",
        f"give --invert-mask to fill in the other {100 - 100 * share:.0f}%, or --no-invert-mask to take it as it is",
    )


def _is_finite(pixels: Array) -> bool:
    return pixels.dtype.kind != "f" or bool(np.isfinite(pixels).all())


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
