"""Offsets of rows and columns are found and subtracted; what a picture has along its rows is not taken for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data

import bayesdip as bd
from bayesdip.noise.stripes import find_stripes

Array = NDArray[np.float64]
SIDE = 48


def smooth(seed: int, shape: tuple[int, ...] = (SIDE, SIDE)) -> Array:
    field = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 4)
    return np.asarray((field - field.min()) / np.ptp(field))


def striped(picture: Array, axis: int, size: float, white: float, seed: int = 1) -> tuple[Array, Array]:
    """The picture with offsets of its lines and white noise, and the offsets."""
    rng = np.random.default_rng(seed)
    offsets = size * rng.normal(size=[n if a == axis else 1 for a, n in enumerate(picture.shape)])
    return picture + offsets + white * rng.normal(size=picture.shape), offsets


def found_in(picture: Array, seen: NDArray[np.bool_] | None = None):  # type: ignore[no-untyped-def]
    seen = np.ones(picture.shape, bool) if seen is None else seen
    return find_stripes(torch.from_numpy(picture)[None], torch.from_numpy(seen)[None])


@pytest.mark.parametrize("axis", [0, 1])
def test_offsets_are_found_along_their_axis_with_an_error_of_the_size_that_is_told(axis: int) -> None:
    errors, told = [], []
    for seed in range(12):
        noisy, offsets = striped(smooth(seed), axis, 0.1, 0.03, seed)
        found = found_in(noisy)
        assert found is not None and found.axes == (axis,)
        errors.append(float(np.square(found.offsets[0].numpy() - offsets).mean()))
        told.append(float(found.variance))
    assert np.mean(errors) < 0.25 * 0.1**2
    assert 0.4 < np.mean(errors) / np.mean(told) < 1.6


def test_offsets_of_rows_and_columns_and_of_planes_of_a_volume() -> None:
    both, _ = striped(striped(smooth(3), 0, 0.1, 0.02)[0], 1, 0.1, 0.0, seed=2)
    found = found_in(both)
    assert found is not None and found.axes == (0, 1)
    volume, offsets = striped(smooth(4, (20, 12, 12)), 0, 0.1, 0.03)
    found = found_in(volume)
    assert found is not None and found.axes == (0,)
    assert np.square(found.offsets[0].numpy() - offsets).mean() < 0.3 * 0.1**2


def test_missing_pixels_say_nothing() -> None:
    noisy, offsets = striped(smooth(5), 0, 0.1, 0.03)
    seen = np.random.default_rng(0).random(noisy.shape) > 0.3
    found = found_in(np.where(seen, noisy, 1e9), seen)
    assert found is not None
    assert np.square(found.offsets[0].numpy() - offsets).mean() < 0.3 * 0.1**2


@pytest.mark.parametrize("name", ["camera", "brick", "page", "text", "coins"])
@pytest.mark.parametrize("sigma", [0.0, 10.0])
def test_photographs_and_print_have_none(name: str, sigma: float) -> None:
    rng = np.random.default_rng(0)
    whole = getattr(data, name)().astype(float)
    for side in (24, 96):
        for _ in range(4):
            top, left = (rng.integers(n - side) for n in whole.shape)
            part = whole[top : top + side, left : left + side]
            noisy = part + sigma * rng.normal(size=part.shape)
            assert found_in(noisy) is None
            for missing in (0.3, 0.5):
                assert found_in(noisy, rng.random(part.shape) > missing) is None


def test_bars_and_surfaces_are_the_picture() -> None:
    rng = np.random.default_rng(0)
    bars = np.repeat(rng.integers(0, 2, 20), 3)[:, None] * np.ones((1, 40)) + 0.02 * rng.normal(size=(60, 40))
    ramp = np.linspace(0, 1, 60)[:, None] ** 2 * np.ones((1, 40)) + 0.02 * rng.normal(size=(60, 40))
    assert found_in(bars) is None and found_in(ramp) is None


def test_white_noise_alone_has_none() -> None:
    for seed in range(20):
        for shape in ((24, 24), (6, 60), (8, 14, 14)):
            assert found_in(np.random.default_rng(seed).normal(size=shape)) is None


def test_stripes_are_said_subtracted_and_covered_and_kept_where_sigma_is_given() -> None:
    truth = 200 * smooth(7)
    noisy, _ = striped(truth, 0, 10.0, 3.0)
    restored = bd.denoise(noisy, effort="fast")
    assert "stripes" in [finding.kind for finding in restored.findings]

    def error(picture: Array) -> float:
        return float(np.sqrt(np.square(picture - truth).mean()))

    assert error(restored.mean) < 0.6 * error(noisy)
    low, high = restored.interval(0.9)
    assert ((low <= truth) & (truth <= high)).mean() > 0.7
    kept = bd.denoise(noisy, sigma=3.0, effort="fast")
    assert not kept.findings or "stripes" not in [finding.kind for finding in kept.findings]
    assert error(kept.mean) > 0.8 * error(noisy)
