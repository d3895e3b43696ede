"""TIFF files that are written region by region: into plain files beside, from which the TIFF file is made at the end."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bayesdip.errors import BayesDipError
from bayesdip.io.guards import file_error
from bayesdip.io.picture import Array
from bayesdip.io.stored.canvas import chunk_of, levels_of, ordered, sync
from bayesdip.io.stored.description import Description
from bayesdip.io.stored.source import Region
from bayesdip.io.stored.tiff_remarks import imagej_metadata, ome_metadata, resolution_of

# Tiles of a TIFF file; sides are multiples of 16.
SIDE = 512
IMAGEJ_TYPES = ("uint8", "uint16", "float32")
# Offsets of plain TIFF and of ImageJ have 32 bits; some room is left for pages' headers and coarser levels.
LARGEST_PLAIN = 2**32 - 2**28
_DESCRIPTIVE = (270, 282, 283, 296)  # written anew


@dataclass(frozen=True, eq=False)
class TiffCanvas:
    """A TIFF file.

    Attributes
    ----------
    path, folder : Path
        The final name, and where the values are kept until it is written.
    levels : tuple of Description
    chunk : tuple of int
    form : {"OME-TIFF", "ImageJ", "TIFF"}
    """

    path: Path
    folder: Path
    levels: tuple[Description, ...]
    chunk: tuple[int, ...]
    form: str

    def create(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for number, level in enumerate(self.levels):
            made = np.lib.format.open_memmap(
                self._file(number), mode="w+", dtype=level.dtype, shape=level.shape
            )
            del made
            _take_room(self._file(number), self.path)

    def write(self, level: int, region: Region, values: Array) -> None:
        there = np.lib.format.open_memmap(self._file(level), mode="r+")
        there[region] = values
        there.flush()

    def read(self, level: int, region: Region) -> Array:
        return np.array(np.load(self._file(level), mmap_mode="r")[region])

    def finish(self) -> Path:
        from tifffile import TiffWriter

        target = self.folder / "whole.tif"
        finest = self.levels[0]
        big = sum(level.nbytes for level in self.levels) > LARGEST_PLAIN
        with TiffWriter(
            target,
            bigtiff=big and self.form != "ImageJ",
            imagej=self.form == "ImageJ",
            ome=self.form == "OME-TIFF",
        ) as writer:
            if self.form == "ImageJ":
                writer.write(
                    self._pages(0),
                    shape=finest.shape,
                    dtype=finest.dtype,
                    metadata=imagej_metadata(finest),
                    **self._common(0),
                )
            else:
                for number, level in enumerate(self.levels):
                    words: dict[str, Any] = {"subfiletype": 1, "metadata": None}
                    if number == 0:
                        words = {"subifds": len(self.levels) - 1, "metadata": self._metadata()}
                        words["extratags"] = [
                            (tag.code, tag.dtype, tag.count, tag.value, True)
                            for tag in level.extra.get("tags", ())
                            if tag.code not in _DESCRIPTIVE
                        ]
                    writer.write(
                        self._tiles(number),
                        shape=level.shape,
                        dtype=level.dtype,
                        tile=(SIDE, SIDE),
                        compression="zlib",
                        **words,
                        **self._common(number),
                    )
        sync(target)
        return target

    def _metadata(self) -> dict[str, Any]:
        finest = self.levels[0]
        return ome_metadata(finest) if self.form == "OME-TIFF" else {"axes": finest.names.upper()}

    def _common(self, number: int) -> dict[str, Any]:
        level = self.levels[number]
        found: dict[str, Any] = {"photometric": "rgb" if "s" in level.names else "minisblack"}
        size = resolution_of(replace(level, kind=self.form))
        if size is not None:
            found["resolution"] = size[:2]
            if size[2] is not None:
                found["resolutionunit"] = size[2]
        return found

    def _pages(self, number: int) -> Iterator[Array]:
        """The planes of rows and columns, colours included, one after the other."""
        there = np.load(self._file(number), mmap_mode="r")
        inner = 3 if "s" in self.levels[number].names else 2
        for place in product(*map(range, there.shape[: there.ndim - inner])):
            yield np.array(there[place])

    def _tiles(self, number: int) -> Iterator[Array]:
        there = np.load(self._file(number), mmap_mode="r")
        inner = 3 if "s" in self.levels[number].names else 2
        rows, columns = there.shape[there.ndim - inner : there.ndim - inner + 2]
        for place in product(*map(range, there.shape[: there.ndim - inner])):
            for top, left in product(range(0, rows, SIDE), range(0, columns, SIDE)):
                yield np.array(there[place][top : top + SIDE, left : left + SIDE])

    def _file(self, level: int) -> Path:
        return self.folder / f"level{level}.npy"


def _take_room(file: Path, path: Path) -> None:
    """Take the room on the disk now: a process that writes into a mapped file is killed where there is none left.

    Raises
    ------
    FileError
        The disk is too full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        with open(file, "r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return  # the file system has no such call
        given = f"needs {file.stat().st_size / 2**30:.1f} GiB beside it while it is written, and the disk is too full"
        raise file_error(
            path, given, "room for the file is", "free some, or write .zarr, which needs none"
        ) from error


def tiff_canvas(path: Path, folder: Path, description: Description, chunk: dict[str, int]) -> TiffCanvas:
    """See :func:`bayesdip.io.stored.canvas_for`.

    Raises
    ------
    BayesDipError
        It is a signal, which has no rows, or has colours that are not three.
    """
    if "y" not in description.names:
        raise BayesDipError(
            f"{path.name}: the axes are {description.names}, a signal; rows and columns are expected in TIFF: write .zarr"
        )
    samples = next((axis.length for axis in description.axes if axis.name == "s"), 3)
    if samples != 3:
        raise BayesDipError(
            f"{path.name}: the axis s has {samples} samples of a colour; 3 are expected in TIFF: call it c (axes=, --axes), or "
            "write .zarr"
        )
    is_ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
    holds = description.dtype.name in IMAGEJ_TYPES and description.nbytes < LARGEST_PLAIN
    if not is_ome and description.kind == "ImageJ" and holds:
        inside = ordered(description, path, "tzcyxs")
        return TiffCanvas(path, folder, (inside,), chunk_of(inside, chunk), "ImageJ")
    # Axes keep their order but for rows, columns and colours, which are last.
    lead = "".join(name for name in description.names if name not in "yxs")
    inside = description.in_order(lead + "yx" + ("s" if "s" in description.names else ""))
    levels = levels_of(inside)
    # OME's remarks are the ones by which other programs know the axes of many pages.
    form = "OME-TIFF" if is_ome or lead or description.kind == "OME-TIFF" else "TIFF"
    return TiffCanvas(path, folder, levels, chunk_of(inside, chunk), form)
