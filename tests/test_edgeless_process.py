"""A picture without edges under white noise is the likeliest process's, and one with edges is not."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import bayesdip as bd
from bayesdip.edgeless_process import EdgelessProcess, edgeless_process
from bayesdip.noise import Gaussian, Poisson
from bayesdip.operators import Identity
from bayesdip.problem import Problem


def smooth(side=64, seed=0, width=4.0):
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), width)
    return (field - field.min()) / np.ptp(field)


def boxes(side=64):
    picture = np.zeros((side, side))
    (
        picture[side // 8 : side // 2, side // 6 : 2 * side // 3],
        picture[side // 3 : 3 * side // 4, side // 2 :],
    ) = 0.6, 1.0
    return picture


def noisy(truth, sigma, seed=1):
    return truth + sigma * np.random.default_rng(seed).normal(size=truth.shape)


def problem(truth, noise, sigma=0.05):
    y = torch.from_numpy(noisy(truth, sigma))[None]
    return Problem(y, Identity(tuple(y.shape[1:])), noise)


def test_it_is_there_for_pictures_without_edges_in_white_noise_alone():
    assert edgeless_process(problem(smooth(), Gaussian(0.05))).edgeless > 0.95
    assert edgeless_process(problem(boxes(), Gaussian(0.05))) is None
    assert edgeless_process(problem(smooth(), Poisson(0.05**2))) is None
    assert edgeless_process(problem(np.zeros((64, 64)), Gaussian(0.05), sigma=0.0)) is None
    levels = torch.linspace(0.04, 0.06, 64, dtype=torch.float64).expand(1, 64, 64)
    assert edgeless_process(problem(smooth(), Gaussian(levels))) is None


def test_leaving_one_out_is_what_the_others_say():
    """Against the posterior of all pixels but one, at the border and within: what differs is small beside the errors."""
    whole = problem(smooth(20), Gaussian(0.05))
    process = edgeless_process(problem(smooth(), Gaussian(0.05)))
    moved = []
    for at in ((0, 3), (10, 9), (19, 19), (7, 12)):
        held_out = torch.zeros(20, 20, dtype=torch.bool)
        held_out[at] = True
        training = Problem(whole.y, whole.operator, whole.noise, held_out=held_out).training
        likeliest = EdgelessProcess(training, process)
        found = float(likeliest.estimate(training)[(0, *at)])
        exact = float(process.posterior(training.y, training.operator, training.noise).mean[(0, *at)])
        std = float(likeliest.std(whole)[(0, *at)])
        assert abs(found - exact) < 0.2 * std  # the mean, which is not known, has a part in it
        moved.append(abs(found - float(likeliest.estimate(whole)[(0, *at)])) / std)
    assert max(moved) > 0.3


def test_its_standard_deviation_is_that_of_its_errors():
    ratios = []
    for seed in range(4):
        truth = smooth(seed=seed)
        whole = problem(truth, Gaussian(0.05))
        process = EdgelessProcess(whole, edgeless_process(whole))
        error = process.estimate(whole)[0].numpy() - truth
        ratios.append(float(process.std(whole).square().mean().sqrt()) / np.sqrt(np.mean(error**2)))
    assert 0.8 < np.exp(np.mean(np.log(ratios))) < 1.25


@pytest.mark.parametrize("channels", [1, 3])
def test_a_smooth_picture_comes_out_better_by_far_than_by_patches_and_its_intervals_hold(channels):
    common = smooth(seed=2)
    truth = np.stack([common + 0.3 * smooth(seed=3 + c) for c in range(channels)], -1)
    y, axis = noisy(truth, 0.1), -1 if channels > 1 else None
    if channels == 1:
        truth, y = truth[..., 0], y[..., 0]
    found = bd.denoise(y, 0.1, effort="fast", channel_axis=axis)
    # Patches alone err by 0.024 to 0.028 of one channel, and by 0.02 of three.
    assert np.sqrt(np.mean((found.mean - truth) ** 2)) < (0.02 if channels == 1 else 0.016)
    assert "a stationary process was better than patches" in found.summary()["findings"][0]["text"]
    low, high = found.interval(0.9)
    assert 0.8 < np.mean((low <= truth) & (truth <= high)) < 0.98


def test_a_picture_with_edges_is_left_to_patches():
    found = bd.denoise(noisy(boxes(), 0.05), 0.05, effort="fast")
    assert not [f for f in found.summary()["findings"] if f["kind"] == "simple estimate"]
