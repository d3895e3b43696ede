"""What an architecture is at infinite width: a Gaussian process, and a tangent kernel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from torch import Tensor

from bayesdip.arch.exact import Exact, of_picture, of_stationary
from bayesdip.arch.padding import pad_reflecting
from bayesdip.arch.stationary import Stationary
from bayesdip.arch.tangent import at_input
from bayesdip.errors import ShapeError
from bayesdip.kernels.kernel import Kernel

if TYPE_CHECKING:
    from bayesdip.arch.architecture import Architecture


@dataclass(frozen=True)
class _LimitKernel(Kernel):
    arch: Architecture
    lags: int = 64
    dims: int = 2

    @abstractmethod
    def covariance(self, dims: int) -> Stationary:
        """Its stationary form on grids of ``dims`` axes, not scaled to unit variance."""

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        K = self.covariance(len(shape))
        return K.quadrant(shape) / K.variance

    @property
    def values(self) -> Tensor:
        """The kernel at lags ``-lags .. lags`` of each axis; lag zero is in the middle."""
        return self.window(self.lags, self.dims)

    @property
    def limit(self) -> float:
        """The kernel at infinite lag: the share of the variance that a picture's mean has."""
        K = self.covariance(self.dims)
        return K.limit / float(K.variance)

    @property
    def scale(self) -> float:
        """What the values were divided with: the kernel at lag zero."""
        return float(self.covariance(self.dims).variance)


@dataclass(frozen=True)
class ArchitectureKernel(_LimitKernel):
    """The kernel of an architecture at infinite width, with unit variance.

    Known at every lag; computed once for each number of axes.
    """

    def covariance(self, dims: int) -> Stationary:
        return output_covariance(self.arch, dims)


@dataclass(frozen=True)
class TangentKernel(_LimitKernel):
    """The neural tangent kernel of an architecture, divided by its value at lag zero, ``scale``."""

    parametrisation: str = "ntk"

    def covariance(self, dims: int) -> Stationary:
        return output_tangent(self.arch, dims, self.parametrisation)


@lru_cache(maxsize=64)
def output_covariance(arch: Architecture, dims: int) -> Stationary:
    """Covariance of one output before its squashing."""
    return arch.layers(1, dims).covariance(arch.input_covariance(dims))


@lru_cache(maxsize=64)
def output_tangent(arch: Architecture, dims: int, parametrisation: str) -> Stationary:
    """Tangent kernel of one output before its squashing."""
    start = at_input(arch.input_covariance(dims), parametrisation)
    return arch.layers(1, dims).covariance(start).theta


def exact_covariance(arch: Architecture, grid: Sequence[int], code: Tensor | None = None) -> Exact:
    """Covariance of one output on ``grid``; see :meth:`Architecture.exact_covariance`."""
    K, start = _exact_input(arch, grid, code)
    return arch.layers(1, len(grid)).covariance(K).cropped(start, grid)


def exact_tangent(
    arch: Architecture, grid: Sequence[int], code: Tensor | None, parametrisation: str
) -> Exact:
    """Tangent kernel of one output on ``grid``; see :meth:`Architecture.exact_tangent`."""
    K, start = _exact_input(arch, grid, code)
    return arch.layers(1, len(grid)).covariance(at_input(K, parametrisation)).theta.cropped(start, grid)


def _exact_input(arch: Architecture, grid: Sequence[int], code: Tensor | None) -> tuple[Exact, list[int]]:
    """Covariance of what goes in, on the grid that the network pads it to, and where the picture begins."""
    rule, dims = arch.grid_rule(), len(grid)
    if code is None:
        given = [rule.input_axis(n) for n in grid]
        if arch.input == "mesh":
            return of_picture(arch.draw_input((1, dims, *given))[0]), rule.window(given, grid)
        return of_stationary(arch.input_covariance(dims), given), rule.window(given, grid)
    if code.ndim != dims + 2 or len(code) != 1 or code.shape[1] != arch.input_features(dims):
        raise ShapeError(
            f"An input of shape {tuple(code.shape)} was given; (1, {arch.input_features(dims)}, {dims} grid "
            "axes) was expected: use new_input(grid) of the network, or describe another input_depth."
        )
    start = rule.window(list(code.shape[2:]), grid)
    return of_picture(pad_reflecting(code, *rule.margins(list(code.shape[2:])))[0]), start
