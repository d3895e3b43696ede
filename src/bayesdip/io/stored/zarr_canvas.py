"""Zarr folders that are written region by region."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bayesdip.io.picture import Array
from bayesdip.io.stored.canvas import chunk_of, levels_of, ordered
from bayesdip.io.stored.description import NAMES, Description
from bayesdip.io.stored.ome_zarr import attributes_of
from bayesdip.io.stored.source import Region
from bayesdip.io.stored.zarr_source import zarr_library

ORDER = "tczyx"
NEWEST = "0.5"


@dataclass(frozen=True, eq=False)
class ZarrCanvas:
    """An OME-Zarr group of resolution levels, or a plain array.

    Attributes
    ----------
    path, folder : Path
        The final name, and where it is until it is whole.
    levels : tuple of Description
    chunk : tuple of int
    ome : str
        The version of OME-Zarr; empty for a plain array.
    zarr_format : int
    """

    path: Path
    folder: Path
    levels: tuple[Description, ...]
    chunk: tuple[int, ...]
    ome: str
    zarr_format: int

    def create(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        _writable.cache_clear()
        zarr = zarr_library()
        if self.ome:
            attributes = attributes_of(self.levels, self.ome)
            zarr.open_group(str(self.folder), mode="w", zarr_format=self.zarr_format, attributes=attributes)
        for number, level in enumerate(self.levels):
            more: dict[str, Any] = (
                {"dimension_names": list(level.names)}
                if self.zarr_format == 3
                else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
            )
            plain = {} if self.ome else {"attributes": self._attributes()}
            zarr.create_array(
                str(self._array(number)),
                shape=level.shape,
                chunks=tuple(min(c, n) for c, n in zip(self.chunk, level.shape, strict=True)),
                dtype=level.dtype,
                fill_value=0,
                zarr_format=self.zarr_format,
                **more,
                **plain,
            )

    def write(self, level: int, region: Region, values: Array) -> None:
        _writable(self._array(level))[region] = np.ascontiguousarray(values)

    def read(self, level: int, region: Region) -> Array:
        return np.asarray(_writable(self._array(level))[region])

    def finish(self) -> Path:
        return self.folder

    def _attributes(self) -> dict[str, Any]:
        """Of a plain array: as before, with the names of the axes, which Zarr 2 leaves to xarray's attribute."""
        finest = self.levels[0]
        names = {"_ARRAY_DIMENSIONS": list(finest.names)} if self.zarr_format == 2 else {}
        return {**finest.extra.get("attributes", {}), **names}

    def _array(self, level: int) -> Path:
        return self.folder / str(level) if self.ome else self.folder


@lru_cache(maxsize=16)
def _writable(path: Path) -> Any:
    return zarr_library().open_array(str(path), mode="r+")


def zarr_canvas(path: Path, folder: Path, description: Description, chunk: dict[str, int]) -> ZarrCanvas:
    """See :func:`bayesdip.io.stored.canvas_for`."""
    kind = description.kind
    if kind in ("Zarr 2", "Zarr 3") and not path.name.lower().endswith(".ome.zarr"):
        return ZarrCanvas(
            path, folder, (description,), chunk_of(description, chunk), "", int(kind.removeprefix("Zarr "))
        )
    version = kind.removeprefix("OME-Zarr ") if kind.startswith("OME-Zarr ") else NEWEST
    inside = ordered(description, path, ORDER)
    axes = tuple(replace(axis, name="c") if axis.name == "s" else axis for axis in inside.axes)
    named = replace(inside, axes=axes)
    if "s" in inside.names:  # colours stand before rows and columns there
        named = named.in_order("".join(sorted(named.names, key=NAMES.index)))
        chunk = {**chunk, "c": chunk.get("s", 1)}
    levels = levels_of(named)
    return ZarrCanvas(path, folder, levels, chunk_of(named, chunk), version, 2 if version == "0.4" else 3)
