"""Intervals where data are no pixels of the picture: calibrated by a simulated picture, whose truth is known."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import scipy.stats
import torch

import bayesdip as bd
from bayesdip import simulated_calibration, simulated_truth, simulation
from bayesdip.error_law import LEVEL, z_of
from bayesdip.methods.method import Method
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample, Mask, from_matrix
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.report.facts import coverage_of
from bayesdip.result import Posterior, Restoration
from bayesdip.simple_comparison import Average
from bayesdip.simulated_average import only_at
from conftest import smooth_picture


def self_similar(side, hurst, seed=0):
    """A random picture whose energy falls by ``2^(-2 hurst)`` from octave to octave."""
    from scipy.fft import idctn

    radius = np.hypot(*np.indices((side, side)))
    radius[0, 0] = np.inf
    values = idctn(
        np.random.default_rng(seed).normal(size=(side, side)) / radius ** (1 + hurst), norm="ortho"
    )
    return (values - values.min()) / np.ptp(values)


def blur_psf(width):
    y, x = np.mgrid[-6:7, -6:7]
    psf = np.exp(-(x**2 + y**2) / (2 * width**2))
    return psf / psf.sum()


@dataclass(frozen=True, kw_only=True)
class Repeated(Method):
    """Repeats each small pixel, with a standard deviation that is `wrong` times about the errors' size."""

    wrong: float = 1.0

    name: ClassVar[str] = "repeated"
    summary: ClassVar[str] = "repeats pixels"

    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        y = problem.y
        mean = y.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return Posterior(mean, std=torch.full_like(mean, 0.05 * self.wrong))


def inside(restoration, truth, calibrated=True):
    low, high = restoration.interval(LEVEL, calibrated=calibrated)
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.parametrize("hurst", [0.0, 0.5, 1.0])
def test_the_fall_of_energy_from_octave_to_octave_is_found(hurst):
    picture = torch.from_numpy(self_similar(128, hurst)[None])
    assert simulated_truth.hurst_exponent(picture, 1.0) == pytest.approx(hurst, abs=0.12)


def test_a_rough_picture_is_made_smaller_by_as_much_as_it_lacks_and_a_smooth_one_hardly():
    for hurst, low, high in ((0.0, 2.4, 4.0), (1.0, 1.0, 1.8)):
        assert (
            low <= simulated_truth.factor_of(torch.from_numpy(self_similar(64, hurst)[None]), 1 / 4) <= high
        )


def test_the_share_of_frequencies_that_data_resolve_falls_with_blur_and_noise():
    picture = torch.from_numpy(self_similar(48, 0.2)[None])

    def share(width, sigma):
        operator = Blur((48, 48), blur_psf(width))
        return simulated_truth.resolved_share(
            picture, Problem(operator.forward(picture), operator, Gaussian(sigma))
        )

    assert share(0.6, 0.01) > share(1.5, 0.01) > share(3.0, 0.01)
    assert share(1.5, 0.001) > share(1.5, 0.1)


def test_a_picture_of_one_value_is_no_trouble():
    found = bd.deblur(np.full((16, 16), 7.0), blur_psf(1.0), sigma=1.0, effort="fast", method="gp")
    assert np.isfinite(found.mean).all() and np.isfinite(found.std).all()


def test_smaller_pictures_keep_their_mean_and_fill_the_grid_without_a_kink():
    picture = torch.from_numpy(self_similar(32, 0.3)[None])
    small = simulated_truth.scaled_down(picture, 2)
    assert small.shape == (1, 16, 16) and float(small.mean()) == pytest.approx(float(picture.mean()))
    full = simulated_truth.filling_grid(small, (20, 32))
    assert full.shape == (1, 20, 32)
    assert torch.allclose(full[..., 16:31] - full[..., 15:16], full[..., 15:16] - full[..., :15].flip(-1))
    assert simulated_truth.filling_grid(picture, (8, 8)).shape == (1, 8, 8)


def test_operators_that_know_no_place_are_cut_and_others_are_not():
    large = (200, 200)
    for operator in (Downsample(large, 2), Blur(large, blur_psf(1.0))):
        masked = Mask(torch.zeros(operator.output_shape, dtype=torch.bool)) @ operator
        for whole in (operator, masked):
            y = torch.zeros(1, *whole.output_shape, dtype=torch.float64)
            part = simulation.cut(Problem(y, whole, Gaussian(0.1)), (64, 64))
            assert part.grid == (64, 64) and part.y.shape[1:] == part.operator.output_shape
    matrix = from_matrix(np.eye(16), (4, 4))
    problem = Problem(torch.zeros(1, 16, dtype=torch.float64), matrix, Gaussian(0.1))
    assert simulation.cut(problem, (2, 2)) is problem


def simulated_and_true(lost, process_std):
    """A problem of known truth; what a method (error 0.1) and a process (error `lost`) find of it; and of the picture itself."""
    generator = torch.Generator().manual_seed(0)
    truth, noise, other = torch.randn(3, 1, 48, 48, generator=generator, dtype=torch.float64)

    def posterior(own, process_error, process):
        """What a method and a process say of their errors, and what these are."""
        ones = torch.ones_like(truth)
        beside = Posterior(truth + process_error * other, std=process * ones)
        return Posterior(truth + 0.1 * noise, std=own * ones, process=beside)

    operator = Blur((48, 48), blur_psf(1.0))
    problem = Problem(operator.forward(truth), operator, Gaussian(0.1))
    known = simulation.Simulation(truth, problem, 0.5)
    both = (posterior(0.2, lost, process_std), posterior(0.05, 0.0, 0.2))
    return known, *(only_at(p, known.places) for p in both)


@pytest.mark.parametrize("lost", [0.2, 20.0])
def test_errors_are_as_much_smaller_than_the_process_says_of_its_own_as_those_simulated_but_not_by_more_than_half(
    lost,
):
    known, found, true = simulated_and_true(lost, 3.0)
    law = simulated_calibration.calibrated(found, known, true, found.std, 1.0, (None, None), 0)
    # 0.1 for the two standard deviations of the true picture together, and half of it; wider, as that size is not quite known.
    size = float(law.std(np.full(1, 0.05))[0]) / 0.05 / simulated_calibration.MISSED
    assert 1 < size < 1.25
    doubted = size * np.exp(law.ratio_error * np.random.default_rng(0).normal(size=100_000))
    assert scipy.stats.norm(scale=1 / doubted).cdf(z_of(LEVEL)).mean() == pytest.approx(
        (1 + LEVEL) / 2, abs=0.01
    )


@pytest.mark.parametrize(("process_std", "truthful"), [(1.5, 0.67), (1.0, 1.0), (10.0, 0.5), (0.1, 2.0)])
def test_of_an_operator_that_cannot_be_cut_the_process_counts_as_the_simulation_found_it(
    process_std, truthful
):
    known, found, true = simulated_and_true(0.4, 0.4 * process_std)
    known = replace(known, smaller=False)
    law = simulated_calibration.calibrated(found, known, true, found.std, 1.0, (None, None), 0)
    # A process of 0.2, whose errors are `truthful` times what it says, and four times the method's.
    share = max(truthful / 4, simulated_calibration.LEAST_RELATIVE_ERROR)
    assert float(law.std(np.full(1, 0.05))[0]) == pytest.approx(0.2 * share, rel=0.1)


def test_of_an_operator_that_cannot_be_cut_a_picture_found_again_does_not_make_intervals_vanish():
    known, found, true = simulated_and_true(20.0, 20.0)  # errors 200 times the method's
    known = replace(known, smaller=False)
    law = simulated_calibration.calibrated(found, known, true, found.std, 1.0, (None, None), 0)
    assert float(law.std(np.full(1, 0.05))[0]) == pytest.approx(
        0.2 * simulated_calibration.LEAST_RELATIVE_ERROR, rel=0.1
    )


def test_errors_of_a_simulated_picture_that_was_not_fitted_count_by_what_was_missed_of_the_data():
    truth, noise = torch.randn(2, 1, 48, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    operator = Blur((48, 48), blur_psf(1.0))
    known = simulation.Simulation(truth, Problem(operator.forward(truth), operator, Gaussian(0.1)), 0.5)
    own = only_at(Posterior(truth, std=torch.full_like(truth, 0.2)), known.places)
    noise = noise[:, known.places]
    fitted, failed = (
        simulated_calibration.calibrated(
            replace(own, mean=own.mean + 0.1 * size * noise), known, own, own.std, 1 / size, (None, None), 0
        )
        for size in (1.0, 30.0)
    )
    at = np.full(1, 0.2)
    assert float(failed.std(at)[0]) == pytest.approx(float(fitted.std(at)[0]), rel=0.01)


@pytest.mark.parametrize("wrong", [0.2, 5.0])
def test_a_wrong_standard_deviation_of_any_method_is_put_right(wrong):
    truth = self_similar(64, 0.2, seed=3)
    small = np.asarray(Downsample((64, 64), 2, "area").forward(truth[None]))[0]
    found = bd.upscale(small, 2, kind="area", method=Repeated(wrong=wrong))
    assert found.calibration.simulated
    held, own = inside(found, truth), inside(found, truth, calibrated=False)
    assert 0.6 < held < 0.985
    assert abs(held - LEVEL) < abs(own - LEVEL)


@pytest.mark.slow
def test_intervals_of_a_blurred_picture_hold_about_what_they_say():
    truth, psf = 255 * self_similar(24, 0.3, seed=5), blur_psf(1.0)
    rng = np.random.default_rng(0)
    blurred = np.asarray(Blur(truth.shape, psf).forward(truth[None]))[0] + rng.normal(0, 2, truth.shape)
    found = bd.deblur(blurred, psf, sigma=2.0, effort="fast")
    assert found.calibration.simulated
    assert 0.8 < inside(found, truth) < 0.97


def test_the_seed_repeats_the_calibration():
    small = self_similar(20, 0.3)
    first, second = (bd.upscale(small, 2, method="gp", effort="fast", seed=4) for _ in range(2))
    assert first.calibration.simulated
    np.testing.assert_array_equal(first.std, second.std)


def test_it_is_said_and_survives_saving(tmp_path):
    found = bd.upscale(smooth_picture((16, 16)), 2, method="gp", effort="fast")
    assert "simulated picture" in coverage_of(found)
    assert "calibrated by a simulated picture" in found._repr_html_()
    again = Restoration.load(found.save(tmp_path))
    assert again.calibration.simulated and again.calibration.scale == found.calibration.scale


def test_no_simulation_without_time_and_none_where_data_are_pixels():
    picture = torch.from_numpy(self_similar(32, 0.3)[None])
    posterior = Posterior(picture, std=torch.full_like(picture, 0.1))
    operator = Downsample((32, 32), 2)
    problem = Problem(operator.forward(picture), operator, Gaussian(0.0))

    def found(problem, budget):
        progress = Progress(time_budget=budget)
        first = simulation.FirstFit(30.0)
        return simulation.judged_by_simulation(Repeated(), Average(), posterior, problem, progress, first)[1]

    assert found(problem, 10.0) is None and found(problem, None) is not None
    pixels = bd.operators.Identity((32, 32))
    assert found(Problem(picture, pixels, Gaussian(0.1)), None) is None


def test_the_simulation_tells_how_far_it_is_and_ctrl_c_leaves_the_picture_that_it_shows():
    truth = 255 * self_similar(24, 0.3, seed=5)
    seen = []
    deblur = partial(bd.deblur, truth, blur_psf(1.0), sigma=2.0, effort="fast")
    found = deblur(callback=lambda s: bool(seen.append(s)))
    told = [s for s in seen if s.phase == "simulation"]
    assert found.calibration.simulated and told and told[-1].step == told[-1].steps > 0
    cut_off = deblur(callback=lambda s: s.phase == "simulation")
    assert cut_off.stopped == "interrupted" and cut_off.calibration is None
    np.testing.assert_allclose(told[-1].mean(), cut_off.mean, atol=1e-3 * cut_off.mean.std())
