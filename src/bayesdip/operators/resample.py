"""Anti-aliased downsampling by a whole factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.operator import Operator, as_grid
from bayesdip.operators.sparse_matrix import ShortRows, reflected

Array = NDArray[np.float64]


class Downsample(Operator):
    """Every `factor` x `factor` cell of the picture becomes one pixel.

    Output i of an axis is centred on its cell, at input position ``(i + 1/2) factor - 1/2``
    ("phase 0.5" of the original deep image prior), and weighs the inputs around it by a filter
    that is stretched `factor` times, which removes what the coarse grid cannot hold. Weights
    sum to one.

    Parameters
    ----------
    shape : sequence of int
        The fine grid, any size; an axis of length n becomes ceil(n / factor). Axes of length 1 stay.
    factor : int, or one int per axis
        At least 1.
    kind : {"lanczos", "bicubic", "area"}
        ``"lanczos"``: 2 lobes, as in Ulyanov et al., *Deep Image Prior* (CVPR 2018).
        ``"bicubic"``: Keys' cubic with a = -1/2, as Pillow and MATLAB have it.
        ``"area"``: the mean over the cell.
        For the first two the picture is reflected at its borders (edge pixel repeated). With ``"area"``,
        a cell that the border cuts has the mean of what is left of it.

    Raises
    ------
    BayesDipError
        If `factor` is not an integer of at least 1, or `kind` is unknown.
    ShapeError
        If `factor` has neither one entry nor one for each axis.
    """

    def __init__(self, shape: Sequence[int], factor: int | Sequence[int], kind: str = "lanczos") -> None:
        grid = as_grid(shape)
        self.factor = _factors(factor, len(grid))
        if kind not in _FILTERS:
            raise BayesDipError(
                f"kind is {kind!r}: expected one of {', '.join(_FILTERS)}; choose one of these"
            )
        super().__init__(grid, [-(-n // f) for n, f in zip(grid, self.factor, strict=True)])
        self.kind = kind
        self.matrices = tuple(
            _axis_matrix(n, f, _FILTERS[kind]) for n, f in zip(grid, self.factor, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        for axis, matrix in self._by_axis():
            x = matrix.apply(x, axis)
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        # The last axis first, while there is little of it: gathering along it is the slowest.
        for axis, matrix in reversed(self._by_axis()):
            y = matrix.T.apply(y, axis)
        return y

    def _by_axis(self) -> list[tuple[int, ShortRows]]:
        return list(zip(range(-len(self.matrices), 0), self.matrices, strict=True))


@dataclass(frozen=True)
class _Filter:
    """A resampling filter of unit cell: ``weight(t)`` for |t| < support, t in coarse pixels."""

    weight: Callable[[Array], Array]
    support: float
    reflects: bool = True


def _lanczos2(t: Array) -> Array:
    """sinc(t) sinc(t/2)."""
    return np.asarray(np.sinc(t) * np.sinc(t / 2))


def _cubic(t: Array) -> Array:
    """Keys (1981), a = -1/2."""
    t = np.abs(t)
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, far)


_FILTERS = {
    "lanczos": _Filter(_lanczos2, 2.0),
    "bicubic": _Filter(_cubic, 2.0),
    "area": _Filter(np.ones_like, 0.5, reflects=False),
}
KINDS = tuple(_FILTERS)


def _axis_matrix(n: int, factor: int, kernel: _Filter) -> ShortRows:
    """The resampling matrix of one axis, (ceil(n / factor), n)."""
    if n == 1:
        return ShortRows(np.zeros((1, 1), dtype=np.int64), np.ones((1, 1)), 1)
    centres = (np.arange(-(-n // factor)) + 0.5) * factor - 0.5
    first = int(np.floor(centres[0] - kernel.support * factor)) + 1
    last = int(np.ceil(centres[0] + kernel.support * factor)) - 1
    taps = np.arange(first, last + 1)
    weights = np.tile(kernel.weight((taps - centres[0]) / factor), (len(centres), 1))
    indices = taps + factor * np.arange(len(centres))[:, None]
    if not kernel.reflects:
        weights = np.where((indices >= 0) & (indices < n), weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return ShortRows(reflected(indices, n), weights, n)


def _factors(factor: int | Sequence[int], dims: int) -> tuple[int, ...]:
    factors = tuple(factor) if isinstance(factor, Sequence) else (factor,) * dims
    for f in factors:
        if isinstance(f, bool) or f != int(f) or f < 1:
            raise BayesDipError(
                f"factor is {f}: expected an integer of at least 1; give how many times smaller the data are"
            )
    if len(factors) != dims:
        raise ShapeError(f"factor has {len(factors)} entries: expected one, or {dims}, one for each axis")
    return tuple(int(f) for f in factors)
