"""Gaussian processes behind operators of the user's own, against dense Gaussian algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import bayesdip as bd
from bayesdip.gp import condition, learn, posterior
from bayesdip.gp.dense import dense_covariance
from bayesdip.gp.grid_covariance import embed
from bayesdip.kernels import Matern32
from bayesdip.operators import Operator

GRID, KERNEL, SIGMA = (9, 8), Matern32(3.0), 0.1
KNOWN = {"mean": 0.0, "amplitude": 1.0, "tol": 1e-10}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(channels: int = 1) -> Tensor:
    return embed(KERNEL, GRID).draw((channels,), seeded())


def with_noise(clean: Tensor) -> Tensor:
    return clean + SIGMA * torch.randn(clean.shape, generator=seeded(1), dtype=clean.dtype)


def matrix_of(operator: Operator, channels: int) -> Tensor:
    """The operator on pictures of so many channels, (values of the data, values of the picture)."""
    size = channels * GRID[0] * GRID[1]
    pictures = torch.eye(size, dtype=torch.float64).reshape(size, channels, *GRID)
    return torch.stack([operator.forward(p).flatten() for p in pictures], 1)


def dense(
    y: Tensor, operator: Operator, channels: int, offset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Posterior mean and standard deviation of independent channels, (channels, *GRID)."""
    A = matrix_of(operator, channels)
    seen = operator.observed.expand(y.shape).flatten()
    A, data = A[seen], y.flatten()[seen]
    K = torch.block_diag(*[dense_covariance(KERNEL, GRID)] * channels)
    m = torch.zeros(len(K), dtype=torch.float64) if offset is None else offset
    gain = torch.linalg.solve(A @ K @ A.T + SIGMA**2 * torch.eye(len(A), dtype=torch.float64), A @ K).T
    shape = (channels, *GRID)
    return (m + gain @ (data - A @ m)).reshape(shape), (K - gain @ A @ K).diagonal().sqrt().reshape(shape)


def random_matrix() -> Operator:
    """To a signal of 40 numbers."""
    return bd.operators.from_matrix(torch.randn(40, 72, generator=seeded(2), dtype=torch.float64), GRID)


def masked_fourier() -> Operator:
    """Half of the frequencies, which are complex."""
    kept = torch.rand(GRID, generator=seeded(3)) < 0.5
    return bd.operators.from_function(lambda x: torch.fft.fft2(x, norm="ortho") * kept, GRID)


def differences() -> Operator:
    """Of pixels next to each other: a constant picture gives zeros."""
    return bd.operators.from_function(lambda x: x[..., 1:] - x[..., :-1], GRID)


def two_of_three() -> Operator:
    """Two mixtures of three channels."""
    weights = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], dtype=torch.float64)
    return bd.operators.ChannelMix(GRID, weights)


@pytest.mark.parametrize(
    ("operator", "channels"),
    [(random_matrix(), 1), (masked_fourier(), 1), (differences(), 1), (two_of_three(), 3)],
    ids=["random matrix", "masked Fourier", "differences", "mixed channels"],
)
def test_posterior_is_that_of_dense_algebra(operator: Operator, channels: int) -> None:
    y = with_noise(operator.forward(drawn(channels)))
    found = posterior(
        y,
        operator,
        KERNEL,
        bd.Gaussian(SIGMA),
        draws=150,
        generator=seeded(),
        **KNOWN,  # type: ignore[arg-type]
    )
    mean, std = dense(y, operator, channels)
    assert found.info["converged"]
    assert found.mean.shape == (channels, *GRID)
    torch.testing.assert_close(found.mean, mean, atol=1e-6, rtol=0)
    assert found.std is not None
    ratio = found.std / std
    assert float((ratio - 1).abs().max()) < 5 * found.info["std_error"]
    assert float(ratio.mean()) == pytest.approx(1, abs=0.12)


def test_every_channel_of_the_data_may_be_one_of_an_unmixed_operator() -> None:
    operator = random_matrix()
    y = with_noise(operator.forward(drawn(2)))
    together = posterior(y, operator, KERNEL, bd.Gaussian(SIGMA), **KNOWN)  # type: ignore[arg-type]
    for channel in range(2):
        alone, _ = dense(y[channel : channel + 1], operator, 1)
        torch.testing.assert_close(together.mean[channel : channel + 1], alone, atol=1e-6, rtol=0)


def test_held_out_entries_of_any_operator_are_not_used() -> None:
    operator = random_matrix()
    y = with_noise(operator.forward(drawn()))
    held_out = torch.rand(40, generator=seeded(4)) < 0.2
    conditioned = condition(y, operator, KERNEL, bd.Gaussian(SIGMA), held_out=held_out, **KNOWN)  # type: ignore[arg-type]
    without = conditioned.without_held_out(0)
    expected, _ = dense(y, operator.with_held_out(held_out), 1)
    torch.testing.assert_close(without.mean, expected, atol=0.01, rtol=0)
    changed = posterior(
        torch.where(held_out, 1e3, y),
        operator.with_held_out(held_out),
        KERNEL,
        bd.Gaussian(SIGMA),
        **KNOWN,  # type: ignore[arg-type]
    )
    torch.testing.assert_close(changed.mean, expected, atol=1e-6, rtol=0)


def test_offset_is_that_of_generalised_least_squares_up_to_the_preconditioner() -> None:
    """Of a random matrix the prior power is the same in all entries: the diagonal preconditioner says so."""
    operator = random_matrix()
    y = with_noise(operator.forward(drawn() + 7.0))
    found = posterior(y, operator, KERNEL, bd.Gaussian(SIGMA), amplitude=1.0, tol=1e-10)
    A = matrix_of(operator, 1)
    C = A @ dense_covariance(KERNEL, GRID) @ A.T + SIGMA**2 * torch.eye(40, dtype=torch.float64)
    ones = A.sum(1)
    weight = torch.linalg.solve(C, ones)
    best, std = float(weight @ y[0] / (weight @ ones)), float((weight @ ones) ** -0.5)
    assert abs(found.info["offset"][0] - best) < 3 * std
    expected, _ = dense(y, operator, 1, torch.full((72,), found.info["offset"][0], dtype=torch.float64))
    torch.testing.assert_close(found.mean, expected, atol=1e-6, rtol=0)


def test_an_offset_that_the_operator_does_not_see_is_zero() -> None:
    operator = differences()
    y = with_noise(operator.forward(drawn() + 7.0))
    found = posterior(y, operator, KERNEL, bd.Gaussian(SIGMA), amplitude=1.0, tol=1e-10)
    assert abs(found.info["offset"][0]) < 1e-6
    expected, _ = dense(y, operator, 1)
    torch.testing.assert_close(found.mean, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("sigma", [0.0, SIGMA])
def test_the_amplitude_is_estimated_from_the_power_of_the_data(sigma: float) -> None:
    operator = random_matrix()
    y = operator.forward(0.2 * drawn())
    y = y + sigma * torch.randn(y.shape, generator=seeded(1), dtype=y.dtype)
    found = posterior(y, operator, KERNEL, bd.Gaussian(sigma), tol=1e-8)
    # 40 correlated data say no more of it.
    assert found.info["amplitude"][0] == pytest.approx(0.2**2, rel=0.5)
    scaled = posterior(255 * y, operator, KERNEL, bd.Gaussian(255 * sigma), tol=1e-8)
    assert scaled.info["amplitude"][0] == pytest.approx(255**2 * found.info["amplitude"][0], rel=1e-3)
    torch.testing.assert_close(scaled.mean, 255 * found.mean, atol=0.05, rtol=1e-3)


def test_restore_takes_complex_data_of_an_operator_of_ones_own() -> None:
    operator, picture = masked_fourier(), drawn()[0]
    kept = operator.forward(torch.ones(1, *GRID, dtype=torch.float64)).shape
    assert kept[0] == 2, "real and imaginary parts are channels of the data"
    y = torch.fft.fft2(picture, norm="ortho").numpy()
    found = bd.restore(y, bd.operators.from_function(torch.fft.fft2, GRID), bd.Gaussian(0.01), method="gp")
    assert found.mean.shape == GRID
    assert np.corrcoef(found.mean.ravel(), picture.numpy().ravel() * np.sqrt(72))[0, 1] > 0.9


def test_kernels_are_learnt_from_nearly_stationary_data_alone() -> None:
    operator = random_matrix()
    with pytest.raises(bd.BayesDipError, match="name a kernel"):
        learn(operator.forward(drawn()), operator, "matern32", bd.Gaussian(SIGMA))


def test_a_non_linear_operator_is_refused_by_name() -> None:
    square = bd.operators.from_function(lambda x: x**2, GRID, linear=False)
    with pytest.raises(bd.BayesDipError, match="sgld"):
        posterior(drawn() ** 2, square, KERNEL, bd.Gaussian(SIGMA))
