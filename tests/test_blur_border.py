"""Deblurring a picture that was cut out of a larger scene."""

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.inputs import Inputs
from bayesdip.noise import Gaussian

MOTION = np.full((1, 7), 1 / 7)
SIDE = 24


def scene():
    rng = np.random.default_rng(3)
    coarse = torch.from_numpy(rng.uniform(40, 200, (1, 1, 9, 11)))
    return torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE + 6), mode="bicubic")[0, 0].numpy()


def blurred(sigma, seed=0):
    """A picture, and what a camera that moved saw of it: also what lies beside it."""
    whole = scene()
    seen = np.mean([whole[:, k : k + SIDE] for k in range(7)], axis=0)
    return whole[:, 3:-3], seen + np.random.default_rng(seed).normal(0, sigma, seen.shape)


def of(y, noise, boundary="unknown", psf=MOTION, channel_axis=None):
    return Inputs.deblurring(y, psf, None, noise, boundary, channel_axis)


def test_the_grid_reaches_beyond_the_border_as_far_as_the_blur_and_no_data_are_there():
    _, y = blurred(0.0)
    problem = of(y, Gaussian(1.0)).problem
    assert problem.grid == (SIDE, SIDE + 6)
    assert problem.observed[0, :, 3:-3].all() and not problem.observed[0, :, :3].any()
    assert not problem.observed[0, :, -3:].any()
    torch.testing.assert_close(
        problem.y[0, :, 3:-3] * problem.units.scale + problem.units.shift, torch.from_numpy(y)
    )


def test_the_true_scene_gives_the_data():
    _, y = blurred(0.0)
    problem = of(y, Gaussian(1.0)).problem
    truth = torch.from_numpy(scene())[None]
    found = problem.operator.forward(truth)[0, :, 3:-3]
    np.testing.assert_allclose(found.numpy(), y, atol=1e-6)


def test_levels_of_the_noise_go_on_as_at_the_border():
    _, y = blurred(0.0)
    levels = np.tile(np.arange(1.0, SIDE + 1), (SIDE, 1))
    noise = of(y, Gaussian(levels)).problem.noise
    sigma = noise.sigma.expand(1, SIDE, SIDE + 6)[0, 0]
    assert (sigma[:3] == sigma[3]).all() and (sigma[-3:] == sigma[-4]).all() and sigma[-1] > 20 * sigma[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_result_has_the_size_of_the_data_and_misses_less_than_with_a_reflected_border(channels):
    truth, y = blurred(1.0)
    options = {"sigma": 1.0, "method": "gp", "effort": "fast"}
    if channels > 1:
        truth, y = (np.stack([a, a[::-1], 250 - a], -1) for a in (truth, y))
        options["channel_axis"] = -1
    found, reflected = (bd.deblur(y, MOTION, boundary=b, **options) for b in ("unknown", "reflect"))
    assert found.mean.shape == found.std.shape == y.shape
    error, other = (np.sqrt(np.mean((r.mean - truth) ** 2)) for r in (found, reflected))
    assert error < 0.7 * other


def test_another_boundary_is_refused_in_one_line():
    with pytest.raises(bd.BayesDipError, match="expected unknown, reflect or periodic"):
        bd.deblur(blurred(1.0)[1], MOTION, sigma=1.0, boundary="zero")
