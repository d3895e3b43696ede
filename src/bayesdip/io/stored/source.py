"""An array on the disk, or anything that gives its regions, opened without reading it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bayesdip.errors import BayesDipError
from bayesdip.io.guards import FilePath
from bayesdip.io.picture import Array
from bayesdip.io.stored.description import Description, named_axes

Region = tuple[slice, ...]
ZARR_FILES = (".zgroup", ".zarray", "zarr.json")
_TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


class StoredArray(Protocol):
    """What regions are read from; it can be sent to another process.

    Attributes
    ----------
    description : Description
    """

    @property
    def description(self) -> Description: ...

    def read(self, region: Region) -> Array:
        """The values of a region, in this machine's byte order."""

    def cut(self, region: Region) -> StoredArray:
        """What gives at least that region, for another process."""

    def state(self) -> str:
        """What changes when the content does, as far as that can be told without reading it."""


@dataclass(frozen=True, eq=False)
class GivenArray:
    """An array in memory, or what looks like one: it has ``shape``, ``dtype`` and gives regions by indexing.

    Attributes
    ----------
    array : array_like
    description : Description
    """

    array: Any
    description: Description

    @classmethod
    def of(cls, array: Any, axes: str | None = None, what: str = "the array") -> GivenArray:
        """With axes by name; without names one axis is x, and two are y and x.

        Raises
        ------
        BayesDipError
            The axes have no names, or it does not hold real numbers.
        """
        if not hasattr(array, "shape") or not hasattr(array, "dtype"):
            array = np.asarray(array)
        found = getattr(getattr(array, "metadata", None), "dimension_names", None)
        named = named_axes(array.shape, axes, found, what)
        return cls(array, Description(named, check_numbers(np.dtype(array.dtype), what)))

    def read(self, region: Region) -> Array:
        return native_array(np.asarray(self.array[region]))

    def cut(self, region: Region) -> StoredArray:
        return Cutout(self.read(region), tuple(s.start for s in region), self.description)

    def state(self) -> str:
        return ""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A region of an array, which is asked for by its place in the whole.

    Attributes
    ----------
    values : array
    origin : tuple of int
        Where it begins in the whole.
    description : Description
        Of the whole.
    """

    values: Array
    origin: tuple[int, ...]
    description: Description

    def read(self, region: Region) -> Array:
        here = tuple(slice(s.start - o, s.stop - o) for s, o in zip(region, self.origin, strict=True))
        return self.values[here]

    def cut(self, region: Region) -> StoredArray:
        return self

    def state(self) -> str:
        return ""


def native_array(values: Array) -> Array:
    """In this machine's byte order."""
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def check_numbers(dtype: np.dtype[Any], what: str) -> np.dtype[Any]:
    """The type if it is one of whole or real numbers of at most 64 bits.

    Raises
    ------
    BayesDipError
    """
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise BayesDipError(
            f"{what}: holds values of type {dtype}; whole or real numbers of at most 64 bits are expected: convert them"
        )
    return dtype.newbyteorder("=")


def is_zarr(path: FilePath) -> bool:
    """Whether a folder is a Zarr array or group, or lies in one."""
    folder = Path(path)
    return folder.is_dir() and any((folder / name).is_file() for name in ZARR_FILES)


def is_tiff(path: FilePath) -> bool:
    """Whether a file begins as TIFF files do."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(4) in _TIFF_STARTS
    except OSError:
        return False  # who reads it says why
