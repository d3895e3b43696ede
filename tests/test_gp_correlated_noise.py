"""The Gaussian process beside correlated noise, against dense algebra."""

import math

import numpy as np
import pytest
import torch

from bayesdip import kernels
from bayesdip.gp import posterior
from bayesdip.noise import Correlated
from bayesdip.operators import Blur, Identity, Mask

KERNEL = kernels.named("matern32")
SHAPE = (11, 12)
TABLE = Correlated.of_kernel(
    np.array([[0.1, 0.3, 0.0], [0.2, 2.0, 0.4], [0.1, 0.3, 0.2]]), sigma=0.8
).autocovariance
ACROSS = np.array([[1.0, 0.6], [0.6, 2.0]])
SHIFTED = np.zeros((2, 2, 3, 3))
SHIFTED[0, 0, 1, 1] = SHIFTED[1, 1, 1, 1] = 1.0
SHIFTED[0, 1, 1, 2] = SHIFTED[1, 0, 1, 0] = 0.5


def dense(noise, channels, colour):
    """Prior covariance and noise covariance of all values, (C n, C n) each."""
    places = torch.cartesian_prod(*(torch.arange(n) for n in SHAPE))
    lags = places[None] - places[:, None]
    prior = KERNEL.quadrant(SHAPE)[tuple(lags.abs().unbind(-1))]
    table = torch.from_numpy(noise.covariances(channels, 2))
    reach = table.shape[-1] // 2
    near = (lags.abs() <= reach).all(-1)
    at = tuple((lags.clamp(-reach, reach) + reach).unbind(-1))
    blocks = [[torch.where(near, table[a, b][at], 0.0) for b in range(channels)] for a in range(channels)]
    return torch.kron(colour, prior), torch.cat([torch.cat(row, 1) for row in blocks])


@pytest.mark.parametrize(
    ("table", "channels", "missing"),
    [
        (TABLE, 1, False),
        (TABLE, 1, True),
        (np.stack([TABLE, 2 * TABLE]), 2, True),
        (ACROSS[:, :, None, None] * TABLE, 2, True),
        (SHIFTED, 2, True),
    ],
)
def test_mean_and_std_are_those_of_dense_cholesky(table, channels, missing):
    noise, generator = Correlated(table), torch.Generator().manual_seed(0)
    colour = torch.tensor([[1.0, 0.5], [0.5, 2.0]], dtype=torch.float64)[:channels, :channels]
    operator = Mask(torch.rand(SHAPE, generator=generator) < 0.3, SHAPE) if missing else Identity(SHAPE)
    y = torch.randn(channels, *SHAPE, generator=generator, dtype=torch.float64).cumsum(1)
    found = posterior(y, operator, KERNEL, noise, mean=0.0, colour=colour, tol=1e-8, exact=True)
    prior, covariance = dense(noise, channels, colour)
    seen = operator.observed.expand(y.shape).flatten()
    factor = torch.linalg.cholesky((prior + covariance)[seen][:, seen])
    mean = prior[:, seen] @ torch.cholesky_solve(y.flatten()[seen][:, None], factor)
    half = torch.linalg.solve_triangular(factor, prior[seen], upper=False)
    std = (prior.diagonal() - half.square().sum(0)).sqrt()
    assert torch.allclose(found.mean.flatten(), mean[:, 0], atol=1e-6)
    assert torch.allclose(found.std.flatten(), std, atol=1e-6)


def test_draws_tell_the_same_std():
    noise, generator = Correlated(TABLE), torch.Generator().manual_seed(0)
    y = noise.sample(torch.zeros(1, 20, 20, dtype=torch.float64), generator)
    options = {"amplitude": 1.0, "mean": 0.0}
    drawn = posterior(y, Identity((20, 20)), KERNEL, noise, draws=300, generator=generator, **options)
    exact = posterior(y, Identity((20, 20)), KERNEL, noise, exact=True, **options)
    assert float((drawn.std / exact.std).mean()) == pytest.approx(1.0, abs=0.02)


def test_a_blurred_picture_takes_it_too():
    noise, generator = Correlated(TABLE), torch.Generator().manual_seed(0)
    blur = Blur(SHAPE, np.ones((3, 3)) / 9)
    x = torch.randn(1, *SHAPE, generator=generator, dtype=torch.float64).cumsum(1).cumsum(2)
    y = noise.sample(blur.forward(x), generator)
    found = posterior(y, blur, KERNEL, noise, tol=1e-6, max_iterations=300)
    assert found.info["converged"]
    assert float((found.mean - x).square().mean()) < float((y - x).square().mean())


def test_the_amplitude_is_not_misled_by_noise_of_low_frequencies():
    smooth = Correlated.of_kernel(np.ones((5, 5)), sigma=1.0)
    generator, shape = torch.Generator().manual_seed(2), (48, 48)
    y = smooth.sample(torch.zeros(1, *shape, dtype=torch.float64), generator)
    beside = posterior(y, Identity(shape), KERNEL, smooth).info["amplitude"][0]
    as_white = posterior(y, Identity(shape), KERNEL, Correlated(np.ones((1, 1)))).info["amplitude"][0]
    assert beside < 0.5 * as_white
    assert math.isfinite(beside)
