"""How features that are not Gaussian came from Gaussian ones, so that they can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DRAWS = 4096


@dataclass(frozen=True)
class History:
    """A Gaussian picture of covariance ``root`` (M, M), and what was done to it since.

    Each step maps pictures (draws, pixels) to pictures. Draws are quasi-random and always the
    same: what is computed from them is a quadrature, and repeatable.
    """

    root: Tensor
    steps: tuple[Callable[[Tensor], Tensor], ...] = ()

    def then(self, step: Callable[[Tensor], Tensor]) -> History:
        return History(self.root, (*self.steps, step))

    def draw(self, count: int = DRAWS) -> Tensor:
        """Features, shape (count, pixels)."""
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
