"""A fixed gain, for outputs that are not in 0..1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bayesdip.arch.layers import C, Layer


@dataclass(frozen=True)
class Gain(Layer):
    """The features times a fixed number: ``K'(t) = factor^2 K(t)``."""

    factor: float

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return Multiplication(self.factor)

    def covariance(self, K: C) -> C:
        return K.scaled(self.factor**2)


class Multiplication(nn.Module):
    """The module of :class:`Gain`."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x
