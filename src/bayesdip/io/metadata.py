"""EXIF and resolution: one block of bytes in every format, made from TIFF's tags and into them."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PREFIX = b"Exif\x00\x00"
ORIENTATION = 0x0112
_DESCRIPTION = 0x010E
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_CLASSIC_TIFF = 42
# What describes the picture and not its storage: maker, model, date, artist, copyright.
_TEXT_TAGS = (0x010F, 0x0110, 0x0132, 0x013B, 0x8298)
# Programs keep the layout of the file in the description; written back it could be wrong.
_LAYOUT_DESCRIPTIONS = ('{"', "{'", "ImageJ=", "<?xml", "<OME")


def with_prefix(block: bytes) -> bytes:
    """Return the EXIF block with exactly one leading marker."""
    while block.startswith(PREFIX):
        block = block[len(PREFIX) :]
    return PREFIX + block


def _load(exif: bytes) -> Any:
    from PIL import Image

    tags = Image.Exif()
    tags.load(exif)
    return tags


@contextmanager
def _unreadable_is_ignored() -> Iterator[None]:
    """A remark that cannot be read must not keep the picture from being read or written."""
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def exif_of_image(image: Any) -> bytes | None:
    """Return the EXIF block of a Pillow image, as it stands in the file where it is one."""
    raw = image.info.get("exif")
    if isinstance(raw, bytes) and raw:
        return with_prefix(raw)
    with _unreadable_is_ignored():
        tags = image.getexif()  # PNG's text form of EXIF, and an orientation that stands only in XMP
        return with_prefix(tags.tobytes()) if len(tags) else None
    return None


def exif_of_tiff(data: bytes) -> bytes | None:
    """Gather what a TIFF file says about its picture into an EXIF block (which is a TIFF file itself)."""
    from PIL import Image

    with _unreadable_is_ignored():
        tags, kept = _load(data), Image.Exif()
        for tag in (ORIENTATION, *_TEXT_TAGS):
            if tag in tags and not (tag == ORIENTATION and tags[tag] == 1):
                kept[tag] = tags[tag]
        description = tags.get(_DESCRIPTION)
        if isinstance(description, str) and description and not description.startswith(_LAYOUT_DESCRIPTIONS):
            kept[_DESCRIPTION] = description
        for ifd in (_EXIF_IFD, _GPS_IFD):
            if entries := dict(tags.get_ifd(ifd)):
                kept[ifd] = entries
        return with_prefix(kept.tobytes()) if len(kept) else None
    return None


def orientation_of(exif: bytes | None) -> int:
    """Return the orientation, 1 to 8, that an EXIF block gives; 1 when it gives none."""
    value = 1
    if exif:
        with _unreadable_is_ignored():
            value = int(_load(exif).get(ORIENTATION, 1))
    return value if 1 <= value <= 8 else 1


def sound_dpi(dpi: Any) -> tuple[float, float] | None:
    """Return the resolution as two floats, or None where the file gives none that makes sense."""
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(math.isfinite(v) and 1 <= v < 65535 for v in (across, down)) else None


def tiff_tags(exif: bytes | None) -> tuple[list[tuple[Any, ...]], dict[str, dict[int, Any]]]:
    """Split an EXIF block into tifffile's ``extratags`` and the two directories TIFF points to."""
    extratags: list[tuple[Any, ...]] = []
    directories: dict[str, dict[int, Any]] = {}
    if (orientation := orientation_of(exif)) != 1:
        extratags.append((ORIENTATION, "H", 1, orientation, True))
    with _unreadable_is_ignored():
        tags = _load(exif or b"")
        for tag in (_DESCRIPTION, *_TEXT_TAGS):
            if isinstance(tags.get(tag), str):
                extratags.append((tag, "s", 0, tags[tag].encode(), True))
        for name, ifd in (("ExifTag", _EXIF_IFD), ("GPSTag", _GPS_IFD)):
            if entries := dict(tags.get_ifd(ifd)):
                _directory(ifd, entries).tobytes(0)  # entries that cannot be written raise here
                directories[name] = entries
                extratags.append((name, "I", 1, 0, True))  # the place is filled in by append_directories
    return extratags, directories


def append_directories(data: bytes, directories: dict[str, dict[int, Any]]) -> bytes:
    """Append the EXIF and GPS directories to a little-endian TIFF file, and point its tags at them."""
    if data[2] != _CLASSIC_TIFF:  # over 4 GiB: offsets have another width
        return data
    codes = {"ExifTag": _EXIF_IFD, "GPSTag": _GPS_IFD}
    first = struct.unpack_from("<I", data, 4)[0]
    entries = range(first + 2, first + 2 + 12 * struct.unpack_from("<H", data, first)[0], 12)
    places = {struct.unpack_from("<H", data, at)[0]: at + 8 for at in entries}
    out = bytearray(data)
    for name, values in directories.items():
        out += b"\x00" * (len(out) % 2)  # directories start at even offsets
        struct.pack_into("<I", out, places[codes[name]], len(out))
        out += _directory(codes[name], values).tobytes(len(out))
    return bytes(out)


def _directory(ifd: int, values: dict[int, Any]) -> Any:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    directory = ImageFileDirectory_v2(prefix=b"II", group=ifd)
    for tag, value in values.items():
        directory[tag] = value
    return directory
