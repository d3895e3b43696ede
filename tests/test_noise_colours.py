"""Noise by brightness and by position is read off the colours of a picture, which have less of its texture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data
from torch import Tensor

from bayesdip.noise import Gaussian, Poisson, inspect
from bayesdip.noise.brightness_law import brightness_law, windows_of_colours
from bayesdip.noise.colours import colours_of
from bayesdip.noise.spectrum import FEW_CLIPPED, Windows
from bayesdip.noise.variation import varying_levels

RNG = np.random.default_rng


def tensor(values: np.ndarray) -> Tensor:
    stacked = np.moveaxis(values, -1, 0) if values.ndim == 3 else values[None]
    return torch.from_numpy(np.ascontiguousarray(stacked, dtype=np.float64))


def seen_of(picture: Tensor) -> Tensor:
    return torch.ones_like(picture, dtype=torch.bool)


def part(name: str, top: int, left: int, side: int = 128) -> np.ndarray:
    return getattr(data, name)()[top : top + side, left : left + side, :3].astype(float)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_the_variance_of_colours_goes_with_their_brightness_as_that_of_channels_does(channels: int) -> None:
    brightness = torch.linspace(20, 200, channels, dtype=torch.float64).reshape(-1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(channels, 300, 300, dtype=torch.float64, generator=generator)
    gain, constant = 0.5, 4.0
    picture = brightness + (gain * brightness + constant).sqrt() * noise
    colours, means, known = colours_of(picture, seen_of(picture))
    assert colours.shape == means.shape == known.shape == (channels - 1, 300, 300)
    expected = gain * means.mean((1, 2)) + constant
    torch.testing.assert_close(colours.var((1, 2)), expected, rtol=0.03, atol=0)


def test_what_channels_share_has_no_colour_and_what_one_lacks_is_not_seen() -> None:
    gray = torch.rand(1, 20, 20, dtype=torch.float64).expand(3, 20, 20).clone()
    seen = seen_of(gray)
    seen[1, 3, 4] = False
    gray[1, 3, 4] = torch.nan
    colours, brightness, known = colours_of(gray, seen)
    assert float(colours.abs().max()) < 1e-12
    torch.testing.assert_close(brightness[0][known[0]], gray[0][known[0]])
    assert not known[:, 3, 4].any() and int((~known).sum()) == 2
    assert colours_of(gray[:1], seen[:1]) is None
    assert colours_of(gray[:1].expand(5, 20, 20), seen[:1].expand(5, 20, 20)) is None


def test_windows_may_have_few_clipped_values() -> None:
    picture = torch.rand(1, 64, 64, dtype=torch.float64)
    inside = seen_of(picture)
    inside.view(-1)[:: round(2 / FEW_CLIPPED)] = False
    every = Windows.of(picture, seen_of(picture))
    assert len(Windows.of(picture, seen_of(picture), inside=inside).means) == len(every.means)
    inside.view(-1)[:: round(0.5 / FEW_CLIPPED)] = False
    assert Windows.of(picture, seen_of(picture), inside=inside) is None


@pytest.mark.parametrize(
    "name, top, left", [("astronaut", 60, 100), ("chelsea", 100, 40), ("astronaut", 20, 250)]
)
def test_weak_photon_noise_of_a_textured_picture_in_colour_has_the_right_gain(
    name: str, top: int, left: int
) -> None:
    picture = tensor(RNG(0).poisson(part(name, top, left) / 255 * 300.0) * 255 / 300)
    law = brightness_law(windows_of_colours(picture, seen_of(picture)))
    assert law is not None and law.slope == pytest.approx(255 / 300, rel=0.15)
    found = inspect(picture, denoising=True)
    assert [f.kind for f in found.findings] == ["photon noise"]
    assert found.noise.gain == pytest.approx(255 / 300, rel=0.25)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("contrast, sigma", [(0.05, 5.0), (0.12, 8.0)])
def test_texture_that_grows_with_brightness_beneath_white_noise_is_no_photon_noise(
    seed: int, contrast: float, sigma: float
) -> None:
    rng = RNG(seed)
    texture = gaussian_filter(rng.normal(size=(128, 128)), 0.7)
    picture = np.linspace(30, 220, 128) * (1 + contrast * texture / texture.std())
    found = inspect(tensor(picture + sigma * rng.normal(size=picture.shape)), denoising=True)
    assert "photon noise" not in [f.kind for f in found.findings]


def test_colours_of_about_one_brightness_leave_the_law_to_the_channels() -> None:
    # Blue sky: channels differ in brightness, and colours, which are of all of them, do not.
    picture = tensor(RNG(0).poisson(part("rocket", 100, 40) / 255 * 300.0) * 255 / 300)
    of_colours, of_channels = (
        windows_of_colours(picture, seen_of(picture)),
        Windows.of(picture, seen_of(picture)),
    )
    assert brightness_law(of_colours) is None
    law = brightness_law(of_colours, of_channels)
    assert law is not None and law.slope == pytest.approx(255 / 300, rel=0.15)


@pytest.mark.parametrize("top, left", [(60, 100), (100, 40), (20, 250)])
def test_noise_that_varies_over_fine_tissue_has_a_map(top: int, left: int) -> None:
    clean = part("immunohistochemistry", top, left)
    level = np.linspace(3, 12, 128)[None, :, None]
    given = np.clip(np.rint(clean + level * RNG(0).normal(size=clean.shape)), 0, 255)
    found = inspect(tensor(given), denoising=True)
    assert [f.kind for f in found.findings] == ["varying noise"] and isinstance(found.noise, Gaussian)
    off = np.log(found.noise.sigma.numpy() / tensor(np.broadcast_to(level, clean.shape)).numpy())
    assert np.sqrt(np.mean(off**2)) < 0.15


def test_channels_keep_levels_of_their_own_where_the_noise_varies() -> None:
    clean = part("astronaut", 60, 100)
    level = np.linspace(4, 12, 128)[None, :, None] * np.array([0.7, 1.0, 1.5])
    found = varying_levels(*_with_noise(clean, level))
    assert found is not None and found.by == "position"
    off = np.log(found.sigma.numpy() / tensor(np.broadcast_to(level, clean.shape)).numpy())
    assert np.sqrt(np.mean(off**2)) < 0.15


@pytest.mark.parametrize("sigma", [5.0, 20.0])
def test_white_noise_of_a_textured_picture_in_colour_does_not_vary(sigma: float) -> None:
    clean = part("coffee", 100, 40)  # whose channels by themselves say that it does
    assert varying_levels(*_with_noise(clean, np.full((1, 1, 1), sigma))) is None
    assert not isinstance(inspect(_with_noise(clean, np.full((1, 1, 1), sigma))[0]).noise, Poisson)


def _with_noise(clean: np.ndarray, level: np.ndarray) -> tuple[Tensor, Tensor]:
    picture = tensor(clean + level * RNG(0).normal(size=clean.shape))
    return picture, seen_of(picture)


@pytest.mark.parametrize("top, left", [(80, 120), (160, 120), (160, 360)])
def test_photon_noise_that_is_clipped_at_white_has_a_level_for_each_pixel_along_its_line(
    top: int, left: int
) -> None:
    clean = part("coffee", top, left)
    given = np.clip(np.rint(RNG(0).poisson(clean / 255 * 100.0) * 255 / 100), 0, 255)
    found = inspect(tensor(given), denoising=True)
    assert [f.facts.get("by") for f in found.findings] == ["brightness"] and found.noise.clipped[1] == 255
    bright = clean > 200
    true = float(np.sqrt(clean[bright].mean() * 2.55))
    assert float(found.noise.sigma[tensor(bright) > 0].mean()) == pytest.approx(true, rel=0.12)
