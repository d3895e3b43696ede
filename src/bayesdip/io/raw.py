"""Camera raw: the mosaic as the sensor saw it, linear, one colour a pixel and the others missing.

A demosaiced picture has noise that neighbours share, and detail that an interpolation made up. The mosaic has neither.
"""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any

import numpy as np

from bayesdip.findings import Finding
from bayesdip.io.guards import FilePath, decoding, file_error, refuse_huge
from bayesdip.io.metadata import ORIENTATION, exif_of_tiff, with_prefix
from bayesdip.io.optional import library
from bayesdip.io.picture import Array, Picture

#: Raw formats by their extensions; those that are TIFF files inside are known by the name, or by what stands in them.
SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef"),
    *(".srw", ".x3f", ".3fr", ".iiq", ".mrw", ".kdc", ".dcr", ".erf", ".mef", ".mos", ".rwl"),
)
_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_DNG_VERSION = 50706
# LibRaw's way of turning the picture to EXIF's: half a turn, a quarter to the left, a quarter to the right.
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}
_BEGINNING = 65_536  # bytes; DNG's first directory stands at the front
_TIFF_STARTS = (b"II*\0", b"MM\0*")


def is_raw(name: str, data: bytes) -> bool:
    """Whether a file is a camera's raw one, by its first bytes, and for those that are TIFF files by name or content."""
    if data.startswith(_STARTS) or data[4:12] == b"ftypcrx ":
        return True
    if not data.startswith(_TIFF_STARTS):
        return False
    return name.lower().endswith(SUFFIXES) or data[8:10] == b"CR" or _has_dng_version(data)


def is_raw_file(path: FilePath) -> bool:
    """:func:`is_raw` of a file on the disk, of which only the beginning is read."""
    with open(path, "rb") as file:
        return is_raw(os.fspath(path), file.read(_BEGINNING))


def _has_dng_version(data: bytes) -> bool:
    """Whether the first directory of a TIFF file has DNG's tag."""
    order: Any = "little" if data.startswith(b"II") else "big"
    first = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[first : first + 2], order)
    entries = range(first + 2, min(first + 2 + 12 * count, len(data)), 12)
    return any(int.from_bytes(data[at : at + 2], order) == _DNG_VERSION for at in entries)


def read_raw(path: FilePath, data: bytes) -> Picture:
    """Decode a raw file: (M, N, 3), float32, NaN where the sensor has another colour; a gray sensor's is (M, N).

    0 is the black level and 1 the white level of green; red and blue are multiplied by the camera's white balance. No curve and
    no colour matrix are applied, nothing is clipped below 0.
    """
    rawpy = library("RAW", path)
    with decoding(path, "camera raw"), rawpy.imread(BytesIO(data)) as raw:
        sizes = raw.sizes
        refuse_huge(path, (sizes.height, sizes.width, 3), 4)
        samples = np.array(raw.raw_image_visible)
        flip = int(sizes.flip)
        white = float(raw.white_level)
        black = np.array([float(level) for level in raw.black_level_per_channel])
        colours = None if samples.ndim == 3 else np.array(raw.raw_colors_visible)
        count, names = int(raw.num_colors), raw.color_desc.decode("ascii", "replace")
        gains = _white_balance(raw)
    if not white > black.max():
        raise file_error(path, f"has a white level of {white:g}", "one above black is", "convert it to DNG")
    findings: tuple[Finding, ...] = ()
    if colours is None or count == 1:
        values = (samples.astype(np.float32) - black.mean()) / np.float32(white - black.mean())
        pixels = values[..., :3] if values.ndim == 3 else values
    else:
        if set(names) - set("RGB") or count > 3:
            raise file_error(
                path, f"has the colours {names}", "red, green and blue are", "develop it to TIFF first"
            )
        levels = (samples - black[colours]) / (white - black[colours]) * gains[colours]
        pixels = _spread(levels.astype(np.float32), np.array(["RGB".index(c) for c in names])[colours])
        findings = (_mosaic_finding(gains[[names.index(c) for c in "RGB"]], pixels),)
    return Picture(
        pixels,
        format="RAW",
        bits=16,
        colour="gray" if pixels.ndim == 2 else "rgb",
        exif=_exif(data, flip),
        no_data=float("nan"),
        findings=findings,
    )


def _white_balance(raw: Any) -> Array:
    """Factors of the four places of a mosaic's cell, green's 1."""
    for found in (raw.camera_whitebalance, raw.daylight_whitebalance):
        gains = np.array(found, float)
        if gains[3] == 0:  # the second green as the first
            gains[3] = gains[1]
        if np.isfinite(gains).all() and gains.min() > 0:
            balance: Array = gains / gains[1]
            return balance
    return np.ones(4)


def _spread(levels: Array, colours: Array) -> Array:
    """(M, N) to (M, N, 3), NaN where a pixel has another colour."""
    seen = colours[..., None] == np.arange(3)
    spread: Array = np.where(seen, levels[..., None], np.float32(np.nan))
    return spread


def _mosaic_finding(gains: Array, pixels: Array) -> Finding:
    shown = ", ".join(f"{gain:.3g}" for gain in gains)
    text = (
        "the file is a camera's mosaic: each pixel has seen one of red, green and blue, and the others are missing and filled in; "
        f"values are linear, 0 is black and 1 the white of green, times the camera's white balance ({shown}), without colour "
        "matrix or curve; develop it to TIFF first to have your own development"
    )
    seen = float(np.isfinite(pixels).mean())
    return Finding("mosaic", text, {"white_balance": [float(g) for g in gains], "seen": seen})


def _exif(data: bytes, flip: int) -> bytes | None:
    """What the camera says of the picture, with the orientation that the decoder found."""
    from PIL import Image

    block = exif_of_tiff(data) if data.startswith(_TIFF_STARTS) else None
    tags = Image.Exif()
    if block:
        tags.load(block)
    tags[ORIENTATION] = _ORIENTATIONS.get(flip, 1)
    return with_prefix(tags.tobytes())
