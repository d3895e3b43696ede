"""What each format can hold, what becomes of a picture that it cannot, and the bytes of the file."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from bayesdip.errors import FileError, NonFiniteError
from bayesdip.io import png_chunks
from bayesdip.io.guards import FilePath, file_error, message, reason_of
from bayesdip.io.picture import Array, Colour, Picture, TiffLayout, channels_of, colour_of, full_scale
from bayesdip.io.raw import SUFFIXES as RAW_SUFFIXES

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".npy": "NPY",
    ".fits": "FITS",
    ".fit": "FITS",
    ".fts": "FITS",
    ".fits.gz": "FITS",
    ".dcm": "DICOM",
    ".nii": "NIFTI",
    ".nii.gz": "NIFTI",
    ".exr": "EXR",
}
#: What a file that holds a picture may be called; what it is, its content says.
READ_SUFFIXES = (*FORMATS, ".bmp", ".gif", *RAW_SUFFIXES)
# Formats that hold real numbers.
REAL_FORMATS = ("TIFF", "NPY", "FITS", "NIFTI", "EXR")
REAL_SUFFIXES = tuple(suffix for suffix, kind in FORMATS.items() if kind in REAL_FORMATS)
_SHOWN = {"WEBP": "WebP", "NPY": ".npy", "NIFTI": "NIfTI", "EXR": "OpenEXR"}
# Formats that hold volumes.
_VOLUMES = ("NPY", "TIFF", "FITS", "NIFTI", "DICOM")
# Pixels. PNG: a signed 32-bit number (specification, section 11.2.1). JPEG: libjpeg's JPEG_MAX_DIMENSION.
# WebP: 14 bits (RFC 9649, section 3).
_LONGEST_SIDE = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}
_LONGEST_EXIF = 65_533  # a JPEG segment's length has 16 bits
# Little is lost: the picture was restored at some cost, and a second JPEG round trip should not undo it.
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Encoding:
    """What will stand in the file.

    Attributes
    ----------
    format : str
        ``"PNG"``, ``"JPEG"``, ``"TIFF"``, ``"WEBP"``, ``"NPY"``, ``"FITS"``, ``"DICOM"``, ``"NIFTI"`` or ``"EXR"``.
    dtype : numpy.dtype
        Sample type in the file.
    colour : {"gray", "rgb", "cmyk", "channels"}
        What the channels in the file mean.
    alpha : bool
        Whether the transparency is written.
    notes : tuple of str
        What the file cannot keep, one phrase each.
    """

    format: str
    dtype: np.dtype[Any]
    colour: Colour
    alpha: bool
    notes: tuple[str, ...] = ()


def choose_encoding(
    path: FilePath, shape: tuple[int, ...], dtype: np.dtype[Any], like: Picture | None
) -> Encoding:
    """Decide how a picture of this shape and sample type goes into the format that the name asks for.

    Raises
    ------
    FileError
        If the name's extension is unknown, or the format cannot hold the picture.
    """
    kind = FORMATS.get(suffix_of(path))
    if kind is None:
        given = f"its extension {suffix_of(path)!r} is no format this program writes"
        raise file_error(path, given, f"one of {', '.join(FORMATS)} is", "choose another name")
    format_ = _SHOWN.get(kind, kind)
    volume = like is not None and like.volume
    axes = (3, 4) if volume else (1, 2, 3)
    if dtype.kind not in "uif" or dtype.itemsize > 8 or len(shape) not in axes or 0 in shape:
        given = f"an array of shape {shape} and type {dtype} is no picture"
        expected = "(M,), (M, N) or (M, N, C) of whole or real numbers is"
        raise file_error(path, given, expected, "convert it first")
    if kind == "DICOM" and (like is None or like.format != kind):
        given = "a DICOM file says whose picture it is, and is made from a DICOM file only"
        raise file_error(path, given, "another format is", "write .tif, .png or .npy")
    if like is not None and like.volume:
        if kind not in _VOLUMES or (len(shape) == 4 and kind in ("TIFF", "FITS")):
            given, advice = (
                f"{format_} cannot hold a volume of shape {shape}",
                "write .nii.gz, .npy or the source's format",
            )
            raise file_error(path, given, "a picture is", advice)
        return Encoding(kind, dtype, like.colour, False)
    same = like is not None and channels_of(like.pixels.shape) == channels_of(shape)
    colour = like.colour if like is not None and same else colour_of(shape)
    alpha = like is not None and like.alpha is not None
    if kind == "NPY":
        notes = ("the transparency is left out: .npy holds the pixels only",) if alpha else ()
        return Encoding(kind, dtype, colour, False, notes)
    if kind == "FITS":
        notes = ("the transparency is left out: FITS holds none",) if alpha else ()
        return Encoding(kind, dtype, colour, False, notes)
    if len(shape) == 1:
        raise file_error(path, f"{format_} cannot hold a 1-D signal", "a picture (M, N) is", "write .npy")
    if kind == "TIFF":
        return Encoding(kind, dtype, colour, alpha)
    if kind == "EXR" and dtype.kind != "f":
        given, expected = f"OpenEXR cannot hold samples of type {dtype}", "real numbers, 1 for white, are"
        raise file_error(path, given, expected, "write .tif or .png, which keep them as they are")
    if kind == "EXR":
        return Encoding(kind, dtype, colour, alpha)
    if kind in ("NIFTI", "DICOM"):
        notes = (f"the transparency is left out: {format_} holds none",) if alpha else ()
        return Encoding(kind, dtype, colour, False, notes)
    if dtype not in (np.uint8, np.uint16):
        given, expected = f"{format_} cannot hold samples of type {dtype}", "uint8 or uint16 samples are"
        raise file_error(path, given, expected, "write .tif or .npy, which keep them as they are")
    if colour == "channels":
        given, expected = f"{format_} cannot hold {channels_of(shape)} channels", "gray, RGB or CMYK is"
        raise file_error(path, given, expected, "write .tif or .npy, which keep them as they are")
    if max(shape[:2]) > _LONGEST_SIDE[kind]:
        given = f"{shape[1]}x{shape[0]} pixels are too many for {format_}"
        raise file_error(path, given, f"at most {_LONGEST_SIDE[kind]} a side are", "write .png or .tif")
    return _narrowed(kind, dtype, colour, alpha, len(like.exif or b"") if like is not None else 0)


def _narrowed(kind: str, dtype: np.dtype[Any], colour: Colour, alpha: bool, exif_length: int) -> Encoding:
    """Say what of a gray, RGB or CMYK picture a PNG, JPEG or WebP file cannot keep."""
    notes = []
    if colour == "cmyk" and kind != "JPEG":
        colour = "rgb"
        notes.append(f"CMYK became RGB: {_SHOWN.get(kind, kind)} holds no CMYK (TIFF and JPEG do)")
    if colour == "gray" and kind == "WEBP":
        colour = "rgb"
        notes.append("gray became RGB with three equal channels: WebP holds no gray")
    if dtype == np.uint16 and kind != "PNG":
        dtype = np.dtype(np.uint8)
        notes.append(f"16 bits became 8: {_SHOWN.get(kind, kind)} holds no more (PNG and TIFF do)")
    if alpha and kind == "JPEG":
        alpha = False
        notes.append("the transparency is left out: JPEG holds none (PNG, WebP and TIFF do)")
    if kind == "JPEG" and exif_length > _LONGEST_EXIF:
        notes.append("the EXIF block is left out: it is longer than JPEG allows (PNG holds it)")
    return Encoding(kind, dtype, colour, alpha, tuple(notes))


def as_type(values: Array, dtype: np.dtype[Any], path: FilePath) -> Array:
    """Convert to the source's sample type: whole numbers are rounded and clipped to the type's range.

    Raises
    ------
    NonFiniteError
        If NaN or infinity would have to become a whole number.
    """
    if values.dtype == dtype or dtype.kind not in "ui":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    if values.dtype.kind in "ui":
        own = np.iinfo(values.dtype)
        return np.clip(values, max(limits.min, own.min), min(limits.max, own.max)).astype(dtype)
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        given = f"{bad} of {values.size} values to write are NaN or infinite"
        advice = "restore without them, or write a floating-point .tif or .npy"
        raise NonFiniteError(message(path, given, f"finite ones, to become {dtype}, are", advice))
    # 2**63 - 1 is no float64; the next one below it is the largest that fits.
    top = np.nextafter(float(limits.max), 0.0) if limits.bits == 64 else float(limits.max)
    return np.clip(np.rint(values.astype(np.float64)), float(limits.min), top).astype(dtype)


def encode(target: Encoding, pixels: Array, alpha: Array | None, like: Picture, path: FilePath) -> bytes:
    """Return the bytes of the file.

    Parameters
    ----------
    target : Encoding
    pixels : array, shape (M, N) or (M, N, C)
        In the source's sample type and colours.
    alpha : array, shape (M, N), or None
        In the source's sample type.
    like : Picture
        Its metadata goes along; a colour profile only while the colours stay what they are.
    path : path-like
        For messages.
    """
    try:
        if target.format == "NPY":
            out = BytesIO()
            np.save(out, pixels)
            return out.getvalue()
        if target.format in ("FITS", "DICOM", "NIFTI", "EXR"):
            return _encode_with_header(target.format, pixels, alpha, like, path)
        if like.volume:  # its planes are the pages of a TIFF file
            pixels, like = np.moveaxis(pixels, 0, -1), replace(like, tiff=TiffLayout("pages"), volume=False)
            target = replace(target, colour="channels")
        if target.colour != like.colour or channels_of(pixels.shape) != channels_of(like.pixels.shape):
            like = replace(like, icc_profile=None, png_chunks=())
        if target.format == "TIFF":
            from bayesdip.io import tiff

            return tiff.encode(pixels, alpha, target.colour, like)
        samples = _to_depth(pixels, target.dtype).reshape(*pixels.shape[:2], -1)
        if alpha is not None:
            samples = np.concatenate([samples, _to_depth(alpha, target.dtype)[..., None]], axis=-1)
        if target.format == "PNG":
            import imagecodecs

            flat = np.ascontiguousarray(samples[..., 0] if samples.shape[2] == 1 else samples)
            return png_chunks.with_metadata(bytes(imagecodecs.png_encode(flat)), like)
        return _encode_by_pillow(samples, target, like)
    except (OSError, ValueError, OverflowError) as error:
        if isinstance(error, (FileError, NonFiniteError)):
            raise
        given = f"{_SHOWN.get(target.format, target.format)} cannot hold it ({reason_of(error)})"
        raise file_error(path, given, "a picture of common size is", "write .tif or .npy") from error


def _encode_with_header(
    kind: str, pixels: Array, alpha: Array | None, like: Picture, path: FilePath
) -> bytes:
    """Encode by the library of a format whose header is kept."""
    if kind == "EXR":
        from bayesdip.io import exr

        return exr.encode(pixels, alpha, like, path)
    from bayesdip.io import dicom, fits, nifti

    encoders = {"FITS": fits.encode, "DICOM": dicom.encode, "NIFTI": nifti.encode}
    data = encoders[kind](pixels, like, path)
    return gzip.compress(data, mtime=0) if suffix_of(path).endswith(".gz") else data


def suffix_of(path: FilePath) -> str:
    """The extension of a name in small letters, with that before ``.gz``."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    return "".join(suffixes if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _to_depth(samples: Array, dtype: np.dtype[Any]) -> Array:
    """Go from 16 bits to 8, full scale to full scale."""
    if samples.dtype == dtype:
        return samples
    ratio = full_scale(dtype) / full_scale(samples.dtype)
    scaled: Array = np.rint(samples * ratio).astype(dtype)
    return scaled


def _encode_by_pillow(samples: Array, target: Encoding, like: Picture) -> bytes:
    from PIL import Image

    modes = {1: "L", 3: "RGB", 4: "CMYK" if target.colour == "cmyk" else "RGBA"}
    rows, columns, count = samples.shape
    image = Image.frombytes(modes[count], (columns, rows), np.ascontiguousarray(samples).tobytes())
    options: dict[str, Any] = {"icc_profile": like.icc_profile, "exif": like.exif or b""}
    if target.format == "WEBP":
        options |= {"lossless": True, "exact": True}
    else:
        options |= {"quality": _JPEG_QUALITY, "subsampling": 0}
        if like.dpi:
            options["dpi"] = like.dpi
        if len(options["exif"]) > _LONGEST_EXIF:
            del options["exif"]
    out = BytesIO()
    image.save(out, target.format, **options)
    return out.getvalue()


def to_rgb(pixels: Array, colour: Colour, icc_profile: bytes | None) -> Array:
    """Turn gray or CMYK pixels into RGB of the same type, by the colour profile where one is at hand.

    Returns
    -------
    array, shape (M, N, 3)
    """
    if colour == "gray":
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=-1)
    if icc_profile and pixels.dtype == np.uint8:
        from PIL import Image, ImageCms

        rows, columns, _ = pixels.shape
        image = Image.frombytes("CMYK", (columns, rows), np.ascontiguousarray(pixels).tobytes())
        try:
            profile = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
            converted = ImageCms.profileToProfile(
                image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            return np.asarray(converted)
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile: as without one
    white = full_scale(pixels.dtype)
    light = 1 - pixels / white
    rgb = white * light[..., :3] * light[..., 3:]
    return (np.rint(rgb) if pixels.dtype.kind in "ui" else rgb).astype(pixels.dtype)


def fitted_alpha(alpha: Array, grid: tuple[int, int]) -> Array:
    """Enlarge or shrink the transparency to the picture's grid (M, N), bilinearly."""
    if alpha.shape == grid:
        return alpha
    from PIL import Image

    resized = Image.fromarray(alpha.astype(np.float32)).resize((grid[1], grid[0]), Image.Resampling.BILINEAR)
    values = np.asarray(resized)
    return (np.rint(values) if alpha.dtype.kind in "ui" else values).astype(alpha.dtype)
