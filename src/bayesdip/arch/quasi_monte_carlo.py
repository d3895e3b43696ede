"""Quasi-Monte-Carlo draws of features that are functions of Gaussian ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Sobol points, a power of two as they need: the estimate's error is below that of 200,000 random pictures
# (tests/test_arch_exact.py).
DRAWS = 4096


@dataclass(frozen=True)
class Pushforward:
    """The distribution of a Gaussian picture after some maps.

    Draws are quasi-random and always the same: averages over them are a quadrature.

    Attributes
    ----------
    root : Tensor, float64, shape (M, M)
        Covariance of the Gaussian picture.
    steps : tuple of callable
        The maps in order, each from pictures (draws, pixels) to pictures.
    """

    root: Tensor
    steps: tuple[Callable[[Tensor], Tensor], ...] = ()

    def then(self, step: Callable[[Tensor], Tensor]) -> Pushforward:
        """The distribution after one more map."""
        return Pushforward(self.root, (*self.steps, step))

    def draw(self, count: int = DRAWS) -> Tensor:
        """So many draws, shape (count, pixels)."""
        values, vectors = torch.linalg.eigh(self.root)
        # Sobol points are best in their first axes: those take the largest eigenvalues.
        factor = (vectors * values.clamp_min(0.0).sqrt()).flip(1)
        sobol = torch.quasirandom.SobolEngine(len(values), scramble=True, seed=0)  # type: ignore[no-untyped-call]
        uniform = sobol.draw(count, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
        f: Tensor = torch.special.ndtri(uniform) @ factor.T
        for step in self.steps:
            f = step(f)
        return f

    def ratio_moment(self, second_moment: Tensor, epsilon: float) -> Tensor:
        """``E[f f^T / (s^2 + epsilon)]``, f less its own mean over the pixels, s^2 its variance there.

        ``second_moment`` is ``E[f f^T]``, which is known. Only what makes the average of the
        ratio another than the ratio of the averages is estimated:

            E[f f^T] / E[s^2] + E[f f^T (1 / s^2 - 1 / E[s^2])].
        """
        mean_square = second_moment.diagonal().mean() + epsilon
        f = self.draw()
        f = f - f.mean(1, keepdim=True)
        weight = 1 / (f.square().mean(1) + epsilon) - 1 / mean_square
        return second_moment / mean_square + (f * weight[:, None]).T @ f / len(f)
