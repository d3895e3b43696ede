"""The FFT's covariance against the dense one."""

from __future__ import annotations

import pytest
import torch

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.gp.dense import dense_covariance
from bayesdip.gp.grid_covariance import embed, fast_length
from bayesdip.kernels import RBF, Kernel, Matern32, RationalQuadratic, Tabulated

SHAPES = [(1,), (40,), (1, 1), (1, 30), (12, 17), (4, 3, 5)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "kernel", [RBF(2.0), Matern32(2.0), RationalQuadratic(1.0)], ids=lambda k: type(k).__name__
)
def test_fft_product_equals_the_dense_one(kernel: Kernel, shape: tuple[int, ...]) -> None:
    v = torch.randn(3, *shape, generator=seeded(), dtype=torch.float64)
    grid = embed(kernel, shape)
    dense = (dense_covariance(kernel, shape) @ v.flatten(1).T).T.reshape(v.shape)
    error = float((grid.apply(v) - dense).abs().max() / dense.abs().max())
    # Clipping changes entries of K by at most that share of its variance.
    assert error < 1e-8 + grid.clipped * v[0].numel()


def test_a_kernel_that_dies_away_gets_a_torus_little_larger_than_the_grid() -> None:
    grid = embed(Matern32(2.0), (200, 200))
    assert max(grid.torus) < 1.25 * 200
    assert grid.clipped == 0.0


def test_a_kernel_longer_than_the_grid_gets_a_torus_that_holds_it() -> None:
    grid = embed(RBF(30.0), (20, 20))
    assert grid.clipped == 0.0


def test_clipping_is_reported_and_bounds_the_error() -> None:
    kernel = RationalQuadratic(300.0, 0.3)  # dies away on no torus of reasonable size
    grid = embed(kernel, (20, 20))
    assert 0 < grid.clipped < 0.05
    corner = torch.zeros(20, 20, dtype=torch.float64)
    corner[0, 0] = 1
    assert float((grid.apply(corner) - kernel.quadrant((20, 20))).abs().max()) < 1.01 * grid.clipped


def test_the_constant_part_is_kept_or_dropped_as_asked() -> None:
    kernel = Matern32(1.0) + Tabulated(torch.ones(1, 1), 2.0) * 0.5
    v = torch.randn(9, 9, generator=seeded(), dtype=torch.float64)
    kept, dropped = embed(kernel, (9, 9)).apply(v), embed(kernel, (9, 9), constant=False).apply(v)
    torch.testing.assert_close(kept - dropped, torch.full_like(v, float(v.sum())), atol=1e-7, rtol=1e-6)


def test_draws_have_the_kernels_covariance() -> None:
    kernel = Matern32(3.0)
    draws = embed(kernel, (6, 7)).draw((20000,), seeded()).flatten(1)
    sample = draws.T @ draws / len(draws)
    # Standard error of an entry: sqrt((K_ii K_jj + K_ij^2) / n) <= 0.01.
    assert float((sample - dense_covariance(kernel, (6, 7))).abs().max()) < 5 * 0.01


def test_a_grid_without_pixels_and_a_kernel_without_variance_are_errors() -> None:
    with pytest.raises(ShapeError, match="one pixel"):
        embed(RBF(1.0), (3, 0))
    with pytest.raises(BayesDipError, match="variance"):
        embed(0.0 * RBF(1.0), (3, 3))


def test_a_fast_length_is_that_of_scipy() -> None:
    from scipy.fft import next_fast_len

    assert [fast_length(n) for n in range(1, 3000)] == [next_fast_len(n, real=True) for n in range(1, 3000)]
