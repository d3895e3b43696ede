"""Pointwise nonlinearities.

For a Gaussian pair (u, v) with variances and a covariance, ``dual`` is
``E[phi(u) phi(v)]``. It is written for tensors of pairs, elementwise, so that it serves
every form of covariance.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesdip.arch.layers import C, Layer

Function = Callable[[np.ndarray], np.ndarray]
DEGREES = 48  # terms of the Hermite series; what is left of E[phi^2] is added to the last


def _normal_cdf(u: np.ndarray) -> np.ndarray:
    return np.asarray(torch.special.ndtr(torch.from_numpy(u)))


class Activation(Layer):
    """A nonlinearity phi that acts at every pixel of every feature by itself."""

    homogeneous: ClassVar[bool] = False

    def covariance(self, K: C) -> C:
        return K.pointwise(self)

    def apply(self, u: Tensor) -> Tensor:
        """``phi(u)`` for features (features, pixels); what a feature draws for itself is always the same."""
        out: Tensor = self.module(len(u), 1, torch.Generator().manual_seed(0))(u[None])[0]
        return out

    @abstractmethod
    def dual(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        """``E[phi(u) phi(v)]`` for zero-mean Gaussian u and v."""

    @abstractmethod
    def dual_of_derivative(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        """``E[phi'(u) phi'(v)]``: the activation's rule for the tangent kernel."""


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """``u`` where positive, ``slope * u`` elsewhere (slope 0: ReLU).

    With rho the correlation of u and v, s^2 their variance and a the slope,

        K' = s^2 [ (1 + a)^2 / 4 rho
                   + (1 - a)^2 / 4 (2 / pi) (sqrt(1 - rho^2) + rho asin rho) ],

    the identity's part and the modulus' part of ``(1 + a)/2 u + (1 - a)/2 |u|``. For a = 0
    it is half the arc-cosine kernel of order 1 (Cho and Saul 2009). The derivative has

        E[phi'(u) phi'(v)] = (1 + a)^2 / 4 + (1 - a)^2 / 4 (2 / pi) asin rho.
    """

    homogeneous: ClassVar[bool] = True

    slope: float = 0.2

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return nn.LeakyReLU(self.slope)

    def dual(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        scale = (variance_u * variance_v).sqrt()
        rho = correlation(covariance, scale)
        modulus = (2 / math.pi) * ((1 - rho * rho).sqrt() + rho * rho.asin())
        return scale * ((1 + self.slope) ** 2 / 4 * rho + (1 - self.slope) ** 2 / 4 * modulus)

    def dual_of_derivative(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        rho = correlation(covariance, (variance_u * variance_v).sqrt())
        return (1 + self.slope) ** 2 / 4 + (1 - self.slope) ** 2 / 4 * (2 / math.pi) * rho.asin()


@dataclass(frozen=True)
class Erf(Activation):
    """The error function; ``K' = (2/pi) asin(2 K / (1 + 2 K(0)))`` (Williams 1997).

    The derivative has ``E[phi'(u) phi'(v)] = (4/pi) / sqrt((1 + 2 K(0))^2 - 4 K^2)``.
    """

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return Pointwise(torch.erf)

    def dual(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        scale = ((1 + 2 * variance_u) * (1 + 2 * variance_v)).sqrt()
        return (2 / math.pi) * (2 * covariance / scale).asin()

    def dual_of_derivative(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        squared = (1 + 2 * variance_u) * (1 + 2 * variance_v) - 4 * covariance * covariance
        return (4 / math.pi) * squared.rsqrt()


class HermiteActivation(Activation):
    """An activation without a closed form, by its Hermite series (Mehler's formula).

    With ``c_n(s) = E[phi(s g) He_n(g)] / sqrt(n!)`` for a standard normal g,

        K' = sum_n c_n(s_u) c_n(s_v) rho^n.

    The coefficients come from Gauss-Hermite quadrature.
    """

    @abstractmethod
    def phi(self, u: np.ndarray) -> np.ndarray:
        """The function itself."""

    @abstractmethod
    def derivative(self, u: np.ndarray) -> np.ndarray:
        """Its derivative."""

    def dual(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        return _mehler(self.phi, covariance, variance_u, variance_v)

    def dual_of_derivative(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        return _mehler(self.derivative, covariance, variance_u, variance_v)


@dataclass(frozen=True)
class Sigmoid(HermiteActivation):
    """``1 / (1 + exp(-u))``."""

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return nn.Sigmoid()

    def phi(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(0.5 * (1 + np.tanh(u / 2)))

    def derivative(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(0.25 / np.cosh(u / 2) ** 2)


@dataclass(frozen=True)
class GELU(HermiteActivation):
    """``u Phi(u)`` with the normal distribution function Phi."""

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return Pointwise(F.gelu)

    def phi(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(u * _normal_cdf(u))

    def derivative(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(_normal_cdf(u) + u * np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi))


class Pointwise(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def correlation(covariance: Tensor, scale: Tensor) -> Tensor:
    """``covariance / scale`` within -1..1; rounding must not reach asin and sqrt."""
    return (covariance / scale.clamp_min(torch.finfo(scale.dtype).tiny)).clamp(-1.0, 1.0)


def _mehler(function: Function, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
    """``E[function(u) function(v)]`` by its Hermite series."""
    rho = correlation(covariance, (variance_u * variance_v).sqrt())
    left, right = _coefficients(function, variance_u), _coefficients(function, variance_v)
    out = torch.zeros_like(rho)
    for a, b in zip(reversed(left), reversed(right), strict=True):  # Horner
        out = out * rho + a * b
    return out


def _coefficients(function: Function, variance: Tensor) -> list[Tensor]:
    """``c_0 ... c_n`` at each variance; the last one carries the rest of ``E[function^2]``."""
    distinct, where = torch.unique(variance, return_inverse=True)
    nodes, weights, basis = _hermite()
    values = function(np.sqrt(distinct.cpu().numpy())[:, None] * nodes)
    table = torch.from_numpy((values * weights) @ basis.T)  # (variances, degrees)
    table = torch.cat((table, _rest(values, weights, table)), dim=1).to(variance.device)
    return [table[:, n][where] for n in range(table.shape[1])]


def _rest(values: np.ndarray, weights: np.ndarray, table: Tensor) -> Tensor:
    second_moment = torch.from_numpy((values * values) @ weights)
    return (second_moment - (table * table).sum(1)).clamp_min(0.0).sqrt()[:, None]


@lru_cache(maxsize=1)
def _hermite() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quadrature for the standard normal, and the orthonormal polynomials at its nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4 * DEGREES)
    basis = [np.ones_like(nodes), nodes]
    for n in range(1, DEGREES - 1):  # sqrt(n+1) h_{n+1} = x h_n - sqrt(n) h_{n-1}
        basis.append((nodes * basis[n] - math.sqrt(n) * basis[n - 1]) / math.sqrt(n + 1))
    return nodes, weights / weights.sum(), np.stack(basis)
