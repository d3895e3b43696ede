"""Correlated noise found in the calmest places of a picture."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

import bayesdip as bd
from bayesdip.noise import Correlated, inspect
from bayesdip.noise.autocovariance import NoiseSpectrum


def picture(side=160):
    """Flat parts, edges and a textured corner."""
    rng = np.random.default_rng(5)
    row, column = np.mgrid[:side, :side]
    clean = 60 + 80.0 * (np.hypot(row - side / 2, column - side / 3) < side / 4)
    texture = 40 * rng.standard_normal((side, side)) * ((row > 0.7 * side) & (column > 0.5 * side))
    return clean + texture


def streaks(shape, sigma, seed=0):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0, 2.0))
    return sigma * noise / noise.std()


def tensor(picture):
    found = torch.from_numpy(np.clip(np.rint(picture), 0, 255).astype(np.float64))
    return found[None] if found.ndim == 2 else found.movedim(-1, 0)


def spectrum_of(picture):
    picture = tensor(picture)
    return NoiseSpectrum.of(picture, torch.ones_like(picture, dtype=torch.bool))


def test_the_correlation_of_neighbours_is_found():
    found = spectrum_of(picture() + streaks((160, 160), 15.0))
    table = found.autocovariance[0, 0]
    assert float(found.levels[0]) == pytest.approx(15, rel=0.15)
    assert table[8, 9] / table[8, 8] == pytest.approx(np.exp(-1 / 16), abs=0.08)
    assert abs(table[9, 8] / table[8, 8]) < 0.15
    assert found.is_noise(150.0) and not found.is_white


def test_inspection_takes_it_for_denoising_and_says_so():
    y = tensor(picture() + streaks((160, 160), 15.0))
    found = inspect(y, denoising=True)
    assert isinstance(found.noise, Correlated)
    assert found.is_correlated
    (said,) = [f for f in found.findings if f.kind == "correlated noise"]
    assert said.facts["sigma"][0] == pytest.approx(15, rel=0.15)
    assert not isinstance(inspect(y).noise, Correlated)


def test_noise_that_colours_share_has_covariances_between_them():
    rng = np.random.default_rng(0)
    shared = gaussian_filter(rng.standard_normal((160, 160)), 1.0)
    shared = 15 * shared / shared.std()
    found = spectrum_of(np.stack([picture()] * 3, -1) + shared[..., None])
    middle = found.autocovariance[:, :, 8, 8]
    assert np.allclose(middle, middle[0, 0], rtol=0.02)


@pytest.mark.parametrize("name", ["camera", "brick", "moon", "coins"])
def test_clean_pictures_have_none(name):
    part = getattr(data, name)()[:256, :256].astype(float)
    assert not spectrum_of(part).is_noise(float(np.ptp(part)))


def test_white_noise_is_none():
    y = picture() + np.random.default_rng(0).normal(0, 15, (160, 160))
    assert spectrum_of(y).is_white
    assert not isinstance(inspect(tensor(y), denoising=True).noise, Correlated)


@pytest.mark.parametrize("name", ["brick", "coins"])
def test_texture_beneath_white_noise_is_none(name):
    part = getattr(data, name)()[:128, :128] + np.random.default_rng(0).normal(0, 15, (128, 128))
    assert spectrum_of(part).is_white
    assert not isinstance(inspect(tensor(part), denoising=True).noise, Correlated)


def test_a_picture_with_few_windows_has_no_spectrum():
    assert spectrum_of(np.zeros((20, 20))) is None
    assert spectrum_of(np.zeros((64, 64))) is None


def test_an_estimate_can_be_asked_for():
    y = picture() + streaks((160, 160), 15.0)
    found = Correlated.estimated(np.stack([y, 2 * y], -1), channel_axis=-1)
    levels = found.variance(torch.zeros(2, 4, 4, dtype=torch.float64)).sqrt().flatten().tolist()
    assert levels == pytest.approx([15, 30], rel=0.15)
    with pytest.raises(bd.BayesDipError, match="larger"):
        Correlated.estimated(np.zeros((20, 20)))


def test_a_blank_margin_is_no_noise():
    y = np.pad(picture() + streaks((160, 160), 15.0), 60, constant_values=120.0)
    found = inspect(tensor(y), denoising=True)
    assert float(found.noise.variance(tensor(y)).min()) > 0


def test_white_noise_beneath_texture_of_a_small_picture_is_white():
    rng = np.random.default_rng(4)
    texture = gaussian_filter(rng.standard_normal((96, 96)), 1.0)
    y = 128 + 40 * texture / texture.std() + rng.normal(0, 10, (96, 96))
    found = spectrum_of(y)
    assert found.flatness < 0.8 and found.is_white
    assert "correlated noise" not in [finding.kind for finding in bd.denoise(y, effort="fast").findings]
    assert not spectrum_of(128 + streaks((96, 96), 15.0)).is_white
