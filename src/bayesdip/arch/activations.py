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
from torch import Tensor, nn

from bayesdip.arch.layers import C, Layer, Pointwise

Function = Callable[[Tensor], Tensor]
# Terms of the Hermite series. The rest of E[phi^2] is added to the last; the duals of GELU and the sigmoid are then
# right to 1e-9 (tests/test_arch_layers.py).
DEGREES = 48


class Activation(Layer):
    """A nonlinearity phi that acts at every pixel of every feature by itself.

    Attributes
    ----------
    homogeneous : bool
        Whether ``phi(s u) = s phi(u)`` for all positive s.
    """

    homogeneous: ClassVar[bool] = False

    def covariance(self, K: C) -> C:
        return K.pointwise(self)

    def apply(self, u: Tensor) -> Tensor:
        """``phi(u)`` for features u, shape (features, pixels); random phases of features are always the same."""
        out: Tensor = self.module(len(u), 1, torch.Generator().manual_seed(0))(u[None])[0]
        return out

    @abstractmethod
    def dual(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        """``E[phi(u) phi(v)]`` for zero-mean Gaussian u and v.

        Parameters
        ----------
        covariance, variance_u, variance_v : Tensor, float64
            Of the pairs (u, v), elementwise; shapes that broadcast.

        Returns
        -------
        Tensor, float64
        """

    @abstractmethod
    def dual_of_derivative(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        """``E[phi'(u) phi'(v)]``: the activation's rule for the tangent kernel.

        Parameters
        ----------
        covariance, variance_u, variance_v : Tensor
            As of :meth:`dual`.

        Returns
        -------
        Tensor, shape of `covariance`
        """


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """``u`` where positive, ``slope * u`` elsewhere (slope 0: ReLU).

    With rho the correlation of u and v, s^2 their variance and a the slope,

        K' = s^2 [ (1 + a)^2 / 4 rho
                   + (1 - a)^2 / 4 (2 / pi) (sqrt(1 - rho^2) + rho asin rho) ],

    the identity's part and the modulus' part of ``(1 + a)/2 u + (1 - a)/2 |u|``. For a = 0
    it is half the arc-cosine kernel of order 1 (Cho and Saul 2009). The derivative has

        E[phi'(u) phi'(v)] = (1 + a)^2 / 4 + (1 - a)^2 / 4 (2 / pi) asin rho.

    Attributes
    ----------
    slope : float
        Below zero; 0.2 in the code of Deep Image Prior.
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
    """A smooth activation without a closed form, by its Hermite series (Mehler's formula).

    With ``c_n(s) = E[phi(s g) He_n(g)] / sqrt(n!)`` for a standard normal g,

        K' = sum_n c_n(s_u) c_n(s_v) rho^n.

    The coefficients come from Gauss-Hermite quadrature, the derivative from automatic
    differentiation: a subclass is its ``module``.
    """

    def dual(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        return _mehler(self.module(1, 1), covariance, variance_u, variance_v)

    def dual_of_derivative(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        phi = self.module(1, 1)

        def derivative(u: Tensor) -> Tensor:
            with torch.enable_grad():
                u = u.detach().requires_grad_()
                slope: Tensor = torch.autograd.grad(phi(u).sum(), u)[0]
            return slope

        return _mehler(derivative, covariance, variance_u, variance_v)


@dataclass(frozen=True)
class Sigmoid(HermiteActivation):
    """``1 / (1 + exp(-u))``."""

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return nn.Sigmoid()


@dataclass(frozen=True)
class GELU(HermiteActivation):
    """``u Phi(u)`` with the normal distribution function Phi (Hendrycks and Gimpel 2016)."""

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return nn.GELU()


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
    nodes, weights, basis = (t.to(variance) for t in _hermite())
    values = function(distinct.sqrt()[:, None] * nodes)
    table = (values * weights) @ basis.T  # (variances, degrees)
    rest = (values.square() @ weights - table.square().sum(1)).clamp_min(0.0).sqrt()
    return [column[where] for column in (*table.T, rest)]


@lru_cache(maxsize=1)
def _hermite() -> tuple[Tensor, Tensor, Tensor]:
    """Quadrature for the standard normal, and the orthonormal polynomials at its nodes."""
    nodes, weights = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(4 * DEGREES))
    basis = [torch.ones_like(nodes), nodes]
    for n in range(1, DEGREES - 1):  # sqrt(n+1) h_{n+1} = x h_n - sqrt(n) h_{n-1}
        basis.append((nodes * basis[n] - math.sqrt(n) * basis[n - 1]) / math.sqrt(n + 1))
    return nodes, weights / weights.sum(), torch.stack(basis)
