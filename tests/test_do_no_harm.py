"""A method that loses to what costs nothing is replaced by it, and that is said; one that wins stays."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

import bayesdip as bd
from bayesdip import simple_process
from bayesdip.held_out_weights import KNOTS, HeldOutErrors, fitted_weights, near_knots
from bayesdip.methods.method import Method
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.result import Posterior
from bayesdip.simple import akima, biharmonic, harmonic, linear, simple_estimates
from bayesdip.simple_process import Likeliest
from conftest import smooth_picture


@dataclass(frozen=True, kw_only=True)
class Says(Method):
    """Says that the picture is this one, in its own scale, whatever the data are."""

    name: ClassVar[str] = "says"
    summary: ClassVar[str] = "a picture given beforehand"
    picture: np.ndarray

    def fit(self, problem, progress):
        own = torch.from_numpy(np.broadcast_to(self.picture, problem.grid).copy())[None]
        working = problem.units.to_working(own)
        return Posterior(
            working, torch.full_like(working, 0.01), samples=working.repeat(3, *(1,) * working.ndim)
        )


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


@pytest.fixture
def hole():
    missing = np.zeros((96, 96), bool)
    missing[30:50, 40:60] = True
    return missing


def test_a_method_that_loses_everywhere_is_replaced_by_filling_in(hole):
    truth = smooth_picture((96, 96))
    found = bd.inpaint(np.where(hole, 0, truth), hole, method=Says(picture=np.float64(0.0)))
    simple = biharmonic(np.where(hole, 0, truth), hole)
    assert rms((found.mean - truth)[hole]) < 0.02 + rms((simple - truth)[hole])
    told = [f for f in found.findings if f.kind == "simple estimate"]
    assert {f.facts["where"] for f in told} == {"near", "far"}
    assert all("filling" in f.text and "says" in f.text for f in told)
    assert found.held_out < 0.05  # the error told is that of the result, not of the method


def test_a_method_that_is_right_stays(hole):
    rng = np.random.default_rng(0)
    truth = rng.random((96, 96))
    found = bd.inpaint(np.where(hole, 0, truth), hole, sigma=0, method=Says(picture=truth))
    np.testing.assert_allclose(found.mean[hole], truth[hole], atol=1e-6)
    assert not found.findings


def test_the_mixture_says_that_it_is_unsure_where_its_parts_disagree(hole):
    truth = gaussian_filter(np.random.default_rng(1).normal(size=(96, 96)), 3)
    other = gaussian_filter(np.random.default_rng(2).normal(size=(96, 96)), 3)
    found = bd.inpaint(np.where(hole, 0, truth), hole, method=Says(picture=other))
    inside = found.raw_std[hole]
    assert inside.max() > 2 * inside.min()
    low, high = found.interval(0.9)
    assert ((low <= truth) & (truth <= high))[hole].mean() > 0.6
    assert found.samples.shape[0] == 3 and not np.allclose(found.samples[0][hole], other[hole])


def test_a_denoiser_that_destroys_the_picture_is_replaced():
    truth = smooth_picture((64, 64))
    noisy = truth + 0.1 * np.random.default_rng(0).standard_normal(truth.shape)
    found = bd.denoise(noisy, sigma=0.1, method=Says(picture=truth[::-1].copy()))
    assert rms(found.mean - truth) < 0.06
    assert "stationary process" in found.findings[-1].text


def test_an_enlargement_that_does_not_fit_the_data_is_replaced():
    truth = smooth_picture((64, 64))
    small = truth.reshape(32, 2, 32, 2).mean((1, 3))
    rough = truth + np.random.default_rng(0).standard_normal(truth.shape)
    found = bd.upscale(small, 2, kind="area", method=Says(picture=rough))
    assert rms(found.mean - truth) < 0.1 and "bicubic" in found.findings[-1].text


def test_a_deblurred_picture_that_does_not_fit_the_data_is_replaced():
    truth = smooth_picture((64, 64))
    blurred = uniform_filter(truth, 3, mode="reflect")
    wild = truth + 3 * np.random.default_rng(0).standard_normal(truth.shape)
    found = bd.deblur(blurred, np.ones((3, 3)), sigma=0.01, boundary="reflect", method=Says(picture=wild))
    assert rms(found.mean - truth) < 0.2 and "the data as they are" in found.findings[-1].text


def errors(method, other, distance, region, noise=0.0):
    wanted = method[None]
    steps = (wanted - other[None])[None]
    return HeldOutErrors(wanted, steps, distance, distance > 2, region, np.full(method.shape, noise))


def test_near_known_pixels_chance_does_not_unseat_a_method():
    rng = np.random.default_rng(0)
    wins = 0
    for _ in range(40):
        method, other = rng.standard_normal((2, 200))
        found = errors(method, other, np.ones(200), np.arange(200))
        wins += found.loses(0, np.ones(200, bool), 0)
    assert wins <= 4
    clear = errors(rng.standard_normal(200), 0.5 * rng.standard_normal(200), np.ones(200), np.arange(200))
    assert clear.loses(0, np.ones(200, bool), 0)


def test_one_region_alone_proves_nothing():
    one = errors(np.full(100, 5.0), np.zeros(100), np.full(100, 8.0), np.ones(100))
    assert not one.loses(0, np.ones(100, bool), 0)


def test_weights_follow_the_errors_by_distance():
    rng = np.random.default_rng(0)
    distance = np.repeat([3.0, 16.0], 2000)
    method = rng.standard_normal(4000) * np.where(distance < 8, 0.1, 1.0)
    other = rng.standard_normal(4000) * np.where(distance < 8, 1.0, 0.1)
    weights = fitted_weights(errors(method, other, distance, np.arange(4000)), [True], [False])
    at = near_knots(np.array([1.0, 3.0, 16.0]))
    assert weights.shape == (2, KNOTS, 1)
    _, close, deep = weights[1, :, 0] @ at
    assert not weights[0].any() and close < 0.3 and deep > 0.9


def test_noise_on_held_out_values_does_not_hide_who_is_better():
    rng = np.random.default_rng(0)
    noise, region = rng.standard_normal(60), np.repeat([0, 1], 30)
    at = (noise + 0.1, noise - 1.0, np.full(60, 3.0), region)
    told, not_told = (fitted_weights(errors(*at, n), [True], [False])[1, 1, 0] for n in (1.0, 0.0))
    assert told < 0.7 * not_told


def test_pixels_alone_leave_the_method_more_than_halves_until_it_is_behind():
    """A tie is no reason for equal shares, as errors at pixels alone go together; nor do few values at a distance change it."""
    rng = np.random.default_rng(0)
    both = rng.standard_normal(60) + 0.3 * rng.standard_normal((2, 60))
    found = replace(errors(*both, np.repeat([1.0, 4.0], [50, 10]), np.arange(60)), hole=np.zeros(60, bool))
    tie, behind = (fitted_weights(found, [True], [True], behind=told)[0, :, 0] for told in (False, True))
    assert (tie > 0.1).all() and (tie < 0.4).all() and (behind > tie).all()


def test_a_share_that_is_chance_is_none_the_methods_own_among_them():
    rng = np.random.default_rng(0)
    method, other = 5 + rng.standard_normal((2, 120)) * [[0.3], [0.1]] - np.array([[0.0], [5.0]])
    at = (np.full(120, 4.0), np.repeat([0, 1, 2], 40))
    assert fitted_weights(errors(method, other, *at), [True], [False])[1, 2, 0] == 1
    assert not fitted_weights(errors(other, method, *at), [True], [False]).any()


def test_few_regions_tell_by_distance_who_overshoots():
    rng = np.random.default_rng(0)
    distance = np.repeat([1.0, 8.0], 40)
    method = rng.standard_normal(80) * np.where(distance > 2, 3.0, 1.0)
    found = errors(method, 1.5 * rng.standard_normal(80), distance, np.repeat([0, 1, 2, 3], 20))
    found = replace(found, hole=np.ones(80, bool))
    weights = fitted_weights(found, [True], [False])[1, :, 0]
    assert weights[3] > weights[0] + 0.2


def test_evidence_for_a_process_does_not_stand_against_held_out_values():
    rng = np.random.default_rng(0)
    method, other = 0.1 * rng.standard_normal(40), rng.standard_normal(40)
    right, wrong = (
        fitted_weights(errors(*pair, np.ones(40), np.arange(40)), [True], [True], certain=0)[0, 0, 0]
        for pair in ((other, method), (method, other))
    )
    assert right > 0.9 and wrong < 0.1


def test_of_too_few_pixels_to_hold_any_out_all_estimates_are_averaged():
    truth = np.sin(np.arange(70) / 3)
    missing = np.zeros(70, bool)
    missing[20:30] = missing[50:60] = True
    found = bd.inpaint(np.where(missing, 0, truth), missing, method=Says(picture=np.full(70, 5.0)))
    assert found.held_out is None
    assert 0 < (found.mean[missing] - truth[missing]).max() < 2.5  # a fourth of 5
    assert [f.kind for f in found.findings] == ["simple estimate"]


def test_fillers_agree_with_what_they_are():
    plane = np.add.outer(np.arange(20.0), 2 * np.arange(30.0))
    gap = np.zeros(plane.shape, bool)
    gap[5:12, 8:20] = True
    for fill in (harmonic, biharmonic):
        np.testing.assert_allclose(fill(np.where(gap, 0, plane), gap), plane, atol=0.05)
    line, missing = np.arange(30.0), np.zeros(30, bool)
    missing[10:18] = missing[-3:] = True
    for fill in (linear, akima):
        full = fill(np.where(missing, 0, line), missing)
        np.testing.assert_allclose(full[:27], line[:27])
        np.testing.assert_allclose(full[27:], 26)
    bowl = np.square(np.linspace(-1, 1, 25))[:, None] * np.ones(25)
    centre = np.zeros(bowl.shape, bool)
    centre[8:17, 8:17] = True
    inside = harmonic(np.where(centre, 0, bowl), centre)[centre]
    assert inside.min() >= bowl[~centre].min() and inside.max() <= bowl[~centre].max()


def test_channels_with_different_masks_are_filled_each_by_itself():
    picture = torch.from_numpy(np.stack([smooth_picture((20, 20))] * 2))
    gone = torch.zeros(2, 20, 20, dtype=torch.bool)
    gone[0, 4:8, 4:8] = gone[1, 10:15, 10:15] = True
    problem = Problem(torch.where(gone, 7.0, picture), Mask(gone, (20, 20)), Gaussian(0.0))
    for simple in simple_estimates(problem):
        full = simple.estimate(problem)
        assert torch.equal(full[~gone], picture[~gone]) and float(full.max()) < 2


def test_a_smooth_volume_is_filled_in_by_a_kernel_chosen_by_evidence():
    volume = gaussian_filter(np.random.default_rng(0).normal(size=(20, 20, 20)), 2)
    missing = np.random.default_rng(1).random(volume.shape) < 0.85
    given = np.where(missing, 0, volume)
    found = bd.inpaint(given, missing)
    assert found.method == "gp" and found.settings["kernel"] == "auto"
    assert rms((found.mean - volume)[missing]) < 0.2 * rms((biharmonic(given, missing) - volume)[missing])


def test_noise_on_values_that_were_taken_for_exact_is_not_counted_as_error():
    ratios = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        picture = gaussian_filter(rng.normal(size=(40, 40)), 1.5)
        picture /= picture.std()
        missing = rng.random(picture.shape) < 0.5
        noisy = picture + 0.4 * rng.normal(size=picture.shape)
        found = bd.inpaint(np.where(missing, 0, noisy), missing, sigma=0, effort="fast")
        ratios.append(rms((found.mean - picture)[missing]) / rms(found.std[missing]))
    assert 0.7 < np.exp(np.mean(np.log(ratios))) < 1.4  # 0.57 with it


def blobs(side=96):
    """A smooth picture with an edge, 0 to 1."""
    field = gaussian_filter(np.random.default_rng(2).normal(size=(side, side)), 10)
    field = (field - field.min()) / np.ptp(field)
    field[:, side // 2 :] *= 0.6
    return field


@pytest.mark.parametrize("counts", [0.05, 0.3])
def test_few_photons_are_restored_as_well_as_by_the_best_of_simple_filters(counts):
    truth = counts * (0.2 + blobs())
    y = np.random.default_rng(1).poisson(truth).astype(np.uint8)
    found = bd.denoise(y, effort="fast")
    simple = min(rms(gaussian_filter(y.astype(float), width) - truth) for width in (1, 2, 4, 6))
    assert rms(found.mean - truth) < 1.3 * simple < 0.2 * rms(y - truth)
    assert any("stronger than the picture" in f.text for f in found.findings)
    low, high = found.interval(0.9)
    assert np.mean((low <= truth) & (truth <= high)) > 0.75


def test_noise_of_five_times_the_picture_is_averaged_with_the_process_and_of_half_is_not():
    truth = 255 * blobs()
    spread = truth.std()
    for factor, averaged in ((5.0, True), (0.5, False)):
        y = truth + factor * spread * np.random.default_rng(1).normal(size=truth.shape)
        found = bd.denoise(y, sigma=factor * spread, effort="fast")
        assert averaged == any("stronger than the picture" in f.text for f in found.findings)
        simple = min(rms(gaussian_filter(y, width) - truth) for width in (1, 2, 4, 6))
        assert rms(found.mean - truth) < 1.2 * simple


def test_strong_noise_in_a_large_picture_is_seen_in_tiles(monkeypatch):
    truth = torch.from_numpy(blobs(80))[None]
    y = truth + 2.0 * torch.from_numpy(np.random.default_rng(1).normal(size=truth.shape))
    problem = Problem(y, Identity((80, 80)), Gaussian(2.0))
    whole = Likeliest(problem).estimate(problem)
    for name, value in (("LARGEST_AT_ONCE", 1000), ("PROCESS_SIDE", 64), ("PROCESS_MARGIN", 16)):
        monkeypatch.setattr(simple_process, name, value)
    tiled = Likeliest(problem).estimate(problem)
    assert rms((tiled - whole).numpy()) < 0.3 * rms((whole - truth).numpy())


def test_stars_in_strong_noise_are_not_averaged_with_a_process_that_misses_them():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:96, :96]
    truth = np.full((96, 96), 100.0)
    for down, across in rng.uniform(8, 88, (8, 2)):
        truth += 50 * np.exp(-((y - down) ** 2 + (x - across) ** 2) / (2 * 1.2**2))
    data = truth + 10 * rng.normal(size=truth.shape)
    assert simple_process.STRONG * truth.var() < 100  # strong
    alone = bd.denoise(data, sigma=10, effort="fast")
    assert not any("stronger than the picture" in f.text for f in alone.findings)
    assert rms(alone.mean - truth) < 0.25 * 10
