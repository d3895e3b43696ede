"""NIfTI: volumes and pictures with their affine, units and extensions.

Source: the headers nifti1.h and nifti2.h (NIfTI Data Format Working Group, 2003 and 2011). The first axis of a NIfTI array runs
from left to right in the scanner or the slice; here it is the last of the grid, as the columns of a picture are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesdip.io.guards import FilePath, decoding, file_error, refuse_bytes, refuse_huge
from bayesdip.io.optional import library
from bayesdip.io.picture import Array, Picture, channels_of, native

_COMMENT = 6  # the code of an extension that holds plain text
_DESCRIPTION = 80  # bytes


@dataclass(frozen=True, eq=False)
class NiftiFile:
    """The header of a NIfTI file, with its extensions, and its affine; the shape as it was stored."""

    header: Any
    affine: Array
    shape: tuple[int, ...]


def is_nifti(data: bytes) -> bool:
    """Whether bytes begin as a NIfTI file does, header and values in one."""
    return data[344:348] == b"n+1\0" or data[4:8] == b"n+2\0"


def read_nifti(path: FilePath, data: bytes) -> Picture:
    """Decode a NIfTI file: a picture, a volume (K, M, N), or one with a last axis of channels or times.

    Values are scaled as the header says; whole numbers that it leaves alone stay whole.
    """
    nibabel = library("NIFTI", path)
    with decoding(path, "NIfTI"):
        kind = nibabel.Nifti1Image if data[344:348] == b"n+1\0" else nibabel.Nifti2Image
        image = kind.from_bytes(data)
        shape = tuple(int(n) for n in image.shape)
        if len(shape) < 2 or min(shape) < 1:
            raise ValueError(f"it describes an array of shape {shape}")
        kept = (*shape[:2], *(n for n in shape[2:] if n > 1))
        if len(kept) > 4 or (len(shape) > 4 and len(kept) > 3 and shape[2] == 1):
            given = f"holds an array of shape {shape}"
            raise file_error(path, given, "a volume, or volumes along one more axis, is", "save one of them")
        stored_type = image.get_data_dtype()
        if stored_type.fields is None and (stored_type.kind not in "uif" or stored_type.itemsize > 8):
            given = f"holds samples of type {stored_type}"
            raise file_error(
                path, given, "whole or real numbers are", "save its parts or magnitude as float32"
            )
        refuse_huge(path, (shape[1], shape[0], *shape[2:]), 8)
        values = np.asanyarray(image.dataobj)
        if values.dtype.fields is not None:  # RGB or RGBA in bytes
            values = np.stack([values[name] for name in values.dtype.names[:3]], -1)
            kept = (*kept, 3)
        elif values.dtype != stored_type and stored_type.kind in "ui" and stored_type.itemsize <= 2:
            values = values.astype(np.float32)  # what scaling made of it has no more digits
    is_volume = len(shape) > 2 and shape[2] > 1
    pixels = _reversed(values.reshape(kept), 3 if is_volume else 2)
    colour = (
        "rgb" if stored_type.fields is not None else "gray" if pixels.ndim == 2 + is_volume else "channels"
    )
    return Picture(
        native(pixels),
        format="NIFTI",
        bits=8 * pixels.dtype.itemsize,
        colour=colour,  # type: ignore[arg-type]
        volume=is_volume,
        header=NiftiFile(image.header, image.affine, shape),
    )


def _reversed(values: Array, axes: int) -> Array:
    """The first `axes` axes in the other order."""
    return values.transpose(*range(axes)[::-1], *range(axes, values.ndim))


def encode(pixels: Array, like: Picture, path: FilePath) -> bytes:
    """Write a NIfTI file with the header and affine of the source."""
    nibabel = library("NIFTI", path)
    with decoding(path, "NIfTI"):
        values = _reversed(pixels, 3 if like.volume else 2)
        if values.dtype == np.float16:
            values = values.astype(np.float32)
        source = like.header if isinstance(like.header, NiftiFile) else None
        is_rgb = values.dtype == np.uint8 and like.colour == "rgb" and channels_of(pixels.shape) == 3
        if is_rgb and not like.volume:
            kind = np.dtype([(name, "u1") for name in "RGB"])
            values = np.ascontiguousarray(values).view(kind)[..., 0]
        elif not like.volume and values.ndim == 3:
            values = values[:, :, None]  # channels are the fourth axis
        if source is not None and values.size == np.prod(source.shape):
            values = values.reshape(source.shape)
        affine, header = (
            (None, None) if source is None else (_affine(source, values.shape), source.header.copy())
        )
        single = nibabel.Nifti1Image if header is None or header["sizeof_hdr"] == 348 else nibabel.Nifti2Image
        image = single(values, affine, header, dtype=values.dtype)
        if source is not None:
            zooms = source.header.get_zooms()
            for axis in range(min(2, len(zooms))):
                image.header["pixdim"][1 + axis] = zooms[axis] * source.shape[axis] / values.shape[axis]
            for code in ("sform_code", "qform_code"):  # that of a new affine would be "aligned"
                image.header[code] = source.header[code]
        image.header.set_slope_inter(1, 0)
        if like.is_std:
            image.header["cal_min"] = image.header["cal_max"] = 0
        before = bytes(image.header["descrip"]).split(b"\0")[0].decode("latin-1")
        texts = (f"{before}; {like.remark}".lstrip("; "), like.remark, before)
        image.header["descrip"] = next(t for t in texts if len(t) < _DESCRIPTION).encode("latin-1")
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(_COMMENT, like.remark.encode()))
        data: bytes = image.to_bytes()
    return data


def _affine(source: NiftiFile, shape: tuple[int, ...]) -> Array:
    """The affine of an enlarged picture: its first voxel's centre moves with the size."""
    ratios = np.array([new / old for new, old in zip(shape[:2], source.shape[:2], strict=True)] + [1.0])
    scale = np.diag([*(1 / ratios), 1.0])
    scale[:3, 3] = (1 / ratios - 1) / 2
    affine: Array = source.affine @ scale
    return affine


def unpacked(path: FilePath, data: bytes) -> bytes:
    """What is in a gzip file, if it fits in half of the memory."""
    import zlib

    with decoding(path, "gzip"):
        inner = zlib.decompressobj(wbits=31)
        parts, size = [], 0
        rest = data
        while not inner.eof and rest:
            parts.append(inner.decompress(rest, 2**26))
            rest, size = inner.unconsumed_tail, size + len(parts[-1])
            refuse_bytes(path, size)
        if not inner.eof:
            raise ValueError("its compressed data end too early")
    return b"".join(parts)
