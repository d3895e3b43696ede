"""Intervals that cover what they say, on data whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.calibration import LEVELS, Values, calibrate
from bayesdip.control_variate import reduced_squares
from bayesdip.dct_thresholding import cosine_basis, shrink
from bayesdip.error_law import FREEDOM, UNIT_SCALE, fit_law
from bayesdip.held_out_regions import share_beyond
from bayesdip.holdout import calibrated_std, split, with_own_values
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.result import Posterior
from conftest import smooth_picture


def drawn(count, factor, sigma, seed=0, tails="normal", channels=1):
    """Held-out values and their truth: true errors of size ``factor * std``, std differing from pixel to pixel."""
    rng = np.random.default_rng(seed)
    std = rng.uniform(2, 10, (channels, count))
    shape = {
        "normal": rng.standard_normal,
        "laplace": lambda size: rng.laplace(0, 0.5**0.5, size),
        "student": lambda size: UNIT_SCALE * rng.standard_t(FREEDOM, size),
    }[tails]
    mean = rng.uniform(0, 255, (channels, count))
    truth = mean + factor * std * shape((channels, count))
    residual = truth - mean + sigma * rng.standard_normal((channels, count))
    noise = np.full_like(std, sigma**2)
    return Values(mean, std, residual, residual**2, noise), truth


def inside(low, high, truth):
    return float(((low <= truth) & (truth <= high)).mean())


def coverage_of(calibration, values, truth, level=0.9):
    half = calibration.reach(level) * calibration.std(values.std)
    return inside(values.mean - half, values.mean + half, truth)


def left_out_alone(count, seed, factor, own=0.3, noise=100.0, **options):
    """Values that were left out alone, of a posterior standard deviation of `own` of the noise's, which is off by a factor."""
    rng = np.random.default_rng(seed)
    std = np.full((1, count), np.sqrt(noise) * own / np.sqrt(1 - own**2))
    truth = factor * std * rng.standard_normal((1, count))
    residual = truth + np.sqrt(noise) * rng.standard_normal((1, count))
    mean = np.zeros((1, count))
    values = Values(mean, std, residual, residual**2, np.full_like(std, noise), alone=True, **options)
    return values, truth


def side_by_side(*parts, **options):
    names = ("mean", "std", "residual", "squares", "noise")
    joined = {name: np.hstack([getattr(part, name) for part in parts]) for name in names}
    return Values(**joined, alone=True, **options)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_values_left_out_alone_tell_the_size_of_errors_where_their_own_weight_is_neither_small_nor_large(
    factor,
):
    telling, truth = left_out_alone(40_000, 0, factor)
    calm, own = (left_out_alone(40_000, 1, factor, own=own)[0] for own in (0.1, 0.8))
    calm = replace(calm, squares=0.94 * calm.squares)  # places that are calm by the noise they happen to have
    own = replace(own, squares=2.0 * own.squares)
    found = calibrate(side_by_side(telling, calm, own), np.arange(120_000), seed=0)
    assert found.ratio == pytest.approx(factor, rel=0.03) and found.floor == 0 and found.scale == found.ratio
    assert coverage_of(found, telling, truth) == pytest.approx(0.9, abs=0.015)
    assert found.coverage == pytest.approx(0.9, abs=0.015)


def test_where_no_value_left_out_alone_tells_the_method_is_taken_at_its_word():
    found = calibrate(left_out_alone(5000, 0, 2.0, own=0.8)[0], np.arange(5000), seed=0)
    assert found.ratio == pytest.approx(1.0, abs=0.01) and found.ratio_error == pytest.approx(0.35, rel=0.1)


def test_the_doubt_about_values_left_out_alone_draws_the_size_of_errors_to_what_the_method_says():
    found = [
        calibrate(left_out_alone(40_000, 0, 1.3, spread=0.15, doubt=doubt)[0], np.arange(40_000), seed=0)
        for doubt in (0.0, 0.15)
    ]
    assert np.log(found[0].ratio) == pytest.approx(np.log(1.3), rel=0.1)
    assert np.log(found[1].ratio) == pytest.approx(np.log(1.3) / 2, rel=0.1)
    assert found[1].ratio_error > 0.1 > found[0].ratio_error


def test_a_wrong_variance_of_the_noise_is_not_taken_for_the_size_of_errors_where_it_is_in_doubt():
    values, truth = left_out_alone(40_000, 0, 1.0, spread=0.15, doubt=0.1)
    wrong = replace(
        values, noise=1.07 * values.noise
    )  # most of what the errors' squares are, too, is then taken for noise
    held = []
    for noise_doubt in (0.0, 0.1):
        found = calibrate(replace(wrong, noise_doubt=noise_doubt), np.arange(40_000), seed=0)
        held.append(coverage_of(found, values, truth))
    assert held[0] < 0.8 and held[1] == pytest.approx(0.9, abs=0.03)


def test_of_values_left_out_alone_a_channel_with_more_noise_is_like_the_others():
    quiet, truth = left_out_alone(100_000, 0, 1.2)
    times = np.array([[1.0], [50.0]])
    both = Values(
        *(np.vstack([part, 50 * part]) for part in (quiet.mean, quiet.std, quiet.residual)),
        np.vstack([quiet.squares, 2500 * quiet.squares]),
        np.vstack([quiet.noise, 2500 * quiet.noise]),
        alone=True,
    )
    found = calibrate(both, np.arange(100_000), seed=0)
    held = np.abs(times * truth) <= found.reach(0.9) * found.std(both.std)
    assert held[0].mean() == held[1].mean() == pytest.approx(0.9, abs=0.015)


@pytest.mark.parametrize("tails", ["normal", "laplace"])
@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_exact_data_calibrate_a_wrong_std_at_every_level(factor, tails):
    values, _ = drawn(3000, factor, 0.0, tails=tails)
    found = calibrate(values, np.arange(3000), seed=0)
    fresh, truth = drawn(20000, factor, 0.0, seed=1, tails=tails)
    for level in (0.5, 0.8, 0.9, 0.95):
        assert coverage_of(found, fresh, truth, level) == pytest.approx(level, abs=0.02)
    assert found.coverage == pytest.approx(0.9, abs=0.02)
    own = inside(fresh.mean - 1.645 * fresh.std, fresh.mean + 1.645 * fresh.std, truth)
    assert found.coverage_uncalibrated == pytest.approx(own, abs=0.03)
    assert abs(own - 0.9) > 0.05 or factor == 1.0


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.8])
@pytest.mark.parametrize("sigma", [2.0, 10.0])
def test_noisy_data_calibrate_the_noise_free_interval(factor, sigma):
    fresh, truth = drawn(20000, factor, 0.0, seed=100, tails="student")
    held_out = [drawn(6000, factor, sigma, seed, "student")[0] for seed in range(6)]
    found = [calibrate(values, np.arange(6000), seed) for seed, values in enumerate(held_out)]
    covers = [coverage_of(calibration, fresh, truth) for calibration in found]
    # In the strongest noise the prior has its part: intervals are a little too wide where errors are smaller than was said.
    slack = 0.025 if (factor, sigma) == (0.6, 10.0) else 0.015
    assert np.mean(covers) == pytest.approx(0.9, abs=slack)
    scores = [np.log(c.ratio / factor) / c.ratio_error for c in found]
    assert np.sqrt(np.mean(np.square(scores))) < 2.2  # the stated error is about the true one


def test_the_quantiles_of_few_independent_errors_count_little_beside_the_usual_law():
    # One error of thirty is large, so that the others are far below their root mean square.
    residual = np.tile(np.where(np.arange(30) == 0, 3.0, 0.2), (1, 40))
    values = Values(
        np.zeros_like(residual), np.ones_like(residual), residual, residual**2, np.zeros_like(residual)
    )

    def tail(chosen, regions):
        return float(np.interp(0.9, LEVELS, fit_law(values.of(np.arange(chosen)), regions).tails))

    assert tail(1200, None) < 0.3
    assert 0.4 < tail(30, 3) < 1.0


def test_strong_noise_on_few_pixels_is_told_as_a_wide_error():
    few, _ = drawn(60, 1.0, 100.0)
    many, _ = drawn(6000, 1.0, 10.0)
    unsure, sure = (calibrate(v, np.arange(v.mean.shape[1]), seed=0) for v in (few, many))
    assert unsure.ratio_error > 0.25 and sure.ratio_error < 0.1
    assert 0.05 < unsure.ratio < 10  # the prior keeps it in bounds


def test_the_stated_coverage_is_that_of_the_truth_on_average():
    # 20 independent problems: the cross-fitted intervals of the held-out pixels, against the truth.
    told, true = [], []
    for seed in range(20):
        values, truth = drawn(600, 1.6, 3.0, seed=seed, tails="student")
        found = calibrate(values, np.arange(600), seed=seed)
        told.append(found.coverage)
        true.append(inside(found.held_out.low, found.held_out.high, truth))
    assert np.mean(true) == pytest.approx(0.9, abs=0.015)
    assert np.mean(told) == pytest.approx(np.mean(true), abs=0.015)


@pytest.mark.parametrize("noise", [0.05, 0.2, 0.6])
def test_a_seen_pixel_errs_by_its_noise_and_by_its_estimate_without_it_each_by_its_weight(noise):
    """An estimator that takes its errors of 0.5 for 1, and most of them are far smaller: at faint noise what stays is noise."""
    rng = np.random.default_rng(0)
    count, own = 100_000, 1.0
    errors = 0.5 * np.where(rng.random((1, count)) < 0.1, 2.9, 0.4) * rng.standard_normal((1, count))
    residual = noise * rng.standard_normal((1, count)) - errors
    std, variance = np.full((1, count), own), np.full((1, count), noise**2)
    values = Values(np.zeros((1, count)), std, residual, residual**2, variance)
    found = calibrate(values, np.arange(count), seed=0)
    weight = own**2 / (own**2 + noise**2)
    after = weight * noise * rng.standard_normal((1, count)) + (1 - weight) * errors
    half = found.reach(0.9) * found.std(np.full((1, count), noise * weight**0.5), noise**2)
    assert 0.88 < (np.abs(after) <= half).mean() < 0.92


def test_doubt_about_the_squares_is_about_their_size_alone():
    rng = np.random.default_rng(1)
    std = rng.uniform(0.1, 10, (1, 20000))
    error = 2 * np.hypot(4.0, std) * rng.standard_normal(std.shape)
    values = Values(np.zeros_like(std), std, error, error**2, np.zeros_like(std), spread=0.3)
    sure, unsure = (calibrate(v, np.arange(20000), seed=0) for v in (values, replace(values, doubt=0.3)))
    # Of a prior and squares that are as doubtful as each other, the middle.
    assert np.log(unsure.ratio) == pytest.approx(np.log(sure.ratio) / 2, abs=0.03)
    assert sure.ratio_error < 0.03 and unsure.ratio_error == pytest.approx(0.3 / 2**0.5, abs=0.03)
    assert unsure.floor / unsure.scale == pytest.approx(sure.floor / sure.scale, rel=0.05)


def test_a_std_that_misses_a_constant_part_gets_it():
    rng = np.random.default_rng(0)
    std = rng.uniform(0.1, 10, (1, 8000))
    error = np.hypot(4.0, std) * rng.standard_normal(std.shape)
    values = Values(np.zeros_like(std), std, error, error**2, np.zeros_like(std))
    found = calibrate(values, np.arange(8000), seed=0)
    assert found.floor == pytest.approx(4.0, rel=0.1) and found.scale == pytest.approx(1.0, rel=0.1)
    small = std < 2
    assert inside(found.held_out.low[small], found.held_out.high[small], error[small]) > 0.87


def test_intervals_grow_with_their_level_and_what_is_certain_stays_so():
    values, _ = drawn(500, 1.3, 0.0, tails="laplace")
    found = calibrate(values, np.arange(500), seed=0)
    reaches = [found.reach(level) for level in np.linspace(0.001, 0.999, 200)]
    assert (np.diff(reaches) > -1e-9).all() and len(found.tails) == len(LEVELS)
    assert found.std(np.zeros(3)).tolist() == [0, 0, 0]


def test_too_few_pixels_and_a_certain_method_give_no_calibration():
    values, _ = drawn(31, 1.0, 0.0)
    assert calibrate(values, np.arange(31), seed=0) is None
    values, _ = drawn(100, 1.0, 0.0)
    certain = Values(values.mean, 0 * values.std, values.residual, values.squares, values.noise)
    assert calibrate(certain, np.arange(100), seed=0) is None


def test_the_cosine_basis_is_orthonormal_and_equal_to_scipy_s():
    from scipy.fft import dct

    np.testing.assert_allclose(cosine_basis(8).numpy(), dct(np.eye(8), norm="ortho", axis=0), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 300), (3, 20, 30), (2, 6, 7, 9), (1, 1, 5), (1, 1)])
def test_shrinkage_without_noise_changes_nothing(shape):
    y = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(shrink(y, 0.0), y, atol=1e-5)


def test_shrinkage_removes_noise_and_does_not_depend_on_its_strips(monkeypatch):
    from bayesdip import dct_thresholding as shrinkage

    clean = torch.from_numpy(smooth_picture((40, 50), 3)).permute(2, 0, 1)
    y = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    whole = shrink(y, 0.1)
    assert (whole - clean).square().mean() < 0.1 * 0.1**2
    monkeypatch.setattr(shrinkage, "MOST_VALUES", 1)
    assert torch.allclose(shrink(y, 0.1), whole, atol=1e-6)


def test_reduced_squares_tell_the_same_error_with_less_scatter():
    generator = torch.Generator().manual_seed(0)
    clean = torch.from_numpy(smooth_picture((128, 128)))[None]
    sigma = 0.1
    told, plain = [], []
    for _ in range(12):
        noise = sigma * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
        held_out = torch.rand(128, 128, generator=generator) < 0.05
        mean = clean + 0.03 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
        residual = (clean + noise - mean)[:, held_out]
        seen = torch.ones_like(clean, dtype=torch.bool)
        squares = reduced_squares(residual, clean + noise, seen, held_out, mean, sigma)
        told.append(float(squares.mean()) - sigma**2)
        plain.append(float(residual.square().mean()) - sigma**2)
    told, plain = np.array(told), np.array(plain)
    assert told.mean() == pytest.approx(0.03**2, abs=4 * told.std() / 12**0.5)
    assert told.std() < 0.6 * plain.std()


def test_held_out_pixels_are_updated_by_bayes_rule():
    grid = (30, 30)
    y = torch.full((1, *grid), 2.0, dtype=torch.float64)
    held_out = torch.zeros(grid, dtype=torch.bool)
    held_out[::2] = True
    problem = Problem(y, Identity(grid), Gaussian(1.0), held_out)
    posterior = Posterior(
        mean=torch.zeros(1, *grid),
        std=torch.ones(1, *grid),
        samples=torch.randn(4000, 1, *grid, generator=torch.Generator().manual_seed(0)),
    )
    values, _ = drawn(2000, 1.0, 0.0)
    calibration = calibrate(values, np.arange(2000), seed=0)
    v = calibration.variance(np.ones(1))[0]
    learnt = with_own_values(posterior, problem, calibration, seed=0)
    assert torch.allclose(learnt.mean[:, held_out], torch.tensor(2 * v / (v + 1), dtype=torch.float64))
    assert torch.allclose(learnt.std[:, held_out].square(), torch.tensor(0.5, dtype=torch.float64))
    # The calibrated error of an estimate that gives the value its own weight, 0.5, and not the best one.
    better = calibrated_std(learnt, problem, calibration)[:, held_out].square()
    tail = calibration.std(np.ones(1))[0] / v**0.5
    assert torch.allclose(better, torch.tensor(0.25 + 0.25 * tail**2 * v, dtype=torch.float32), rtol=1e-3)
    assert torch.equal(learnt.mean[:, ~held_out].float(), posterior.mean[:, ~held_out])
    among = learnt.samples[..., held_out]
    assert float(among.mean()) == pytest.approx(2 * v / (v + 1), abs=0.01)
    gain = v / (v + 1)
    assert float(among.std()) == pytest.approx(((1 - gain) ** 2 + gain**2) ** 0.5, rel=0.01)


def test_held_out_pixels_are_few_of_a_large_picture_and_more_of_a_small_one():
    for side, count in ((16, 10), (100, 400), (150, 900), (200, 1000), (300, 1800)):
        problem = Problem(torch.zeros(1, side, side), Identity((side, side)), Gaussian(1.0))
        assert int(split(problem, 0).sum()) == count
    half = torch.arange(200)[:, None].expand(200, 200) < 100
    held_out = split(Problem(torch.zeros(1, 200, 200), Mask(half), Gaussian(0.0)), 0, in_regions=False)
    assert not held_out[half].any() and int(held_out.sum()) == 800


def test_pixels_deep_in_a_hole_are_told_to_be_beyond_the_calibration():
    observed = np.ones((60, 60), bool)
    observed[20:40, 20:40] = False
    held_out = np.zeros_like(observed)
    held_out[::7, ::7] = observed[::7, ::7]
    deep = (np.minimum.reduce([np.arange(1, 21), np.arange(20, 0, -1)]) > 1).mean() ** 2
    assert share_beyond(observed[None], held_out[None]) == pytest.approx(deep, abs=0.02)
    assert share_beyond(np.ones_like(observed)[None], held_out[None]) == 0


@pytest.mark.parametrize("task", ["denoise", "inpaint"])
def test_a_restoration_s_calibrated_intervals_cover_the_truth(task):
    from skimage import data

    truth = data.camera()[64:192, 160:288].astype(float)
    rng = np.random.default_rng(0)
    if task == "denoise":
        r = bd.denoise(truth + rng.normal(0, 10, truth.shape), 10, method="gp")
        where = np.ones_like(truth, bool)
    else:
        where = rng.random(truth.shape) < 0.5
        r = bd.inpaint(truth, where, method="gp")
    low, high = r.interval(0.9)
    assert inside(low[where], high[where], truth[where]) == pytest.approx(0.9, abs=0.05)
    assert r.calibration.coverage_error < 0.03


def test_a_wrong_noise_free_std_is_mended_on_missing_pixels(monkeypatch):
    def overconfident(self, problem, progress):
        from dataclasses import replace

        found = fit(self, problem, progress)
        return replace(found, std=0.3 * found.std, state=None)

    fit = bd.GP.fit
    monkeypatch.setattr(bd.GP, "fit", overconfident)
    monkeypatch.setattr(bd.GP, "update", lambda self, problem, posterior, progress: None)
    truth = smooth_picture((96, 96)) + 0.05 * np.random.default_rng(1).standard_normal((96, 96))
    missing = np.random.default_rng(0).random(truth.shape) < 0.5
    r = bd.inpaint(truth, missing, sigma=0, method="gp")
    coverage = [
        inside(low[missing], high[missing], truth[missing])
        for low, high in (r.interval(0.9), r.interval(0.9, calibrated=False))
    ]
    assert coverage[0] == pytest.approx(0.9, abs=0.04) and coverage[1] < 0.6
    assert r.calibration.coverage_uncalibrated == pytest.approx(coverage[1], abs=0.09)


def test_calibration_follows_the_picture_s_scale_and_comes_back_from_a_file(tmp_path):
    noisy = smooth_picture((64, 64)) + np.random.default_rng(0).normal(0, 0.1, (64, 64))
    plain = bd.denoise(noisy, 0.1, method="gp")
    moved = bd.denoise(500 + 40 * noisy, 4.0, method="gp")
    assert moved.calibration.floor == pytest.approx(40 * plain.calibration.floor, rel=1e-3)
    np.testing.assert_allclose(moved.std, 40 * plain.std, rtol=1e-3)
    np.testing.assert_allclose(
        moved.calibration.held_out.low, 500 + 40 * plain.calibration.held_out.low, rtol=1e-3
    )
    moved.save(tmp_path)
    back = bd.Restoration.load(tmp_path)
    assert back.calibration.summary() == moved.calibration.summary()
    for mine, theirs in zip(back.interval(0.8), moved.interval(0.8), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(back.calibration.held_out.places, moved.calibration.held_out.places)


def test_quantiles_come_from_samples_where_there_are_enough():
    rng = np.random.default_rng(0)
    samples = rng.exponential(1.0, (4000, 5))
    facts = {"trace": {}, "sigma": None, "held_out": None, "held_out_count": 0, "seconds": 0.0, "stopped": ""}
    facts |= {"raw_std": np.ones(5, np.float32), "method": "x", "why": ""}
    r = bd.Restoration(mean=np.ones(5), std=np.ones(5, np.float32), samples=samples, settings={}, **facts)
    np.testing.assert_allclose(r.quantile(0.9), np.full(5, np.log(10)), rtol=0.1)
    few = bd.Restoration(
        mean=np.ones(5), std=np.ones(5, np.float32), samples=samples[:19], settings={}, **facts
    )
    np.testing.assert_allclose(few.quantile(0.9), np.full(5, 1 + 1.2816), rtol=1e-3)
    np.testing.assert_array_equal(few.quantile(0.1), few.interval(0.8)[0])
    for wrong in (0.0, 1.0, 2.0):
        with pytest.raises(bd.BayesDipError, match="between 0 and 1"):
            r.quantile(wrong)
