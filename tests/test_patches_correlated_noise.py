"""Patches beside correlated noise: covariances of patches and coarser grids, and the gain of knowing them."""

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.methods import GP, Patches
from bayesdip.methods.choice import choose
from bayesdip.networks.energy import Energy
from bayesdip.noise import Correlated, Gaussian
from bayesdip.operators import Blur, Identity
from bayesdip.patches.correlation import halved, of_components, of_differences, patch_covariances
from bayesdip.problem import Problem

SMOOTH = Correlated.of_kernel(np.outer([1, 2, 1], [1, 2, 1]), sigma=20.0)


def scene(side=96):
    """Edges, a shading and fine stripes, in 0..255."""
    row, column = np.mgrid[:side, :side]
    picture = 60 + 80.0 * (np.hypot(row - side / 2, column - side / 3) < side / 4) + 0.4 * row
    return picture + 30 * ((column > 0.7 * side) & (column % 6 < 3))


def noisy(noise, side=96):
    clean = scene(side)
    drawn = noise.sample(torch.from_numpy(clean)[None], torch.Generator().manual_seed(1))
    return clean, drawn[0].numpy()


def error(picture, clean):
    return float(np.sqrt(np.mean((picture - clean) ** 2)))


def test_the_covariance_of_a_patch_is_the_autocovariance_at_its_lags():
    table = SMOOTH.correlation(1, 2)
    found = patch_covariances(table, 4)
    middle = table.shape[-1] // 2
    for a, b in ((0, 0), (0, 5), (3, 12), (15, 9)):
        down, right = b // 4 - a // 4, b % 4 - a % 4
        inside = max(abs(down), abs(right)) <= middle
        expected = table[0, 0, middle + down, middle + right] if inside else 0.0
        assert found[a, b] == pytest.approx(expected, abs=0.02)
    assert np.linalg.eigvalsh(found.astype(np.float64)).min() > 0


def test_components_of_channels_have_their_own():
    table = np.array([[1.0, 0.8], [0.8, 1.0]])[:, :, None, None]
    basis = np.array([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5
    assert np.allclose(of_components(table, basis).ravel(), [1.8, 0.2])
    assert np.allclose(of_differences(table, -1), 2 * table[..., 0, 0])


def test_white_noise_stays_white_on_a_coarser_grid():
    white = np.zeros((1, 1, 9, 9))
    white[..., 4, 4] = 1.0
    coarse = halved(white)[0, 0]
    middle = coarse.shape[0] // 2
    assert coarse[middle, middle] == pytest.approx(1.0)
    assert np.abs(np.delete(coarse.ravel(), middle * coarse.shape[1] + middle)).max() < 1e-9


def test_smooth_noise_is_stronger_on_a_coarser_grid():
    coarse = halved(SMOOTH.correlation(1, 2))[0, 0]
    assert coarse[coarse.shape[0] // 2, coarse.shape[1] // 2] > 2


def test_known_covariance_beats_any_white_level():
    clean, y = noisy(SMOOTH)
    known = bd.denoise(y, noise=SMOOTH, method="patches", effort="fast")
    white = min(error(bd.denoise(y, sigma=s, method="patches", effort="fast").mean, clean) for s in (20, 40))
    assert error(known.mean, clean) < 0.9 * white


def test_intervals_hold_without_held_out_pixels():
    clean, y = noisy(SMOOTH)
    found = bd.denoise(y, noise=SMOOTH, method="patches", effort="fast")
    low, high = found.interval(0.9)
    assert 0.8 < float(((low <= clean) & (clean <= high)).mean()) <= 0.99
    assert found.calibration is not None and found.calibration.simulated


def test_noise_that_colours_share_is_taken_from_their_sum():
    clean = np.stack([scene(), 255 - scene(), 0.5 * scene() + 40], -1)
    shared = Correlated(20.0**2 * np.array([[1, 0.9, 0.9], [0.9, 1, 0.9], [0.9, 0.9, 1]])[:, :, None, None])
    y = shared.sample(torch.from_numpy(clean).movedim(-1, 0), torch.Generator().manual_seed(1))
    y = y.movedim(0, -1).numpy()
    known = bd.denoise(y, noise=shared, method="patches", effort="fast", channel_axis=-1)
    white = bd.denoise(y, sigma=20, method="patches", effort="fast", channel_axis=-1)
    assert error(known.mean, clean) < 0.8 * error(white.mean, clean)


def test_missing_pixels_are_filled_in():
    clean, y = noisy(SMOOTH)
    missing = np.random.default_rng(0).random(y.shape) < 0.1
    found = bd.denoise(
        np.where(missing, np.nan, y), noise=SMOOTH, method="patches", effort="fast", missing="nan"
    )
    assert error(found.mean[missing], clean[missing]) < 15


def test_what_patches_would_take_for_white_is_refused_and_left_to_the_gaussian_process():
    y = torch.zeros(1, 32, 32, dtype=torch.float64)
    problem = Problem(y, Blur((32, 32), np.ones((3, 3)) / 9), SMOOTH)
    with pytest.raises(bd.BayesDipError, match="use method='gp' or 'sgld'"):
        Patches().check(problem)
    assert isinstance(choose(problem).method, GP)
    assert isinstance(choose(Problem(y, Identity((32, 32)), SMOOTH)).method, Patches)
    Patches().check(Problem(y, Blur((32, 32), np.ones((3, 3)) / 9), Gaussian(1.0)))


def test_a_network_takes_its_likelihood():
    y = SMOOTH.sample(torch.zeros(1, 32, 32, dtype=torch.float64), torch.Generator().manual_seed(1))
    problem = Problem.from_data(y, Identity((32, 32)), SMOOTH)
    arch, generator = bd.arch.Skip(scales=2, width=8), torch.Generator().manual_seed(0)
    energy = Energy.of(problem, arch, generator, "cpu")
    picture = energy.picture()
    own = problem.units.to_own(picture.detach())
    expected = SMOOTH.negative_log_likelihood(own, y, torch.ones(1, 32, 32, dtype=torch.bool))
    found = energy.negative_log_likelihood(picture)
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-4)
    found.backward()
    assert all(bool(w.grad.isfinite().all()) for w in energy.weights)
