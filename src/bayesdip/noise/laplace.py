"""Noise with outliers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.noise.noise import Noise, check_scale, check_spread, local_median


@dataclass(frozen=True)
class Laplace(Noise):
    """White noise of density ``exp(-|y - prediction| / scale) / (2 scale)``: mostly small, now and then large.

    A residual costs its size rather than its square, so that an outlier pulls no harder than
    any other value: the best constant is the median of the data.

    Parameters
    ----------
    scale : float
        Mean absolute deviation in the data's units, more than 0; the standard deviation is
        ``sqrt(2) scale``.

    Raises
    ------
    BayesDipError
        If `scale` is not positive and finite.
    """

    scale: float

    def __post_init__(self) -> None:
        check_spread("scale", self.scale)
        if self.scale == 0:
            raise BayesDipError(
                "scale is 0: expected more than 0 for a likelihood; give a small one, such as 1e-3 of the data's range"
            )

    @property
    def is_gaussian_like(self) -> bool:
        return False

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """``|prediction - y| / scale``."""
        return (prediction - y).abs() / self.scale

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        """``scale sqrt(r^2 + scale^2)``, r the distance from the median around each entry.

        A Laplace variable is a normal one of random variance v, and ``E[1/v | r] = 1 / (scale |r|)``
        (Andrews and Mallows, JRSS B 1974): a method for Gaussian noise then gives little weight to an
        outlier.
        """
        residual = y - local_median(y, observed)
        return self.scale * (residual.square() + self.scale**2).sqrt()

    def mean_square(self, prediction: Tensor, variance: Tensor) -> Tensor:
        """``2 scale^2``."""
        return prediction.new_full((), 2 * self.scale**2)

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size = torch.empty_like(mean).exponential_(generator=generator)
        sign = torch.empty_like(mean).bernoulli_(0.5, generator=generator) * 2 - 1
        return mean + self.scale * sign * size

    def rescaled(self, shift: float, scale: float) -> Laplace:
        check_scale(scale)
        return Laplace(self.scale / scale)

    def describe(self) -> str:
        return f"Laplace noise, scale {self.scale:.4g}"
