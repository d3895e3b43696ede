"""The stationary form of a covariance: K depends on the lag ``t = x - x'`` only.

Where a layer makes K depend on the pixel's phase as well (upsampling does), the average
over phases stands for it. Borders are not seen: the grid is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from bayesdip.arch.covariance import Covariance, Filter, Nonlinearity, along, scale_quadrature

Dual = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Stationary(Covariance):
    """Stationary covariance of one feature of a layer, known at every lag.

    Attributes
    ----------
    table : Tensor, float64, one axis per picture axis
        K at the lags ``0, 1, ...`` of each axis. K is even in each axis.
    far : Tensor, float64, shape (period, ..., period)
        K outside the table: ``K(t) = far[t mod period]``. One number for most networks;
        after a pixel shuffle, or a transposed convolution, K never stops alternating.
    features : int
        How many features (channels) the layer has.
    mixture : tuple of Stationary
        After a batch norm whose divisor differs from picture to picture: the Gaussian
        processes whose sum stands for it under functions that are homogeneous of degree 2.
    """

    table: Tensor
    far: Tensor
    features: int
    mixture: tuple[Stationary, ...] = ()

    @property
    def dims(self) -> int:
        return self.table.ndim

    @property
    def variance(self) -> Tensor:
        """K at lag zero, a tensor without axes."""
        return self.table[(0,) * self.dims]

    @property
    def limit(self) -> float:
        """K at infinite lag (its mean over the phases): the variance of a picture's mean."""
        return float(self.far.mean())

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        """K at the first lags of each axis.

        Parameters
        ----------
        shape : sequence of int
            How many lags ``0, 1, ...`` of each axis.

        Returns
        -------
        Tensor, float64, of that shape
        """
        out = self.far
        for axis, size in enumerate(shape):
            out = out.index_select(axis, torch.arange(size) % self.far.shape[axis])
        inside = tuple(slice(0, min(a, b)) for a, b in zip(shape, self.table.shape, strict=True))
        out[inside] = self.table[inside]
        return out

    def scaled(self, gain: float) -> Self:
        return self._affine(gain, 0.0, self.features)

    def convolved(
        self, size: int, stride: int, padding: str, gain: float, bias: float, features: int
    ) -> Self:
        kept = self.resampled([1.0], down=stride) if stride > 1 else self
        return kept._affine(gain, bias, features)

    def transposed(self, taps: int, gain: float, bias: float, features: int) -> Self:
        # Of the taps that fan_in counts, a pixel meets one in 2^dims.
        return self.resampled([2.0], up=2)._affine(gain / 2**self.dims, bias, features)

    def filtered(self, filter: Filter) -> Self:
        return self.resampled(filter.autocorrelation, filter.up, filter.down)

    def shuffled(self, factor: int, features: int) -> Self:
        return self.resampled([float(factor)], up=factor)._affine(1.0, 0.0, features)

    def pointwise(self, activation: Nonlinearity) -> Self:
        if not (self.mixture and activation.homogeneous):
            return self.mapped(activation.dual)
        parts = [part.mapped(activation.dual) for part in self.mixture]
        table = torch.stack([part.table for part in parts]).sum(0)
        return self._with(table, torch.stack([part.far for part in parts]).sum(0))

    def mapped(self, dual: Dual) -> Self:
        """``dual(K(t), K(0), K(0))`` at every lag.

        Parameters
        ----------
        dual : callable
            As :meth:`bayesdip.arch.activations.Activation.dual`.

        Returns
        -------
        Stationary
        """
        v = self.variance
        return self._with(dual(self.table, v, v), dual(self.far, v, v))

    def centred(self) -> Self:
        """The mean over the grid subtracted from every picture.

        Returns
        -------
        Stationary
            ``K - K(inf)``.
        """
        mean = self.far.mean()
        return self._with(self.table - mean, self.far - mean)

    def normalised(self, epsilon: float) -> Self:
        """``(K - K(inf)) / (K(0) - K(inf) + epsilon)``.

        On an infinite grid all pictures have that variance, unless K alternates for ever:
        then the means of the phases are Gaussian variables that differ from picture to
        picture, and K' is the average over them.

        Parameters
        ----------
        epsilon : float
            Added to the variance.

        Returns
        -------
        Stationary
        """
        centred = self.centred()
        phases, constant = centred._scale_of_one_picture(epsilon)
        if float(phases.sum()) < 1e-12 * constant:
            return centred.scaled(1 / float(centred.variance + epsilon))
        local = centred.table - centred._quadrant_of_far(centred.table.shape)
        parts = []
        for t, weight in zip(*scale_quadrature(phases, constant), strict=True):
            far = torch.fft.ifftn(phases / (1 + 2 * t * phases)).real * phases.numel()
            part = Stationary(local, far, self.features)
            parts.append(Stationary(weight * (local + part._quadrant_of_far(local.shape)), weight * far, 1))
        table = torch.stack([part.table for part in parts]).sum(0)
        far = torch.stack([part.far for part in parts]).sum(0)
        return replace(self, table=table, far=far, mixture=tuple(parts))

    def mean_inverse_variance(self, epsilon: float) -> float:
        """``E[1 / (s^2 + epsilon)]`` for the variance s^2 of a picture over its pixels.

        Parameters
        ----------
        epsilon : float

        Returns
        -------
        float
        """
        return float(scale_quadrature(*self.centred()._scale_of_one_picture(epsilon))[1].sum())

    def _scale_of_one_picture(self, epsilon: float) -> tuple[Tensor, float]:
        """Its variance has a part of its phases' means (its eigenvalues), and one that is the same for all."""
        phases = torch.fft.fftn(self.far).real.clamp_min(0.0) / self.far.numel()
        return phases, float(self.variance - self.far[(0,) * self.dims]) + epsilon

    def _quadrant_of_far(self, shape: Sequence[int]) -> Tensor:
        """The alternating part alone, at the lags ``0 .. shape[i] - 1``."""
        return replace(self, table=self.far[(slice(0, 1),) * self.dims]).quadrant(shape)

    def joined(self, other: Self) -> Self:
        return self._blended(other, self.features, other.features, self.features + other.features)

    def added(self, other: Self) -> Self:
        total = self.features + other.features
        return self._blended(other, total, total, self.features)

    def times(self, other: Self) -> Self:
        """Product at every lag.

        Parameters
        ----------
        other : Stationary

        Returns
        -------
        Stationary
        """
        shape, period = self._common(other)
        return self._with(
            self.quadrant(shape) * other.quadrant(shape), _tiled(self.far, period) * _tiled(other.far, period)
        )

    def resampled(self, autocorrelation: Sequence[float], up: int = 1, down: int = 1) -> Self:
        """Put ``up - 1`` zeros between pixels, filter, keep every ``down``-th pixel.

        Per axis, with the filter's autocorrelation ``hh``,

            K'(t) = (1 / up) sum_k hh(down t - up k) K(k),

        the average over the ``up`` phases of the exact covariance.

        Parameters
        ----------
        autocorrelation : sequence of float
            ``hh(0), hh(1), ..., hh(r)``; hh is even and zero beyond r.
        up, down : int

        Returns
        -------
        Stationary
        """
        rows = [_reach(n, len(autocorrelation) - 1, up, down) for n in self.table.shape]
        columns = [(down * (n - 1) + len(autocorrelation) - 1) // up + 1 for n in rows]
        table = self.quadrant(columns)
        far = self.far
        for axis in range(self.dims):
            forward = _resampling(autocorrelation, up, down, rows[axis], columns[axis])
            table = along(table, forward, axis)
            far = along(far, _periodic(autocorrelation, up, down, self.far.shape[axis]), axis)
        return self._with(table, far)

    def _with(self, table: Tensor, far: Tensor) -> Self:
        return replace(self, table=table, far=far, mixture=())

    def _affine(self, gain: float, offset: float, features: int) -> Self:
        table, far = gain * self.table + offset, gain * self.far + offset
        return replace(self, table=table, far=far, features=features, mixture=())

    def _common(self, other: Self) -> tuple[list[int], list[int]]:
        """The table's shape, and the period, that hold both."""
        shape = [max(m, n) for m, n in zip(self.table.shape, other.table.shape, strict=True)]
        return shape, [math.lcm(m, n) for m, n in zip(self.far.shape, other.far.shape, strict=True)]

    def _blended(self, other: Self, parts_a: int, parts_b: int, features: int) -> Self:
        """``(parts_a K_a + parts_b K_b) / (features of both)``."""
        total = self.features + other.features
        shape, period = self._common(other)
        table = (parts_a * self.quadrant(shape) + parts_b * other.quadrant(shape)) / total
        far = (parts_a * _tiled(self.far, period) + parts_b * _tiled(other.far, period)) / total
        return replace(self, table=table, far=far, features=features, mixture=())


def white(dims: int, features: int, variance: float = 1.0, mean: float = 0.0) -> Stationary:
    """Independent pixels with the given variance and mean."""
    shape = (1,) * dims
    far = torch.full(shape, mean * mean, dtype=torch.float64)
    return Stationary(far + variance, far, features)


def _tiled(far: Tensor, period: Sequence[int]) -> Tensor:
    return far.repeat([m // n for m, n in zip(period, far.shape, strict=True)])


def _reach(size: int, reach: int, up: int, down: int) -> int:
    """How many lags of the result differ from its far value: ``down t <= up (size - 1) + reach``."""
    return (up * (size - 1) + reach) // down + 1


def _resampling(hh: Sequence[float], up: int, down: int, rows: int, columns: int) -> Tensor:
    """Matrix (rows, columns) from ``K(0), K(1), ...`` to ``K'(0), K'(1), ...``."""
    matrix = torch.zeros(rows, columns, dtype=torch.float64)
    padded = torch.tensor([*hh, 0.0], dtype=torch.float64)
    t, k = down * torch.arange(rows)[:, None], up * torch.arange(columns)[None, :]
    for sign in (1, -1):  # K(k) = K(-k); the column k = 0 must count once
        lag = (t - sign * k).abs().clamp(max=len(hh))
        matrix += torch.where((k > 0) | (sign > 0), padded[lag], 0.0)
    return matrix / up


def _periodic(hh: Sequence[float], up: int, down: int, period: int) -> Tensor:
    """The same map for a K of the given period: matrix (new period, period)."""
    rows = up * period // math.gcd(up * period, down)
    matrix = torch.zeros(rows, period, dtype=torch.float64)
    for t in range(rows):
        for lag in range(-len(hh) + 1, len(hh)):
            k, rest = divmod(down * t - lag, up)
            if rest == 0:
                matrix[t, k % period] += hh[abs(lag)] / up
    return matrix
