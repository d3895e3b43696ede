"""Noise models: how measurements scatter around what the operator predicts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d, avg_pool3d

from bayesdip.errors import BayesDipError, ShapeError

# Below this many expected counts the likelihoods are continued smoothly (see `_rate` and `_log_rate`).
RATE_FLOOR = 0.01


class Noise(ABC):
    """Independent noise on every entry of the data.

    ``y`` has shape (C, *grid); a prediction has that shape too, or more axes before it.
    """

    def negative_log_likelihood(self, prediction: Tensor, y: Tensor, observed: Tensor) -> Tensor:
        """-log p(y | prediction), summed over the observed entries, without terms free of `prediction`.

        Parameters
        ----------
        prediction : Tensor, shape (..., C, *grid)
        y : Tensor, shape (C, *grid)
            Anything, NaN included, where `observed` is False.
        observed : Tensor of bool, broadcastable to (C, *grid)

        Returns
        -------
        Tensor, scalar

        Raises
        ------
        ShapeError
            If the last axes of `prediction` are not those of `y`.
        """
        if prediction.shape[-y.ndim :] != y.shape:
            raise ShapeError(
                f"the prediction has shape {tuple(prediction.shape)} and the data {tuple(y.shape)}: expected the same "
                "last axes; apply the operator to the picture first"
            )
        observed = observed.to(y.device)
        # Where nothing was observed, put a number that no gradient can turn into NaN.
        return torch.where(observed, self._loss(prediction, torch.where(observed, y, 0.0)), 0.0).sum()

    @abstractmethod
    def _loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """-log p of each entry, up to terms free of `prediction`; `y` is finite."""

    @abstractmethod
    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        """The noise variance of each entry, from the data alone; broadcastable to `y`, (C, *grid).

        What stands in `y` where `observed` is False plays no part.
        """

    @abstractmethod
    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Data drawn around `mean`, (C, *grid); the generator lives on the device of `mean`."""

    @abstractmethod
    def rescaled(self, shift: float, scale: float) -> Noise:
        """The same noise as it stands on ``(y - shift) / scale``, scale > 0."""

    @abstractmethod
    def describe(self) -> str:
        """One phrase, for summaries and reports."""


@dataclass(frozen=True)
class Gaussian(Noise):
    """White Gaussian noise of standard deviation `sigma`, in the data's units.

    Parameters
    ----------
    sigma : float, tuple of float, or Tensor
        One number, one for each channel, or one for each entry (broadcastable to (C, *grid)).
        Zero is allowed, and means exact data: then there is a variance but no likelihood.

    Raises
    ------
    BayesDipError
        If `sigma` is negative or not finite.
    """

    sigma: float | tuple[float, ...] | Tensor

    def __post_init__(self) -> None:
        if isinstance(self.sigma, Tensor):
            if not bool((self.sigma.isfinite() & (self.sigma >= 0)).all()):
                raise BayesDipError(
                    "sigma has negative or non-finite entries: expected standard deviations of at least 0; check them"
                )
        elif isinstance(self.sigma, tuple):
            for value in self.sigma:
                _check("sigma", value)
        else:
            _check("sigma", self.sigma)

    def _loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """``(prediction - y)^2 / (2 sigma^2)``."""
        if self._is_zero_somewhere():
            raise BayesDipError(
                "sigma is 0: expected more than 0 for a likelihood; give a small one, such as 1e-3 of the data's range"
            )
        return 0.5 * ((prediction - y) / self._spread(y)).square()

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        return self._spread(y).square()

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return mean + self._spread(mean) * _normal_like(mean, generator)

    def rescaled(self, shift: float, scale: float) -> Gaussian:
        _check_scale(scale)
        if isinstance(self.sigma, tuple):
            return Gaussian(tuple(s / scale for s in self.sigma))
        return Gaussian(self.sigma / scale)

    def describe(self) -> str:
        if isinstance(self.sigma, Tensor):
            return f"Gaussian noise, sigma per pixel, {float(self.sigma.min()):.4g} to {float(self.sigma.max()):.4g}"
        if isinstance(self.sigma, tuple):
            return f"Gaussian noise, sigma {', '.join(f'{s:.4g}' for s in self.sigma)} by channel"
        return f"Gaussian noise, sigma {self.sigma:.4g}"

    def _spread(self, y: Tensor) -> Tensor:
        """Sigma as a tensor that broadcasts to `y`, (C, *grid)."""
        if isinstance(self.sigma, Tensor):
            sigma = self.sigma.to(y)
        elif isinstance(self.sigma, tuple):
            sigma = y.new_tensor(self.sigma).reshape(-1, *[1] * (y.ndim - 1))
        else:
            sigma = y.new_full((), self.sigma)
        if any(n not in (1, m) for n, m in zip(reversed(sigma.shape), reversed(y.shape), strict=False)):
            raise ShapeError(
                f"sigma has shape {tuple(sigma.shape)} and the data {tuple(y.shape)}: expected one number, one for "
                "each channel (the first axis), or one for each entry; give one of these"
            )
        return sigma

    def _is_zero_somewhere(self) -> bool:
        if isinstance(self.sigma, Tensor):
            return bool((self.sigma == 0).any())
        return 0 in self.sigma if isinstance(self.sigma, tuple) else self.sigma == 0


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
        _check_gain(self.gain, self.offset)

    def _loss(self, prediction: Tensor, y: Tensor) -> Tensor:
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

        Taken around it, for an entry's own count would give the low counts too much weight: a fit
        weighted by it is one count too low (Neyman's chi-square).
        """
        return self.gain**2 * _local_rate((y - self.offset) / self.gain, observed)

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        rate = ((mean - self.offset) / self.gain).clamp(min=0)
        return self.offset + self.gain * torch.poisson(rate, generator)

    def rescaled(self, shift: float, scale: float) -> Poisson:
        _check_scale(scale)
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
        _check_gain(self.gain, self.offset)
        _check("sigma", self.sigma)
        if self.sigma == 0:
            raise BayesDipError(
                "sigma is 0: expected more than 0 beside Poisson noise; use Poisson(gain, offset)"
            )

    def _loss(self, prediction: Tensor, y: Tensor) -> Tensor:
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
        return counted + self.sigma * _normal_like(mean, generator)

    def rescaled(self, shift: float, scale: float) -> PoissonGaussian:
        _check_scale(scale)
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
    """The mean count in a window of about nine entries around each entry, (C, *grid).

    As the posterior mean of a Poisson rate under a flat prior, (sum + 1) / entries: it is never 0.
    """
    seen = torch.ones_like(counts)
    if observed is not None:
        seen = seen * observed.to(counts.device)
    total = _window_sum(torch.where(seen > 0, counts, 0.0)).clamp(min=0)
    return (total + 1) / _window_sum(seen).clamp(min=1)


def _window_sum(x: Tensor) -> Tensor:
    """Sum over the window around each entry, zero beyond the border."""
    dims = x.ndim - 1
    width = 9 if dims == 1 else 3
    pool = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}[dims]
    mean: Tensor = pool(x, width, stride=1, padding=width // 2)
    return mean * float(width**dims)


def _normal_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def _check(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise BayesDipError(
            f"{name} is {value}: expected a standard deviation of at least 0; give it in data units"
        )


def _check_gain(gain: float, offset: float) -> None:
    if not (math.isfinite(gain) and gain > 0):
        raise BayesDipError(f"gain is {gain}: expected more than 0; give what one count adds to the data")
    if not math.isfinite(offset):
        raise BayesDipError(
            f"offset is {offset}: expected a finite number; give the data's value at no count"
        )


def _check_scale(scale: float) -> None:
    if not (math.isfinite(scale) and scale > 0):
        raise BayesDipError(f"scale is {scale}: expected more than 0; give the width of the data's range")
