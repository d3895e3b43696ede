"""Salt and pepper, hot pixels and tracks are found and filled in; stars, fine detail and noise are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage import data

import bayesdip as bd
from bayesdip.noise.impulses import find_impulses

Array = NDArray[np.float64]


def found_in(values: Array, observed: NDArray[np.bool_] | None = None) -> dict[str, NDArray[np.bool_]]:
    """The impulses of (*grid) or (C, *grid) by their kind."""
    picture = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))[None]
    seen = (
        torch.ones_like(picture, dtype=torch.bool) if observed is None else torch.from_numpy(observed)[None]
    )
    found = find_impulses(picture, seen)
    return {name: getattr(found, name)[0].numpy() for name in ("salt", "pepper", "hot", "dead", "every")}


def salted(clean: Array, share: float, seed: int = 0) -> Array:
    u = np.random.default_rng(seed).random(clean.shape)
    return np.where(u < share / 2, 0.0, np.where(u > 1 - share / 2, 255.0, clean))


def star_field(n: int = 160) -> Array:
    """Sky with read-out and photon noise, and stars of all heights with a profile of standard deviation 1.7."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:n, :n]
    field = np.full((n, n), 800.0)
    for height, cx, cy in zip(10 ** rng.uniform(2.5, 5, 50), *rng.uniform(0, n, (2, 50)), strict=True):
        field += height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.7**2))
    return rng.poisson(field) + rng.normal(0, 12, field.shape)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("sigma", [0.0, 8.0])
def test_salt_and_pepper_is_found(share: float, sigma: float) -> None:
    clean = data.camera()[100:228, 150:278].astype(float)
    noisy = np.clip(np.rint(clean + sigma * np.random.default_rng(2).normal(size=clean.shape)), 1, 254)
    y = salted(noisy, share)
    found, hit, far = found_in(y)["every"], y != noisy, abs(y - noisy) > 40
    assert (found & far).sum() >= 0.95 * far.sum()
    assert (found & ~hit).sum() <= 0.002 * hit.size


def test_denoising_fills_in_salt_and_pepper_and_says_so() -> None:
    clean = data.camera()[150:214, 200:264]
    r = bd.denoise(salted(clean.astype(float), 0.1).astype(np.uint8), effort="fast")
    error = r.mean.astype(float) - clean
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 27  # the data have 15
    (said,) = (finding for finding in r.findings if finding.kind == "salt and pepper")
    assert said.facts["salt"] + said.facts["pepper"] == pytest.approx(0.1 * clean.size, rel=0.2)


@pytest.mark.parametrize("sigma", [0.0, 10.0, 50.0])
@pytest.mark.parametrize("name", ["camera", "coins", "brick", "moon", "page", "text", "grass"])
def test_pictures_have_no_impulses(name: str, sigma: float) -> None:
    clean = getattr(data, name)()[:160, :160].astype(float)
    y = clean + sigma * np.random.default_rng(0).normal(size=clean.shape)
    assert not found_in(np.clip(np.rint(y), 0, 255))["every"].any()


def test_strokes_of_a_drawing_are_its_own() -> None:
    drawing = np.full((120, 120), 255.0)
    rng = np.random.default_rng(0)
    for row, column in rng.integers(0, 108, (60, 2)):
        drawing[row, column : column + 12] = 0
        drawing[row : row + 9, column] = 0
    assert not found_in(drawing)["every"].any()


def test_hot_pixels_and_tracks_are_found_among_stars() -> None:
    frame = star_field()
    assert not found_in(frame)["every"].any()
    rng = np.random.default_rng(3)
    hot = rng.random(frame.shape) < 0.003
    for row, column in rng.integers(5, 140, (4, 2)):
        hot[row, column : column + 12] = True
    found = found_in(np.where(hot, frame + rng.uniform(5e3, 1e5, frame.shape), frame))["every"]
    assert (found & hot).sum() >= 0.9 * hot.sum()
    assert (found & ~hot).sum() == 0


def test_hot_pixels_that_touch_each_other_are_found_one_after_the_other() -> None:
    frame = star_field()
    rng = np.random.default_rng(5)
    hot = np.zeros(frame.shape, bool)
    for row, column in rng.integers(5, 140, (12, 2)):
        for step in range(6):  # a track on a slant
            hot[row + step, column + step // 2] = True
    found = found_in(np.where(hot, frame + rng.uniform(2e3, 2e4, frame.shape), frame))["every"]
    assert (found & hot).sum() >= 0.93 * hot.sum()
    assert (found & ~hot).sum() == 0


def test_counts_most_of_which_are_zero_are_no_pepper() -> None:
    counts = np.random.default_rng(0).poisson(0.2, (12, 48, 48)).astype(float)
    assert not found_in(counts)["every"].any()


def test_hot_pixels_are_found_in_a_noisy_photograph_and_its_detail_is_kept() -> None:
    y = data.camera()[60:220, 120:280] + 6 * np.random.default_rng(0).normal(size=(160, 160))
    hot = np.zeros(y.shape, bool)
    hot[7::24, 11::31] = True
    found = found_in(np.where(hot, 400.0, y))
    assert (found["every"] & hot).sum() >= 0.9 * hot.sum() and not (found["every"] & ~hot).any()


@pytest.mark.parametrize("shape", [(900,), (24, 30, 30)])
def test_a_dead_sample_of_a_signal_or_volume_is_found(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    y = 100 + 20 * np.sin(np.arange(shape[-1]) / 9) + rng.normal(0, 2, shape)
    place = tuple(n // 2 for n in shape)
    y[place] = -200
    found = found_in(y)
    assert found["dead"][place] and found["every"].sum() == 1


def test_what_was_not_observed_is_no_impulse() -> None:
    y = 100 + np.random.default_rng(0).normal(0, 3, (80, 80))
    observed = np.random.default_rng(1).random(y.shape) < 0.9
    y[~observed] = 1e6
    assert not found_in(y, observed)["every"].any()


def test_a_given_sigma_keeps_the_impulses_as_data() -> None:
    y = salted(data.camera()[150:190, 200:240].astype(float), 0.1).astype(np.uint8)
    from bayesdip.inputs import Inputs

    assert bool(Inputs.denoising(y, 20.0, None, None).problem.observed.all())
    assert not bool(Inputs.denoising(y, "auto", None, None).problem.observed.all())


def test_a_detail_of_one_pixel_as_high_as_the_edges_is_no_hot_pixel_and_a_higher_one_is() -> None:
    rng = np.random.default_rng(0)
    picture = np.where(gaussian_filter(rng.normal(size=(45, 37)), 3) > 0, 0.8, 0.2)
    dark = distance_transform_edt(picture < 0.5)
    at = np.unravel_index(dark.argmax(), dark.shape)
    noisy = picture + 0.006 * rng.normal(size=picture.shape)
    for height, wanted in ((0.5, 0), (1.5, 1)):
        single = noisy.copy()
        single[at] += height
        assert found_in(single)["every"].sum() == wanted


def test_without_noise_besides_salt_and_pepper_the_other_pixels_come_back_and_intervals_are_their_rounding() -> (
    None
):
    truth = 40 + 170 * gaussian_filter(np.random.default_rng(0).random((40, 44)), 4, mode="wrap") ** 0.5
    truth = 40 + 170 * (truth - truth.min()) / np.ptp(truth)
    spoilt = salted(np.rint(truth), 0.15)
    restored = bd.denoise(spoilt.astype(np.uint8), effort="fast")
    assert "no noise" in [finding.kind for finding in restored.findings]
    good = spoilt == np.rint(truth)
    assert (restored.mean == spoilt)[good].all()
    low, high = restored.interval(0.9)
    assert 0.8 < ((low <= truth) & (truth <= high))[good].mean() < 0.99
    noisy = salted(
        np.clip(np.rint(truth + 15 * np.random.default_rng(1).normal(size=truth.shape)), 1, 254), 0.15
    )
    restored = bd.denoise(noisy.astype(np.uint8), effort="fast")
    assert "no noise" not in [finding.kind for finding in restored.findings]


def test_pixels_of_a_track_that_hide_each_other_are_found() -> None:
    values = star_field()
    hit = np.zeros(values.shape, bool)
    for step, height in enumerate((9000.0, 3000.0, 2500.0, 2600.0, 2400.0)):
        at = 20 + step, 30 + step // 2
        hit[at] = True
        values[at] += height
    for row, column in ((60, 60), (90, 20), (120, 110), (40, 130)):
        hit[row, column] = True
        values[row, column] += 50_000.0
    assert (found_in(values)["every"] == hit).all()


def test_where_pepper_is_clear_salt_is_found_in_bright_stripes() -> None:
    # Of the stripes some are so near the upper end that few grains stand far beyond their neighbours.
    column = np.arange(96)
    stripes = np.where(column // 3 % 2, 215.0, 150.0) + 4 * np.sin(column / 5)
    clean = np.broadcast_to(stripes, (96, 96)) + np.random.default_rng(1).normal(0, 3, (96, 96))
    noisy = salted(np.rint(clean), 0.1)
    found, hit = found_in(noisy), noisy != np.rint(clean)
    assert (found["salt"] & hit).sum() > 0.9 * ((noisy == 255) & hit).sum()
    assert (found["pepper"] & hit).sum() > 0.9 * ((noisy == 0) & hit).sum()
    only_salt = np.where(noisy == 0, np.rint(clean), noisy)
    assert not (found_in(np.rint(clean))["salt"].any() or found_in(only_salt)["pepper"].any())


def test_pepper_of_a_picture_with_dark_parts_is_found_by_its_bright_ones() -> None:
    rng = np.random.default_rng(3)
    for top, left in ((395, 270), (299, 370)):
        clean = data.astronaut()[top : top + 96, left : left + 96, 1].astype(float).clip(2, 250)
        hit = rng.random(clean.shape) < 0.3
        noisy = np.where(hit, rng.choice([0.0, 255.0], clean.shape), clean)
        found = found_in(noisy)["every"]
        assert (found & hit).sum() > 0.95 * hit.sum() and (found & ~hit).sum() < 0.01 * clean.size
        # Noise that was clipped heaps values on the dark end of dark parts alone.
        clipped = np.clip(np.rint(clean - 10 + rng.normal(0, 10, clean.shape)), 0, 254)
        only_salt = np.where(hit & (noisy == 255), 255, clipped)
        assert not found_in(only_salt)["pepper"].any()


def test_salt_is_found_beside_white_places_by_the_dark_ones() -> None:
    rng = np.random.default_rng(3)
    for top, left in ((60, 120), (150, 150)):
        clean = np.clip(np.rint(1.8 * data.chelsea()[top : top + 96, left : left + 96, 1] + 5), 0, 255)
        assert (clean == 255).mean() > 0.05
        hit = rng.random(clean.shape) < 0.2
        noisy = np.where(hit, rng.choice([0.0, 255.0], clean.shape), clean)
        found, changed = found_in(noisy)["every"], noisy != clean
        assert (found & changed).sum() > 0.8 * changed.sum()
        assert (found & ~changed).sum() < 0.04 * clean.size
        assert not found_in(clean)["every"].any()
