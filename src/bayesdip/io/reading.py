"""From a file to a Picture: which format it is, and those that Pillow and NumPy decode."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdip.errors import BayesDipError
from bayesdip.io import dicom, nifti, png_chunks, raw
from bayesdip.io.guards import FilePath, decoding, file_error, read_bytes, refuse_huge
from bayesdip.io.metadata import exif_of_image, sound_dpi
from bayesdip.io.picture import Array, Picture, colour_of, native

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from bayesdip.noise.jpeg import JPEG

_SIGNATURES = {
    png_chunks.SIGNATURE: "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"\x93NUMPY": "NPY",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"SIMPLE  =": "FITS",
    b"v/1\x01": "EXR",
}
_GZIP = b"\x1f\x8b"
_PNG_DEPTH = 24  # the place of the byte that holds the bits per sample


def read_picture(path: FilePath) -> Picture:
    """Read a picture file; its content says which format it is, not its name.

    A palette becomes RGB, 1-bit black and white becomes 8-bit gray, and a colour or a level
    declared transparent becomes ``alpha``; ``notes`` says so. Pixels are as stored: an EXIF
    orientation is kept, not applied. NaN and infinity are let through, for the caller to judge.

    Parameters
    ----------
    path : path-like
        A PNG, JPEG, TIFF, WebP, BMP, GIF or ``.npy`` file with one picture, or, with the libraries
        that extras install, FITS, DICOM, NIfTI, OpenEXR or camera raw. The pages of a TIFF file and
        the planes of a FITS cube are taken as channels; several slices of NIfTI and frames of DICOM
        are a volume. Of the several views in a phone's JPEG the first is taken; a file of several
        frames (GIF, WebP, PNG) is an error.

    Returns
    -------
    Picture

    Raises
    ------
    FileError
        If the file is missing, not readable, not a picture, damaged, cut short, empty, or
        holds what this program does not handle; if the library that its format needs is not installed.
    ResourceError
        If the picture would not fit in memory.
    """
    data = read_bytes(path)
    inner = nifti.unpacked(path, data) if data.startswith(_GZIP) else data
    kind = _kind_of(inner, os.fspath(path))
    if kind is None or (inner is not data and kind not in ("FITS", "NIFTI")):
        given = f"is not a picture this program reads (it begins with {data[:8]!r})"
        expected = "PNG, JPEG, TIFF, WebP, .npy, BMP, GIF, FITS, DICOM, NIfTI, OpenEXR or camera raw is"
        raise file_error(path, given, expected, "convert it to one of these")
    picture = _decoded_as(kind, path, inner)
    if picture.pixels.size == 0:
        given = f"holds no pixels (its shape is {picture.pixels.shape})"
        raise file_error(path, given, "at least one is", "check how it was made")
    return picture


def _decoded_as(kind: str, path: FilePath, data: bytes) -> Picture:
    if kind == "NPY":
        return _read_npy(path, data)
    if kind == "TIFF":
        from bayesdip.io.tiff import read_tiff

        return read_tiff(path, data)
    if kind == "FITS":
        from bayesdip.io.fits import read_fits

        return read_fits(path, data)
    if kind == "EXR":
        from bayesdip.io.exr import read_exr

        return read_exr(path, data)
    others = {"DICOM": dicom.read_dicom, "NIFTI": nifti.read_nifti, "RAW": raw.read_raw}
    return others[kind](path, data) if kind in others else _read_image(path, data, kind)


def _kind_of(data: bytes, name: str) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if raw.is_raw(name, data):
        return "RAW"
    if nifti.is_nifti(data):
        return "NIFTI"
    if dicom.is_dicom(data):  # whatever stands before
        return "DICOM"
    return next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), None)


def _read_npy(path: FilePath, data: bytes) -> Picture:
    with decoding(path, ".npy"):
        try:
            stored = np.load(BytesIO(data), allow_pickle=False)
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            given = "holds Python objects, which are not read because they can run programs"
            advice = "save it again with a number type, such as float32"
            raise file_error(path, given, "an array of numbers is", advice) from error
    if stored.dtype.kind not in "buif" or stored.dtype.itemsize > 8:
        given = f"holds an array of type {stored.dtype}"
        expected = "whole or real numbers of at most 64 bits are"
        raise file_error(path, given, expected, "save it again with such a type, as float32")
    if stored.ndim not in (1, 2, 3):
        given = f"holds an array of {stored.ndim} axes, of shape {stored.shape}"
        advice = "take one picture out of it, with its channels last"
        raise file_error(path, given, "(M,), (M, N) or (M, N, C) is", advice)
    notes: tuple[str, ...] = ()
    bits = 8 * stored.dtype.itemsize
    if stored.dtype.kind == "b":
        stored, bits = stored * np.uint8(255), 1
        notes = ("true and false became 8-bit white and black",)
    colour = colour_of(stored.shape)
    return Picture(native(stored), format="NPY", bits=bits, colour=colour, notes=notes)


def _read_image(path: FilePath, data: bytes, kind: str) -> Picture:
    """Decode what Pillow identifies. Pillow gives PNG's metadata only: of 16-bit colour it drops half."""
    from PIL import Image

    with decoding(path, kind), Image.open(BytesIO(data), formats=[kind]) as image:
        # A phone's JPEG ("MPO") holds depth maps and previews after the picture itself.
        frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
        if frames > 1:
            raise file_error(
                path, f"holds {frames} frames", "one picture is", "save the frame you want as PNG"
            )
        refuse_huge(path, (image.height, image.width, len(image.getbands())), 2)
        chunks = png_chunks.read_chunks(data) if kind == "PNG" else {}
        samples = _decoded_png(data) if kind == "PNG" else _decoded(image)
        is_ink = image.mode == "CMYK"
        pixels, alpha = (samples, None) if is_ink else _split_alpha(samples)
        return Picture(
            native(pixels),
            None if alpha is None else native(alpha),
            format=kind,
            bits=data[_PNG_DEPTH] if kind == "PNG" else 1 if image.mode == "1" else 8,
            colour="cmyk" if is_ink else colour_of(pixels.shape),
            icc_profile=image.info.get("icc_profile") or None,
            exif=exif_of_image(image),
            dpi=sound_dpi(image.info.get("dpi")),
            png_chunks=png_chunks.colour_chunks(chunks),
            jpeg=_compression(image) if kind == "JPEG" else None,
            notes=_changes(image.mode, alpha is not None, b"tRNS" in chunks),
        )


def _compression(image: Any) -> JPEG | None:
    """The error that the file's table makes; None where its first component is not brightness."""
    from bayesdip.noise.jpeg import JPEG

    is_brightness = image.mode == "L" or (image.mode == "RGB" and image.info.get("adobe_transform", 1) == 1)
    try:
        return JPEG(image.quantization[image.layer[0][3]]) if is_brightness else None
    except (AttributeError, IndexError, KeyError, BayesDipError):
        return None  # a table that is not there, or with a step of 0: the picture was decoded all the same


def _decoded_png(data: bytes) -> Array:
    """Return the samples of a PNG file in 8 or 16 bits, palette and transparent colour resolved."""
    import imagecodecs

    return np.asarray(imagecodecs.png_decode(data))


def _decoded(image: PillowImage) -> Array:
    """Return the samples of a JPEG, WebP, BMP or GIF file in 8 bits, the palette resolved."""
    if image.mode in ("P", "PA"):
        has_alpha = image.mode == "PA" or "transparency" in image.info
        return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    return np.asarray(image.convert("L") if image.mode == "1" else image)


def _changes(mode: str, has_alpha: bool, has_transparent_colour: bool) -> tuple[str, ...]:
    """Say what was changed on reading samples of this mode (Pillow's name for it)."""
    if mode in ("P", "PA"):
        return (f"the palette became {'RGB with transparency' if has_alpha else 'RGB'}",)
    notes = ["1-bit black and white became 8-bit gray"] if mode == "1" else []
    if has_transparent_colour:
        notes.append("the colour that the file declares transparent became an alpha channel")
    return tuple(notes)


def _split_alpha(samples: Array) -> tuple[Array, Array | None]:
    """Split (M, N, 2) or (M, N, 4) into pixels and transparency; (M, N) and (M, N, 3) have none."""
    if samples.ndim == 2 or samples.shape[2] == 3:
        return samples, None
    pixels = samples[..., :-1]
    return (pixels[..., 0] if pixels.shape[2] == 1 else pixels), samples[..., -1]
