"""Noise that varies over the picture, and noise of compressed pictures, are recognised and removed."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import bayesdip as bd
from bayesdip.noise import Gaussian, Inspection, inspect
from bayesdip.noise.compression import is_compressed
from bayesdip.noise.inspection import CORRELATED_KINDS

Array = NDArray[np.float64]
RNG = np.random.default_rng


def clean(name: str, n: int = 192) -> Array:
    pixels: Array = getattr(data, name)()[60 : 60 + n, 100 : 100 + n].astype(float)
    return pixels


def tensor(values: Array) -> torch.Tensor:
    stacked = np.moveaxis(values, -1, 0) if values.ndim == 3 else values[None]
    return torch.from_numpy(np.ascontiguousarray(stacked, dtype=np.float64))


def inspected(values: Array) -> Inspection:
    return inspect(tensor(values))


def gradient(shape: tuple[int, ...]) -> Array:
    """From 5 to 40 across the width."""
    level = np.linspace(5, 40, shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
    return np.broadcast_to(level, shape).copy()


def vignette(shape: tuple[int, ...]) -> Array:
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    level = 8 + 12 * (rows**2 + columns**2)
    return np.broadcast_to(level.reshape(*shape[:2], *[1] * (len(shape) - 2)), shape).copy()


def to_8_bits(values: Array) -> Array:
    return np.clip(np.rint(values), 0, 255)


def as_jpeg(values: Array, quality: int) -> Array:
    file = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).astype(float)


@pytest.mark.parametrize("law", [gradient, vignette])
@pytest.mark.parametrize("name", ["coffee", "camera", "moon", "chelsea"])
def test_noise_that_varies_by_position_has_a_map(name: str, law: Callable[[tuple[int, ...]], Array]) -> None:
    picture = clean(name)
    level = law(picture.shape)
    found = inspected(to_8_bits(picture + level * RNG(0).normal(size=picture.shape)))
    assert "varying noise" in [f.kind for f in found.findings]
    assert isinstance(found.noise, Gaussian) and isinstance(found.noise.sigma, torch.Tensor)
    off = np.log(found.noise.sigma.numpy() / tensor(level).numpy())
    assert np.sqrt(np.mean(off**2)) < 0.3  # 0.55 for the best single level of the gradient


@pytest.mark.parametrize("name", ["coffee", "camera", "chelsea"])
def test_noise_that_varies_by_position_has_a_map_where_it_is_clipped_in_most_places(name: str) -> None:
    picture = 0.4 * clean(name, 96)
    level = gradient(picture.shape)
    given = to_8_bits(picture + level * RNG(0).normal(size=picture.shape))
    assert (given == 0).mean() > 0.1
    found = inspected(given)
    (finding,) = found.findings
    assert finding.kind == "varying noise" and finding.facts["by"] == "position"
    assert isinstance(found.noise, Gaussian) and isinstance(found.noise.sigma, torch.Tensor)
    off = np.log(found.noise.sigma.numpy() / tensor(level).numpy())
    assert np.sqrt(np.mean(off**2)) < 0.35


def test_noise_that_falls_with_brightness_is_no_photon_noise_and_has_a_map() -> None:
    picture = np.clip(clean("camera"), 30, 220)
    level = 40 - 0.15 * picture
    found = inspected(picture + level * RNG(0).normal(size=picture.shape))
    assert found.findings[0].kind == "varying noise" and found.findings[0].facts["by"] == "brightness"
    assert isinstance(found.noise, Gaussian) and isinstance(found.noise.sigma, torch.Tensor)
    assert np.mean(abs(np.log(found.noise.sigma[0].numpy() / level))) < 0.15


def test_the_map_of_one_level_would_be_flat_and_none_is_made() -> None:
    for name in ("coffee", "camera", "moon", "astronaut", "brick"):
        for sigma in (0, 12, 30):
            picture = clean(name)
            assert inspected(to_8_bits(picture + RNG(1).normal(0, sigma, picture.shape))).findings == ()


def test_a_signal_whose_noise_grows_has_a_map() -> None:
    time = np.arange(4000)
    level = np.linspace(1, 8, 4000)
    found = inspect(torch.from_numpy(50 * np.sin(time / 300) + level * RNG(0).normal(size=4000))[None])
    assert isinstance(found.noise, Gaussian) and isinstance(found.noise.sigma, torch.Tensor)
    assert np.mean(abs(np.log(found.noise.sigma[0].numpy() / level))) < 0.2


def test_varying_noise_is_removed_as_much_everywhere() -> None:
    picture = clean("chelsea", 144)
    given = to_8_bits(picture + gradient(picture.shape) * RNG(0).normal(size=picture.shape))
    r = bd.denoise(given, channel_axis=-1, effort="fast")
    assert r.sigma is None and r.findings[0].kind == "varying noise"
    for half in (slice(0, 72), slice(72, None)):
        before, after = (np.mean((x - picture)[:, half] ** 2) for x in (given, r.mean))
        assert 10 * np.log10(before / after) > 5


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee"])
@pytest.mark.parametrize("quality", [75, 90])
def test_the_grid_of_jpeg_is_found_in_noise_wherever_it_begins(name: str, quality: int) -> None:
    noisy = to_8_bits(clean(name) + RNG(0).normal(0, 20, clean(name).shape))
    assert not is_compressed(tensor(noisy))
    assert not is_compressed(tensor(clean(name)))
    assert is_compressed(tensor(as_jpeg(noisy, quality)[3:, 5:]))
    assert not is_compressed(tensor(as_jpeg(noisy, quality)) / 255)


@pytest.mark.parametrize("quality", [75, 90])
def test_noise_of_a_compressed_picture_is_removed_and_said(quality: int) -> None:
    picture = clean("astronaut", 96)
    given = as_jpeg(to_8_bits(picture + RNG(0).normal(0, 20, picture.shape)), quality)
    r = bd.denoise(given, channel_axis=-1, effort="fast")
    assert {f.kind for f in r.findings} & set(CORRELATED_KINDS)
    # Neighbours share their noise: held-out pixels test nothing.
    assert r.calibration is None or r.calibration.simulated
    before, after = (np.mean((x - picture) ** 2) for x in (given, r.mean))
    assert 10 * np.log10(before / after) > 5


def test_a_compressed_picture_without_noise_is_let_be() -> None:
    for name in ("astronaut", "camera", "coffee", "chelsea", "brick"):
        for quality in (75, 90):
            assert inspected(as_jpeg(clean(name), quality)).findings == ()


def test_noise_of_a_dark_photograph_behind_a_tone_curve_has_a_map_and_is_no_pepper() -> None:
    picture = clean("coffee", 128) * 0.9
    light = (picture / 255) ** 2.2 / 4
    seen = RNG(0).poisson(light * 400) / 400 + 0.01 * RNG(1).normal(size=light.shape)
    given = np.floor(255 * np.clip(4 * seen, 0, 1) ** (1 / 2.2))
    assert (given == 0).mean() > 0.02
    found = inspected(given)
    (finding,) = found.findings
    assert finding.kind == "varying noise" and finding.facts["by"] == "brightness"
    assert isinstance(found.noise, Gaussian) and isinstance(found.noise.sigma, torch.Tensor)
    sigma, error = np.moveaxis(found.noise.sigma.numpy(), 0, -1), given - picture
    for low, high in ((50, 110), (110, 160), (160, 255)):
        here = (picture > low) & (picture < high)
        assert np.sqrt(np.mean(sigma[here] ** 2)) == pytest.approx(error[here].std(), rel=0.25)


@pytest.mark.parametrize("sigma", [20, 40])
def test_clipping_does_not_make_noise_of_one_level_vary(sigma: float) -> None:
    for name in ("coffee", "camera", "moon"):
        picture = 1.3 * clean(name) - 60
        found = inspected(to_8_bits(picture + RNG(1).normal(0, sigma, picture.shape)))
        assert isinstance(found.noise, Gaussian) and found.noise.is_clipped
        assert "varying noise" not in [f.kind for f in found.findings]
