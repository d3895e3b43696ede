"""What the rules of the layers act on: the covariance of a very wide layer's features.

At infinite width the features of a layer are independent copies of one Gaussian process,
so the second moment ``K(x, x') = E[f(x) f(x')]`` says everything about them. (Second
moment, not central: a layer whose features have a mean carries it as a constant in K.)

:class:`Covariance` is the *stationary* form: K depends on the lag ``t = x - x'`` only, and
where a layer makes it depend on the pixel's phase as well (upsampling does), the average
over phases stands for it. The layers touch it through the methods below and nothing else.
An *exact* form (every pair of pixels of a small grid, with borders and phases) is another
class with these same methods, and then every layer's rule holds for it unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Dual = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``(cov(u, v), var(u), var(v)) -> E[phi(u) phi(v)]``, elementwise: an activation's rule."""


@dataclass(frozen=True)
class Covariance:
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
    """

    table: Tensor
    far: Tensor
    features: int

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
        """K at the lags ``0 .. shape[i] - 1`` of each axis."""
        out = self.far
        for axis, size in enumerate(shape):
            out = out.index_select(axis, torch.arange(size) % self.far.shape[axis])
        inside = tuple(slice(0, min(a, b)) for a, b in zip(shape, self.table.shape, strict=True))
        out[inside] = self.table[inside]
        return out

    def scaled(self, gain: float, offset: float, features: int) -> Covariance:
        """``gain * K + offset``: what a convolution with independent weights makes of K."""
        return Covariance(gain * self.table + offset, gain * self.far + offset, features)

    def pointwise(self, dual: Dual) -> Covariance:
        """The same nonlinearity applied at every pixel."""
        v = self.variance
        return replace(self, table=dual(self.table, v, v), far=dual(self.far, v, v))

    def normalised(self, epsilon: float) -> Covariance:
        """``(K - K(inf)) / (K(0) - K(inf) + epsilon)``: each picture's mean and scale removed."""
        mean = self.far.mean()
        scale = 1 / (self.variance - mean + epsilon)
        return replace(self, table=(self.table - mean) * scale, far=(self.far - mean) * scale)

    def resampled(self, autocorrelation: Sequence[float], up: int = 1, down: int = 1) -> Covariance:
        """Put ``up - 1`` zeros between pixels, filter, keep every ``down``-th pixel.

        Per axis, with the filter's autocorrelation ``hh``,

            K'(t) = (1 / up) sum_k hh(down t - up k) K(k),

        the average over the ``up`` phases of the exact covariance.

        Parameters
        ----------
        autocorrelation : sequence of float
            ``hh(0), hh(1), ..., hh(r)``; hh is even and zero beyond r.
        """
        rows = [_reach(n, len(autocorrelation) - 1, up, down) for n in self.table.shape]
        columns = [(down * (n - 1) + len(autocorrelation) - 1) // up + 1 for n in rows]
        table = self.quadrant(columns)
        far = self.far
        for axis in range(self.dims):
            forward = _resampling(autocorrelation, up, down, rows[axis], columns[axis])
            table = _along(table, forward, axis)
            far = _along(far, _periodic(autocorrelation, up, down, self.far.shape[axis]), axis)
        return replace(self, table=table, far=far)

    def joined(self, other: Covariance) -> Covariance:
        """Features of both, side by side: the average of the two K, weighted by their counts."""
        return _blend(self, other, self.features, other.features, self.features + other.features)

    def added(self, other: Covariance) -> Covariance:
        """Sum of two processes that are uncorrelated."""
        total = self.features + other.features
        return _blend(self, other, total, total, self.features)


def white(dims: int, features: int, variance: float = 1.0, mean: float = 0.0) -> Covariance:
    """Independent pixels with the given variance and mean."""
    shape = (1,) * dims
    far = torch.full(shape, mean * mean, dtype=torch.float64)
    return Covariance(far + variance, far, features)


def autocorrelation(taps: Sequence[float]) -> list[float]:
    """``hh(t) = sum_k h(k) h(k + t)`` for ``t = 0 .. len(taps) - 1``."""
    return [sum(a * b for a, b in zip(taps, taps[lag:], strict=False)) for lag in range(len(taps))]


def _blend(a: Covariance, b: Covariance, parts_a: int, parts_b: int, features: int) -> Covariance:
    """``(parts_a K_a + parts_b K_b) / (features of both)``."""
    total = a.features + b.features
    shape = [max(m, n) for m, n in zip(a.table.shape, b.table.shape, strict=True)]
    period = [math.lcm(m, n) for m, n in zip(a.far.shape, b.far.shape, strict=True)]
    table = (parts_a * a.quadrant(shape) + parts_b * b.quadrant(shape)) / total
    far = (parts_a * _tiled(a.far, period) + parts_b * _tiled(b.far, period)) / total
    return Covariance(table, far, features)


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


def _along(table: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """Apply ``matrix`` along one axis of ``table``."""
    out: Tensor = torch.tensordot(table, matrix, dims=([axis], [1])).movedim(-1, axis)
    return out
