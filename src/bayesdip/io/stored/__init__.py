"""Arrays that stay on the disk: OME-Zarr, Zarr, OME-TIFF, BigTIFF and ImageJ hyperstacks, read and written region by region.

What is read is a :class:`StoredArray`; what it says of itself, axes by name, sizes of pixels and names of channels, is a
:class:`Description`. What is written is a :class:`Canvas`, which lies beside its final name until it is whole.
"""

from __future__ import annotations

from bayesdip.io.stored.canvas import Canvas
from bayesdip.io.stored.description import Axis, Description
from bayesdip.io.stored.formats import canvas_for, is_stack, open_stored
from bayesdip.io.stored.source import Cutout, GivenArray, StoredArray, is_tiff, is_zarr

__all__ = [
    "Axis",
    "Canvas",
    "Cutout",
    "Description",
    "GivenArray",
    "StoredArray",
    "canvas_for",
    "is_stack",
    "is_tiff",
    "is_zarr",
    "open_stored",
]
