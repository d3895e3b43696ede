"""An array that is being written region by region, beside its final name until it is whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from bayesdip.errors import BayesDipError
from bayesdip.io.picture import Array
from bayesdip.io.stored.description import NAMES, Description
from bayesdip.io.stored.source import Region

# The coarsest resolution level has at most so many rows and columns.
COARSEST = 256


class Canvas(Protocol):
    """What regions are written to; it can be sent to other processes, which write other regions.

    Attributes
    ----------
    path : Path
        The final name.
    levels : tuple of Description
        Of the resolution levels, the finest first; in the canvas' own order of axes.
    chunk : tuple of int
        Sides of the blocks by which it is stored: two processes must not write into the same one.
    """

    @property
    def path(self) -> Path: ...

    @property
    def levels(self) -> tuple[Description, ...]: ...

    @property
    def chunk(self) -> tuple[int, ...]: ...

    def create(self) -> None:
        """Make it, without values; what is there of an earlier one goes."""

    def write(self, level: int, region: Region, values: Array) -> None:
        """Write a region, in the canvas' order of axes."""

    def read(self, level: int, region: Region) -> Array:
        """Read a region back."""

    def finish(self) -> Path:
        """Make the file or folder whole, still under its temporary name, which is given back."""


def levels_of(description: Description) -> tuple[Description, ...]:
    """Resolution levels: each has half as many rows and columns as the one before."""
    found = [description]
    while max((axis.length for axis in found[-1].axes if axis.name in "yx"), default=1) > COARSEST:
        found.append(found[-1].coarser(2))
    return tuple(found)


def ordered(description: Description, path: Path, order: str = NAMES) -> Description:
    """With its axes in the order that a format asks for.

    Raises
    ------
    BayesDipError
        It has both channels and colour samples, and the format has one axis for both.
    """
    if "s" in description.names and "s" not in order and "c" in description.names:
        raise BayesDipError(
            f"{path.name}: the picture has channels and colour samples (axes {description.names}); one of the two is expected "
            "there: write .ome.tif"
        )
    return description.in_order("".join(sorted(description.names, key=(order + NAMES).index)))


def chunk_of(description: Description, chunk: dict[str, int]) -> tuple[int, ...]:
    """Sides of the blocks along the axes."""
    return tuple(max(1, min(axis.length, chunk.get(axis.name, 1))) for axis in description.axes)


def sync(path: Path) -> None:
    """Make sure that a file is on the disk."""
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
