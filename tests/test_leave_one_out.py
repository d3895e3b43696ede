"""One fit of noisy pictures: every pixel's mean without its own value, the error and the calibration that follow from it."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch

import bayesdip as bd
from bayesdip.holdout import root_mean_square_error, split
from bayesdip.leave_one_out import each_left_out, noise_doubt
from bayesdip.methods.patches import Patches
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.patches.own_weight import TILE, matched, tiles, without_own
from bayesdip.problem import Problem
from bayesdip.progress import Progress


def scene(side, channels=1, seed=3):
    """Smooth shading, an edge, and stripes, in 0..1."""
    down, across = np.mgrid[:side, :side] / side
    picture = 0.3 + 0.3 * down + 0.25 * (across > 0.5) + 0.1 * np.sin(60 * across) * (down > 0.5)
    colours = np.linspace(1, 0.7, channels)[:, None, None] * picture
    noise = np.random.default_rng(seed).standard_normal(colours.shape)
    return torch.from_numpy(colours), torch.from_numpy(noise)


def problem_of(data, sigma, clipped=(-np.inf, np.inf)):
    own = Problem(data, Identity(tuple(data.shape[1:])), Gaussian(sigma, clipped=clipped))
    return replace(own, held_out=split(own, 0))


def both(problem, effort="fast"):
    """Without the held-out pixels by a fit of its own, and by the identity."""
    method = Patches(effort=effort, device="cpu")
    assert method.leaves_one_out(problem, Progress())
    alone = each_left_out(method.fit(problem, Progress()), problem)
    return method.fit(problem.training, Progress()), alone


@pytest.mark.parametrize(("channels", "sigma"), [(1, 0.1), (3, 0.1), (1, 0.3)])
def test_the_held_out_error_of_one_fit_is_that_of_a_fit_without_these_pixels(channels, sigma):
    truth, noise = scene(96, channels)
    problem = problem_of(truth + sigma * noise, sigma)
    fitted, alone = both(problem)
    assert root_mean_square_error(alone, problem) == pytest.approx(
        root_mean_square_error(fitted, problem), rel=0.03
    )
    here = problem.held_out
    error = [(p.mean.double() - truth)[:, here].square().mean().sqrt() for p in (alone, fitted)]
    assert float(error[0]) == pytest.approx(float(error[1]), rel=0.25)
    assert torch.equal(alone.mean[:, ~here].double(), both(problem)[1].mean[:, ~here].double())


def test_the_held_out_error_holds_for_noise_that_was_clipped():
    truth, noise = scene(96)
    data = (2.5 * (truth - 0.4) + 0.4 * noise).clamp(0, 1)
    problem = problem_of(data, 0.4, clipped=(0.0, 1.0))
    fitted, alone = both(problem)
    assert root_mean_square_error(alone, problem) == pytest.approx(
        root_mean_square_error(fitted, problem), rel=0.06
    )


def test_noise_that_is_weaker_than_said_shows_in_the_error():
    truth, noise = scene(96)
    problem = problem_of(truth + 0.1 * noise, 0.2)
    _, alone = both(problem)
    assert 0.09 < root_mean_square_error(alone, problem) < 0.13


def test_a_noisy_picture_is_fitted_once(monkeypatch):
    fits = []
    fit = Patches.fit
    monkeypatch.setattr(Patches, "fit", lambda self, *given: fits.append(given) or fit(self, *given))
    monkeypatch.setattr(Patches, "update", lambda *given: pytest.fail("fitted again"))
    truth, noise = scene(64)
    found = bd.denoise((truth + 0.1 * noise)[0].numpy(), 0.1, effort="fast")
    assert len(fits) == 1
    assert found.calibration is not None
    assert found.calibration.held_out.places.size == found.held_out_count
    assert found.held_out == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize("name", ["camera", "astronaut"])
def test_intervals_of_one_fit_hold_what_they_say(name):
    picture = np.atleast_3d(getattr(skimage.data, name)())[60:160, 180:280].astype(float)
    data = picture + 25 * np.random.default_rng(0).standard_normal(picture.shape)
    found = bd.denoise(data, 25, channel_axis=-1, effort="balanced")
    low, high = found.interval(0.9)
    assert 0.84 < ((low <= picture) & (picture <= high)).mean() < 0.96


def test_the_matched_factor_is_that_of_a_linear_smoother():
    """Of a smoother whose own weights are known, when they are said to be smaller than they are."""
    rng = np.random.default_rng(0)
    value, others = rng.standard_normal((2, 40_000))
    without = torch.from_numpy(0.3 * others)
    value, weight = torch.from_numpy(value), torch.full((40_000,), 0.2, dtype=torch.float64)
    mean = without + weight * (value - without)
    torch.testing.assert_close(without_own(mean, value, weight), without)
    assert matched(value - without, value - mean, weight / 1.5) == pytest.approx(1.5, rel=0.02)


def test_tiles_lie_in_the_picture_and_are_spread_over_its_weights():
    weight = torch.linspace(0, 1, 500).expand(1, 400, 500)
    places = tiles(weight)
    means = sorted(float(weight[:, rows, columns].mean()) for rows, columns in places)
    assert all(rows.stop <= 400 and columns.stop <= 500 for rows, columns in places)
    assert len(places) == int(0.05 * 400 * 500 / TILE**2)
    assert means[0] < 0.5 < means[-1]
    assert tiles(torch.ones(1, 20, 30)) == [(slice(0, 56), slice(0, 56))]


def test_a_level_of_the_noise_that_varies_is_in_doubt_and_one_for_each_channel_is_not():
    each = torch.tensor([[1.0], [50.0]]).expand(2, 8)
    assert noise_doubt(each) == 0
    assert noise_doubt(each * torch.linspace(1, 1.2, 8)) > 0


@pytest.mark.parametrize("corner", [(60, 100), (100, 150)])
def test_intervals_hold_where_the_level_of_the_noise_was_learnt_and_varies(corner):
    rows, columns = (slice(at, at + 112) for at in corner)
    truth = skimage.data.chelsea()[rows, columns].astype(float)
    level = np.linspace(5, 40, 112)[None, :, None]
    data = truth + level * np.random.default_rng(0).standard_normal(truth.shape)
    found = bd.denoise(np.clip(np.rint(data), 0, 255), channel_axis=-1, effort="fast")
    assert "varying noise" in [finding.kind for finding in found.findings]
    assert (
        0.8 < (np.abs(found.mean - truth) < 1.645 * found.std).mean() < 0.97
    )  # 0.53 and 0.58 by a variance without doubt
