"""What every noise model has: a likelihood, a variance, draws, and its law in other units."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d, avg_pool3d, pad

from bayesdip.errors import BayesDipError, ShapeError


class Noise(ABC):
    """Independent noise on every entry of the data.

    ``y`` has shape (C, *grid); a prediction has that shape too, or more axes before it.
    """

    @property
    def is_gaussian_like(self) -> bool:
        """Whether its plug-in variance says nearly all of it, so that Gaussian methods do it justice."""
        return True

    @property
    def is_exact(self) -> bool:
        """Whether there is no noise at all."""
        return False

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

    def mean_square(self, prediction: Tensor, variance: Tensor) -> Tensor:
        """``E (y - prediction)^2`` of each entry where the prediction is right: what a fit is compared with.

        `variance` is what `Noise.variance` gave, and the answer where nothing better is known.
        """
        return variance

    @abstractmethod
    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Data drawn around `mean`, (C, *grid); the generator lives on the device of `mean`."""

    @abstractmethod
    def rescaled(self, shift: float, scale: float) -> Noise:
        """The same noise as it stands on ``(y - shift) / scale``, scale > 0."""

    @abstractmethod
    def describe(self) -> str:
        """One phrase, for summaries and reports."""


def window_sum(x: Tensor) -> Tensor:
    """Sum over the window around each entry, zero beyond the border."""
    dims = x.ndim - 1
    width = 9 if dims == 1 else 3
    pool = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}[dims]
    mean: Tensor = pool(x, width, stride=1, padding=width // 2)
    return mean * float(width**dims)


def window_median(x: Tensor, observed: Tensor | None) -> Tensor:
    """Median over the window around each entry, of the observed ones within the borders; 0 where there is none."""
    dims = x.ndim - 1
    width = 9 if dims == 1 else 3
    if observed is not None:
        x = torch.where(observed.to(x.device), x, torch.nan)
    windows = pad(x, (width // 2,) * (2 * dims), value=torch.nan)
    for axis in range(1, x.ndim):
        windows = windows.unfold(axis, width, 1)
    return windows.flatten(x.ndim).nanmedian(-1).values.nan_to_num(0.0)


def normal_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def check_spread(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise BayesDipError(
            f"{name} is {value}: expected a standard deviation of at least 0; give it in data units"
        )


def check_gain(gain: float, offset: float) -> None:
    if not (math.isfinite(gain) and gain > 0):
        raise BayesDipError(f"gain is {gain}: expected more than 0; give what one count adds to the data")
    if not math.isfinite(offset):
        raise BayesDipError(
            f"offset is {offset}: expected a finite number; give the data's value at no count"
        )


def check_scale(scale: float) -> None:
    if not (math.isfinite(scale) and scale > 0):
        raise BayesDipError(f"scale is {scale}: expected more than 0; give the width of the data's range")
