"""Plug-and-play ADMM: pictures and signals from data that are no averages of them."""

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.gp.inference import posterior
from bayesdip.noise import Gaussian
from bayesdip.operators import MaskedFourier, Tomography, as_pairs, from_function, from_matrix
from bayesdip.patches.back_projection import STATIONARY
from bayesdip.patches.plug_and_play import plug_and_play
from bayesdip.problem import noise_in_picture


def blocks() -> torch.Tensor:
    picture = torch.zeros(1, 24, 24, dtype=torch.float64)
    picture[0, 4:14, 3:20], picture[0, 8:20, 10:14] = 0.6, 1.0
    return picture


def with_noise(y: torch.Tensor, sigma: float) -> torch.Tensor:
    return y + sigma * torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype)


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).square().mean().sqrt())


def test_a_picture_from_random_sums_is_far_better_than_that_of_the_stationary_process() -> None:
    clean, sigma = blocks(), 0.02
    operator = from_matrix(np.random.default_rng(0).normal(size=(240, 576)) / 240**0.5, (24, 24))
    y = with_noise(operator.forward(clean), sigma)
    process = posterior(y, operator, STATIONARY.kernel(dims=2), Gaussian(sigma)).mean
    found = plug_and_play(y, operator, Gaussian(sigma), turns=12)
    assert found.info["turns"] == 12
    assert error(found.mean, clean) < 0.5 * error(process, clean)


def test_a_signal_from_its_differences_is_as_good_as_their_running_sum() -> None:
    generator = np.random.default_rng(0)
    steps = np.cumsum((generator.random(120) < 0.06) * generator.normal(size=120))
    clean = torch.from_numpy(steps / np.ptp(steps))[None]
    operator = from_function(lambda x: x[..., 1:] - x[..., :-1], (120,))
    y = with_noise(operator.forward(clean), 0.01)
    summed = torch.cat([torch.zeros(1, 1), y.cumsum(-1)], 1)
    found = plug_and_play(y, operator, Gaussian(0.01), turns=8).mean
    lost = [error(x - x.mean(), clean - clean.mean()) for x in (found, summed)]
    assert lost[0] < 1.02 * lost[1]


def test_data_that_leave_nothing_open_are_solved_exactly() -> None:
    clean = torch.rand(1, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    operator = from_function(lambda x: x.cumsum(-1), (60,))
    found = plug_and_play(operator.forward(clean), operator, Gaussian(0.0), turns=8)
    torch.testing.assert_close(found.mean, clean, atol=1e-3, rtol=0)


def test_least_squares_is_no_start_where_its_noise_is_larger_than_the_picture() -> None:
    clean = blocks()
    operator = Tomography((24, 24), np.arange(0, 180, 4))
    sigma = 0.1 * float(operator.forward(clean).max())
    y = with_noise(operator.forward(clean), sigma)
    process = posterior(y, operator, STATIONARY.kernel(dims=2), Gaussian(sigma)).mean
    found = plug_and_play(y, operator, Gaussian(sigma), turns=8)
    assert error(found.mean, clean) < error(process, clean)


@pytest.mark.parametrize("start", [None, blocks()])
def test_stopped_before_the_first_turn_it_gives_its_start(start: torch.Tensor | None) -> None:
    operator = from_function(lambda x: torch.fft.fft2(x, norm="ortho").real[..., ::2, :], (24, 24))
    y = operator.forward(blocks())
    found = plug_and_play(y, operator, Gaussian(0.1), turns=4, start=start, stop=lambda turn, picture: True)
    wanted = posterior(y, operator, STATIONARY.kernel(dims=2), Gaussian(0.1)).mean if start is None else start
    assert found.info["turns"] == 0
    assert torch.equal(found.mean, wanted)


def test_a_flat_picture_stays_flat() -> None:
    operator = from_function(lambda x: x.sum(-1), (24, 24))
    y = torch.full((1, 24), 6.0, dtype=torch.float64)
    found = plug_and_play(y, operator, Gaussian(0.0), turns=2)
    torch.testing.assert_close(
        found.mean, torch.full((1, 24, 24), 0.25, dtype=torch.float64), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize(("precise", "turns"), [(False, 2), (True, 8)])
def test_a_good_start_saves_turns_unless_data_have_little_noise(precise: bool, turns: int) -> None:
    operator = from_matrix(np.random.default_rng(0).normal(size=(240, 576)) / 240**0.5, (24, 24))
    y = with_noise(operator.forward(blocks()), 0.02)
    found = plug_and_play(y, operator, Gaussian(0.02), turns=8, start=blocks(), precise=precise)
    assert found.info["turns"] == turns


def test_noise_counts_as_that_of_a_picture_by_what_its_pixels_add_to_the_data() -> None:
    y = torch.zeros(1, 16, 16, dtype=torch.float64)
    thrice = from_function(lambda x: 3 * x, (16, 16))
    assert noise_in_picture(y, thrice, Gaussian(0.6)) == pytest.approx(0.2, rel=0.1)
    twice_seen = from_function(lambda x: torch.cat([x, x], -1), (16, 16))
    assert noise_in_picture(torch.cat([y, y], -1), twice_seen, Gaussian(0.6)) == pytest.approx(
        0.6 / 2**0.5, rel=0.1
    )
    assert noise_in_picture(y, from_function(lambda x: 0 * x, (16, 16)), Gaussian(0.6)) == float("inf")


@pytest.mark.slow
def test_half_of_the_fourier_columns_show_a_picture_of_flat_parts() -> None:
    side = 32
    kept = np.zeros(side, bool)
    kept[side // 2 - 3 : side // 2 + 3] = True
    kept[np.random.default_rng(3).permutation(side)[:8]] = True
    operator = MaskedFourier(np.broadcast_to(kept, (side, side)))
    clean = as_pairs(torch.nn.functional.pad(blocks()[0], (4, 4, 4, 4)) + 0j)
    y = torch.where(operator.observed, with_noise(operator.forward(clean), 0.01), 0.0)
    found = bd.restore(
        y.numpy(), operator, bd.Gaussian(0.01), channel_axis=0, method="patches", effort="fast"
    )
    assert found.channel_axis == -1
    mean = torch.from_numpy(np.moveaxis(found.mean, -1, 0))
    assert error(mean, clean) < 0.2 * error(operator.adjoint(y), clean)
    assert found.info["weights"][0] < 0.15
