"""A new kernel is one class with one method: here it is outside the package, and restores a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

import bayesdip as bd
from bayesdip.gp.inference import posterior
from bayesdip.kernels import Kernel, Matern32


@dataclass(frozen=True)
class Wendland(Kernel):
    """``(1 - s)^4 (4 s + 1)`` for ``s = r / support`` below 1, else 0 (Wendland 1995)."""

    support: float

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
        s = (torch.stack(axes).square().sum(0).sqrt() / self.support).clamp(max=1)
        return (1 - s) ** 4 * (4 * s + 1)


GRID, SIGMA = (14, 11), 0.1


def smooth_picture() -> np.ndarray:
    i, j = np.indices(GRID)
    return 0.5 + 0.3 * np.sin(i / 3) * np.cos(j / 4)


def noisy_picture() -> np.ndarray:
    return smooth_picture() + SIGMA * np.random.default_rng(0).standard_normal(GRID)


def test_posterior_is_that_of_dense_algebra() -> None:
    y = noisy_picture()
    found = posterior(
        y[None],
        bd.Identity(GRID),
        Wendland(9.0),
        bd.Gaussian(SIGMA),
        mean=0.5,
        amplitude=0.02,
        tol=1e-8,
        exact=True,
    )
    i, j = (axis.ravel() for axis in np.indices(GRID))
    s = np.minimum(np.hypot(i[:, None] - i, j[:, None] - j) / 9.0, 1)
    K = 0.02 * (1 - s) ** 4 * (4 * s + 1)
    gain = np.linalg.solve(K + SIGMA**2 * np.eye(len(K)), K).T
    assert found.mean.numpy().ravel() == pytest.approx(0.5 + gain @ (y.ravel() - 0.5), abs=1e-6)
    assert found.std.numpy().ravel() == pytest.approx(np.sqrt((K - gain @ K).diagonal()), rel=1e-5)


def test_method_of_the_gaussian_process_takes_it() -> None:
    found = bd.restore(
        noisy_picture(), bd.Identity(GRID), bd.Gaussian(SIGMA), method=bd.GP(kernel=Wendland(9.0))
    )
    error = float(np.sqrt(np.mean((found.mean - smooth_picture()) ** 2)))
    assert error < 0.5 * SIGMA


def test_combinations_with_the_packages_kernels_are_the_formulas() -> None:
    mine, theirs = Wendland(5.0), Matern32(2.0)
    combined = (0.5 * mine + theirs * mine).quadrant((4, 6))
    assert torch.allclose(combined, mine.quadrant((4, 6)) * (0.5 + theirs.quadrant((4, 6))))
    window = mine.window(lags=3)
    assert window.shape == (7, 7)
    assert float(window[3, 3]) == 1.0
    assert float(window[0, 5]) == float(mine.quadrant((4, 4))[3, 2])
