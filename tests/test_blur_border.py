"""Deblurring a picture that was cut out of a larger scene."""

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip import blur_border
from bayesdip.blur_border import likeliest_border
from bayesdip.gp.block_evidence import lags
from bayesdip.inputs import Inputs
from bayesdip.kernels import Matern32
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur

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
    with pytest.raises(bd.BayesDipError, match="expected auto, unknown, reflect or periodic"):
        bd.deblur(blurred(1.0)[1], MOTION, sigma=1.0, boundary="zero")


def reflecting_scene(side=48):
    """A rough picture, blurred as simulations do it, by a border; and a part of a larger picture that was blurred."""
    from scipy.ndimage import convolve

    rng = np.random.default_rng(5)
    coarse = torch.from_numpy(rng.uniform(40, 200, (1, 1, 30, 30)))
    whole = torch.nn.functional.interpolate(coarse, size=(side + 24, side + 24), mode="bicubic")[0, 0].numpy()
    psf = blur(1.6)
    inner = (slice(12, -12), slice(12, -12))
    by_border = {
        name: convolve(whole[inner], psf, mode=mode)
        for name, mode in (("reflect", "reflect"), ("periodic", "wrap"))
    }
    return psf, {**by_border, "unknown": convolve(whole, psf)[inner]}


def blur(width):
    y, x = np.mgrid[-5:6, -5:6]
    psf = np.exp(-(x**2 + y**2) / (2 * width**2))
    return psf / psf.sum()


@pytest.mark.parametrize("border", ["reflect", "periodic", "unknown"])
def test_what_lies_beyond_the_border_is_told_by_the_data_and_said(border):
    psf, data = reflecting_scene()
    y = data[border] + np.random.default_rng(0).normal(0, 0.5, data[border].shape)
    inputs = of(y, Gaussian(0.5), "auto", psf)
    said = [finding.facts["boundary"] for finding in inputs.findings if finding.kind == "border"]
    assert said == ([] if border == "unknown" else [border])
    assert (inputs.problem.grid == y.shape) == (border != "unknown")


def test_what_was_asked_for_is_not_looked_for():
    psf, data = reflecting_scene()
    inputs = of(data["reflect"], Gaussian(0.5), "unknown", psf)
    assert inputs.problem.grid == (58, 58) and not inputs.findings


def test_nothing_is_said_of_few_or_missing_data():
    psf, data = reflecting_scene()
    few = data["reflect"][:5, :5]
    assert (
        likeliest_border(torch.from_numpy(few)[None], torch.zeros(1, 5, 5) > 0, psf, Gaussian(0.5))
        == "unknown"
    )
    y = torch.from_numpy(data["reflect"])[None]
    rim = torch.ones(y.shape, dtype=torch.bool)
    rim[:, 6:-6, 6:-6] = False
    assert likeliest_border(y, rim, psf, Gaussian(0.5)) == "unknown"
    assert likeliest_border(torch.full_like(y, 7.0), ~rim & rim, psf, Gaussian(0.5)) == "unknown"


@pytest.mark.parametrize("border", ["reflect", "periodic"])
def test_the_covariance_along_a_border_is_that_of_the_operator(border):
    shape, psf = (16, 18), np.random.default_rng(0).uniform(0, 1, (4, 5))
    y = torch.zeros(1, *shape, dtype=torch.float64)
    sides = list(blur_border._sides(y, y > 0, psf, Gaussian(1.0)))
    each = torch.eye(16 * 18, dtype=torch.float64).reshape(-1, 1, *shape)
    operator, kernel = Blur(shape, psf, border), Matern32(3.0)
    matrix = torch.stack([operator.forward(one)[0].flatten() for one in each], 1)
    prior = kernel.quadrant(shape).double().flatten()[lags(shape)]
    exact = matrix @ prior @ matrix.T
    assert len(sides) == 2
    for side in sides:
        at = torch.from_numpy(np.ravel_multi_index(tuple(side.places.T), shape))
        torch.testing.assert_close(side.seen(border).covariance(kernel), exact[at][:, at])
