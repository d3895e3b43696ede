"""OpenEXR: half and float channels by their names, with the attributes of the header and the other channels.

Source: Technical Introduction to OpenEXR (Academy Software Foundation): colours are linear, and multiplied by their opacity.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from bayesdip.io.guards import FilePath, decoding, file_error, refuse_huge
from bayesdip.io.optional import library
from bayesdip.io.picture import Array, Colour, Picture

# Compressions that lose nothing, or only what is beyond 24 bits, by their names in the library.
_KEPT = ("NO", "RLE", "ZIPS", "ZIP", "PIZ")
_OF_THE_SIZE = ("channels", "dataWindow", "displayWindow", "type", "compression", "tiles", "preview")


@dataclass(frozen=True, eq=False)
class ExrFile:
    """The header of an OpenEXR file, the names of the channels that were read, their types, and the channels left aside."""

    header: dict[str, Any]
    names: tuple[str, ...]
    dtypes: tuple[np.dtype[Any], ...]
    others: dict[str, Array]


def read_exr(path: FilePath, data: bytes) -> Picture:
    """Decode an OpenEXR file of one part: R, G and B with A as transparency, Y, or all channels in the order of their names."""
    library_ = library("EXR", path)
    with decoding(path, "OpenEXR"):
        heads = library_.File(BytesIO(data), separate_channels=True, header_only=True).parts
        for head in heads:
            refuse_huge(path, (head.height(), head.width(), len(head.channels) or 1), 4)
        file = library_.File(BytesIO(data), separate_channels=True)
        if not file.parts:
            raise ValueError("its pixels cannot be read")
        if len(file.parts) > 1:
            raise file_error(
                path, f"holds {len(file.parts)} parts", "one is", "save the part you want by itself"
            )
        header, channels = dict(file.header()), file.channels()
        if header.get("type") not in (library_.scanlineimage, library_.tiledimage):
            raise file_error(path, "holds deep pixels", "flat ones are", "flatten it first")
        if any(c.xSampling != 1 or c.ySampling != 1 for c in channels.values()):
            given = "has channels of fewer pixels than others (luminance and chroma)"
            raise file_error(path, given, "channels of one size are", "save it as RGB")
        arrays = {name: np.asarray(channel.pixels) for name, channel in channels.items()}
    names, colour = _chosen(tuple(arrays))
    pixels = np.stack([arrays[name].astype(np.float32) for name in names], -1)
    has_alpha = "A" in arrays and colour != "channels"
    used = (*names, "A") if has_alpha else names
    others = {name: array for name, array in arrays.items() if name not in used}
    dtypes = tuple(arrays[name].dtype for name in names)
    notes = []
    if others:
        shown = ", ".join(sorted(others)[:4]) + (", ..." if len(others) > 4 else "")
        notes.append(
            f"{', '.join(names)} are restored, and the other channels ({shown}) are kept as they are"
        )
    return Picture(
        pixels[..., 0] if len(names) == 1 else pixels,
        arrays["A"].astype(np.float32) if has_alpha else None,
        format="EXR",
        bits=8 * max(dtype.itemsize for dtype in dtypes),
        colour=colour,
        header=ExrFile(header, names, dtypes, others),
        notes=tuple(notes),
    )


def _chosen(names: tuple[str, ...]) -> tuple[tuple[str, ...], Colour]:
    """Which channels are the picture, and what they mean."""
    if {"R", "G", "B"} <= set(names):
        return ("R", "G", "B"), "rgb"
    if "Y" in names:
        return ("Y",), "gray"
    return tuple(sorted(names)), "gray" if len(names) == 1 else "channels"


def encode(pixels: Array, alpha: Array | None, like: Picture, path: FilePath) -> bytes:
    """Write an OpenEXR file with the source's attributes and other channels; half where it was half."""
    library_ = library("EXR", path)
    planes = pixels.reshape(*pixels.shape[:2], -1)
    source = like.header if isinstance(like.header, ExrFile) else None
    same_size = pixels.shape[:2] == like.pixels.shape[:2]
    names = {1: ("Y",), 3: ("R", "G", "B")}.get(
        planes.shape[2], tuple(f"C{i}" for i in range(planes.shape[2]))
    )
    dtypes: tuple[Any, ...] = (np.dtype(np.float32),) * planes.shape[2]
    header: dict[str, Any] = {}
    others: dict[str, Array] = {}
    if source is not None and len(source.names) == planes.shape[2]:
        names, dtypes = source.names, dtypes if like.is_std else source.dtypes
        header = {k: v for k, v in source.header.items() if k not in _OF_THE_SIZE}
        if same_size and not like.is_std:
            others = source.others
        if same_size:
            header |= {k: source.header[k] for k in ("dataWindow", "displayWindow") if k in source.header}
    compression = library_.ZIP_COMPRESSION
    if source is not None:
        before = source.header.get("compression")
        kept = [getattr(library_, f"{name}_COMPRESSION") for name in _KEPT]
        compression = before if before in kept else compression
    header |= {"compression": compression, "type": library_.scanlineimage}
    said = str(header.get("comments", ""))
    header["comments"] = f"{said}; {like.remark}".lstrip("; ")
    channels = {
        name: np.ascontiguousarray(_as(planes[..., i], dtype))
        for i, (name, dtype) in enumerate(zip(names, dtypes, strict=True))
    }
    if alpha is not None:
        channels["A"] = np.ascontiguousarray(_as(alpha, dtypes[0]))
    out = BytesIO()
    with decoding(path, "OpenEXR"):
        library_.File(header, channels | others).write(out)
    return out.getvalue()


def _as(plane: Array, dtype: Any) -> Array:
    """A channel in a type of OpenEXR's: values beyond its range are its largest."""
    if dtype.kind == "u":
        whole: Array = np.clip(np.rint(plane), 0, np.iinfo(dtype).max).astype(dtype)
        return whole
    limit = float(np.finfo(dtype).max)
    return np.clip(plane, -limit, limit).astype(dtype)  # NaN stays
