"""From a file to a Picture: which format it is, and the formats that Pillow and NumPy decode."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdip.errors import FileError
from bayesdip.io import png
from bayesdip.io.guards import FilePath, decoding, message, read_bytes, refuse_huge
from bayesdip.io.metadata import exif_of_image
from bayesdip.io.picture import Array, Colour, Picture, colour_of

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_SIGNATURES = {
    png.SIGNATURE: "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"\x93NUMPY": "NPY",
    b"BM": "BMP",
    b"GIF8": "GIF",
}
_GRAY = 0  # PNG's colour type
_COLOURS: dict[str, Colour] = {
    "L": "gray",
    "LA": "gray",
    "I": "gray",
    "I;16": "gray",
    "I;16B": "gray",
    "F": "gray",
    "RGB": "rgb",
    "RGBA": "rgb",
    "CMYK": "cmyk",
}


def read_picture(path: FilePath) -> Picture:
    """Read a picture file; its format is told by its content, not by its name.

    A palette becomes RGB, 1-bit black and white becomes 8-bit gray, and a colour or a level
    declared transparent becomes ``alpha``; ``notes`` says so. Pixels are as stored: an EXIF
    orientation is kept, not applied. NaN and infinity are let through, for the caller to judge.

    Parameters
    ----------
    path : path-like
        A PNG, JPEG, TIFF, WebP, BMP, GIF or ``.npy`` file with one picture. The pages of a TIFF
        file are taken as channels. Of the several views in a phone's JPEG the first is taken;
        a file of several frames (GIF, WebP, PNG) is an error.

    Returns
    -------
    Picture

    Raises
    ------
    FileError
        If the file is missing, not readable, not a picture, damaged, cut short, empty, or
        holds what this program does not handle.
    ResourceError
        If the picture would not fit in memory.
    """
    data = read_bytes(path)
    kind = _kind_of(data)
    if kind is None:
        given = f"is not a picture this program reads (it begins with {data[:8]!r})"
        expected = "PNG, JPEG, TIFF, WebP, .npy, BMP or GIF is"
        raise FileError(message(path, given, expected, "convert it to one of these"))
    if kind == "NPY":
        picture = _read_npy(path, data)
    elif kind == "TIFF":
        from bayesdip.io.tiff import read_tiff

        picture = read_tiff(path, data)
    else:
        picture = _read_by_pillow(path, data, kind)
    if picture.pixels.size == 0:
        given = f"holds no pixels (its shape is {picture.pixels.shape})"
        raise FileError(message(path, given, "at least one is", "check how it was made"))
    return picture


def _kind_of(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), None)


def native(array: Array) -> Array:
    """Return the array in this machine's byte order, contiguous and writable."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def _read_npy(path: FilePath, data: bytes) -> Picture:
    with decoding(path, ".npy"):
        try:
            stored = np.load(BytesIO(data), allow_pickle=False)
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            given = "holds Python objects, which are not read because they can run programs"
            advice = "save it again with a number type, such as float32"
            raise FileError(message(path, given, "an array of numbers is", advice)) from error
    if stored.dtype.kind not in "buif" or stored.dtype.itemsize > 8:
        given = f"holds an array of type {stored.dtype}"
        expected = "whole or real numbers of at most 64 bits are"
        raise FileError(message(path, given, expected, "save it again with such a type, as float32"))
    if stored.ndim not in (1, 2, 3):
        given = f"holds an array of {stored.ndim} axes, of shape {stored.shape}"
        advice = "take one picture out of it, with its channels last"
        raise FileError(message(path, given, "(M,), (M, N) or (M, N, C) is", advice))
    notes: tuple[str, ...] = ()
    bits = 8 * stored.dtype.itemsize
    if stored.dtype.kind == "b":
        stored, bits = stored * np.uint8(255), 1
        notes = ("true and false became 8-bit white and black",)
    mode, colour = str(stored.dtype), colour_of(stored.shape)
    return Picture(native(stored), format="NPY", mode=mode, bits=bits, colour=colour, notes=notes)


def _read_by_pillow(path: FilePath, data: bytes, kind: str) -> Picture:
    from PIL import Image

    with decoding(path, kind):
        found = dict(png.chunks(data)) if kind == "PNG" else {}
        with Image.open(BytesIO(data), formats=[kind]) as image:
            # A phone's JPEG ("MPO") holds depth maps and previews after the picture itself.
            frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
            if frames > 1:
                given = f"holds {frames} frames"
                raise FileError(message(path, given, "one picture is", "save the frame you want as PNG"))
            refuse_huge(path, (image.height, image.width, len(image.getbands())), 2)
            mode, depth = image.mode, png.header(data)[0] if found else 1 if image.mode == "1" else 8
            if depth == 16 and png.header(data)[1] != _GRAY:
                pixels, alpha = split_alpha(png.read_16_bit_colour(data))
                colour, notes = colour_of(pixels.shape), list[str]()
            else:
                pixels, alpha, colour, notes = samples_of(image, path)
            if depth == 16:
                pixels = pixels.astype(np.uint16)  # older Pillow gives 32 bits
            if found and (key := png.colour_key(data, found)) is not None:
                alpha = _alpha_from_key(pixels, key)
                notes.append("the colour that the file declares transparent became an alpha channel")
            return Picture(
                native(pixels),
                None if alpha is None else native(alpha),
                format=kind,
                mode=mode,
                bits=depth,
                colour=colour,
                icc_profile=image.info.get("icc_profile") or None,
                exif=exif_of_image(image),
                dpi=sound_dpi(image.info.get("dpi")),
                png_chunks=png.colour_chunks(found),
                notes=tuple(notes),
            )


def samples_of(image: PillowImage, path: FilePath) -> tuple[Array, Array | None, Colour, list[str]]:
    """Return a Pillow image's pixels, transparency, colour model and what was changed."""
    notes: list[str] = []
    if image.mode in ("P", "PA"):
        transparent = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
        notes.append(f"the palette became {'RGB with transparency' if transparent else 'RGB'}")
    elif image.mode == "1":
        image = image.convert("L")
        notes.append("1-bit black and white became 8-bit gray")
    if image.mode not in _COLOURS:
        given = f"has the colour model {image.mode}"
        raise FileError(message(path, given, "gray, RGB or CMYK is", "convert it to one"))
    samples = np.asarray(image)
    pixels, alpha = split_alpha(samples) if image.mode in ("LA", "RGBA") else (samples, None)
    return pixels, alpha, _COLOURS[image.mode], notes


def split_alpha(samples: Array) -> tuple[Array, Array | None]:
    """Split (M, N, 2) or (M, N, 4) into pixels and transparency; (M, N) and (M, N, 3) have none."""
    if samples.ndim == 2 or samples.shape[2] == 3:
        return samples, None
    pixels = samples[..., :-1]
    return (pixels[..., 0] if pixels.shape[2] == 1 else pixels), samples[..., -1]


def sound_dpi(dpi: Any) -> tuple[float, float] | None:
    """Return the resolution as two floats, or None where the file gives none that makes sense."""
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(math.isfinite(v) and 1 <= v < 65535 for v in (across, down)) else None


def _alpha_from_key(pixels: Array, key: tuple[int, ...]) -> Array:
    opaque = pixels != key[0] if pixels.ndim == 2 else np.any(pixels != np.array(key), axis=-1)
    return np.where(opaque, np.iinfo(pixels.dtype).max, 0).astype(pixels.dtype)
