"""White Gaussian noise, on data that may have been clipped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.noise.noise import Noise, check_scale, check_spread, normal_like

# A value this close to a clipping level, in standard deviations, stands at it: data change their
# precision and their units on the way.
AT_LEVEL = 1e-3
SQRT_2PI = 2.5066282746310002
UNCLIPPED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Gaussian(Noise):
    """White Gaussian noise of standard deviation `sigma`, in the data's units.

    Parameters
    ----------
    sigma : float, tuple of float, or Tensor or array
        One number, one for each channel, or one for each entry (broadcastable to (C, *grid)).
        Zero is allowed, and means exact data: then there is a variance but no likelihood.
    clipped : (float, float)
        The levels at which the noisy data were cut off below and above, such as ``(0, 255)`` for
        a file of 8 bits; infinite where they were not. A value that stands at a level then says
        no more than that it was there or beyond.

    Raises
    ------
    BayesDipError
        If `sigma` is negative or not finite, or the levels are not in order.
    """

    sigma: float | tuple[float, ...] | Tensor  # arrays too, which become tensors
    clipped: tuple[float, float] = UNCLIPPED

    def __post_init__(self) -> None:
        if isinstance(self.sigma, np.ndarray):
            sigma = as_tensor(self.sigma.astype(np.float64)) if self.sigma.ndim else float(self.sigma)
            object.__setattr__(self, "sigma", sigma)
        elif isinstance(self.sigma, list):
            object.__setattr__(self, "sigma", tuple(self.sigma))
        if not self.clipped[0] < self.clipped[1]:
            raise BayesDipError(
                f"clipped is {self.clipped}: expected a lower and a higher level; give the ends of the data's "
                "range, or an infinite one where nothing was cut off"
            )
        if isinstance(self.sigma, Tensor):
            if not bool((self.sigma.isfinite() & (self.sigma >= 0)).all()):
                raise BayesDipError(
                    "sigma has negative or non-finite entries: expected standard deviations of at least 0; check them"
                )
        elif isinstance(self.sigma, tuple):
            for value in self.sigma:
                check_spread("sigma", value)
        else:
            check_spread("sigma", self.sigma)

    @property
    def is_exact(self) -> bool:
        return not bool(torch.as_tensor(self.sigma).any())

    @property
    def is_clipped(self) -> bool:
        return self.clipped != UNCLIPPED

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """``z^2 / 2`` with ``z = (y - prediction) / sigma``, and ``-log Phi(-+z)`` at a level.

        The latter is the probability to be at the level or beyond (Tobin, Econometrica 1958): a
        prediction beyond it is not drawn back.
        """
        if self._is_zero_somewhere():
            raise BayesDipError(
                "sigma is 0: expected more than 0 for a likelihood; give a small one, such as 1e-3 of the data's range"
            )
        spread = self._spread(y)
        z = (y - prediction) / spread
        loss = 0.5 * z.square()
        at_low, at_high = self._at_levels(y)
        if at_low is not None:
            loss = torch.where(at_low, -torch.special.log_ndtr(z), loss)
        if at_high is not None:
            loss = torch.where(at_high, -torch.special.log_ndtr(-z), loss)
        return loss

    def censored(self, y: Tensor) -> Tensor:
        """Where data stand at a level at which they were clipped.

        Parameters
        ----------
        y : Tensor, shape (C, *grid)

        Returns
        -------
        Tensor of bool, shape of `y`
        """
        found = torch.zeros(y.shape, dtype=torch.bool, device=y.device)
        for at_level in self._at_levels(y):
            if at_level is not None:
                found |= at_level
        return found

    def _at_levels(self, y: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Where `y` stands at the lower and at the higher level; None where there is no such level."""
        near = AT_LEVEL * self._spread(y)
        low, high = self.clipped
        return (
            y <= low + near if math.isfinite(low) else None,
            y >= high - near if math.isfinite(high) else None,
        )

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        """``sigma^2``, of the noise before it was clipped."""
        return self._spread(y).square()

    def mean_square(self, prediction: Tensor, variance: Tensor) -> Tensor:
        if not self.is_clipped:
            return variance
        return variance * clipped_moments(prediction, variance.sqrt(), *self.clipped)[1]

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        drawn = mean + self._spread(mean) * normal_like(mean, generator)
        return drawn.clamp(*self.clipped) if self.is_clipped else drawn

    def rescaled(self, shift: float, scale: float) -> Gaussian:
        check_scale(scale)
        low, high = ((level - shift) / scale for level in self.clipped)
        if isinstance(self.sigma, tuple):
            return Gaussian(tuple(s / scale for s in self.sigma), (low, high))
        return Gaussian(self.sigma / scale, (low, high))

    def describe(self) -> str:
        if isinstance(self.sigma, Tensor):
            phrase = f"sigma per pixel, {float(self.sigma.min()):.4g} to {float(self.sigma.max()):.4g}"
        elif isinstance(self.sigma, tuple):
            phrase = f"sigma {', '.join(f'{s:.4g}' for s in self.sigma)} by channel"
        else:
            phrase = f"sigma {self.sigma:.4g}"
        levels = " and ".join(f"{level:.4g}" for level in self.clipped if math.isfinite(level))
        return f"Gaussian noise, {phrase}{', clipped at ' + levels if levels else ''}"

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


def clipped_moments(mean: Tensor, sigma: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """First and second moment of ``(clip(mean + sigma xi, low, high) - mean) / sigma``, xi standard normal."""
    a = ((low - mean) / sigma).clamp(-30, 30)
    b = ((high - mean) / sigma).clamp(-30, 30)
    below, above = torch.special.ndtr(a), torch.special.ndtr(-b)
    at_a, at_b = torch.exp(-a * a / 2) / SQRT_2PI, torch.exp(-b * b / 2) / SQRT_2PI
    first = a * below + b * above + at_a - at_b
    second = a * a * below + b * b * above + (1 - below - above) + a * at_a - b * at_b
    return first, second
