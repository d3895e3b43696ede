"""Which format an array on the disk has, and which one a name asks for."""

from __future__ import annotations

import os
from pathlib import Path

from bayesdip.errors import BayesDipError
from bayesdip.io.guards import FilePath, decoding, file_error
from bayesdip.io.stored.canvas import Canvas
from bayesdip.io.stored.description import Description
from bayesdip.io.stored.source import StoredArray, is_tiff, is_zarr
from bayesdip.io.stored.tiff_canvas import tiff_canvas
from bayesdip.io.stored.tiff_source import open_tiff
from bayesdip.io.stored.zarr_canvas import zarr_canvas
from bayesdip.io.stored.zarr_source import open_zarr

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")


def is_stack(path: FilePath) -> bool:
    """Whether a TIFF file has an axis of time or depth, as ImageJ and OME write it."""
    try:
        description = open_tiff(path).description
    except BayesDipError:
        return False
    return description.kind in ("ImageJ", "OME-TIFF") and any(
        axis.name in "tz" and axis.length > 1 for axis in description.axes
    )


def open_stored(path: FilePath, axes: str | None = None) -> StoredArray:
    """Open an array without reading its values.

    Parameters
    ----------
    path : path-like
        A Zarr folder, or an array or picture inside one, or a TIFF file.
    axes : str, optional
        The names of its axes, such as ``"tczyx"``, where the file does not say them or says others.

    Returns
    -------
    StoredArray

    Raises
    ------
    FileError
        It is no such thing, or damaged.
    BayesDipError
        Its axes have no names, or Zarr is not installed.
    """
    if is_zarr(path):
        with decoding(path, "Zarr"):
            return open_zarr(path, axes)
    if is_tiff(path):
        return open_tiff(path, axes)
    if not os.path.exists(path):
        raise file_error(path, "no such file", "an existing Zarr folder or TIFF file is", "check the name")
    given = "is neither a Zarr folder nor a TIFF file"
    raise file_error(path, given, "one of these is, to be read in tiles", "convert it to one")


def canvas_for(path: Path, folder: Path, description: Description, chunk: dict[str, int]) -> Canvas:
    """A canvas of the format that the name asks for, like the source where that is of the same format.

    Parameters
    ----------
    path : Path
        The final name. ``.ome.zarr`` is OME-Zarr, of the source's version, else 0.5. ``.zarr`` is plain Zarr where the
        source is that, else OME-Zarr. ``.ome.tif`` is OME-TIFF, ``.tif`` an ImageJ hyperstack where the source is that and
        such a file can hold it, else a tiled TIFF.
    folder : Path
        Where it is kept until it is whole.
    description : Description
        Of the picture; its `kind` is that of the source.
    chunk : dict
        Sides of the blocks, by the names of axes; 1 for others.

    Raises
    ------
    FileError
        The name asks for no such format, or the format cannot hold such axes.
    """
    name = path.name.lower()
    if name.endswith(".zarr"):
        return zarr_canvas(path, folder, description, chunk)
    if name.endswith(TIFF_SUFFIXES):
        return tiff_canvas(path, folder, description, chunk)
    given = f"has the extension {path.suffix!r}, which is not written in tiles"
    raise file_error(path, given, ".ome.zarr, .zarr, .ome.tif or .tif is", "choose another name")
