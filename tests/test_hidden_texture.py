"""Where noise hides texture, intervals are wider in textured places and narrower in smooth ones, and hold as much in all."""

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.calibration import Calibration, calibrate
from bayesdip.error_law import Values
from bayesdip.hidden_texture import LITTLE, HiddenTexture, averaged_hidden, hidden_texture


def shares(mean, seed=0, count=4000):
    rng = np.random.default_rng(seed)
    found = rng.lognormal(0, 0.8, count)
    return np.clip(mean * found / found.mean(), 1e-4, 0.9)


def test_weak_noise_hides_nothing():
    assert hidden_texture(shares(LITTLE + 0.05)) is None
    assert hidden_texture(np.zeros(10)) is None


def test_the_stronger_the_noise_the_more_it_hides():
    powers = [hidden_texture(shares(mean)).power for mean in (0.15, 0.05, 0.02)]
    assert 1 < powers[0] < powers[1] < powers[2]


def test_the_geometric_mean_of_variances_stays():
    share = shares(0.05)
    factor = hidden_texture(share).factor(share)
    assert np.log(factor).mean() == pytest.approx(0, abs=1e-12)
    assert np.all(np.diff(factor[np.argsort(share)]) >= 0)


def test_where_no_noisy_value_was_seen_the_variance_stays():
    assert HiddenTexture(1.3, 0.05).factor(np.array([0.0, np.inf, 1.5, 0.05])).tolist() == [1, 1, 1, 1]


def test_parts_are_averaged_and_those_without_count_as_a_power_of_one():
    one = HiddenTexture(1.4, 0.04)
    assert averaged_hidden([(1.0, None), (2.0, None)]) is None
    both = averaged_hidden([(3.0, one), (1.0, None)])
    assert (both.power, both.middle) == pytest.approx((1.3, 0.04))


def left_out_alone(share, seed=1, noise=400.0):
    """Values that were each left out alone, whose estimates have this share of the noise's variance."""
    rng = np.random.default_rng(seed)
    std = np.sqrt(noise * share / (1 - share))[None]
    residual = std * rng.standard_normal(std.shape) + np.sqrt(noise) * rng.standard_normal(std.shape)
    return Values(
        np.zeros_like(std), std, residual, residual**2, np.full_like(std, noise), alone=True, hides=True
    )


def test_a_calibration_keeps_it():
    share = shares(0.05)
    found = calibrate(left_out_alone(share), np.arange(share.size), 0)
    assert found.hidden.middle == pytest.approx(hidden_texture(share).middle)
    assert found.hidden.power > 1
    again = Calibration.of(found.summary(), found.to_arrays())
    assert again.hidden == found.hidden
    own, noise = np.sqrt(400.0 * share), np.full(share.shape, 400.0)
    assert np.array_equal(again.std(own, noise), found.std(own, noise))


def test_the_whole_is_as_wide_and_the_uncertain_places_are_wider():
    share = shares(0.05)
    found = calibrate(left_out_alone(share), np.arange(share.size), 0)
    own, noise = np.sqrt(400.0 * share), np.full(share.shape, 400.0)
    plain = Calibration.of(
        {name: value for name, value in found.summary().items() if not name.startswith("hidden")},
        found.to_arrays(),
    ).std(own, noise)
    ratio = found.std(own, noise) / plain
    assert np.log(ratio).mean() == pytest.approx(0, abs=1e-6)
    assert ratio[share > 0.1].min() > 1 > ratio[share < 0.02].max()


def test_slices_of_a_stack_show_each_others_texture():
    rng = np.random.default_rng(3)
    stack = np.tile(120 + 40 * np.sin(np.arange(40) / 9), (4, 40, 1)) + 50 * rng.standard_normal((4, 40, 40))
    slices = bd.denoise(stack, sigma=50.0, method="patches", effort="fast", channel_axis=None)
    assert slices.calibration.hidden is None
    assert bd.denoise(stack[0], sigma=50.0, method="patches", effort="fast").calibration.hidden is not None


def test_both_halves_of_a_textured_picture_hold():
    rng = np.random.default_rng(2)
    x, y = np.meshgrid(np.arange(96), np.arange(96))
    weave = 12 * np.sin(x / 1.3 + np.sin(y / 9)) * np.sin(y / 1.7) + 20 * rng.standard_normal((96, 96))
    clean = 120 + 40 * np.sin(x / 40) + np.where(x >= 48, weave, 0)
    found = bd.denoise(clean + 50 * rng.standard_normal(clean.shape), sigma=50.0, method="patches")
    assert found.calibration.hidden is not None
    low, high = found.interval(0.9)
    textured = ((low <= clean) & (clean <= high))[:, 48:].mean()
    plain = found.calibration.hidden.factor(found.raw_std.astype(float) ** 2 / 50**2)
    half = (high - low) / 2 / np.sqrt(plain)
    before = (np.abs(clean - found.mean) <= half)[:, 48:].mean()
    assert textured > before
