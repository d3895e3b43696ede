"""Standard deviations that follow the slopes of the restored picture."""

import numpy as np
import pytest
import torch
from benchmarks.regions import is_textured

import bayesdip as bd
from bayesdip.error_places import LEAST, OF_OWN, OF_SLOPE, following_slopes


def with_a_ramp(slope=4.0, shape=(1, 24, 40)):
    """Flat on the left, steep on the right."""
    columns = torch.arange(shape[-1], dtype=torch.float64)
    return (slope * (columns - 20).clamp_min(0)).expand(shape).clone()


def test_errors_go_with_the_slope_by_the_law_and_their_mean_square_is_kept():
    places = torch.ones(24, 40, dtype=torch.bool)
    places[:, :4] = False
    std = torch.full((1, 24, 40), 0.5, dtype=torch.float64)
    found = following_slopes(with_a_ramp(), std, places)
    assert float(found[:, places].square().mean()) == pytest.approx(0.25)
    assert bool((found[:, ~places] == 0.5).all())
    mean_slope = (
        16 * 19.25 / 36
    )  # half of the slope in the column where it begins, so a quarter of its square
    expected = (16 / mean_slope + LEAST) ** OF_SLOPE / LEAST**OF_SLOPE
    assert float((found[0, 12, 36] / found[0, 12, 8]) ** 2) == pytest.approx(expected, rel=1e-3)


def test_what_was_surer_stays_surer():
    std = torch.ones(1, 24, 40, dtype=torch.float64)
    std[:, :12] = 0.25
    found = following_slopes(with_a_ramp(), std, torch.ones(24, 40, dtype=torch.bool))
    assert float((found[0, 18, 30] / found[0, 4, 30]) ** 2) == pytest.approx(16**OF_OWN)


def test_channels_keep_their_own_size():
    mean, std = with_a_ramp(shape=(2, 24, 40)), torch.ones(2, 24, 40, dtype=torch.float64)
    std[1] = 7.0
    found = following_slopes(mean, std, torch.ones(24, 40, dtype=torch.bool))
    assert torch.allclose(found.square().mean((1, 2)).sqrt(), torch.tensor([1.0, 7.0]).double())


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1), (2, 8, 8)])
def test_a_picture_without_slopes_is_left_alone(shape):
    std = torch.rand(shape, dtype=torch.float64)
    assert torch.equal(
        following_slopes(torch.zeros(shape), std, torch.ones(shape[1:], dtype=torch.bool)), std
    )


@pytest.mark.parametrize("shape", [(1, 50), (1, 1, 50), (1, 8, 9, 10)])
def test_signals_and_volumes_have_slopes(shape):
    mean = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = following_slopes(mean, torch.ones(shape), torch.ones(shape[1:], dtype=torch.bool))
    assert float(found.square().mean()) == pytest.approx(1.0) and float(found.std()) > 0.05


def test_intervals_of_a_blurred_picture_hold_at_edges_and_beside_them():
    y, x = np.mgrid[:64, :64]
    truth = np.where((y - 30) ** 2 + (x - 34) ** 2 < 300, 180.0, 60.0)
    truth[44:54, 6:26] = 220.0
    rows, columns = np.mgrid[-6:7, -6:7]
    psf = np.exp(-(rows**2 + columns**2) / (2 * 1.5**2))
    psf /= psf.sum()
    from scipy.ndimage import convolve

    noise = 4.0 * np.random.default_rng(0).normal(size=truth.shape)
    found = bd.deblur(convolve(truth, psf, mode="reflect") + noise, psf, sigma=4.0, effort="fast")
    low, high = found.interval(0.9)
    held, edges = (low <= truth) & (truth <= high), is_textured(truth)
    assert held[edges].mean() > 0.75
    assert found.std[edges].mean() > 1.5 * found.std[~edges].mean()
