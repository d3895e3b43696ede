"""The covariance of noise from windows that hold texture, too, and noise of cameras that is told from the picture."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.data import chelsea
from skimage.transform import resize

import bayesdip as bd
from bayesdip.noise import Correlated, inspect
from bayesdip.noise.colour_noise import entries_with_correlated_noise
from bayesdip.noise.estimated_covariance import estimated_autocovariance
from bayesdip.noise.tapered_windows import TaperedWindows, counted
from bayesdip.noise.texture_mixture import noise_covariances


def scene(side=144):
    """In colour: parts of unlike brightness, and texture that all channels share, weaker and weaker from left to right."""
    rng = np.random.default_rng(3)
    row, column = np.mgrid[:side, :side]
    picture = 80 + 60.0 * (np.hypot(row - side / 2, column - side / 3) < side / 4) + 40.0 * (row > 0.8 * side)
    texture = gaussian_filter(rng.standard_normal((side, side)), 1.0)
    picture = picture + 60 * texture * np.clip(1 - 1.5 * column / side, 0, 1)
    return picture[..., None] * np.array([1.0, 0.9, 0.7])


def camera_noise(shape, sigma, seed=0):
    """Of sensors with a colour each, smoothed as by demosaicing, the colours' differences more than the brightness."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.standard_normal((*shape, 3)), (0.5, 0.5, 0))
    brightness = noise.mean(-1, keepdims=True)
    noise = brightness + gaussian_filter(noise - brightness, (1.0, 1.0, 0))
    return sigma * noise / noise.std()


def tensor(picture):
    return torch.from_numpy(np.clip(np.rint(picture), 0, 255)).movedim(-1, 0)


def everywhere(picture):
    return torch.ones_like(picture, dtype=torch.bool)


def is_noisy(picture, value_range=200.0):
    seen = everywhere(picture)
    return entries_with_correlated_noise(picture, seen, seen, value_range) is not None


def test_noise_is_told_from_texture_of_any_strength():
    rng = np.random.default_rng(0)
    shape = (20, 2, 600)
    noise = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / 2**0.5
    noise[:, 1] = 0.8 * noise[:, 0] + 0.6 * noise[:, 1]
    texture = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / 2**0.5
    texture[:, 1] = texture[:, 0]
    strengths = 100 * rng.random(600) ** 6
    falling = np.linspace(3, 1, 20)[:, None, None]
    found = noise_covariances(noise + np.sqrt(strengths) * falling * texture, np.ones(20)).mean(0)
    assert found[0, 0].real == pytest.approx(1, abs=0.25)
    assert found[0, 1].real / found[0, 0].real == pytest.approx(0.8, abs=0.08)


def test_windows_without_power_have_no_noise():
    assert not noise_covariances(np.zeros((5, 2, 30), complex), np.ones(5)).any()


def test_modes_of_white_noise_have_its_variance():
    picture = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (1, 200, 200)))
    windows = TaperedWindows.of(picture, everywhere(picture), 6, 3, 10_000)
    squares = (np.abs(windows.modes) ** 2).mean((1, 2))
    assert counted(6) @ squares / counted(6).sum() == pytest.approx(4.0, rel=0.05)


def test_a_plane_is_no_part_of_a_window():
    row, column = np.mgrid[:64, :64]
    picture = torch.from_numpy(3.0 * row - 2.0 * column)[None]
    windows = TaperedWindows.of(picture, everywhere(picture), 16, 8, 100)
    assert np.abs(windows.modes).max() < 1e-9


def test_the_covariance_of_a_cameras_noise_is_found_beside_texture():
    noise = camera_noise((144, 144), 5.0)
    found = estimated_autocovariance(tensor(scene() + noise), everywhere(tensor(noise)))
    true = np.einsum("ija,ijb->ab", noise, noise) / 144**2
    middle = found[..., 7, 7]
    assert np.sqrt(np.diagonal(middle)) == pytest.approx(np.sqrt(np.diagonal(true)), rel=0.25)
    beside = (noise[:, 1:, 0] * noise[:, :-1, 0]).mean()
    assert found[0, 0, 7, 8] / middle[0, 0] == pytest.approx(beside / true[0, 0], abs=0.15)
    differences = np.array([1.0, -1.0, 0.0])
    assert differences @ middle @ differences == pytest.approx(differences @ true @ differences, rel=0.35)


def test_noise_that_is_strongest_in_one_channel_is_no_noise_that_channels_share():
    noise = camera_noise((144, 144), 5.0) * np.array([2.0, 0.5, 0.6])
    found = estimated_autocovariance(tensor(scene() + noise), everywhere(tensor(noise)))[..., 7, 7]
    true = np.einsum("ija,ijb->ab", noise, noise) / 144**2
    assert np.sqrt(np.diagonal(found)) == pytest.approx(np.sqrt(np.diagonal(true)), rel=0.25)


def test_five_channels_are_taken_one_by_one():
    rng = np.random.default_rng(0)
    picture = torch.from_numpy(
        np.arange(1, 6)[:, None, None] * gaussian_filter(rng.standard_normal((5, 80, 80)), (0, 1, 1))
    )
    found = estimated_autocovariance(picture, everywhere(picture))[..., 7, 7]
    assert not found[~np.eye(5, dtype=bool)].any()
    levels = np.sqrt(np.diagonal(found))
    assert levels / levels[0] == pytest.approx(np.arange(1, 6), rel=0.3)


def test_weak_noise_of_a_camera_is_recognised_and_removed():
    clean = scene()
    y = np.clip(np.rint(clean + camera_noise((144, 144), 6.0)), 0, 255).astype(np.uint8)
    found = inspect(tensor(y.astype(float)), denoising=True)
    assert isinstance(found.noise, Correlated)
    assert [finding.kind for finding in found.findings] == ["correlated noise"]
    restored = bd.denoise(y, channel_axis=-1, effort="fast", method="patches").mean
    assert np.square(restored - clean).mean() < 0.5 * np.square(y - clean).mean()


def coloured_texture(side=144):
    """A scene that is textured nearly all over, with some colours of the texture's own."""
    rng = np.random.default_rng(3)
    shared = gaussian_filter(rng.standard_normal((side, side)), 1.0)[..., None] * np.array([1.0, 0.9, 0.7])
    own = gaussian_filter(rng.standard_normal((side, side, 3)), (1.0, 1.0, 0))
    strength = np.clip(1.3 - np.arange(side) / (0.8 * side), 0, 1)[:, None]
    row, column = np.mgrid[:side, :side]
    disc = 60.0 * (np.hypot(row - side / 2, column - side / 3) < side / 4)
    return 110 + disc[..., None] + (80 * shared + 20 * own) * strength


@pytest.mark.parametrize(("sigma", "noisy"), [(0.0, False), (6.0, True), (9.0, True)])
def test_noise_of_a_camera_is_recognised_where_few_places_are_calm(sigma, noisy):
    y = tensor(coloured_texture() + camera_noise((144, 144), sigma or 1.0) * (sigma > 0))
    assert is_noisy(y) == noisy


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_clean_photograph_of_any_size_shows_no_noise_of_a_camera(factor):
    picture = resize(chelsea()[:256, 100:356], (round(256 * factor),) * 2, order=3, preserve_range=True)
    y = tensor(picture[:256, :256])
    assert not is_noisy(y)


@pytest.mark.parametrize("noise", ["none", "white", "white and weak", "gray"])
def test_other_colours_show_none(noise):
    rng = np.random.default_rng(1)
    added = {
        "none": 0.0,
        "white": rng.normal(0, 15, (144, 144, 3)),
        "white and weak": rng.normal(0, 4, (144, 144, 3)),
        "gray": rng.normal(0, 8, (144, 144, 1)),
    }[noise]
    y = tensor(scene() + added)
    assert not is_noisy(y)


def test_gray_and_small_pictures_have_no_colours():
    y = tensor(scene() + camera_noise((144, 144), 6.0))
    assert is_noisy(y)
    assert not is_noisy(y[:1])
    assert not is_noisy(y[:, :48, :48])


def test_channels_of_different_things_are_no_colours():
    rng = np.random.default_rng(2)
    texture = [gaussian_filter(rng.standard_normal((144, 144)), 1.0) for _ in range(2)]
    dyes = np.stack([16_000 + 30_000 * texture[0], 500 + 400 * texture[1]])
    y = torch.from_numpy(dyes + np.array([1200.0, 25.0])[:, None, None] * rng.standard_normal(dyes.shape))
    assert not is_noisy(y, 30_000.0)
    assert not isinstance(inspect(y, denoising=True).noise, Correlated)
