"""Blurred counts: as good as Richardson-Lucy with its best number of steps, zeros, masks and read-out noise included."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter

import bayesdip as bd
from bayesdip.noise import Gaussian, Poisson, PoissonGaussian, inspect
from bayesdip.operators import Blur, Downsample, Mask
from bayesdip.patches.count_deconvolution import deconvolve_counts, takes

N = 48
GRID = (N, N)
Y, X = np.mgrid[-5:6, -5:6]
PSF = np.exp(-(X**2 + Y**2) / (2 * 1.6**2))
PSF /= PSF.sum()


def cells() -> np.ndarray:
    """Discs of up to 50 counts on nothing."""
    rng, picture = np.random.default_rng(0), np.zeros(GRID)
    y, x = np.mgrid[:N, :N]
    for _ in range(6):
        row, column, radius = *rng.uniform(8, N - 8, 2), rng.uniform(3, 6)
        picture[np.hypot(y - row, x - column) < radius] = rng.uniform(20, 50)
    return gaussian_filter(picture, 0.6)


def counted(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).poisson(convolve(cells(), PSF, mode="reflect")).astype(float)


def decibels(picture: np.ndarray) -> float:
    return float(10 * np.log10(cells().max() ** 2 / np.mean((np.squeeze(picture) - cells()) ** 2)))


def best_of_richardson_lucy(y: np.ndarray) -> float:
    blur, data = Blur(GRID, PSF), torch.from_numpy(y)
    x = torch.full_like(data, float(data.mean()))
    ones, found = blur.adjoint(torch.ones_like(data)), []
    for _ in range(60):
        x = x * blur.adjoint(data / blur.forward(x).clamp_min(1e-9)) / ones
        found.append(decibels(x.numpy()))
    return max(found)


def test_counts_come_back_better_than_by_the_best_richardson_lucy() -> None:
    y = counted()
    r = bd.deblur(y, PSF, noise=Poisson(1.0), method=bd.Patches(effort="fast"))
    assert decibels(r.mean) > best_of_richardson_lucy(y)
    assert decibels(r.mean) > decibels(y) + 3
    assert r.mean.min() >= 0


def restored(y: np.ndarray, operator: bd.Blur, noise: bd.noise.Noise) -> np.ndarray:
    return deconvolve_counts(torch.from_numpy(y)[None], operator, noise, turns=4).mean.numpy()


@pytest.mark.parametrize("peak", [8.0, 200.0])
def test_blurred_counts_are_found_on_a_small_picture_and_steady_noise_is_not_taken_for_them(
    peak: float,
) -> None:
    rng = np.random.default_rng(0)
    blurred = convolve(cells(), PSF, mode="reflect") / cells().max() * peak
    counts = torch.from_numpy(rng.poisson(blurred).astype(np.float64))[None]
    assert isinstance(inspect(counts, blurred=True).noise, Poisson)
    steady = np.rint(np.clip(blurred + np.sqrt(blurred.mean()) * rng.normal(size=blurred.shape), 0, None))
    assert isinstance(inspect(torch.from_numpy(steady)[None], blurred=True).noise, Gaussian)


def test_gain_and_offset_are_units() -> None:
    one = restored(counted(), Blur(GRID, PSF), Poisson(1.0))
    two = restored(100 + 4 * counted(), Blur(GRID, PSF), Poisson(4.0, 100.0))
    np.testing.assert_allclose(two, 100 + 4 * one, atol=1.0)


def test_missing_pixels_play_no_part() -> None:
    gone = np.zeros(GRID, dtype=bool)
    gone[10:14, 20:30] = True
    operator = Mask(gone) @ Blur(GRID, PSF)
    one = restored(np.where(gone, 0.0, counted()), operator, Poisson(1.0))
    two = restored(np.where(gone, 900.0, counted()), operator, Poisson(1.0))
    np.testing.assert_array_equal(one, two)
    assert decibels(one) > decibels(counted())


def test_read_out_noise_is_allowed_for() -> None:
    y = counted() + np.random.default_rng(2).normal(0, 2, GRID)
    assert decibels(restored(y, Blur(GRID, PSF), PoissonGaussian(1.0, 2.0))) > decibels(y) + 2


def test_no_counts_at_all_give_nothing() -> None:
    found = restored(np.zeros(GRID), Blur(GRID, PSF), Poisson(1.0))
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 0.1


@pytest.mark.parametrize(
    ("operator", "noise", "expected"),
    [
        (Blur(GRID, PSF), Poisson(1.0), True),
        (Mask(np.eye(N, dtype=bool)) @ Blur(GRID, PSF), PoissonGaussian(1.0, 1.0), True),
        (Blur(GRID, PSF), Gaussian(1.0), False),
        (Blur(GRID, PSF - 0.01), Poisson(1.0), False),
        (Downsample(GRID, 2), Poisson(1.0), False),
    ],
)
def test_it_takes_counts_under_weights_that_are_not_negative(operator, noise, expected) -> None:
    assert takes(operator, noise) is expected
