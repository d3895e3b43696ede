"""The evidence of blocks: that of a multivariate normal law, and smooth pictures are told from rough ones by it."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bayesdip.gp.block_evidence import VALUES, Blocks, lags, log_evidence
from bayesdip.gp.likeliest import likeliest_process
from bayesdip.kernels import RBF, Matern12, Matern32
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Identity, Mask


def blur(width, grid):
    y, x = np.mgrid[-6:7, -6:7]
    psf = np.exp(-(x**2 + y**2) / (2 * width**2))
    return Blur(grid, psf / psf.sum())


def noisy(data, sigma, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return data + sigma * torch.randn(data.shape, generator=generator, dtype=torch.float64)


def test_it_is_the_density_of_a_normal_law_with_a_flat_prior_of_the_level():
    grid, noise = (3, 4), 0.3
    K = Matern32(2.0).quadrant(grid).flatten()[lags(grid)]
    values = torch.randn(2, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ones = torch.ones(12, dtype=torch.float64)
    amplitudes = torch.tensor([0.5, 2.0], dtype=torch.float64)
    found = log_evidence(
        *torch.linalg.eigh(K), amplitudes, values, torch.full((2,), noise, dtype=torch.float64), ones
    )
    levels = torch.linspace(-30, 30, 60001, dtype=torch.float64)  # integrated by the rectangle rule
    for amplitude, evidence in zip(amplitudes, found, strict=True):
        law = torch.distributions.MultivariateNormal(
            torch.zeros(12, dtype=torch.float64), amplitude * K + noise * torch.eye(12, dtype=torch.float64)
        )
        exact = sum(
            float(torch.logsumexp(law.log_prob(v - levels[:, None]), 0)) + math.log(1e-3) for v in values
        )
        # Constants that are the same for all kernels are left out.
        assert float(evidence) == pytest.approx(exact + 11 * math.log(2 * math.pi), abs=1e-6)


def test_blocks_cover_pictures_signals_and_volumes_and_are_not_larger_than_wanted():
    for grid in ((500,), (50, 37), (7, 90), (9, 14, 15), (5, 5)):
        data = Blocks.of(
            noisy(torch.zeros(1, *grid, dtype=torch.float64), 1.0), Identity(grid), Gaussian(0.5)
        )
        assert math.prod(data.sides) <= VALUES and math.prod(data.sides) >= min(math.prod(grid), VALUES // 3)
        assert data.count <= 1
        counted = sum(values[0].numel() for _, values, _ in data.groups)
        assert data.count * counted == pytest.approx(math.prod(grid))


def test_a_blurred_picture_without_any_detail_is_smooth_however_little_noise_there_is():
    grid = (46, 51)
    picture = gaussian_filter(np.random.default_rng(3).normal(size=(80, 80)), 5.0)[17:63, 14:65]
    truth = torch.from_numpy((picture / np.ptp(picture))[None])
    operator = blur(0.9, grid)
    y = noisy(operator.forward(truth), 0.005)
    found = likeliest_process(y, operator, Gaussian(0.005))
    got = found.posterior(y, operator, Gaussian(0.005), draws=16)
    assert found.name == "rbf"
    error = float((got.mean - truth).square().mean().sqrt())
    assert 0.7 < error / float(got.std.square().mean().sqrt()) < 1.5


def test_entries_that_were_not_seen_do_not_count():
    grid = (20, 20)
    missing = torch.from_numpy(np.random.default_rng(0).random(grid) < 0.3)
    operator = Mask(missing, grid) @ blur(1.0, grid)
    y = noisy(torch.zeros(1, *grid, dtype=torch.float64), 1.0)
    spoilt = torch.where(missing, 1e6, y)
    for kernel in (Matern12(6.0), RBF(3.0)):
        one, other = (Blocks.of(data, operator, Gaussian(0.5)).evidence(kernel)[0] for data in (y, spoilt))
        assert one == pytest.approx(other)
