"""Point spread functions as people measure them, and blurred counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.ndimage import convolve

import bayesdip as bd
from benchmarks.field_cases.case import Case, Check, psnr
from benchmarks.field_cases.simple import Array, gaussian_psf, richardson_lucy
from benchmarks.field_cases.source import crop, generator

KIND = "real PSFs and counts"
SIDE, WIDTH, SIGMA = 48, 1.8, 2.0


def _good(rng: np.random.Generator) -> Array:
    return gaussian_psf(WIDTH, 9)


def _unnormalised(rng: np.random.Generator) -> Array:
    return 5e4 * _good(rng)


def _even(rng: np.random.Generator) -> Array:
    y, x = np.mgrid[-9:9, -9:9] + 0.5
    return np.exp(-(x**2 + y**2) / (2 * WIDTH**2))


def _off_centre(rng: np.random.Generator) -> Array:
    wide = np.zeros((31, 31))
    wide[2:21, 4:23] = _good(rng)
    return wide


def _with_background(rng: np.random.Generator) -> Array:
    good = _good(rng)
    return good + 0.02 * good.max()


def _noisy(rng: np.random.Generator) -> Array:
    good = _good(rng)
    return good + rng.normal(0, 0.01 * good.max(), good.shape)


def _in_the_corner(rng: np.random.Generator) -> Array:
    wide = np.zeros((SIDE, SIDE))
    wide[:19, :19] = _good(rng)
    return np.roll(wide, (-9, -9), (0, 1))


def _eight_bits(rng: np.random.Generator) -> Array:
    good = _good(rng)
    return (good / good.max() * 255).astype(np.uint8)


def _black_on_white(rng: np.random.Generator) -> Array:
    return 255 - _eight_bits(rng)


def _motion(rng: np.random.Generator) -> Array:
    path = np.zeros((15, 15))
    for t in np.linspace(-7, 7, 60):
        path[round(7 + 0.4 * t), round(7 + t)] += 1
    return path


def measured_psf(make: Callable[[np.random.Generator], Array]) -> Case:
    """A blurred photograph with noise of 2, and the PSF as it was measured; against Richardson-Lucy with the right one."""
    rng = generator(17)
    truth = crop("camera", 100, 150, SIDE).astype(np.float64)
    right = _motion(rng) / _motion(rng).sum() if make is _motion else _good(rng)
    given = convolve(truth, right, mode="reflect") + rng.normal(0, SIGMA, truth.shape)
    psf = make(rng)
    return Case(
        run=lambda: bd.deblur(given, psf),
        truth=truth,
        given=given,
        rival=lambda: richardson_lucy(np.maximum(given, 1), right, 10),
        rival_name="Richardson-Lucy, PSF right",
        intervals=make is _good,
        said=make in (_off_centre, _with_background, _in_the_corner, _black_on_white),
    )


def counts(peak: float) -> Case:
    """Counts with zeros, blurred, 16 bits."""
    rng, psf = generator(18), gaussian_psf(2.0, 7)
    cell = crop("cell", 170, 200, SIDE).astype(np.float64)
    cell = np.clip(cell - np.quantile(cell, 0.3), 0, None)  # a third without light
    truth = cell / cell.max() * peak
    given = rng.poisson(convolve(truth, psf, mode="reflect")).astype(np.uint16)
    return Case(
        run=lambda: bd.deblur(given, psf),
        truth=truth,
        given=given,
        rival=lambda: richardson_lucy(given.astype(np.float64), psf, 20),
        rival_name="Richardson-Lucy",
        measure=psnr(peak),
        said=True,
    )


def impossible_psfs() -> list[str]:
    """A PSF of zeros, or with an axis too many, is refused in one line, or what was made of it is said."""
    picture = crop("camera", 100, 150, 48)
    good, wrong = gaussian_psf(WIDTH, 9), []
    for name, psf in (("zeros", np.zeros((9, 9))), ("three axes", np.repeat(good[None], 3, 0))):
        try:
            restored = bd.deblur(picture, psf, effort="fast")
        except bd.BayesDipError as error:
            if "\n" in str(error):
                wrong.append(f"{name}: more than a line")
        else:
            if not any("psf" in finding.kind for finding in getattr(restored, "findings", ())):
                wrong.append(f"{name}: taken without a word")
    return wrong


CASES = {
    "the right PSF": partial(measured_psf, _good),
    "a PSF that does not sum to one": partial(measured_psf, _unnormalised),
    "a PSF of even size": partial(measured_psf, _even),
    "a PSF off centre": partial(measured_psf, _off_centre),
    "a PSF with background": partial(measured_psf, _with_background),
    "a noisy PSF with negative values": partial(measured_psf, _noisy),
    "a PSF with its centre in the corner": partial(measured_psf, _in_the_corner),
    "a PSF of 8 bits": partial(measured_psf, _eight_bits),
    "a PSF black on white": partial(measured_psf, _black_on_white),
    "motion blur": partial(measured_psf, _motion),
    "blurred counts up to 60": partial(counts, 60.0),
    "blurred counts up to 8": partial(counts, 8.0),
    "impossible PSFs": lambda: Check(impossible_psfs),
}
