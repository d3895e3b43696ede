"""Computed tomography: line integrals of a picture from many directions, with parallel rays or from a point source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.function import FunctionOperator
from bayesdip.operators.matrix import sparse_products
from bayesdip.operators.operator import as_grid

Array = NDArray[np.float64]
# From the direction in radians and the pixels' places to where each falls on the detector, how many times as large it is
# there, and the direction of the ray through it.
Rays = Callable[[float, Array, Array], tuple[Array, Array, Array]]

# A pixel that is seen along its rows has a footprint with upright sides; this width of theirs, over that of a pixel, keeps
# the formula finite.
STEEPEST = 1e-4


class _Projector(FunctionOperator):
    """Projections as a sparse matrix, so that the adjoint is exact.

    An entry of the data is the mean of the line integrals over the width of a detector element. From one direction, the
    integrals through one pixel make a trapezoid, the convolution of the shadows of its sides (separable footprints: Long,
    Fessler and Balter, IEEE Trans. Med. Imaging 29, 2010); an entry of the matrix is its integral over the element. With
    parallel rays that is exact; rays from a point are taken for parallel within a pixel.
    """

    def __init__(
        self, grid: tuple[int, ...], angles: Any, detectors: int, spacing: float, rays: Rays
    ) -> None:
        self.angles = _checked_angles(angles)
        self.spacing = spacing
        row, column = np.indices(grid)
        x, y = (column - grid[1] // 2).ravel().astype(float), (row - grid[0] // 2).ravel().astype(float)
        views, shape = len(self.angles), (detectors, len(self.angles))
        found = [_footprints(*rays(angle, x, y), detectors, spacing) for angle in np.deg2rad(self.angles)]
        elements = np.concatenate([element * views + view for view, (element, _, _) in enumerate(found)])
        pixels, weights = (np.concatenate([part[place] for part in found]) for place in (1, 2))
        forward, adjoint = sparse_products(
            sparse.csr_array((weights, (elements, pixels)), shape=(detectors * views, len(x)))
        )
        super().__init__(
            lambda x: forward(x.flatten(1)).reshape(-1, *shape),
            lambda y: adjoint(y.flatten(1)).reshape(-1, *grid),
            grid,
            shape,
        )


class Tomography(_Projector):
    """Computed tomography with parallel rays: the Radon transform of a picture.

    The geometry is that of `skimage.transform.radon`, whose sinograms and whose filtered back-projection,
    `skimage.transform.iradon`, fit: the last axis of the data holds the views, the picture turns about pixel
    ``shape // 2``, and what stands there falls on detector element ``detectors // 2``.

    Parameters
    ----------
    shape : sequence of int
        The picture's grid, two axes; lengths are in units of its pixels.
    angles : sequence of float
        Directions in degrees, of any number and spacing: a view for each. 180 are half a turn, after which parallel rays
        repeat themselves mirrored; less is limited-angle tomography.
    detectors : int, optional
        Elements of the detector. By default they cover the picture from every direction: the larger axis times the square
        root of 2, as in ``radon(..., circle=False)``; the larger axis itself fits ``circle=True``.
    spacing : float
        Width of an element, in pixels.

    Raises
    ------
    ShapeError
        The grid does not have two axes, or `angles` not one.
    BayesDipError
        There are no angles, one is not finite, or `detectors` or `spacing` is out of its range.

    Examples
    --------
    >>> import numpy as np, bayesdip as bd
    >>> A = bd.operators.Tomography((3, 3), [0, 90], detectors=3)
    >>> A.forward(np.arange(9.0).reshape(3, 3)).round(2)
    array([[ 9., 21.],
           [12., 12.],
           [15.,  3.]])
    """

    def __init__(
        self, shape: Sequence[int], angles: Any, detectors: int | None = None, *, spacing: float = 1.0
    ) -> None:
        grid = _plane(shape)
        spacing = _positive("spacing", spacing)

        def rays(angle: float, x: Array, y: Array) -> tuple[Array, Array, Array]:
            return x * np.cos(angle) - y * np.sin(angle), np.ones_like(x), np.full_like(x, angle)

        default = ceil(2**0.5 * max(grid) / spacing)
        super().__init__(grid, angles, _count(default if detectors is None else detectors), spacing, rays)


class FanBeam(_Projector):
    """Computed tomography with rays from a point to a flat detector; source and detector turn about the picture.

    The picture turns about pixel ``shape // 2``. At angle 0 the source is above the picture and the detector below it, and
    with a source far away the data are those of :class:`Tomography`.

    Parameters
    ----------
    shape : sequence of int
        The picture's grid, two axes; lengths are in units of its pixels.
    angles : sequence of float
        Directions in degrees, of any number and spacing: a view for each. A whole turn is 360.
    source_distance : float
        From the source to the centre: more than from there to the farthest corner of the picture.
    detector_distance : float
        From the centre to the detector, 0 or more.
    detectors : int, optional
        Elements of the detector. By default they cover the shadow of the picture from every direction.
    spacing : float, optional
        Width of an element, in pixels. By default that of the shadow of a pixel at the centre.

    Raises
    ------
    ShapeError
        The grid does not have two axes, or `angles` not one.
    BayesDipError
        There are no angles, or a number is not finite or out of its range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        angles: Any,
        source_distance: float,
        detector_distance: float = 0.0,
        detectors: int | None = None,
        *,
        spacing: float | None = None,
    ) -> None:
        grid = _plane(shape)
        radius = hypot(*(n // 2 + 0.5 for n in grid))
        source, detector = float(source_distance), float(detector_distance)
        if not radius < source < np.inf:
            raise BayesDipError(
                f"source_distance is {source_distance}: expected more than {radius:.4g} pixels, so that the source turns "
                "outside of the picture; give it in pixels"
            )
        if not 0 <= detector < np.inf:
            raise BayesDipError(
                f"detector_distance is {detector_distance}: expected 0 or more; give it in pixels"
            )
        length = source + detector

        def rays(angle: float, x: Array, y: Array) -> tuple[Array, Array, Array]:
            across, depth = (
                x * np.cos(angle) - y * np.sin(angle),
                source + x * np.sin(angle) + y * np.cos(angle),
            )
            magnification = length * np.hypot(across, depth) / depth**2
            return length * across / depth, magnification, angle + np.arctan2(across, depth)

        spacing = _positive("spacing", length / source if spacing is None else spacing)
        shadow = 2 * length * radius / (source**2 - radius**2) ** 0.5
        default = ceil(shadow / spacing) + 1
        super().__init__(grid, angles, _count(default if detectors is None else detectors), spacing, rays)


def _footprints(
    place: Array, magnification: Array, direction: Array, detectors: int, spacing: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """One view's entries that are not zero: the element, the pixel, and the weight."""
    wide, narrow = (
        np.maximum(np.abs(side(direction)), STEEPEST) * magnification for side in (np.cos, np.sin)
    )
    reach = (wide + narrow) / 2
    first = np.floor((place - reach) / spacing + detectors // 2 + 0.5).astype(np.int64)
    found = []
    for step in range(ceil(2 * float(reach.max()) / spacing) + 1):
        element = first + step
        edge = (element - detectors // 2 - 0.5) * spacing - place
        share = _below(edge + spacing, wide, narrow) - _below(edge, wide, narrow)
        kept = ((share > 0) & (element >= 0) & (element < detectors)).nonzero()[0]
        found.append((element[kept], kept, (magnification * share / spacing)[kept]))
    elements, pixels, weights = zip(*found, strict=True)
    return np.concatenate(elements), np.concatenate(pixels), np.concatenate(weights)


def _below(t: Array, a: Array, b: Array) -> Array:
    """The share of the convolution of two centred boxes, of widths a and b, that lies below t."""

    def ramp(s: Array) -> Array:
        return np.square(np.maximum(s, 0.0)) / 2

    outer, inner = (a + b) / 2, (a - b) / 2
    return (ramp(t + outer) - ramp(t + inner) - ramp(t - inner) + ramp(t - outer)) / (a * b)


def _plane(shape: Sequence[int]) -> tuple[int, ...]:
    grid = as_grid(shape)
    if len(grid) != 2:
        raise ShapeError(
            f"shape is {grid}: expected two axes; give the grid of a slice, and restore slices one by one"
        )
    return grid


def _checked_angles(angles: Any) -> Array:
    views = np.asarray(angles, dtype=np.float64)
    if views.ndim != 1:
        raise ShapeError(f"angles has shape {views.shape}: expected one axis; give a list of degrees")
    if not len(views) or not np.isfinite(views).all():
        raise BayesDipError(
            f"angles holds {len(views)} numbers, {int(np.isfinite(views).sum())} of them finite: expected at least one, and "
            "finite ones; give directions in degrees"
        )
    return views


def _positive(name: str, value: float) -> float:
    if not 0 < value < np.inf:
        raise BayesDipError(f"{name} is {value}: expected more than 0; give a width in pixels")
    return float(value)


def _count(detectors: int) -> int:
    if isinstance(detectors, bool) or int(detectors) != detectors or detectors < 1:
        raise BayesDipError(f"detectors is {detectors}: expected a whole number of at least 1")
    return int(detectors)
