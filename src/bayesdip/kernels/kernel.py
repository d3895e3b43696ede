"""Stationary kernels: the covariance of two pixels depends on the lag between them only.

The kernels of a distance follow Rasmussen and Williams, *Gaussian Processes for Machine
Learning*, 2006, chapter 4; the spectral mixture follows Wilson and Adams, *Gaussian process
kernels for pattern discovery*, ICML 2013 (arXiv 1302.4245). All have variance one: scale and add
them with ``*`` and ``+``. In the formulas ``r`` is the Euclidean lag and ``l`` the lengthscale,
both in pixels.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError


class Kernel(ABC):
    """A stationary covariance on a pixel grid, symmetric in each axis by itself.

    Because ``K(t) = K(-t)`` on every axis, the lags ``0, 1, 2, ...`` of each axis (the *quadrant*)
    say everything. A kernel of your own is a subclass with one method, ``quadrant``; every
    Gaussian-process function takes it, and ``+`` and ``*`` combine it with the others.

    Examples
    --------
    >>> k = 0.8 * Matern32(2.0) + 0.2 * RBF(20.0)
    >>> k.window(lags=8).shape
    torch.Size([17, 17])
    """

    @abstractmethod
    def quadrant(self, shape: Sequence[int]) -> Tensor:
        """Covariance at the lags ``0 .. shape[i] - 1`` of each axis.

        Parameters
        ----------
        shape : sequence of int
            How many lags of each axis, in pixels; its length is the number of axes.

        Returns
        -------
        Tensor, float64, of that shape

        Raises
        ------
        BayesDipError
            The kernel is for another number of axes.
        """

    @property
    def limit(self) -> float:
        """Covariance at infinite lag: the variance of a picture's mean. 0 unless overridden."""
        return 0.0

    def window(self, lags: int, dims: int = 2) -> Tensor:
        """Covariance around lag zero.

        Parameters
        ----------
        lags : int
            Largest lag, in pixels.
        dims : int
            Number of axes.

        Returns
        -------
        Tensor, float64, shape (2 lags + 1,) * dims
            At the lags ``-lags .. lags`` of each axis; lag zero is in the middle.
        """
        table = self.quadrant((lags + 1,) * dims)
        for axis in range(dims):
            mirrored = table.flip(axis).narrow(axis, 0, lags)
            table = torch.cat((mirrored, table), dim=axis)
        return table

    def __add__(self, other: Kernel) -> Kernel:
        return Sum((self, other))

    def __mul__(self, other: Kernel | float) -> Kernel:
        return Product((self, other)) if isinstance(other, Kernel) else Scaled(self, float(other))

    __rmul__ = __mul__


@dataclass(frozen=True)
class Scaled(Kernel):
    """``variance * kernel``.

    Attributes
    ----------
    kernel : Kernel
    variance : float
        Not negative.
    """

    kernel: Kernel
    variance: float

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return self.variance * self.kernel.quadrant(shape)

    @property
    def limit(self) -> float:
        return self.variance * self.kernel.limit


@dataclass(frozen=True)
class Sum(Kernel):
    """The kernel of a sum of independent processes: ``sum_i K_i``.

    Attributes
    ----------
    terms : tuple of Kernel
    """

    terms: tuple[Kernel, ...]

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return torch.stack([k.quadrant(shape) for k in self.terms]).sum(0)

    @property
    def limit(self) -> float:
        return sum(k.limit for k in self.terms)


@dataclass(frozen=True)
class Product(Kernel):
    """The kernel of a pointwise product of independent zero-mean processes: ``prod_i K_i``.

    Attributes
    ----------
    factors : tuple of Kernel
    """

    factors: tuple[Kernel, ...]

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return torch.stack([k.quadrant(shape) for k in self.factors]).prod(0)

    @property
    def limit(self) -> float:
        return math.prod(k.limit for k in self.factors)


@dataclass(frozen=True)
class Tabulated(Kernel):
    """A kernel known by its values.

    Attributes
    ----------
    table : Tensor or array
        Covariance at the lags ``0, 1, ...`` of each axis.
    beyond : float
        Covariance outside the table.
    """

    table: Tensor
    beyond: float = 0.0

    @property
    def limit(self) -> float:
        return self.beyond

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        out = torch.full(tuple(shape), self.beyond, dtype=torch.float64)
        table = torch.as_tensor(self.table, dtype=torch.float64)
        inside = tuple(slice(0, min(a, b)) for a, b in zip(shape, table.shape, strict=True))
        out[inside] = table[inside]
        return out


@dataclass(frozen=True)
class Isotropic(Kernel):
    """A kernel of the Euclidean lag alone.

    Attributes
    ----------
    lengthscale : float
        The unit in which the lag is measured, in pixels, positive.

    Raises
    ------
    BayesDipError
        The lengthscale is not a positive number.
    """

    lengthscale: float

    def __post_init__(self) -> None:
        check_positive("lengthscale", self.lengthscale, "pixels")

    @abstractmethod
    def profile(self, squared: Tensor) -> Tensor:
        """The covariance as a function of the distance.

        Parameters
        ----------
        squared : Tensor, float64
            Squared lag, in squared lengthscales.

        Returns
        -------
        Tensor, float64, of that shape
        """

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return self.profile(squared_lags(shape, [self.lengthscale] * len(shape)))


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
    """``(1 + r^2 / (2 alpha l^2))^(-alpha)``: a mixture of RBFs of all lengthscales around ``l``.

    Attributes
    ----------
    lengthscale : float
        In pixels, positive.
    alpha : float
        Positive; the smaller, the heavier the tail.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("alpha", self.alpha, "no unit")

    def profile(self, squared: Tensor) -> Tensor:
        return (1 + squared / (2 * self.alpha)).pow(-self.alpha)


@dataclass(frozen=True)
class SpectralMixture(Kernel):
    """``sum_q w_q prod_i exp(-2 pi^2 s_qi^2 t_i^2) cos(2 pi m_qi t_i)``.

    A mixture of Gaussians in the spectrum, mirrored on every axis.

    Attributes
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
        The parts do not fit together, or a weight is not positive.
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
            check_positive("weight", weight, "a variance")

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


def squared_lags(shape: Sequence[int], lengthscales: Sequence[float]) -> Tensor:
    """Squared Euclidean lags ``0 .. shape[i] - 1`` of each axis, each in its own lengthscale, of that shape."""
    squared = torch.zeros((), dtype=torch.float64)
    for n, lengthscale in zip(shape, lengthscales, strict=True):
        squared = squared[..., None] + (torch.arange(n, dtype=torch.float64) / lengthscale).square()
    return squared


def check_positive(name: str, value: float, unit: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise BayesDipError(f"{name} is {value}: expected a positive number ({unit}); change it")


# At these lengthscales, in pixels, each kernel describes photographs before anything is learnt from the data.
DEFAULTS: dict[str, Kernel] = {
    "rbf": RBF(1.5),
    "matern12": Matern12(8.0),
    "matern32": Matern32(2.0),
    "matern52": Matern52(2.0),
    "rq": RationalQuadratic(2.0),
}


def names() -> list[str]:
    """The names that :func:`named` knows.

    Returns
    -------
    list of str
    """
    return list(DEFAULTS)


def named(name: str) -> Kernel:
    """The kernel of that name, at its default lengthscale.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    Kernel

    Raises
    ------
    BayesDipError
        There is no such kernel.
    """
    if name not in DEFAULTS:
        raise BayesDipError(f"kernel is {name!r}: expected one of {', '.join(DEFAULTS)}; choose one of these")
    return DEFAULTS[name]
