"""Gradient flow of a linear model, by Krylov space and by Fourier, against dense exponentials and descent."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.gp.gradient_flow import flow, stop
from bayesdip.kernels import RBF, Kernel, Matern32

TIMES = (0.0, 0.3, 4.0, 50.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense(kernel: Kernel, grid: tuple[int, ...]) -> Tensor:
    table = kernel.quadrant(grid)
    pixels = torch.cartesian_prod(*[torch.arange(n) for n in grid]).reshape(-1, len(grid))
    lag = (pixels[:, None] - pixels[None]).abs()
    return table[tuple(lag.movedim(-1, 0))]


@pytest.mark.parametrize("grid", [(30,), (6, 7)])
def test_flow_with_missing_pixels_equals_the_dense_exponential(grid: tuple[int, ...]) -> None:
    kernel = Matern32(2.0)
    y = torch.randn(2, *grid, generator=seeded(), dtype=torch.float64)
    seen = torch.rand(2, *grid, generator=seeded(1)) < 0.6
    result = flow(
        torch.where(seen, y, torch.nan_to_num(y) + 99), kernel, TIMES, seen, start=torch.zeros(2), tol=1e-9
    )
    K = dense(kernel, grid)
    for c in range(2):
        o = seen[c].flatten()
        for t, mean in zip(TIMES, result.means[:, c], strict=True):
            reached = y[c].flatten()[o] - torch.linalg.matrix_exp(-t * K[o][:, o]) @ y[c].flatten()[o]
            expected = K[:, o] @ torch.linalg.solve(K[o][:, o], reached)
            assert mean.flatten().numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_flow_on_a_torus_equals_the_dense_exponential() -> None:
    n, kernel = 12, RBF(1.0)
    y = torch.randn(1, n, generator=seeded(), dtype=torch.float64)
    lag = torch.arange(n)
    lag = torch.minimum(lag, n - lag)
    K = kernel.quadrant((7,))[lag][(torch.arange(n)[:, None] - torch.arange(n)) % n]
    result = flow(y, kernel, TIMES, periodic=True)
    assert result.steps == 0
    for t, mean in zip(TIMES, result.means[:, 0], strict=True):
        expected = y[0] - torch.linalg.matrix_exp(-t * K) @ (y[0] - y.mean())
        assert mean.numpy() == pytest.approx(expected.numpy(), abs=1e-9)


def test_flow_is_gradient_descent_on_the_weights_of_a_linear_model() -> None:
    kernel = Matern32(1.5)
    K = dense(kernel, (20,))
    features = torch.linalg.cholesky(K)  # f = features w has the tangent kernel K
    y = torch.randn(1, 20, generator=seeded(), dtype=torch.float64)
    seen = torch.rand(20, generator=seeded(2)) < 0.5
    w, rate = torch.zeros(20, dtype=torch.float64), 1e-3
    for _ in range(2000):
        w = w - rate * features.T @ (seen * (features @ w - y[0]))
    result = flow(y, kernel, (2.0,), seen, start=torch.zeros(1), tol=1e-8)
    assert result.means[0, 0].numpy() == pytest.approx((features @ w).numpy(), abs=2e-3)


def test_flow_follows_a_trained_wide_network() -> None:
    """Plain gradient descent on a real network, less where it started, is the flow of its tangent kernel."""
    layers = arch.Sequential((arch.Conv(512, 3), arch.LeakyReLU(0.2), arch.Conv(1, 1)))
    z = torch.randn(1, 64, 12, generator=seeded(), dtype=torch.float64)
    y = torch.sin(torch.arange(12) / 2.0).double()
    K = arch.exact.of_picture(z[0])
    theta = layers.covariance(arch.tangent.at_input(K, "standard")).theta.matrix
    rate, count = 0.02 / float(theta.diagonal().mean()), 150
    expected = y - torch.linalg.matrix_exp(-rate * count * theta) @ y
    ends = []
    for seed in range(6):
        module = layers.module(64, 1, seeded(seed)).double()
        with torch.no_grad():
            begin = module(z)[0, 0].clone()
        optimiser = torch.optim.SGD(module.parameters(), lr=rate)
        for _ in range(count):  # its start is subtracted: then it is at zero, as the mean network is
            optimiser.zero_grad()
            (0.5 * (module(z)[0, 0] - begin - y).square().sum()).backward()
            optimiser.step()
        with torch.no_grad():
            ends.append(module(z)[0, 0] - begin)
    assert torch.stack(ends).mean(0).numpy() == pytest.approx(expected.numpy(), abs=0.05)
    assert 0.2 < float((expected / y)[1:4].mean()) < 0.999, "neither the start nor the end"


def test_single_precision_and_constant_pictures_stay_finite() -> None:
    y = torch.randn(1, 16, 16, generator=seeded())
    result = flow(y, Matern32(2.0), (1e4,), torch.rand(16, 16, generator=seeded()) < 0.5, steps=500)
    assert result.means.dtype == torch.float32
    assert bool(result.means.isfinite().all())
    assert torch.allclose(flow(torch.ones(3, 8), RBF(1.0), (1.0,)).means, torch.ones(1, 3, 8))


def test_error_tells_when_steps_are_too_few() -> None:
    y = torch.randn(1, 200, generator=seeded(), dtype=torch.float64)
    short, long = (flow(y, Matern32(4.0), (300.0,), steps=n, tol=1e-6) for n in (10, 200))
    actual = float((short.means - long.means).norm() / y.norm())
    assert long.error < 1e-6
    assert short.error > 0.3 * actual > 1e-3


def test_stop_finds_a_time_between_nothing_and_the_noise() -> None:
    generator = seeded(3)
    grid = torch.arange(48).double()
    clean = (torch.sin(grid / 7)[:, None] * torch.cos(grid / 5))[None]
    y = clean + 0.4 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    result = stop(y, RBF(3.0), share=0.2, generator=generator)
    assert result.times[0] < result.time < result.times[-1]
    assert result.losses.shape == (len(result.times),)
    late = flow(y, RBF(3.0), (result.times[-1],)).means[0]
    error = (result.mean - clean).square().mean()
    assert float(error) < 0.2 * 0.16
    assert float(error) < float((late - clean).square().mean())


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"times": ()}, BayesDipError),
        ({"times": (-1.0,)}, BayesDipError),
        ({"observed": torch.zeros(8, dtype=torch.bool)}, BayesDipError),
        ({"observed": torch.ones(7, dtype=torch.bool)}, ShapeError),
        ({"observed": torch.arange(8) > 2, "periodic": True}, BayesDipError),
    ],
)
def test_flows_that_make_no_sense_are_refused(settings: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        flow(torch.zeros(1, 8), RBF(1.0), **{"times": (1.0,), **settings})  # type: ignore[arg-type]
    with pytest.raises(BayesDipError, match="held out"):
        stop(torch.zeros(1, 8), RBF(1.0), share=0.0)
