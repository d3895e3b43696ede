"""Where masks and results lie: napari places every layer by a scale, a shift, a rotation and more."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils.transforms import Affine
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from bayesdip.errors import ShapeError
from bayesdip.napari_plugin.axes import Axes, Index

Array = NDArray[Any]
# Results look like their picture.
LOOKS = ("colormap", "contrast_limits", "gamma", "interpolation2d", "interpolation3d", "rendering")


def finest(layer: Any) -> Any:
    """The data of a layer, at the finest of its levels."""
    return layer.data[0] if layer.multiscale else layer.data


def mask_of(labels: Any, layer: Any) -> NDArray[np.bool_]:
    """Where a labels layer is not zero, on the pixels of a picture.

    Parameters
    ----------
    labels : napari.layers.Labels
        It may have fewer axes than the picture: then it is the mask of every index on the leading ones.
    layer : napari.layers.Image

    Returns
    -------
    ndarray of bool, in the shape of the layer without its colours

    Raises
    ------
    ShapeError
        The labels have more axes.
    """
    marked, ndim = np.asarray(finest(labels)) != 0, layer.ndim
    shape = finest(layer).shape[:ndim]
    shared = min(ndim, labels.ndim)
    if any(size != 1 for size in marked.shape[: labels.ndim - shared]):
        raise ShapeError(
            f"the labels have shape {marked.shape} and the picture {shape}: expected no more axes than the picture's; take labels "
            "of one plane"
        )
    marked = marked.reshape(marked.shape[labels.ndim - shared :])
    there = np.linalg.inv(_to_world(labels, shared)) @ _to_world(layer, shared)
    same = marked.shape == shape[ndim - shared :] and np.allclose(there, np.eye(shared + 1))
    if not same:
        matrix, shift = there[:shared, :shared], there[:shared, shared]
        marked = affine_transform(
            marked.astype(np.uint8), matrix, shift, shape[ndim - shared :], order=0, mode="constant"
        ).astype(bool)
    return np.broadcast_to(marked, shape)


def _to_world(layer: Any, shared: int) -> NDArray[np.float64]:
    """The matrix from the last pixels' coordinates of a layer to those of the viewer, homogeneous."""
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    found = np.eye(shared + 1)
    for axis in range(shared):
        unit = np.zeros(layer.ndim)
        unit[layer.ndim - shared + axis] = 1
        found[:shared, axis] = (np.asarray(layer.data_to_world(unit)) - origin)[-shared:]
    found[:shared, shared] = origin[-shared:]
    return found


def placed(layer: Any, axes: Axes, index: Index | None = None, factor: int = 1) -> dict[str, Any]:
    """How a result is placed that covers the same as its picture.

    Parameters
    ----------
    layer : napari.layers.Image
    axes : Axes
        Of the picture.
    index : Index, optional
        On the independent axes, where the result is that index alone.
    factor : int
        How many pixels of the result there are along one of the picture's, on the grid's axes.

    Returns
    -------
    dict
        Arguments of a layer.
    """
    corner, steps = np.zeros(layer.ndim), np.ones(layer.ndim)
    for axis in axes.grid:
        corner[axis], steps[axis] = 0.5 / factor - 0.5, 1 / factor  # pixels meet at their edges
    if index is not None:
        corner[list(axes.independent)] = index
    inner = Affine(scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear)
    return {
        "scale": np.asarray(layer.scale) * steps,
        "translate": np.asarray(inner(corner)),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def with_samples(where: dict[str, Any]) -> dict[str, Any]:
    """The same with an axis of samples in front."""
    ndim = len(where["scale"])
    rotate = np.eye(ndim + 1)
    rotate[1:, 1:] = where["rotate"]
    return {
        "scale": np.concatenate([[1.0], where["scale"]]),
        "translate": np.concatenate([[0.0], where["translate"]]),
        "rotate": rotate,
        "shear": np.concatenate([np.zeros(ndim), where["shear"]]),
        "affine": where["affine"].expand_dims([0]),
        "units": ("pixel", *where["units"]),
        "axis_labels": ("sample", *where["axis_labels"]),
    }


def looks(layer: Any) -> dict[str, Any]:
    """How a picture is shown, for a result that shall look like it."""
    return {"rgb": True} if layer.rgb else {name: getattr(layer, name) for name in LOOKS}
