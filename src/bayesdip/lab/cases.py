"""Degraded pictures with their truth, as the lab's fits take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdip.operators import Operator


def _identity(picture: Tensor) -> Tensor:
    return picture


@dataclass(frozen=True)
class Case:
    """Data of one or several pictures.

    Attributes
    ----------
    y : Tensor, shape (B, C, *out)
        What was measured, B pictures of one kind.
    observed : Tensor of bool, shape of ``y``
        The values that a fit uses.
    truth : Tensor, shape (B, C, *grid)
    held_out : Tensor of bool, shape of ``y``
        Measured, but not used by a fit.
    forward : callable
        From pictures to what is measured of them.
    """

    y: Tensor
    observed: Tensor
    truth: Tensor
    held_out: Tensor
    forward: Callable[[Tensor], Tensor] = _identity

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(self.truth.shape[2:])

    @property
    def measured(self) -> Tensor:
        """Where there is a value, used by a fit or held out from it."""
        return self.observed | self.held_out

    def hold_out(self, share: float, generator: torch.Generator) -> Case:
        """The same data, with a random share of the observed values held out from the fit."""
        chosen = (torch.rand(self.y.shape, generator=generator) < share) & self.observed
        return replace(self, observed=self.observed & ~chosen, held_out=chosen)

    def filled(self, picture: Tensor) -> Tensor:
        """The picture with the measured pixels put back."""
        return picture.where(~self.measured, self.y)


def of_pixels(y: Tensor, observed: Tensor, truth: Tensor) -> Case:
    """Pixels of the picture itself, none of them held out."""
    return Case(y, observed, truth, torch.zeros_like(observed))


def denoising(truth: Tensor, sigma: float, generator: torch.Generator) -> Case:
    """White Gaussian noise, not clipped."""
    y = truth + sigma * torch.randn(truth.shape, generator=generator)
    return of_pixels(y, torch.ones_like(y, dtype=torch.bool), truth)


def inpainting(truth: Tensor, missing: float, generator: torch.Generator) -> Case:
    """A random share of the pixels missing, no noise."""
    observed = torch.rand(truth.shape, generator=generator) >= missing
    return of_pixels(truth * observed, observed, truth)


def measured_by(operator: Operator, truth: Tensor) -> Case:
    """What an operator makes of the picture, no noise."""

    def forward(pictures: Tensor) -> Tensor:
        return torch.stack([operator.forward(picture) for picture in pictures])

    y = forward(truth)
    observed = operator.observed.expand(y.shape)
    return Case(y, observed, truth, torch.zeros_like(observed), forward)
