"""A layer's covariance rule against Monte-Carlo estimates from its own module: shared by tests, and for layers of users."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bayesdip.arch import BatchNorm, Layer
from bayesdip.arch.covariance import Filter
from bayesdip.arch.exact import Exact
from bayesdip.arch.stationary import Stationary, white

FEATURES = 16
TAPS = [1 / 6**0.5, 2 / 6**0.5, 1 / 6**0.5]  # smooths the input; unit norm keeps its variance
VARIANCE, MEAN_VARIANCE = 1.5, 0.2  # of the input's fluctuation, and of its features' means


def assert_stationary_rule(layer: Layer, dims: int) -> None:
    """The rule for an infinite grid holds at lags up to 5, within 4 standard errors of the estimate."""
    generator = torch.Generator().manual_seed(1)
    K = layer.covariance(_input_covariance(dims))
    size, draws = (256, 300) if dims == 1 else (40, 120)
    estimates = []
    for _ in range(draws):
        x = _draw_input(dims, size, 1, generator)
        module = layer.module(FEATURES, dims, generator).double()
        with torch.no_grad():
            y = module(x)
        assert y.shape[1] == layer.features(FEATURES, dims) == K.features
        estimates.append(_second_moments(y, margin=4))
    table = torch.stack(estimates)
    error = table.std(0) / draws**0.5
    expected = torch.stack([K.quadrant((6,) * dims)[lag] for lag in _lag_vectors(dims)])
    scale = float(K.variance)
    normalises = any(isinstance(leaf, BatchNorm) for leaf in layer.leaves())
    finite_grid = 0.015 * scale if normalises else 0.0  # the mean over a grid is not the mean at infinity
    assert float(error.max()) < 0.02 * scale, "the estimate is too coarse to test anything"
    assert bool(((table.mean(0) - expected).abs() < 4 * error + finite_grid + 1e-9).all())


def assert_exact_rule(layer: Layer, K: Exact, draws: int = 500) -> None:
    """The rule for a finite grid holds at every pair of pixels."""
    out = layer.covariance(K)
    mean, error = sampled_moment(layer, K, draws)
    scale = float(out.variance.mean())
    assert mean.shape == out.matrix.shape
    assert float(error.mean()) < 0.02 * scale, "the estimate is too coarse to test anything"
    deviation = (mean - out.matrix).abs() / (error + 1e-9 * scale)
    assert float(deviation.max()) < 5.5  # of up to 9216 numbers
    assert float(deviation.square().mean()) < 2.5  # few of them are independent


def uneven_covariance(grid: tuple[int, ...], features: int = 48) -> Exact:
    """A covariance that is not stationary, with a variance that differs from pixel to pixel."""
    n = int(np.prod(grid))
    generator = torch.Generator().manual_seed(5)
    factor = torch.eye(n, dtype=torch.float64) + 0.4 * torch.randn(
        n, n, generator=generator, dtype=torch.float64
    )
    return Exact(factor @ factor.T / 2, grid, features)


def sampled_moment(layer: Layer, K: Exact, draws: int) -> tuple[Tensor, Tensor]:
    """Second moment of the module's features over all pairs of pixels, and its standard error."""
    generator = torch.Generator().manual_seed(1)
    factor = torch.linalg.cholesky(K.matrix)
    total = squares = torch.zeros(1, dtype=torch.float64)
    for _ in range(draws):
        x = torch.randn(K.features, len(factor), generator=generator, dtype=torch.float64) @ factor.T
        module = layer.module(K.features, K.dims, generator).double()
        with torch.no_grad():
            y = module(x.reshape(1, K.features, *K.grid))[0].flatten(1)
        moment = y.T @ y / len(y)
        total, squares = total + moment, squares + moment.square()
    mean = total / draws
    return mean, ((squares / draws - mean.square()) / (draws - 1)).clamp_min(0).sqrt()


def _input_covariance(dims: int) -> Stationary:
    smooth = white(dims, FEATURES, variance=VARIANCE).filtered(Filter(tuple(TAPS)))
    return smooth.added(white(dims, FEATURES, 0.0, MEAN_VARIANCE**0.5))


def _draw_input(dims: int, size: int, batch: int, generator: torch.Generator) -> Tensor:
    """Gaussian features of exactly that covariance, periodic in space."""
    shape = (batch, FEATURES, *(size,) * dims)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    for axis in range(2, dims + 2):
        x = sum(tap * x.roll(k, axis) for k, tap in enumerate(TAPS))
    means = torch.randn(batch, FEATURES, *(1,) * dims, generator=generator, dtype=torch.float64)
    return VARIANCE**0.5 * x + MEAN_VARIANCE**0.5 * means


def _lag_vectors(dims: int) -> list[tuple[int, ...]]:
    along = [(k, *(0,) * (dims - 1)) for k in range(6)]
    return along if dims == 1 else [*along, (1, 1), (2, 2), (3, 1)]


def _second_moments(f: Tensor, margin: int) -> Tensor:
    """Mean of f(x) f(x + t) over an even window away from the borders: every phase counts the same."""
    dims, reach = f.ndim - 2, 6
    length = (f.shape[2] - 2 * margin - reach) // 2 * 2
    moments = []
    for lag in _lag_vectors(dims):
        here, there = f, f
        for axis, t in enumerate(lag):
            here = here.narrow(axis + 2, margin, length)
            there = there.narrow(axis + 2, margin + t, length)
        moments.append((here * there).mean())
    return torch.stack(moments)
