"""Counted photons, with and without read-out noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.noise.noise import (
    LOCAL,
    Noise,
    check_gain,
    check_scale,
    check_spread,
    local_sum,
    normal_like,
)

# Below this many expected counts the likelihoods are continued smoothly (see `_rate` and `_log_rate`).
RATE_FLOOR = 0.01
# Counts behind a plug-in variance. An entry of many counts is among those of its own window, and counts the less for it: a mean
# so weighted is one count of a window too low, of about 30 by 3%, of 1.4 (a count of 0.15 in nine entries) by 33%.
ENOUGH = 30.0


@dataclass(frozen=True)
class Poisson(Noise):
    """Counted photons: ``y = offset + gain n``, n Poisson with mean ``(prediction - offset) / gain``.

    Parameters
    ----------
    gain : float
        What one count adds to the data, more than 0.
    offset : float
        The data's value at no count.

    Raises
    ------
    BayesDipError
        If `gain` is not positive, or either is not finite.
    """

    gain: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        check_gain(self.gain, self.offset)

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """``rate - n log(rate)``, ``log n!`` dropped.

        Exact at rates from `RATE_FLOOR` up. A network's prediction may fall below the offset, where no
        Poisson distribution is: there the rate is replaced by its size and the logarithm by its
        tangent, so that value and gradient stay finite and point back up. With no count, the best
        rate is 0, as it should be. Data below the offset are taken for no count.
        """
        counts = ((y - self.offset) / self.gain).clamp(min=0)
        rate = (prediction - self.offset) / self.gain
        return _rate(rate) - counts * _log_rate(rate)

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        """``gain^2`` times the mean count around each entry.

        Taken around it, over enough entries, for an entry's own count would give the low counts too much weight: a fit
        weighted by it is one count too low (Neyman's chi-square).
        """
        return self.gain**2 * _local_rate((y - self.offset) / self.gain, observed)

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        rate = ((mean - self.offset) / self.gain).clamp(min=0)
        return self.offset + self.gain * torch.poisson(rate, generator)

    def rescaled(self, shift: float, scale: float) -> Poisson:
        check_scale(scale)
        return Poisson(self.gain / scale, (self.offset - shift) / scale)

    def describe(self) -> str:
        return f"Poisson noise, gain {self.gain:.4g}, offset {self.offset:.4g}"


@dataclass(frozen=True)
class PoissonGaussian(Noise):
    """Counted photons, read out with white noise: ``y = offset + gain n + N(0, sigma^2)``.

    The likelihood is a Gaussian of the same mean and variance, ``gain (prediction - offset) +
    sigma^2`` (Foi et al., *Practical Poissonian-Gaussian noise modeling*, IEEE TIP 2008).

    Parameters
    ----------
    gain : float
        What one count adds to the data, more than 0.
    sigma : float
        Standard deviation of the read-out noise in the data's units, more than 0.
    offset : float
        The data's value at no count.

    Raises
    ------
    BayesDipError
        If `gain` or `sigma` is not positive, or one is not finite.
    """

    gain: float
    sigma: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        check_gain(self.gain, self.offset)
        check_spread("sigma", self.sigma)
        if self.sigma == 0:
            raise BayesDipError(
                "sigma is 0: expected more than 0 beside Poisson noise; use Poisson(gain, offset)"
            )

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """``(prediction - y)^2 / (2 v) + log(v) / 2``, v by the prediction.

        The logarithm belongs to it: without it, a bright prediction would excuse any residual. Below
        the offset v stays at ``sigma^2``, joined smoothly, so that the gradient is finite.
        """
        rate = (prediction - self.offset) / self.gain
        variance = self.gain**2 * 0.5 * (_rate(rate) + rate) + self.sigma**2
        return 0.5 * ((prediction - y).square() / variance + variance.log())

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        """``sigma^2`` and ``gain^2`` times the mean count around each entry, see `Poisson.variance`."""
        return self.gain**2 * _local_rate((y - self.offset) / self.gain, observed) + self.sigma**2

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        counted = Poisson(self.gain, self.offset).sample(mean, generator)
        return counted + self.sigma * normal_like(mean, generator)

    def rescaled(self, shift: float, scale: float) -> PoissonGaussian:
        check_scale(scale)
        return PoissonGaussian(self.gain / scale, self.sigma / scale, (self.offset - shift) / scale)

    def describe(self) -> str:
        return (
            f"Poisson-Gaussian noise, gain {self.gain:.4g}, sigma {self.sigma:.4g}, offset {self.offset:.4g}"
        )


def _rate(rate: Tensor) -> Tensor:
    """|rate|, its corner at 0 rounded within `RATE_FLOOR` (Huber): once differentiable, slope at most 1."""
    rounded = 0.5 * (rate.square() / RATE_FLOOR + RATE_FLOOR)
    return torch.where(rate.abs() < RATE_FLOOR, rounded, rate.abs())


def _log_rate(rate: Tensor) -> Tensor:
    """log(rate), continued below `RATE_FLOOR` by its tangent: once differentiable, concave."""
    tangent = math.log(RATE_FLOOR) + rate / RATE_FLOOR - 1.0
    return torch.where(rate < RATE_FLOOR, tangent, rate.clamp(min=RATE_FLOOR).log())


def _local_rate(counts: Tensor, observed: Tensor | None) -> Tensor:
    """The mean count in a window around each entry, (C, *grid), large enough to expect `ENOUGH` counts in it.

    From the mean of all entries on, the window is made smaller wherever the mean so far says that the smaller one has enough:
    chosen by its own counts it would have too many. As the posterior mean of a Poisson rate under a flat prior, (sum + 1) /
    entries, it is never 0.
    """
    dims = counts.ndim - 1
    seen = torch.ones_like(counts, dtype=torch.float64)
    if observed is not None:
        seen = seen * observed.to(counts.device)
    counted = torch.where(seen > 0, counts, 0.0).double()
    total, entries = local_sum(counted).clamp(min=0), local_sum(seen).clamp(min=1)
    smallest = (total + 1) / entries
    if bool((total >= ENOUGH).all()):
        return smallest.to(counts)
    axes = tuple(range(1, counts.ndim))
    rate = (counted.sum(axes, keepdim=True).clamp(min=0) + 1) / seen.sum(axes, keepdim=True).clamp(min=1)
    rate = rate.expand(counts.shape)
    steps = (LOCAL[dims] - 1) * 2 ** torch.arange(max(1, math.ceil(math.log2(max(counts.shape[1:])))))
    for width in reversed((1 + steps).tolist()):
        entries = _sum_around(seen, width).clamp(min=1)
        near = (_sum_around(counted, width).clamp(min=0) + 1) / entries
        rate = torch.where(rate * entries >= ENOUGH, near, rate)
    return rate.to(counts)


def _sum_around(x: Tensor, width: int) -> Tensor:
    """Sum over the window of that odd width around each entry of (C, *grid), by sums from the border on."""
    for axis in range(1, x.ndim):
        length = x.shape[axis]
        sums = torch.cat([torch.zeros_like(x.narrow(axis, 0, 1)), x.cumsum(axis)], axis)
        at = torch.arange(length, device=x.device)
        end, begin = (at + width // 2 + 1).clamp(max=length), (at - width // 2).clamp(min=0)
        x = sums.index_select(axis, end) - sums.index_select(axis, begin)
    return x
