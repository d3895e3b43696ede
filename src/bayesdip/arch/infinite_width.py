"""The infinite-width limit of an architecture as a stationary kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from bayesdip.arch.description import Description
from bayesdip.arch.stationary import Stationary
from bayesdip.arch.tangent import at_input
from bayesdip.kernels.kernel import Kernel


@dataclass(frozen=True)
class ArchitectureKernel(Kernel):
    """The kernel of an architecture at infinite width, with unit variance, known at every lag.

    Attributes
    ----------
    arch : Architecture
    lags, dims : int
        What ``values`` shows.
    tangent : "ntk", "standard" or None
        The neural tangent kernel in that parametrisation; the covariance when None.

    Raises
    ------
    BayesDipError
        The architecture has none in closed form.
    """

    arch: Description
    lags: int = 64
    dims: int = 2
    tangent: str | None = None

    def __post_init__(self) -> None:
        self.covariance(self.dims)

    def covariance(self, dims: int) -> Stationary:
        """Its stationary form, not divided by its value at lag zero.

        Parameters
        ----------
        dims : int
            Axes of the grid.

        Returns
        -------
        Stationary
        """
        return _at_infinite_width(self.arch, dims, self.tangent)

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
        return self.covariance(self.dims).limit / self.scale

    @property
    def scale(self) -> float:
        """What the kernel was divided by: its value at lag zero."""
        return float(self.covariance(self.dims).variance)


@lru_cache(maxsize=128)
def _at_infinite_width(arch: Description, dims: int, tangent: str | None) -> Stationary:
    layers, K = arch.layers(1, dims), arch.latent_input.covariance(dims)
    return layers.covariance(K) if tangent is None else layers.covariance(at_input(K, tangent)).theta
