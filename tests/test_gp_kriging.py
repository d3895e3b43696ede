"""Kriging finds the kernel of smooth data and the rhythms of signals, and says so where it takes part."""

import numpy as np
import pytest
import torch
from scipy.interpolate import Akima1DInterpolator
from scipy.ndimage import gaussian_filter

import bayesdip as bd
from bayesdip.errors import BayesDipError
from bayesdip.gp import kriging
from bayesdip.gp.kriging_deviation import deviation, nugget
from bayesdip.kernels import RBF, Periodic
from bayesdip.simple import biharmonic, simple_estimates


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


def series(count=1600, gap=(700, 800), noise=0.1):
    rng = np.random.default_rng(0)
    t = np.arange(count)
    truth = 5 + 2 * np.sin(2 * np.pi * t / 24) + np.sin(2 * np.pi * t / 168) + 0.001 * t
    missing = np.zeros(count, bool)
    missing[slice(*gap)] = True
    return truth, truth + noise * rng.standard_normal(count), missing


def test_a_periodic_kernel_repeats_itself_and_is_for_signals():
    table = (Periodic(8.0, 0.5) * RBF(1e6)).quadrant((33,))
    np.testing.assert_allclose(table[::8], 1, atol=1e-6)
    assert float(table[4]) == pytest.approx(np.exp(-2 / 0.25), abs=1e-6)
    lags = abs(np.subtract.outer(np.arange(17), np.arange(17)))
    assert float(torch.linalg.eigvalsh(Periodic(8.0).quadrant((17,))[lags]).min()) > -1e-9
    with pytest.raises(BayesDipError, match="period is 0"):
        Periodic(0.0)
    with pytest.raises(BayesDipError, match="expected a signal"):
        Periodic(4.0).quadrant((4, 4))


def test_the_prediction_is_the_posterior_mean_of_dense_algebra():
    rng = np.random.default_rng(0)
    y, missing = rng.standard_normal((8, 8)), rng.random((8, 8)) < 0.4
    fitted = kriging.learnt_from(y, missing)
    places = np.argwhere(np.ones_like(missing)).astype(float)
    K = fitted.covariance(torch.from_numpy(places[:, None] - places[None])).numpy()
    known, gone = ~missing.ravel(), missing.ravel()
    inverse = np.linalg.inv(
        K[np.ix_(known, known)] + (float(fitted.parameters[0]) + 1e-9 * K[0, 0]) * np.eye(known.sum())
    )
    mean = (inverse @ y[~missing]).sum() / inverse.sum()
    expected = mean + K[np.ix_(gone, known)] @ inverse @ (y[~missing] - mean)
    np.testing.assert_allclose(kriging.filled(fitted, y, missing)[missing], expected, rtol=1e-5, atol=1e-7)


def test_evidence_finds_lengthscale_and_nugget():
    rng = np.random.default_rng(1)
    truth = gaussian_filter(rng.normal(size=(40, 40)), 3)  # an RBF process of lengthscale 3 sqrt(2)
    truth /= truth.std()
    missing = rng.random(truth.shape) < 0.5
    fitted = kriging.learnt_from(truth + 0.1 * rng.standard_normal(truth.shape), missing)
    nugget, lengthscale = fitted.parameters.tolist()
    assert lengthscale == pytest.approx(3 * np.sqrt(2), rel=0.25)
    assert nugget == pytest.approx(0.01, rel=0.6)


def test_rhythms_are_found_and_carried_over_a_gap():
    truth, y, missing = series()
    fitted = kriging.learnt_from(y, missing)
    full = kriging.filled(fitted, np.where(missing, 0, y), missing)
    assert len(fitted.parts) == 3  # a smooth one, the day and the week
    assert rms((full - truth)[missing]) < 0.15


def test_a_signal_without_rhythm_has_none():
    y = np.cumsum(np.random.default_rng(0).standard_normal(400))
    assert len(kriging.learnt_from(y, np.zeros(400, bool)).parts) == 1


def test_a_long_signal_is_predicted_in_pieces():
    truth, y, missing = series(4000, (1990, 2010), 0.0)
    full = kriging.filled(kriging.learnt_from(y, missing), np.where(missing, 0, y), missing)
    assert rms((full - truth)[missing]) < 0.15


def test_a_long_gap_in_a_rhythmic_series_is_filled_with_its_rhythm():
    truth, y, missing = series()
    found = bd.inpaint(np.where(missing, 0, y), missing)
    at = np.flatnonzero(~missing)
    spline = Akima1DInterpolator(at, y[at])(np.arange(len(y)))
    assert rms((found.mean - truth)[missing]) < 0.3 * rms((spline - truth)[missing])
    assert any("kriging" in f.text for f in found.findings)


def test_a_sparse_smooth_grid_is_better_than_biharmonic_filling():
    rng = np.random.default_rng(3)
    truth = gaussian_filter(rng.normal(size=(36, 36)), 4)
    truth = 2 + truth / truth.std() * 0.3
    missing = rng.random(truth.shape) < 0.85
    y = np.where(missing, 0, np.round(truth, 1))
    found = bd.inpaint(y, missing)
    assert rms((found.mean - truth)[missing]) < 0.9 * rms((biharmonic(y, missing) - truth)[missing])


def test_channels_have_kernels_and_masks_of_their_own():
    rng = np.random.default_rng(0)
    truth = np.stack([gaussian_filter(rng.normal(size=(24, 24)), s) for s in (2, 4)])
    gone = rng.random(truth.shape) < 0.5
    problem = bd.inputs.Inputs.inpainting(np.where(gone, 0, truth), gone, 0.0, None, None, 0).problem
    krige = next(simple for simple in simple_estimates(problem) if simple.name == "kriging")
    full = problem.units.to_own(krige.estimate(problem)).numpy()
    np.testing.assert_allclose(full[~gone], truth[~gone])
    for x, y, missing in zip(truth, full, gone, strict=True):
        assert rms((y - x)[missing]) < 0.2 * x.std()


def test_smooth_data_are_told_from_rough_ones():
    rng = np.random.default_rng(0)
    missing = rng.random((32, 32)) < 0.7
    smooth = gaussian_filter(rng.normal(size=(32, 32)), 3)
    assert kriging.learnt_from(smooth, missing).is_smooth
    rough = np.cumsum(np.cumsum(rng.normal(size=(32, 32)), 0), 1)  # a Brownian sheet
    assert not kriging.learnt_from(rough, missing).is_smooth
    assert not kriging.learnt_from(rng.normal(size=(32, 32)), missing).is_smooth


def test_the_deviation_is_that_of_the_dense_posterior_with_an_unknown_mean():
    rng = np.random.default_rng(0)
    y, missing = gaussian_filter(rng.normal(size=(12, 14)), 2), rng.random((12, 14)) < 0.4
    y += 0.1 * y.std() * rng.standard_normal(y.shape)
    fitted = kriging.learnt_from(y, missing)
    places = torch.from_numpy(np.argwhere(np.ones(y.shape)).astype(float))
    every = fitted.covariance(places[:, None] - places[None]).numpy()
    known, gone = (~missing).ravel(), missing.ravel()
    K = every[np.ix_(known, known)] + float(fitted.parameters[0]) * np.eye(known.sum())
    # A mean of a very wide prior, and the scale of the weighted residuals.
    ones = np.ones((known.sum(), 1))
    inverse = np.linalg.inv(K)
    mean = (ones.T @ inverse @ y.ravel()[known]) / (ones.T @ inverse @ ones)
    rest = y.ravel()[known] - mean.item()
    power = rest @ inverse @ rest / (known.sum() - 1)
    cross = every[np.ix_(known, gone)]
    left = 1 - (ones.T @ inverse @ cross)
    variance = np.diag(every)[gone] - np.einsum("ij,ij->j", cross, inverse @ cross)
    variance = power * (variance + left[0] ** 2 / (ones.T @ inverse @ ones).item())
    found = deviation(fitted, y, missing)
    assert not found[~missing].any()
    np.testing.assert_allclose(found[missing] ** 2, variance, rtol=1e-5)


def test_noise_on_a_smooth_process_is_found():
    rng = np.random.default_rng(1)
    smooth = gaussian_filter(rng.normal(size=(40, 40)), 3)
    smooth /= smooth.std()
    missing = rng.random(smooth.shape) < 0.3
    noisy = smooth + 0.1 * rng.standard_normal(smooth.shape)
    assert nugget(kriging.learnt_from(noisy, missing), noisy, missing) == pytest.approx(0.01, rel=0.35)
    assert nugget(kriging.learnt_from(smooth, missing), smooth, missing) < 1e-5
