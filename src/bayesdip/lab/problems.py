"""Degraded pictures with their truth, as the lab's fits take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdip.operators import Operator


def _same(picture: Tensor) -> Tensor:
    return picture


@dataclass(frozen=True)
class Case:
    """Data of one or several pictures.

    Attributes
    ----------
    y : Tensor, shape (B, C, *out)
        What was measured, B pictures of one kind.
    seen : Tensor of bool, shape of ``y``
        Where a fit may look.
    truth : Tensor, shape (B, C, *grid)
    held_out : Tensor of bool, shape of ``y``
        Measured, but kept from the fit.
    forward : callable
        From pictures to what is measured of them.
    """

    y: Tensor
    seen: Tensor
    truth: Tensor
    held_out: Tensor
    forward: Callable[[Tensor], Tensor] = _same

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(self.truth.shape[2:])

    def hold_out(self, share: float, generator: torch.Generator) -> Case:
        """The same data, a random share of what is seen being kept from the fit."""
        chosen = (torch.rand(self.y.shape, generator=generator) < share) & self.seen
        return replace(self, seen=self.seen & ~chosen, held_out=chosen)


def _posed(y: Tensor, seen: Tensor, truth: Tensor) -> Case:
    return Case(y, seen, truth, torch.zeros_like(seen))


def denoising(truth: Tensor, sigma: float, generator: torch.Generator) -> Case:
    """White Gaussian noise, not clipped."""
    y = truth + sigma * torch.randn(truth.shape, generator=generator)
    return _posed(y, torch.ones_like(y, dtype=torch.bool), truth)


def inpainting(truth: Tensor, missing: float, generator: torch.Generator) -> Case:
    """A random share of the pixels missing, no noise."""
    seen = torch.rand(truth.shape, generator=generator) >= missing
    return _posed(truth * seen, seen, truth)


def usual(name: str, truth: Tensor, generator: torch.Generator) -> Case:
    """``"denoise"``: noise of 25/255; ``"inpaint"``: half of the pixels missing."""
    return denoising(truth, 25 / 255, generator) if name == "denoise" else inpainting(truth, 0.5, generator)


def measured_by(operator: Operator, truth: Tensor) -> Case:
    """What an operator makes of the picture, no noise."""

    def forward(pictures: Tensor) -> Tensor:
        return torch.stack([operator.forward(picture) for picture in pictures])

    y = forward(truth)
    return replace(_posed(y, torch.ones_like(y, dtype=torch.bool), truth), forward=forward)
