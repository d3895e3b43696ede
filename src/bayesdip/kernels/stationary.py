"""The classic stationary kernels, each with its formula. ``r`` is the Euclidean lag in pixels.

Variance one; scale and add them with ``*`` and ``+``. Formulas after Rasmussen and Williams,
*Gaussian Processes for Machine Learning*, chapter 4, and Wilson and Adams, *Gaussian process
kernels for pattern discovery*, ICML 2013 (arXiv 1302.4245).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Kernel


@dataclass(frozen=True)
class Isotropic(Kernel):
    """A kernel of the Euclidean lag alone, measured in lengthscales (pixels).

    Raises
    ------
    BayesDipError
        If the lengthscale is not a positive number.
    """

    lengthscale: float

    def __post_init__(self) -> None:
        _check_positive("lengthscale", self.lengthscale)

    @abstractmethod
    def profile(self, squared: Tensor) -> Tensor:
        """The covariance where the squared lag, in squared lengthscales, is `squared`."""

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        squared = torch.zeros((), dtype=torch.float64)
        for n in shape:
            squared = squared[..., None] + (torch.arange(n, dtype=torch.float64) / self.lengthscale).square()
        return self.profile(squared)


@dataclass(frozen=True)
class RBF(Isotropic):
    """``exp(-r^2 / (2 l^2))``: infinitely smooth."""

    def profile(self, squared: Tensor) -> Tensor:
        return (-0.5 * squared).exp()


@dataclass(frozen=True)
class Matern12(Isotropic):
    """``exp(-r / l)``: continuous, nowhere smooth."""

    def profile(self, squared: Tensor) -> Tensor:
        return (-squared.sqrt()).exp()


@dataclass(frozen=True)
class Matern32(Isotropic):
    """``(1 + s) exp(-s)`` with ``s = sqrt(3) r / l``: once differentiable."""

    def profile(self, squared: Tensor) -> Tensor:
        s = (3 * squared).sqrt()
        return (1 + s) * (-s).exp()


@dataclass(frozen=True)
class Matern52(Isotropic):
    """``(1 + s + s^2 / 3) exp(-s)`` with ``s = sqrt(5) r / l``: twice differentiable."""

    def profile(self, squared: Tensor) -> Tensor:
        s = (5 * squared).sqrt()
        return (1 + s + s.square() / 3) * (-s).exp()


@dataclass(frozen=True)
class RationalQuadratic(Isotropic):
    """``(1 + r^2 / (2 a l^2))^(-a)``: a mixture of RBFs of all lengthscales around ``l``.

    The tail is the heavier the smaller `alpha` is.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive("alpha", self.alpha)

    def profile(self, squared: Tensor) -> Tensor:
        return (1 + squared / (2 * self.alpha)).pow(-self.alpha)


@dataclass(frozen=True)
class SpectralMixture(Kernel):
    """``sum_q w_q prod_i exp(-2 pi^2 s_qi^2 t_i^2) cos(2 pi m_qi t_i)``.

    A mixture of Gaussians in the spectrum, mirrored on every axis.

    Parameters
    ----------
    weights : tuple of float
        Variance of each component, positive.
    means : tuple of tuple of float
        Centre of each component in cycles per pixel, one number for each axis.
    scales : tuple of tuple of float
        Its standard deviation in cycles per pixel, one number for each axis.

    Raises
    ------
    BayesDipError
        If the parts do not fit together, or a weight is not positive.
    """

    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    scales: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        dims = {len(part) for part in (*self.means, *self.scales)}
        if not self.weights or not len(self.weights) == len(self.means) == len(self.scales):
            raise BayesDipError(
                f"a spectral mixture was given {len(self.weights)} weights, {len(self.means)} means and "
                f"{len(self.scales)} scales: expected as many of each, at least one; give one for each component"
            )
        if len(dims) != 1:
            raise BayesDipError(
                f"the components of a spectral mixture have {sorted(dims)} axes: expected one number of axes; "
                "give each mean and each scale as many entries as the grid has axes"
            )
        for weight in self.weights:
            _check_positive("weight", weight)

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        if len(shape) != len(self.means[0]):
            raise BayesDipError(
                f"a spectral mixture of {len(self.means[0])} axes was asked for a grid of {len(shape)}: expected the "
                "same number; build it for that grid"
            )
        total = torch.zeros(tuple(shape), dtype=torch.float64)
        for weight, mean, scale in zip(self.weights, self.means, self.scales, strict=True):
            term = torch.tensor(weight, dtype=torch.float64)
            for n, m, s in zip(shape, mean, scale, strict=True):
                t = torch.arange(n, dtype=torch.float64)
                wave = (-2 * (math.pi * s * t).square()).exp() * (2 * math.pi * m * t).cos()
                term = term[..., None] * wave
            total += term
        return total


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise BayesDipError(f"{name} is {value}: expected a positive number; {name}s are in pixels or shares")
