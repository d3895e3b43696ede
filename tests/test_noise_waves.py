"""Periodic noise is found and subtracted; what a picture repeats by itself is not taken for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

import bayesdip as bd
from bayesdip.noise.waves import find_waves

Array = NDArray[np.float64]
CLEAN = data.camera()[100:196, 180:276].astype(np.float64)
Y, X = np.mgrid[:96, :96]


def wave(frequency: tuple[float, float], amplitude: float) -> Array:
    return amplitude * np.cos(2 * np.pi * (frequency[0] * Y + frequency[1] * X) + 1)


def noisy(picture: Array, seed: int = 0, sigma: float = 5) -> Array:
    return picture + np.random.default_rng(seed).normal(0, sigma, picture.shape)


def found_in(picture: Array, seen: NDArray[np.bool_] | None = None):  # type: ignore[no-untyped-def]
    picture = picture.reshape(-1, *picture.shape[-2:])
    seen = np.ones(picture.shape, bool) if seen is None else seen[None]
    return find_waves(torch.from_numpy(picture), torch.from_numpy(seen))


@pytest.mark.parametrize("frequency", [(0.13, 0.21), (-0.31, 0.07), (0.237, 0.0), (0.0, 0.5)])
def test_a_wave_is_found_at_its_frequency_with_an_error_of_the_size_that_is_told(
    frequency: tuple[float, float],
) -> None:
    added = wave(frequency, 15)
    found = found_in(noisy(CLEAN + added))
    assert found is not None
    assert found.frequencies[0] == pytest.approx(frequency, abs=1e-3)
    error = found.offsets[0].numpy() - added
    assert np.sqrt(np.square(error).mean()) < min(0.1 * 15, 2.5 * float(found.variance) ** 0.5)


def test_several_waves_and_missing_pixels() -> None:
    added = wave((0.1, 0.3), 12) + wave((-0.2, 0.25), 9)
    seen = np.random.default_rng(1).random(CLEAN.shape) > 0.2
    seen[40:50, 30:60] = False
    given = np.where(seen, noisy(CLEAN + added), -1e6)
    found = found_in(given, seen)
    assert found is not None and len(found.frequencies) == 2
    assert np.square(found.offsets[0].numpy() - added).mean() < 0.03 * added.var()


def test_the_channels_have_waves_of_their_own() -> None:
    added = np.stack([0 * CLEAN, wave((0.1, 0.3), 12), wave((0.2, 0.2), 20)])
    found = found_in(np.stack([noisy(CLEAN + w, seed) for seed, w in enumerate(added)]))
    assert found is not None and found.amplitude == pytest.approx(20, rel=0.1)
    assert not found.offsets[0].any()
    assert np.square(found.offsets.numpy() - added).mean() < 0.02 * np.square(added).mean()


def test_a_wave_over_a_picture_larger_than_the_part_that_is_looked_at() -> None:
    y, x = np.mgrid[:700, :1100]
    added = 10 * np.cos(2 * np.pi * (0.1234567 * y + 0.0765432 * x))
    picture = np.tile(np.concatenate([data.camera(), data.camera()[::-1, ::-1]], 1), (2, 2))[:700, :1100]
    found = found_in(noisy(picture + added))
    assert found is not None
    assert np.square(found.offsets[0].numpy() - added).mean() < 0.01 * added.var()


@pytest.mark.parametrize("name", ["brick", "grass", "gravel", "camera", "page", "checkerboard"])
def test_a_picture_repeats_itself_without_being_noise(name: str) -> None:
    picture = getattr(data, name)().astype(np.float64)
    for part in (picture, picture[20:164, 20:164]):
        assert found_in(part) is None and found_in(noisy(part, sigma=10)) is None


def test_lines_of_text_are_as_regular_as_a_wave_and_no_noise() -> None:
    page = data.page().astype(np.float64)
    for top, left in ((48, 77), (37, 246), (35, 89), (40, 139)):
        part = page[top : top + 96, left : left + 96]
        assert found_in(part) is None and found_in(noisy(part, sigma=14)) is None
    # A wave that is added to them is one.
    assert found_in(noisy(page[48:144, 77:173] + wave((0.13, 0.21), 20))) is not None


def test_a_wave_in_one_half_and_a_grating_are_the_picture() -> None:
    half = np.where(X < 48, wave((0.13, 0.21), 20), 0)
    assert found_in(noisy(CLEAN + half)) is None
    assert found_in(noisy(wave((0.13, 0.21), 20))) is None


def test_denoising_takes_it_away_and_says_so_and_a_given_sigma_keeps_it() -> None:
    given = np.clip(np.rint(noisy(CLEAN + wave((0.13, 0.21), 20))), 0, 255).astype(np.uint8)
    r = bd.denoise(given, effort="fast")
    error = float(np.sqrt(np.mean((r.mean.astype(float) - CLEAN) ** 2)))
    assert error < 5.0
    (finding,) = (f for f in r.findings if f.kind == "periodic noise")
    assert finding.facts["frequencies"][0] == pytest.approx([0.13, 0.21], abs=1e-3)
    low, high = r.interval(0.9)
    assert 0.8 <= ((low <= CLEAN) & (high >= CLEAN)).mean() <= 0.97
    told = bd.denoise(given, 5.0, effort="fast")
    assert "periodic noise" not in {f.kind for f in told.findings}
    assert np.sqrt(np.mean((told.mean.astype(float) - CLEAN) ** 2)) > 10
