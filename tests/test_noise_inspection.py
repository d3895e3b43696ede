"""The kind of noise is recognised in a picture, and clean pictures and white noise are not taken for another kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data

import bayesdip as bd
from bayesdip.findings import Finding
from bayesdip.inputs import Inputs
from bayesdip.noise import Correlated, Gaussian, Inspection, Poisson, PoissonGaussian, inspect
from bayesdip.noise.doubtful import doubtful_levels
from bayesdip.noise_check import coverage_is_testable, doubts
from bayesdip.tile_processing.survey import _of_tiles

Array = NDArray[np.float64]
RNG = np.random.default_rng


def inspected(values: Array) -> Inspection:
    """Of an array (M, N), (M, N, 3), or of another grid."""
    stacked = np.moveaxis(values, -1, 0) if values.ndim == 3 and values.shape[-1] == 3 else values[None]
    return inspect(torch.from_numpy(np.ascontiguousarray(stacked, dtype=np.float64)))


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.kind for finding in findings]


def clean(name: str) -> Array:
    pixels: Array = getattr(data, name)()[60:252, 100:292].astype(float)
    return pixels


def stripes(shape: tuple[int, ...]) -> Array:
    return RNG(1).normal(0, 15, (shape[0], 1, 1)) + RNG(2).normal(0, 5, shape)


def blurred(shape: tuple[int, ...]) -> Array:
    noise = gaussian_filter(RNG(1).normal(size=shape), (1, 1, 0))
    return 20 * noise / noise.std()


def wave(shape: tuple[int, ...]) -> Array:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return 20 * np.sin(2 * np.pi * (0.21 * columns + 0.13 * rows))[..., None] + RNG(2).normal(0, 5, shape)


def in_colour(noise: Callable[[tuple[int, ...]], Array]) -> list[tuple[str, list[str]]]:
    """What is found in small, textured parts of pictures in colour with that noise."""
    found = []
    for name, top, left in (("astronaut", 100, 150), ("coffee", 100, 250), ("chelsea", 100, 150)):
        part = getattr(data, name)()[top : top + 64, left : left + 64].astype(float)
        found.append((name, kinds(inspected(np.clip(np.rint(part + noise(part.shape)), 0, 255)).findings)))
    return found


def test_noise_that_channels_do_not_share_is_seen_to_be_correlated_in_small_textured_pictures() -> None:
    assert all("correlated noise" in said for _, said in in_colour(blurred))


def dark(picture: Array, blotches: float) -> Array:
    """Noise of photons and of reading out, and blotches of colour, behind a tone curve: with 8 bits."""
    light = (picture / 255) ** 2.2 / 4
    noise = RNG(1).poisson(400 * light) / 400 - light + RNG(2).normal(0, 0.01, light.shape)
    smooth = gaussian_filter(RNG(3).normal(0, blotches, light.shape), (1.5, 1.5, 0))
    seen: Array = np.floor(255 * np.clip(4 * (light + noise + smooth), 0, 1) ** (1 / 2.2))
    return seen


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_blotches_of_colour_beneath_photon_noise_are_correlated_and_its_level_may_vary(name: str) -> None:
    picture = clean(name)[:96, :96]
    given = dark(picture, blotches=0.03)
    assert (given == 0).mean() > 0.005
    found = inspect(torch.from_numpy(given).movedim(-1, 0), denoising=True)
    assert isinstance(found.noise, Correlated)
    without = inspect(torch.from_numpy(dark(picture, blotches=0)).movedim(-1, 0), denoising=True)
    assert not isinstance(without.noise, Correlated)
    results = [bd.denoise(given, channel_axis=-1, effort="fast", noise=n) for n in (None, without.noise)]
    errors = [np.sqrt(np.mean((r.mean - picture) ** 2)) for r in results]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("side", [64, 96])
def test_the_covariance_of_smooth_noise_is_estimated_in_small_gray_pictures(side: int) -> None:
    picture = data.camera()[100 : 100 + side, 150 : 150 + side].astype(float)
    noise = gaussian_filter(RNG(0).normal(size=picture.shape), 1)
    given = np.clip(np.rint(picture + 20 * noise / noise.std()), 0, 255)
    found = inspect(torch.from_numpy(given)[None], denoising=True)
    assert isinstance(found.noise, Correlated)
    assert found.noise.variance(torch.from_numpy(given)[None]).sqrt().item() == pytest.approx(20, rel=0.4)


def test_texture_that_channels_share_is_not_taken_for_correlated_noise() -> None:
    def none(shape: tuple[int, ...]) -> Array:
        return np.zeros(shape)

    def white(shape: tuple[int, ...]) -> Array:
        return RNG(1).normal(0, 15, shape)

    assert not any("correlated noise" in said for _, said in in_colour(none) + in_colour(white))


def test_channels_of_unlike_pictures_are_not_taken_for_correlated_noise() -> None:
    parts = [getattr(data, name)()[60:108, 60:108].astype(float) for name in ("camera", "brick", "coins")]
    assert "correlated noise" not in kinds(inspected(np.stack(parts, axis=-1)).findings)


@pytest.mark.parametrize("noise", [stripes, blurred, wave])
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_correlated_noise_is_recognised_and_its_level_is_not_that_of_its_weakest_frequencies(
    name: str, noise: Callable[[tuple[int, ...]], Array]
) -> None:
    picture = clean(name)
    added = noise(picture.shape)
    found = inspected(np.clip(np.rint(picture + added), 0, 255))
    assert kinds(found.findings) == ["correlated noise"]
    assert isinstance(found.noise, Gaussian)
    assert min(torch.as_tensor(found.noise.sigma).reshape(-1).tolist()) > added.std()


def test_correlated_noise_is_taken_away_by_default() -> None:
    picture = clean("astronaut")[:128, :128]
    given = np.clip(picture + blurred(picture.shape), 0, 255)
    r = bd.denoise(given, channel_axis=-1, effort="fast")
    before, after = (np.mean((x - picture) ** 2) for x in (given, r.mean))
    assert 10 * np.log10(before / after) > 3  # 0.3 with the level of the weakest frequencies
    assert "correlated noise" in kinds(r.findings)
    assert r.calibration is not None and r.calibration.simulated  # neighbours' noise predicts held-out pixels


@pytest.mark.parametrize(
    "name", ["astronaut", "camera", "coffee", "moon", "brick", "grass", "gravel", "chelsea"]
)
@pytest.mark.parametrize("sigma", [0, 15, 40])
def test_clean_pictures_and_white_noise_pass_for_nothing_else(name: str, sigma: float) -> None:
    picture = clean(name)
    found = inspected(np.clip(np.rint(picture + RNG(0).normal(0, sigma, picture.shape)), 0, 255))
    assert found.findings == () and found.impulses is None
    assert isinstance(found.noise, Gaussian)


@pytest.mark.parametrize("gain", [1.0, 4.0])
@pytest.mark.parametrize("name", ["camera", "astronaut"])
def test_photon_noise_is_recognised(name: str, gain: float) -> None:
    picture = clean(name)
    found = inspected(gain * RNG(0).poisson(picture / 4))
    assert found.noise == Poisson(gain)
    assert kinds(found.findings) == ["photon noise"]


def test_photon_noise_with_read_out_noise_is_recognised() -> None:
    picture = clean("camera")
    found = inspected(100 + 3 * RNG(0).poisson(picture / 4) + RNG(1).normal(0, 5, picture.shape)).noise
    assert isinstance(found, Poisson | PoissonGaussian)
    level = torch.full((1, 8, 8), 250.0, dtype=torch.float64)
    assert float(found.variance(level).mean()) == pytest.approx(3 * 150 + 25, rel=0.15)


def test_a_movie_of_few_counts_has_photon_noise() -> None:
    rate = 0.02 + 0.25 * clean("camera")[::2, ::2] / 255
    found = inspected(RNG(0).poisson(np.repeat(rate[None], 12, 0)).astype(float))
    assert found.noise == Poisson(1.0)


def test_counts_that_are_nearly_all_zero_are_counts() -> None:
    rows, columns = np.mgrid[:150, :150]
    spots = 8 * np.exp(-((rows - 60) ** 2 + (columns - 80) ** 2) / 200)
    assert inspected(RNG(0).poisson(spots).astype(float)).noise == Poisson(1.0)
    assert isinstance(inspected(255.0 * data.horse()[:150, :150]).noise, Gaussian)


@pytest.mark.parametrize("shape", [(1000,), (20, 24, 24), (6, 6), (1, 40)])
def test_signals_volumes_and_small_pictures_are_inspected(shape: tuple[int, ...]) -> None:
    found = inspect(torch.from_numpy(RNG(0).normal(100, 5, (1, *shape))))
    assert isinstance(found.noise, Gaussian) and found.findings == ()
    assert found.noise.sigma == pytest.approx(5, rel=0.5)


def test_a_dim_channel_beside_a_bright_one_becomes_better() -> None:
    cells = data.cell()[150:246, 150:246].astype(float)
    cells = (cells - cells.min()) / np.ptp(cells)
    truth = np.stack([2000 + 30000 * cells, 300 + 400 * cells[::-1]])
    noise = np.array([1200.0, 25.0]).reshape(2, 1, 1) * RNG(0).normal(size=truth.shape)
    r = bd.denoise(truth + noise, channel_axis=0, effort="fast")
    assert r.sigma == pytest.approx((1200, 25), rel=0.15)
    for error in (r.mean - truth)[0], (r.mean - truth)[1]:
        assert error.std() < 0.6 * noise[0].std()
    assert (r.mean - truth)[1].std() < 0.6 * noise[1].std()


def test_the_users_word_is_taken_over_what_was_found() -> None:
    counts = RNG(0).poisson(clean("camera") / 4).astype(float)
    assert Inputs.denoising(counts, 3.0, None, None).sigma == (3.0,)
    assert Inputs.denoising(counts, None, Gaussian(2.0), None).findings == ()
    assert Inputs.denoising(counts, None, None, None).noise == Poisson(1.0)


def test_the_error_on_held_out_data_tells_a_wrong_level() -> None:
    assert doubts(1.0) == doubts(None) == () and coverage_is_testable(1.0) and coverage_is_testable(None)
    (small,), (large,) = doubts(0.5), doubts(3.0)
    assert small.kind == large.kind == "noise check"
    assert "too large" in small.text and "too small" in large.text and small.facts["ratio"] == 0.5
    assert not coverage_is_testable(0.5)


def test_white_noise_on_a_blurred_picture_is_not_taken_for_correlated_noise():
    from scipy.ndimage import gaussian_filter
    from skimage.data import camera

    sharp = camera()[100:228, 150:278].astype(float)
    for width in (1.5, 3.0):
        noisy = gaussian_filter(sharp, width) + np.random.default_rng(0).normal(0, 4, sharp.shape)
        found = inspect(torch.from_numpy(noisy[None]), blurred=True)
        assert not found.is_correlated
        assert found.noise.sigma == pytest.approx(4, rel=0.15)


def test_photon_noise_beneath_stars_is_told_by_the_sky() -> None:
    rng = RNG(3)
    rows, columns = np.mgrid[:200, :200]
    sky = 600 + 2.0 * columns
    for height, y, x in zip(10 ** rng.uniform(2.5, 5, 40), *rng.uniform(0, 200, (2, 40)), strict=True):
        sky = sky + height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 1.7**2))
    found = inspected(rng.poisson(sky) + rng.normal(0, 12, sky.shape))
    assert isinstance(found.noise, Poisson | PoissonGaussian)
    assert 0.85 < found.noise.gain < 1.15


def test_noise_that_cannot_be_told_from_texture_is_left_and_said_and_error_bars_take_it_in() -> None:
    grass = data.grass()[:192, :192].reshape(96, 2, 96, 2).mean((1, 3))
    colour = torch.from_numpy(np.stack([grass, 0.9 * grass, 0.8 * grass]))
    found = inspect(colour, denoising=True)
    assert kinds(found.findings) == ["doubtful noise"] and isinstance(found.noise, Gaussian)
    assert found.shared_variance is not None
    levels = found.findings[0].facts["sigma"]
    assert found.shared_variance.sqrt().flatten().tolist() == pytest.approx(levels)
    assert 0.05 * 200 < np.mean(levels) < grass.std()
    # Nothing is said of noise beside a mask or of one channel, nor where white noise is half as strong.
    assert not inspect(colour).findings and not inspect(colour[:1], denoising=True).findings
    seen = torch.ones_like(colour, dtype=torch.bool)
    assert doubtful_levels(colour, seen, (3.0,) * 3, 200.0) == pytest.approx(levels, rel=0.2)
    assert doubtful_levels(colour, seen, (0.6 * np.mean(levels),) * 3, 200.0) is None
    assert "do not take in" in _of_tiles(found.findings[0]).text
