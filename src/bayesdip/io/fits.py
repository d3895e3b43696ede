"""FITS: the first image of a file, in its physical units, with its header and the other parts of the file.

Source: FITS Standard 4.0 (2018): BSCALE, BZERO and BLANK (section 4.4.2), NaN (5.3), world coordinates (8); the SIP
convention of distortions (Shupe et al. 2005).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from bayesdip.io.guards import FilePath, decoding, file_error, refuse_huge
from bayesdip.io.optional import library
from bayesdip.io.picture import Array, Picture, colour_of, native

# What belongs to the samples as they were stored, and does not hold for those that are written.
_OF_STORAGE = (
    *("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "DATAMIN", "DATAMAX"),
    *("ZBLANK", "ZSCALE", "ZZERO"),
)


@dataclass(frozen=True, eq=False)
class FitsFile:
    """The file that a picture was read from: its bytes, and which of its parts holds the picture."""

    data: bytes
    number: int


def read_fits(path: FilePath, data: bytes) -> Picture:
    """Decode the first image of a FITS file; the planes of a cube are channels.

    Whole numbers that BSCALE and BZERO only make unsigned stay whole; others become physical values, float32, or float64 where
    the stored ones have 32 bits and more. NaN, and what was BLANK, is declared to be no data.
    """
    fits = library("FITS", path)
    with (
        decoding(path, "FITS"),
        fits.open(BytesIO(data), do_not_scale_image_data=True, memmap=False) as file,
    ):
        images = [n for n, part in enumerate(file) if part.is_image and 0 not in (part.shape or (0,))]
        if not images:
            raise file_error(path, "holds no image (tables only)", "an image is", "export the image you want")
        part = file[images[0]]
        sides = tuple(n for n in part.shape if n > 1) or (1,)
        if len(sides) > 3:
            given = f"holds an array of {len(sides)} axes, of shape {part.shape}"
            raise file_error(
                path, given, "at most 3 that are longer than 1 are", "save one cube or plane of it"
            )
        if len(sides) > 1:
            refuse_huge(path, (*sides[-2:], *sides[:-2]), 8)
        # Read before the data are: astropy takes these words out of the header then.
        scale, zero, blank = (part.header.get(name) for name in ("BSCALE", "BZERO", "BLANK"))
        stored = native(np.asarray(part.data)).reshape(_at_least_a_row(part.shape, sides))
        pixels, no_data = _physical(stored, scale or 1, zero or 0, blank)
        if pixels.ndim == 3:
            pixels = native(np.moveaxis(pixels, 0, -1))
        notes = []
        if len(images) > 1:
            name = part.name or "primary"
            notes.append(
                f"the first of {len(images)} images in the file ({name}) is restored, and the others are kept as they are"
            )
        return Picture(
            pixels,
            format="FITS",
            bits=8 * pixels.dtype.itemsize,
            colour="gray" if pixels.ndim < 3 else colour_of(pixels.shape),
            no_data=no_data,
            header=FitsFile(data, images[0]),
            notes=tuple(notes),
        )


def _at_least_a_row(shape: tuple[int, ...], sides: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without axes of length 1, but that a picture of one row or column stays a picture."""
    return shape if len(shape) == 2 else sides


def _physical(stored: Array, scale: float, zero: float, blank: int | None) -> tuple[Array, float | None]:
    """Values in their units, and the one that stands for no data."""
    if stored.dtype.kind == "f":
        return (stored if (scale, zero) == (1, 0) else stored * scale + zero), float("nan")
    bits = 8 * stored.dtype.itemsize
    shift = 2 ** (bits - 1) * (1 if stored.dtype.kind == "i" else -1)
    if scale == 1 and zero == shift:  # the only way that FITS has for the other sign (table 11)
        turned = (stored.astype(object) + shift) if bits == 64 else stored.astype(np.int64) + shift
        kind = "u" if stored.dtype.kind == "i" else "i"
        return turned.astype(f"{kind}{stored.dtype.itemsize}"), None if blank is None else blank + shift
    if (scale, zero) == (1, 0):
        return stored, None if blank is None else float(blank)
    values = stored * np.float64(scale) + zero
    if blank is not None:
        values[stored == blank] = np.nan
    return values.astype(np.float32 if bits <= 16 else np.float64), float("nan")


def encode(pixels: Array, like: Picture, path: FilePath) -> bytes:
    """Write the picture with the header of the source, in the place that it had in the source's file.

    The standard deviation of a picture is written alone.
    """
    fits = library("FITS", path)
    planes = np.ascontiguousarray(
        np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 and not like.volume else pixels
    )
    if planes.dtype == np.float16:
        planes = planes.astype(np.float32)
    out = BytesIO()
    source = like.header
    with decoding(path, "FITS"):
        if not isinstance(source, FitsFile):
            part = fits.PrimaryHDU(planes)
            part.header["HISTORY"] = like.remark
            fits.HDUList([part]).writeto(out)
            return out.getvalue()
        with fits.open(BytesIO(source.data), memmap=False) as file:
            old = file[source.number]
            shape = old.shape if planes.size == np.prod(old.shape) else planes.shape
            header = _header(old.header.copy(), old.shape, planes.shape, like.remark)
            kind = fits.PrimaryHDU if source.number == 0 else fits.ImageHDU
            part = kind(planes.reshape(shape), header)
            if like.is_std:
                parts = [part] if source.number == 0 else [fits.PrimaryHDU(header=file[0].header), part]
            else:
                parts = list(file)
                parts[source.number] = part
            fits.HDUList(parts).writeto(out, output_verify="silentfix+ignore")
    return out.getvalue()


def _header(header: Any, before: tuple[int, ...], after: tuple[int, ...], remark: str) -> Any:
    """The header of an image of another type and, where it was enlarged, size."""
    for name in _OF_STORAGE:
        header.remove(name, ignore_missing=True, remove_all=True)
    down, across = (
        (new / old for new, old in zip(after[-2:], before[-2:], strict=True)) if len(after) > 1 else (1, 1)
    )
    if (down, across) != (1, 1):
        _enlarge(header, across, down)
    header["HISTORY"] = remark
    return header


def _enlarge(header: Any, across: float, down: float) -> None:
    """World coordinates of a picture with so many times the columns and rows; pixels are counted from 1, at their centres."""
    has_matrix = any(re.fullmatch(r"CD\d+_\d+", name) for name in header)
    for axis, ratio in ((1, across), (2, down)):
        for name in list(header):
            if re.fullmatch(rf"CRPIX{axis}[A-Z]?", name):
                header[name] = (header[name] - 0.5) * ratio + 0.5
            elif re.fullmatch(rf"CD\d+_{axis}[A-Z]?" if has_matrix else rf"CDELT{axis}[A-Z]?", name):
                header[name] /= ratio
    for name in list(header):
        if found := re.fullmatch(
            r"([AB]P?)_(\d)_(\d)", name
        ):  # SIP: polynomials in pixels, their value in pixels
            of_rows = found[1].startswith("B")
            own = down if of_rows else across
            header[name] *= own / (across ** int(found[2]) * down ** int(found[3]))
