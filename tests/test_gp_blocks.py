"""Blocks against the global solve."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.gp import posterior
from bayesdip.gp.grid_covariance import embed
from bayesdip.gp.tiled import posterior_in_blocks
from bayesdip.kernels import Matern32
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Mask


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masked_picture(*shape: int, channels: int = 1) -> tuple[Tensor, Mask]:
    y = 0.5 + 0.2 * embed(Matern32(2.0), shape).draw((channels,), seeded())
    return y, Mask(torch.rand(shape, generator=seeded(1)) < 0.5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_blocks_give_the_global_mean_up_to_the_error_they_state(channels: int, sigma: float) -> None:
    y, operator = masked_picture(90, 100, channels=channels)
    blocks = posterior_in_blocks(y, operator, Matern32(2.0), Gaussian(sigma), block=48, tol=1e-6)
    found = blocks.posterior
    whole = posterior(
        y, operator, Matern32(2.0), Gaussian(sigma), mean=found.offset, colour=found.colour, tol=1e-6
    )
    error = found.mean - whole.mean
    assert blocks.blocks == 6
    assert float(error.abs().max()) < 3e-3 * float(whole.amplitude.max().sqrt())
    # What is stated is measured at the seams: at least what it is on average, and of the right size.
    assert 0.5 * float(error.square().mean().sqrt()) <= blocks.error
    assert blocks.error <= blocks.largest_error < 20 * float(error.abs().max()) + 1e-6


def test_a_larger_margin_makes_a_smaller_error() -> None:
    y, operator = masked_picture(80, 80)
    errors = [
        posterior_in_blocks(y, operator, Matern32(4.0), Gaussian(0.1), block=40, margin=m, tol=1e-6).error
        for m in (2, 6, 18)
    ]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_one_block_is_the_global_solve() -> None:
    y, operator = masked_picture(1, 60)
    blocks = posterior_in_blocks(y, operator, Matern32(2.0), Gaussian(0.05), draws=8, generator=seeded())
    assert blocks.blocks == 1 and blocks.error == 0.0
    assert blocks.posterior.std is not None and blocks.posterior.std.shape == y.shape


def test_standard_deviations_do_not_jump_at_seams() -> None:
    y, operator = masked_picture(64, 64)
    kernel, noise = Matern32(2.0), Gaussian(0.05)
    blocks = posterior_in_blocks(y, operator, kernel, noise, block=32, draws=200, generator=seeded())
    whole = posterior(y, operator, kernel, noise, colour=blocks.posterior.colour, exact=True)
    assert blocks.posterior.std is not None and whole.std is not None
    ratio = blocks.posterior.std / whole.std
    assert float((ratio - 1).abs().max()) < 6 * blocks.posterior.std_error


def test_operators_that_mix_pixels_are_refused() -> None:
    y, _ = masked_picture(20, 20)
    with pytest.raises(BayesDipError, match="mixes pixels"):
        posterior_in_blocks(y, Blur((20, 20), torch.ones(3, 3)), Matern32(2.0), Gaussian(0.1))
    with pytest.raises(BayesDipError, match="block"):
        posterior_in_blocks(
            y, Mask(torch.zeros(20, 20, dtype=torch.bool)), Matern32(2.0), Gaussian(0.1), block=0
        )
