"""A region of a mask, which may lack axes of the array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import ShapeError
from bayesdip.io.stored import Description, StoredArray
from bayesdip.tile_processing.plan import Region


def check_mask_axes(mask: Description, picture: Description) -> None:
    """Raise unless the mask has axes of the array alone, each of the same length, rows and columns among them.

    Raises
    ------
    ShapeError
    """
    lengths = {axis.name: axis.length for axis in picture.axes}
    alike = all(lengths.get(axis.name) == axis.length for axis in mask.axes)
    if not alike or not {"x", "y"} & set(picture.names) <= set(mask.names):
        raise ShapeError(
            f"the mask has the axes {mask.names} of {' x '.join(map(str, mask.shape))}, and the array {picture.names} of "
            f"{' x '.join(map(str, picture.shape))}: expected axes of the array, of the same lengths; make one that fits"
        )


def mask_region(mask: StoredArray, names: str, region: Region) -> NDArray[np.bool_]:
    """Where a region is missing, with an axis of one for each that the mask lacks: not zero, or 0.5 and more of real numbers."""
    own = mask.description.names
    values = mask.read(tuple(region[names.index(name)] for name in own))
    missing = values >= 0.5 if values.dtype.kind == "f" else values != 0
    missing = missing.transpose([own.index(name) for name in names if name in own])
    return missing.reshape([missing.shape[_order(names, own, name)] if name in own else 1 for name in names])


def _order(names: str, own: str, name: str) -> int:
    """The place of an axis among those of the mask, in the array's order."""
    return [one for one in names if one in own].index(name)
