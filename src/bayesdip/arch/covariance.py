"""What the rules of the layers act on: the covariance of a very wide layer's features.

At infinite width the features of a layer are independent copies of one Gaussian process,
so the second moment ``K(x, x') = E[f(x) f(x')]`` says everything about them. (Second
moment, not central: a layer whose features have a mean carries it as a constant in K.)

There are three forms, and a layer's rule is written once for all of them, in the methods
of :class:`Covariance`:

- :class:`~bayesdip.arch.stationary.Stationary`: K by lag, for grids of any size;
- :class:`~bayesdip.arch.exact.Exact`: every pair of pixels of a small grid, with its
  borders and phases;
- :class:`~bayesdip.arch.tangent.Tangent`: one of these with the neural tangent kernel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

# Nodes of the quadrature over a picture's own scale, in batch norm: enough that the rules agree with 200,000 sampled
# pictures (tests/test_arch_exact.py).
NODES = 24


class Nonlinearity(Protocol):
    """What the forms ask of an activation phi; they act elementwise."""

    @property
    def homogeneous(self) -> bool:
        """Whether ``phi(s u) = s phi(u)`` for all positive s."""

    def apply(self, u: Tensor) -> Tensor:
        """``phi(u)`` for features (features, pixels)."""

    def dual(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        """``E[phi(u) phi(v)]`` for zero-mean Gaussian u and v."""

    def dual_of_derivative(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        """``E[phi'(u) phi'(v)]``."""


@dataclass(frozen=True)
class Filter:
    """A fixed filter, the same on each axis, with a change of the grid.

    Zeros are put between the pixels (``up``), and on that grid

        y(t) = sum_k taps[k] x(down t + k - start).

    Beyond its borders x is continued by its border pixels.

    Attributes
    ----------
    taps : tuple of float
        h.
    up, down : int
        Pixels of the finer grid per pixel of x, and per pixel of y.
    start : int
        The tap that lies on pixel 0.
    """

    taps: tuple[float, ...]
    up: int = 1
    down: int = 1
    start: int = 0

    @property
    def autocorrelation(self) -> list[float]:
        """``hh(0), hh(1), ...`` of the taps; hh is even and zero beyond."""
        return autocorrelation(self.taps)

    def matrix(self, size: int) -> Tensor:
        """The filter as a matrix.

        Parameters
        ----------
        size : int
            Pixels of the axis.

        Returns
        -------
        Tensor, float64, shape (size', size)
        """
        whole = size * self.up + (self.down - 1 if len(self.taps) == 1 else 0)
        out = torch.zeros(whole // self.down, size, dtype=torch.float64)
        for t in range(out.shape[0]):
            for k, tap in enumerate(self.taps):
                pixel, between = divmod(self.down * t + k - self.start, self.up)
                if not between:
                    out[t, min(max(pixel, 0), size - 1)] += tap
        return out


class Covariance(ABC):
    """Covariance of one feature of a layer, and how many features the layer has.

    The rule of a layer is one of these methods, or several in turn; each gives a new covariance of
    the same form, at infinite width. A layer that needs another rule computes it from the form
    that it is given (see :class:`~bayesdip.arch.TokenMixer`).

    Attributes
    ----------
    features : int
        How many features the layer has.
    dims : int
        Axes of the grid.
    """

    features: int

    @property
    @abstractmethod
    def dims(self) -> int:
        """Axes of the grid."""

    @abstractmethod
    def scaled(self, gain: float) -> Self:
        """``gain * K``.

        Parameters
        ----------
        gain : float
            The square of a factor of the features.

        Returns
        -------
        Covariance
        """

    @abstractmethod
    def convolved(
        self, size: int, stride: int, padding: str, gain: float, bias: float, features: int
    ) -> Self:
        """Trained filters with independent weights: each tap adds its own copy of K.

        Parameters
        ----------
        size, stride : int
            Taps per axis, and pixels per pixel of the output.
        padding : str
            One of :data:`bayesdip.arch.padding.PADDINGS`.
        gain : float
            Variance of the weights times fan-in.
        bias : float
            Variance of the biases.
        features : int
            Of the output.

        Returns
        -------
        Covariance
        """

    @abstractmethod
    def transposed(self, taps: int, gain: float, bias: float, features: int) -> Self:
        """Trained transposed convolution of stride 2.

        Parameters
        ----------
        taps : int
            Per axis.
        gain, bias, features
            As of :meth:`convolved`.

        Returns
        -------
        Covariance
        """

    @abstractmethod
    def filtered(self, filter: Filter) -> Self:
        """A fixed filter, the same for every feature.

        Parameters
        ----------
        filter : Filter

        Returns
        -------
        Covariance
        """

    @abstractmethod
    def shuffled(self, factor: int, features: int) -> Self:
        """Independent features become the pixels of a cell.

        Parameters
        ----------
        factor : int
            Pixels per axis of a cell.
        features : int
            Of the output: ``factor^dims`` times fewer.

        Returns
        -------
        Covariance
        """

    @abstractmethod
    def pointwise(self, activation: Nonlinearity) -> Self:
        """The same nonlinearity at every pixel.

        Parameters
        ----------
        activation : Activation

        Returns
        -------
        Covariance
        """

    @abstractmethod
    def normalised(self, epsilon: float) -> Self:
        """The mean of each feature over the grid subtracted, then divided by its standard deviation.

        Parameters
        ----------
        epsilon : float
            Added to the variance.

        Returns
        -------
        Covariance
        """

    @abstractmethod
    def joined(self, other: Self) -> Self:
        """Features of both, side by side: the average of the two K, weighted by their counts.

        Parameters
        ----------
        other : Covariance
            Of the same form and grid.

        Returns
        -------
        Covariance
        """

    @abstractmethod
    def added(self, other: Self) -> Self:
        """Sum of two processes that are uncorrelated.

        Parameters
        ----------
        other : Covariance
            Of the same form and grid.

        Returns
        -------
        Covariance
        """


def autocorrelation(taps: Sequence[float]) -> list[float]:
    """``hh(t) = sum_k h(k) h(k + t)`` for ``t = 0 .. len(taps) - 1``."""
    return [sum(a * b for a, b in zip(taps, taps[lag:], strict=False)) for lag in range(len(taps))]


def scale_quadrature(spread: Tensor, constant: float) -> tuple[Tensor, Tensor]:
    """Nodes and weights for averages over a Gaussian vector that is divided by its own scale.

    Let ``s^2 = constant + sum_j spread_j z_j^2`` with standard normal z_j: the variance of
    one picture over its pixels. From ``1 / s^2 = int exp(-t s^2) dt``, for any F that is
    homogeneous of degree 2,

        E[F(z) / s^2] = int w(t) E[F(z_t)] dt,
        w(t) = exp(-constant t) prod_j (1 + 2 t spread_j)^(-1/2),

    where ``z_t`` is Gaussian with the variances ``1 / (1 + 2 t spread_j)``.

    Parameters
    ----------
    spread : Tensor
        ``spread_j``, not negative.
    constant : float
        Positive.

    Returns
    -------
    nodes, weights : Tensor, float64, shape (NODES,)
    """
    scale = constant + float(spread.sum())
    abscissas, legendre = np.polynomial.legendre.leggauss(NODES)
    u, w = torch.from_numpy((abscissas + 1) / 2), torch.from_numpy(legendre / 2)
    nodes = u / (1 - u) / scale
    log_density = -constant * nodes - 0.5 * (2 * nodes[:, None] * spread.flatten()).log1p().sum(1)
    return nodes, w / (1 - u).square() / scale * log_density.exp()


def along(table: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """Apply ``matrix`` along one axis of ``table``."""
    out: Tensor = torch.tensordot(table, matrix, dims=([axis], [1])).movedim(-1, axis)
    return out
