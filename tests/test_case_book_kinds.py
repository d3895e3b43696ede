"""Kinds of inputs from the field, each by what should come out of the defaults: no worse than a simple method, and no crash."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.restoration import inpaint_biharmonic

import bayesdip as bd
from bayesdip import memory
from bayesdip.patches.bytes_needed import bytes_needed


def texture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Stationary, of waves of about eight pixels, from 0 to 255."""
    rough = np.random.default_rng(seed).standard_normal(shape)
    band = gaussian_filter(rough, 1.5, mode="wrap") - gaussian_filter(rough, 3.0, mode="wrap")
    return 255 * (band - band.min()) / np.ptp(band)


def rms(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - truth) ** 2)))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_hole_in_texture_is_filled_no_worse_than_by_biharmonic_functions_and_is_not_said_to_be_certain(
    seed,
):
    truth = texture((56, 56), seed)
    mask = np.zeros(truth.shape, bool)
    mask[22:34, 20:36] = True
    given = np.where(mask, 0, truth)
    r = bd.inpaint(given, mask, effort="fast")
    assert rms(r.mean[mask], truth[mask]) < 1.05 * rms(inpaint_biharmonic(given, mask)[mask], truth[mask])
    low, high = r.interval(0.9)
    assert np.mean((low <= truth) & (truth <= high), where=mask) > 0.7


def test_a_speck_in_a_picture_that_would_not_fit_as_a_whole_is_filled_in(monkeypatch):
    free = 400 * 2**20
    monkeypatch.setattr(memory, "available_memory", lambda device: free)
    clean = np.add.outer(np.arange(2400.0), np.arange(2200.0)).astype(np.float32)
    assert bytes_needed((1, *clean.shape), 25, 0, is_picture=True) > free
    mask = np.zeros(clean.shape, bool)
    mask[600, 500] = True
    r = bd.inpaint(np.where(mask, 0, clean), mask, sigma=0, effort="fast")
    assert r.mean[600, 500] == pytest.approx(clean[600, 500], abs=0.5)
    assert np.array_equal(r.mean[~mask], clean[~mask])


def test_laplace_noise_on_a_picture_of_any_size_has_a_result():
    truth = texture((64, 64))
    noise = np.random.default_rng(1).laplace(0, 10, truth.shape)
    r = bd.denoise(truth + noise, noise=bd.Laplace(10), effort="fast")
    assert rms(r.mean, truth) < rms(truth + noise, truth)


def test_hot_pixels_among_stars_go_and_the_light_of_the_stars_stays():
    rows, columns = np.mgrid[:96, :96]
    sky = np.full((96, 96), 800.0)
    rng = np.random.default_rng(2)
    for row, column, light in zip(*rng.uniform(10, 86, (2, 9)), rng.uniform(3e3, 4e4, 9), strict=True):
        sky += (
            light
            * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 1.6**2))
            / (2 * np.pi * 1.6**2)
        )
    noisy = sky + rng.normal(0, 12, sky.shape)
    hot = [tuple(place) for place in rng.integers(3, 93, (12, 2)) if sky[tuple(place)] < 820]
    for place in hot:
        noisy[place] += 3000
    r = bd.denoise(noisy, effort="fast")
    assert max(abs(r.mean[place] - sky[place]) for place in hot) < 100
    light = (sky > 810) & ~np.isin(np.arange(sky.size).reshape(sky.shape), [96 * i + j for i, j in hot])
    assert r.mean[light].sum() == pytest.approx(noisy[light].sum(), rel=1e-3)
