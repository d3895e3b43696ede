"""Pictures of which a part is known, and sums of what patches say of their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KnownPixels:
    """A picture with missing pixels, or its table of patches.

    Attributes
    ----------
    values : Tensor, shape (C, H, W)
        Anything finite where a pixel is missing.
    missing : Tensor of bool, shape (C, H, W)
    noise : Tensor, shape (C, H, W)
        Its variance.
    """

    values: Tensor
    missing: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Sums:
    """Aggregation: sums over the patches that hold a pixel, of weights, weighted means and second moments, (C, H, W) each."""

    weights: Tensor
    means: Tensor
    squares: Tensor

    @classmethod
    def like(cls, table: Tensor) -> Sums:
        """Zeros."""
        return cls(*(torch.zeros(table.shape, dtype=table.dtype, device=table.device) for _ in range(3)))

    def add(self, at: Tensor, weights: Tensor, means: Tensor, variances: Tensor) -> None:
        """Add what was found of the values at these places, counted through the whole picture; all of one length."""
        squares = means.square() + variances
        for total, term in zip(
            (self.weights, self.means, self.squares),
            (weights, weights * means, weights * squares),
            strict=True,
        ):
            total.view(-1).index_add_(0, at, term)

    @property
    def mean(self) -> Tensor:
        """The weighted mean."""
        return self.means / self.weights

    @property
    def std(self) -> Tensor:
        """The standard deviation of the mixture: within the patches' posteriors and between their means."""
        return (self.squares / self.weights - self.mean.square()).clamp_min(0.0).sqrt()
