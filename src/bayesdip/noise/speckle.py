"""Multiplicative noise, as in pictures by radar, ultrasound and laser light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bayesdip.arrays import channels_first
from bayesdip.errors import BayesDipError
from bayesdip.noise.estimate import estimate_sigma
from bayesdip.noise.noise import Noise, check_scale, local_sum

# A prediction below this share of its datum is as good as impossible (at one look, e^-17 of the
# likeliest); from there on the likelihood goes straight on, so that values and gradients stay finite.
SHARE_FLOOR = 0.05
# Data are taken for no less than this share of their mean: at 0 the density of the data is no
# function of the prediction that has a maximum.
DATA_FLOOR = 1e-3


@dataclass(frozen=True)
class Speckle(Noise):
    """``y = offset + (prediction - offset) g``, g Gamma of mean 1 and variance ``1 / looks``.

    The intensity of coherent light, averaged over so many independent looks (Goodman, *Some
    fundamental properties of speckle*, JOSA 1976; Aubert and Aujol, *A variational approach to
    removing multiplicative noise*, SIAM J. Appl. Math. 2008).

    Parameters
    ----------
    looks : float
        More than 0; 1 for a single exposure.
    offset : float
        The data's value in the dark.

    Raises
    ------
    BayesDipError
        If `looks` is not positive, or either is not finite.
    """

    looks: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.looks) and self.looks > 0):
            raise BayesDipError(
                f"looks is {self.looks}: expected more than 0; give how many exposures the data average, such as 1"
            )
        if not math.isfinite(self.offset):
            raise BayesDipError(
                f"offset is {self.offset}: expected a finite number; give the data's value in the dark"
            )

    @property
    def is_gaussian_like(self) -> bool:
        return False

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """``looks (log x + y / x)``, of data y and a prediction x above the offset."""
        data = (y - self.offset).clamp(min=0)
        data = torch.maximum(data, DATA_FLOOR * data.mean())
        share = (prediction - self.offset) / data
        above = share.clamp(min=SHARE_FLOOR)
        loss = above.log() + 1 / above
        slope = 1 / SHARE_FLOOR - 1 / SHARE_FLOOR**2
        return self.looks * (loss + slope * (share - above))

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        """The squared mean of the data around each entry over `looks`; by its own datum, dark ones would count most."""
        seen = torch.ones_like(y)
        if observed is not None:
            seen = seen * observed.to(y.device)
        data = torch.where(seen > 0, (y - self.offset).clamp(min=0), 0.0)
        entries = local_sum(seen).clamp(min=1)
        # The square of a mean of n of them is too large by its own variance.
        squared = (local_sum(data) / entries).square() / (1 + 1 / (self.looks * entries))
        return self._spread_of(squared, data, seen)

    def mean_square(self, prediction: Tensor, variance: Tensor) -> Tensor:
        """The squared prediction over `looks`."""
        x = (prediction - self.offset).clamp(min=0)
        return self._spread_of(x.square(), x, torch.ones_like(x))

    def _spread_of(self, squared: Tensor, level: Tensor, seen: Tensor) -> Tensor:
        """Variance of means that are squared already, nowhere zero."""
        floor = DATA_FLOOR * level.sum() / seen.sum().clamp(min=1)
        return squared.clamp(min=max(float(floor) ** 2, torch.finfo(squared.dtype).tiny)) / self.looks

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        shape = torch.full_like(mean, self.looks)
        gamma = torch._standard_gamma(shape, generator=generator) / self.looks
        return self.offset + (mean - self.offset).clamp(min=0) * gamma

    def rescaled(self, shift: float, scale: float) -> Speckle:
        check_scale(scale)
        return Speckle(self.looks, (self.offset - shift) / scale)

    def describe(self) -> str:
        return f"speckle, {self.looks:.4g} look{'s' * (self.looks != 1)}, offset {self.offset:.4g}"


def estimate_looks(image: Any, offset: float = 0.0, *, channel_axis: int | None = None) -> float:
    """The number of looks, from a picture with speckle alone.

    The logarithm makes the noise additive and white; its variance is the trigamma function of
    the looks.

    Parameters
    ----------
    image : array or Tensor
        Of any real or integer type.
    offset : float
        The picture's value in the dark.
    channel_axis : int, optional
        The axis of the channels. None: an array has none, and a tensor has it first.

    Returns
    -------
    float
        Infinite for a picture without noise.

    Raises
    ------
    ShapeError
        If `image` has no axis beside its channels, or not the channel axis named.
    """
    picture = channels_first(image, channel_axis)
    data = torch.where(picture.isfinite(), (picture.double() - offset).clamp(min=0), torch.nan)
    spread = estimate_sigma(data.clamp(min=DATA_FLOOR * float(data.nanmean())).log(), observed=data > 0)
    assert isinstance(spread, float)
    return _inverse_trigamma(spread**2) if spread > 0 else math.inf


def _inverse_trigamma(variance: float) -> float:
    """By bisection over the logarithm: the trigamma function falls from infinity to 0."""
    low, high = -20.0, 40.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        at = float(torch.special.polygamma(1, torch.tensor(math.exp(middle), dtype=torch.float64)))
        low, high = (middle, high) if at > variance else (low, middle)
    return math.exp(0.5 * (low + high))
