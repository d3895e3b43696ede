"""Zarr 2 and 3: plain arrays, and OME-Zarr's pictures of several resolution levels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from bayesdip.errors import BayesDipError, FileError, one_line
from bayesdip.io.guards import FilePath, decoding, file_error, refuse_bytes
from bayesdip.io.picture import Array
from bayesdip.io.stored.description import Description, named_axes
from bayesdip.io.stored.ome_zarr import multiscale_of, with_ome
from bayesdip.io.stored.source import ZARR_FILES, Region, check_numbers, is_zarr, native_array

INSTALL = "Zarr is not installed: expected it for Zarr folders; pip install 'bayesdip[zarr]'"


def zarr_library() -> Any:
    """The library.

    Raises
    ------
    BayesDipError
        It is not installed, or is of a version that does not know Zarr 3.
    """
    try:
        import zarr
    except ImportError as error:
        raise BayesDipError(INSTALL) from error
    if int(zarr.__version__.split(".")[0]) < 3:
        raise BayesDipError(
            f"Zarr {zarr.__version__} is installed: expected version 3 or later; pip install 'bayesdip[zarr]'"
        )
    return zarr


@dataclass(frozen=True, eq=False)
class ZarrArray:
    """An array in a Zarr folder.

    Attributes
    ----------
    path : Path
        Of the array itself.
    description : Description
    """

    path: Path
    description: Description

    def read(self, region: Region) -> Array:
        with decoding(self.path, "Zarr"):
            return native_array(_opened(self.path, self.state())[region])

    def cut(self, region: Region) -> ZarrArray:
        return replace(self, path=self.path.absolute())

    def state(self) -> str:
        return _state(self.path)


def _state(path: Path) -> str:
    files = [path / name for name in ZARR_FILES if (path / name).is_file()]
    return " ".join(f"{file.name} {file.stat().st_mtime_ns}" for file in files)


@lru_cache(maxsize=8)
def _opened(path: Path, state: str) -> Any:
    return zarr_library().open_array(str(path), mode="r")


def open_zarr(path: FilePath, axes: str | None = None) -> ZarrArray:
    """Open an array, or the finest level of an OME-Zarr picture; see :func:`bayesdip.io.stored.open_stored`."""
    zarr_library()
    folder = Path(path)
    facts = _metadata(folder)
    if _is_array(facts):
        return _array(folder, facts, axes, None)
    attributes = _attributes(folder, facts)
    multiscale, version = multiscale_of(attributes)
    if multiscale is None:
        raise _not_one_picture(folder)
    try:
        place = PurePosixPath(multiscale["datasets"][0]["path"])
    except (KeyError, IndexError, TypeError) as error:
        raise file_error(
            path, "its OME metadata names no array", "a whole OME-Zarr picture is", "export it again"
        ) from error
    if place.is_absolute() or ".." in place.parts:
        given = f"its OME metadata names an array outside of it ({one_line(place)})"
        raise file_error(path, given, "one inside is", "export it again")
    inside = folder.joinpath(*place.parts)
    if not is_zarr(inside):
        raise file_error(
            path, f"the array {one_line(place)} is not there", "a whole OME-Zarr is", "copy it again"
        )
    ome = {"multiscale": multiscale, "version": version, "attributes": attributes}
    return _array(inside, _metadata(inside), axes, ome)


def _array(folder: Path, facts: dict[str, Any], axes: str | None, ome: dict[str, Any] | None) -> ZarrArray:
    _refuse_programs(folder, facts)
    opened = _opened(folder, _state(folder))
    shape, attributes = opened.shape, dict(opened.attrs)
    if not shape or 0 in shape:
        given = f"holds no values (its shape is {shape})"
        raise file_error(folder, given, "at least one is", "check how it was made")
    chunk = opened.dtype.itemsize
    for n in opened.chunks:
        chunk *= n
    refuse_bytes(folder, chunk)
    dtype = check_numbers(opened.dtype, one_line(folder))
    says = getattr(opened.metadata, "dimension_names", None) or attributes.get("_ARRAY_DIMENSIONS")
    if ome is not None:
        says = [
            axis["name"] if isinstance(axis, dict) else axis for axis in ome["multiscale"].get("axes", ())
        ]
        says = says or list("tczyx")
    if says is not None and any(one is None for one in says):
        says = None
    named = named_axes(shape, axes, None if says is None else [str(one) for one in says], one_line(folder))
    version = int(facts.get("zarr_format", 2))
    description = Description(named, dtype, f"Zarr {version}", extra={"attributes": attributes})
    if ome is not None:
        description = with_ome(description, ome["multiscale"], ome["version"], ome["attributes"])
    return ZarrArray(folder, description)


def _metadata(folder: Path) -> dict[str, Any]:
    """What the folder's own file says; `.zarray` before the group's."""
    for name in ("zarr.json", ".zarray", ".zgroup"):
        if (folder / name).is_file():
            found = json.loads((folder / name).read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
    raise FileError(f"{one_line(folder)}: has no Zarr metadata; a Zarr folder is expected: check the name")


def _is_array(facts: dict[str, Any]) -> bool:
    return "shape" in facts or facts.get("node_type") == "array"


def _attributes(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    if facts.get("zarr_format") == 3:
        found = facts.get("attributes", {})
    else:
        file = folder / ".zattrs"
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found if isinstance(found, dict) else {}


def _not_one_picture(folder: Path) -> FileError:
    inside = sorted(p.name for p in folder.iterdir() if is_zarr(p))
    given = f"is a group without a picture of its own (it holds {', '.join(inside[:6]) or 'nothing'})"
    advice = f"name one inside it, such as {one_line(folder / inside[0])}" if inside else "check the name"
    return file_error(folder, given, "an array or an OME-Zarr picture is", advice)


def _refuse_programs(folder: Path, facts: dict[str, Any]) -> None:
    """Codecs that unpack Python objects run whatever programs these hold."""
    if any("pickle" in str(word).lower() for word in _words(facts)):
        given = "is compressed with pickle, which is not read because it can run programs"
        raise file_error(folder, given, "numbers in another codec are", "convert it where it was made")


def _words(value: Any) -> Iterator[str]:
    """Names of codecs, wherever they stand."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("id", "name") and isinstance(inner, str):
                yield inner
            elif key != "attributes":
                yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
