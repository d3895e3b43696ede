"""TIFF files of any size, read tile by tile or strip by strip: OME-TIFF, ImageJ hyperstacks, BigTIFF."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bayesdip.errors import BayesDipError, one_line
from bayesdip.io.guards import FilePath, decoding, file_error, refuse_bytes
from bayesdip.io.picture import Array
from bayesdip.io.pixel_size import no_data_of, read_resolution, read_tags
from bayesdip.io.stored.description import Description, named_axes
from bayesdip.io.stored.source import Region, check_numbers, native_array
from bayesdip.io.stored.tiff_remarks import described
from bayesdip.io.tiff import refuse_endless_pages

_JPEG = (6, 7, 33007, 34892)  # TIFF's codes for JPEG compression
_PLAIN = ("minisblack", "rgb")


@dataclass(frozen=True, eq=False)
class TiffArray:
    """The pages of a TIFF file as one array.

    Attributes
    ----------
    path : Path
    description : Description
        Its axes may have other names than the file says, but not another order or other lengths.
    """

    path: Path
    description: Description

    def read(self, region: Region) -> Array:
        with decoding(self.path, "TIFF"):
            series = _opened(self.path, self.path.stat().st_mtime_ns).series[0]
            if series.dataoffset is not None:
                return native_array(_mapped(self.path, series)[region])
            return _decoded(series, region)

    def cut(self, region: Region) -> TiffArray:
        return replace(self, path=self.path.absolute())

    def state(self) -> str:
        status = self.path.stat()
        return f"{status.st_size} {status.st_mtime_ns}"


@lru_cache(maxsize=8)
def _opened(path: Path, modified: int) -> Any:
    from tifffile import TiffFile

    return TiffFile(path)


def open_tiff(path: FilePath, axes: str | None = None) -> TiffArray:
    """Open the file's first picture; see :func:`bayesdip.io.stored.open_stored`."""
    path = Path(path)
    with decoding(path, "TIFF"):
        tiff = _opened(path, path.stat().st_mtime_ns)
        refuse_endless_pages(tiff)
        if not tiff.series:
            raise file_error(path, "holds no picture", "one is", "check how it was made")
        series = tiff.series[0]
        page = series.keyframe
        _check(path, series, page)
        letters = [letter.lower() for letter in series.axes]
        letters = ["z" if one in "iq" and "z" not in letters else one for one in letters]  # unnamed pages
        kind = "OME-TIFF" if tiff.is_ome else "ImageJ" if tiff.is_imagej else "TIFF"
        if kind == "TIFF" and not tiff.is_shaped and len(series.axes) > len(page.axes):
            letters = []  # pages without a word on what they are
        named = named_axes(series.shape, axes, letters or None, one_line(path))
        description = Description(named, check_numbers(np.dtype(series.dtype), one_line(path)), kind)
        if kind == "TIFF":
            tags = read_tags(page)
            description.extra.update(tags=tags, resolution=read_resolution(page), no_data=no_data_of(tags))
        return TiffArray(path, described(description, tiff, page))


def _check(path: Path, series: Any, page: Any) -> None:
    photometric = str(getattr(page.photometric, "name", page.photometric)).lower()
    if photometric not in _PLAIN and not (photometric == "ycbcr" and page.compression in _JPEG):
        given = f"has the colour model {photometric}"
        raise file_error(path, given, "gray or RGB is, to be read in tiles", "convert it to one")
    if page.bitspersample not in (8, 16, 32, 64) or page.dtype is None:
        given = f"has samples of {page.bitspersample} bits"
        raise file_error(path, given, "8, 16, 32 or 64 are, to be read in tiles", "convert it")
    separate, depth, rows, columns, contiguous = page.shaped
    if depth > 1 or separate * contiguous not in (1, 3):
        given = f"has pages of {depth} planes with {separate * contiguous} samples a pixel"
        raise file_error(
            path,
            given,
            "1 sample, or 3 of a colour, are, to be read in tiles",
            "save it without transparency",
        )
    if 0 in series.shape or 0 in page.shaped:
        raise ValueError(f"it describes a picture of {columns}x{rows} pixels")
    refuse_bytes(path, math.prod(page.chunks) * page.dtype.itemsize)
    if len(series.axes) < len(page.axes) or series.shape[len(series.shape) - len(page.shape) :] != page.shape:
        raise BayesDipError(
            f"{one_line(path)}: its pages of {page.shape} do not make up its array of {series.shape}; equal pages are expected: "
            "save it again"
        )


def _mapped(path: Path, series: Any) -> Array:
    order = series.keyframe.parent.byteorder
    dtype = np.dtype(series.dtype).newbyteorder(order)
    return np.memmap(path, dtype=dtype, mode="r", offset=series.dataoffset, shape=series.shape)


def _decoded(series: Any, region: Region) -> Array:
    """A region, of which only those tiles or strips are unpacked that it meets."""
    page_axes = len(series.keyframe.shape)
    lead, inner = region[: len(region) - page_axes], region[len(region) - page_axes :]
    lead_shape = series.shape[: len(lead)]
    out = np.zeros([s.stop - s.start for s in region], dtype=np.dtype(series.dtype).newbyteorder("="))
    for place in product(*(range(s.start, s.stop) for s in lead)):
        number = int(np.ravel_multi_index(place, lead_shape)) if place else 0
        page = series.pages[number]
        if page is not None:  # else it was not written: zeros
            here = tuple(p - s.start for p, s in zip(place, lead, strict=True))
            out[here] = _region_of_page(page, series.keyframe, inner)
    return out


def _region_of_page(page: Any, keyframe: Any, inner: Region) -> Array:
    """A region of one page, in the order of its axes."""
    separate, _, rows, columns, contiguous = keyframe.shaped
    planar = separate > 1
    if keyframe.axes in ("YX", "X"):
        down, across = (slice(0, 1), *inner)[-2:]
    else:
        down, across = inner[1:] if planar else inner[:2]
    samples = inner[0] if planar else inner[2] if len(inner) == 3 else slice(0, 1)
    out = np.zeros(
        (separate, down.stop - down.start, across.stop - across.start, contiguous), dtype=keyframe.dtype
    )
    for segment, (s, _, top, left, _), shape in _segments(page, keyframe, down, across):
        if segment is None:
            continue
        height, width = min(shape[1], rows - top), min(shape[2], columns - left)
        y0, y1 = max(top, down.start), min(top + height, down.stop)
        x0, x1 = max(left, across.start), min(left + width, across.stop)
        if y0 < y1 and x0 < x1:
            out[s, y0 - down.start : y1 - down.start, x0 - across.start : x1 - across.start] = segment[
                0, y0 - top : y1 - top, x0 - left : x1 - left
            ]
    found = out[samples] if planar else out[0][..., samples] if len(inner) == 3 else out[0, ..., 0]
    return found.reshape([s.stop - s.start for s in inner])


def _segments(page: Any, keyframe: Any, down: slice, across: slice) -> Iterator[tuple[Any, Any, Any]]:
    """The tiles or strips that meet these rows and columns, unpacked; with their place and shape."""
    height, width = (
        keyframe.chunks[-3:-1] if keyframe.chunks[-1:] and len(keyframe.chunks) > 2 else keyframe.chunks
    )
    separate, _, rows, columns, _ = keyframe.shaped
    per_column, per_row = -(-rows // height), -(-columns // width)
    file = keyframe.parent.filehandle
    tables = keyframe.jpegtables if keyframe.compression in _JPEG else None
    for s in range(separate):
        for j in range(down.start // height, -(-down.stop // height)):
            for i in range(across.start // width, -(-across.stop // width)):
                index = (s * per_column + j) * per_row + i
                if index >= len(page.dataoffsets):
                    raise ValueError(f"tile or strip {index} is announced, and not there")
                offset, count = page.dataoffsets[index], page.databytecounts[index]
                data = None
                if count:
                    file.seek(offset)
                    data = file.read(count)
                    if len(data) < count:
                        raise ValueError(f"tile or strip {index} is cut short")
                words = {"jpegtables": tables} if tables is not None else {}
                yield keyframe.decode(data, index, **words)
