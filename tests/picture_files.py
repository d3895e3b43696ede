"""Small picture files of every kind, and what it means that two are alike."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from bayesdip import io
from bayesdip.errors import BayesDipError

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXPOSURE, EXIF_IFD, GPS_IFD, ORIENTATION = 0x829A, 0x8769, 0x8825, 0x0112
SIZES = [(1, 1), (1, 5000), (5000, 1), (3, 3), (300, 7)]


def noise(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    """A picture with smooth and rough parts that uses the whole range of its type."""
    rng = np.random.default_rng(sum(shape))
    rough = rng.random(shape)
    rough[: shape[0] // 2] = np.linspace(0, 1, shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
    if dtype.startswith("float"):
        return (rough * 300 - 20).astype(dtype)
    limits = np.iinfo(dtype)
    return (limits.min + rough * (0.999 * limits.max - 0.999 * limits.min)).astype(dtype)


def exif(orientation: int = 6) -> Image.Exif:
    block = Image.Exif()
    block[ORIENTATION], block[0x010F], block[0x8298] = orientation, "a maker", "© a name"
    block[EXIF_IFD], block[GPS_IFD] = {EXPOSURE: 0.25, 0x9003: "2024:01:02 03:04:05"}, {1: "N"}
    return block


def saved(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def tiff_file(path: Path, array: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, array, metadata=None, **options)
    return path


def same_again(path: Path, **options: object) -> tuple[io.Picture, io.Picture]:
    """Read a picture, write it back beside its file, and read that."""
    picture = io.read_picture(path)
    copy = path.with_name(f"copy{path.suffix}")
    assert io.write_picture(copy, picture.pixels, picture, **options) == ()
    return picture, io.read_picture(copy)


def assert_alike(one: io.Picture, other: io.Picture) -> None:
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert one.pixels.dtype == other.pixels.dtype
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None:
        np.testing.assert_array_equal(one.alpha, other.alpha)
    for fact in ("colour", "format", "icc_profile", "orientation", "tiff", "png_chunks"):
        assert getattr(one, fact) == getattr(other, fact), fact


def the_error(expected: type[BayesDipError], function: object, *args: object, **options: object) -> str:
    with pytest.raises(expected) as caught:
        function(*args, **options)
    text = str(caught.value)
    assert "\n" not in text and "expected" in text
    return text


def encoded(kind: str) -> bytes:
    out = BytesIO()
    if kind == "NPY":
        np.save(out, noise((40, 50)))
    else:
        Image.fromarray(noise((40, 50, 3))).save(out, kind)
    return out.getvalue()


def png_file(
    columns: int, rows: int, depth: int, colour_type: int, *parts: tuple[bytes, bytes], interlaced: int = 0
) -> bytes:
    """A PNG file made by hand: the header, the chunks given as (name, body), and the end chunk."""
    head = struct.pack(">IIBBBBB", columns, rows, depth, colour_type, 0, 0, interlaced)
    chunks = [(b"IHDR", head), *parts, (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
