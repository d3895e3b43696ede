"""Holes whose inside is far from known pixels, in pictures and in smooth scientific data."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter

import bayesdip as bd
from benchmarks.field_cases.case import RELATIVE, RMS, Case, Measure
from benchmarks.field_cases.simple import Array, biharmonic
from benchmarks.field_cases.source import crop, generator

KIND = "far from known pixels"
# Where photographs have something to carry into a hole.
CORNERS = {"camera": (100, 150), "astronaut": (60, 120)}


def big_hole(name: str, side: int = 96) -> Case:
    """An object cut out of a picture: a hole of 2/5 by 1/3 of its side."""
    truth = crop(name, *CORNERS.get(name, (0, 0)), side)
    missing = np.zeros(truth.shape[:2], bool)
    missing[side // 3 : side // 3 + 2 * side // 5, side // 3 : 2 * side // 3] = True
    given = truth.copy()
    given[missing] = 255
    axis = -1 if truth.ndim == 3 else None
    return Case(
        run=lambda: bd.inpaint(given, missing, channel_axis=axis),
        truth=truth,
        rival=lambda: biharmonic(given, missing, axis),
        rival_name="biharmonic",
        counted=missing,
        intervals=True,
    )


def texture_is_carried_in() -> Case:
    """A hole of 57 x 48: the standard deviation inside should be that of the brick wall, not of a flat patch."""
    case = big_hole("brick", 144)
    inside = Measure("distance from the true sd", lambda e, t: abs(float(e.std()) - float(t.std())))
    contrast = case.truth[case.counted].std()
    half = np.where(np.indices(case.truth.shape)[0] % 2, 0.5 * contrast, -0.5 * contrast)
    # A wall of half the contrast is the least that shows structure.
    return Case(
        run=case.run, truth=case.truth, rival=lambda: half, rival_name="half the contrast",
        counted=case.counted, measure=inside,
    )  # fmt: skip


def detector() -> tuple[Array, Array, Array]:
    """Truth, counts of an X-ray detector over decades, and its gaps of 17 and 7 pixels and dead pixels."""
    n = 112
    y, x = np.mgrid[:n, :n]
    r, rng = np.hypot(x - 60, y - 52), generator(31)
    rings = ((21, 8e3), (33, 2e4), (44, 900), (57, 4e3), (67, 300))
    truth = 40 + 3e4 * np.exp(-r / 25) + sum(a * np.exp(-(((r - q) / 2.5) ** 2)) for q, a in rings)
    given = rng.poisson(truth).astype(np.float64)
    missing = rng.random((n, n)) < 0.001
    missing[37:54] = True
    missing[:, 72:79] = True
    return truth, given, missing


def detector_gaps() -> Case:
    """Gaps and dead pixels as NaN."""
    truth, counts, missing = detector()
    return _filled(truth, np.where(missing, np.nan, counts), missing, RELATIVE)


def marked_gaps() -> Case:
    """Whole numbers, -1 for gaps and dead pixels, as detectors write them; denoised, and nothing told."""
    truth, counts, missing = detector()
    given = np.where(missing, -1, counts).astype(np.int32)
    return Case(
        run=lambda: bd.denoise(given),
        truth=truth,
        rival=lambda: biharmonic(counts, missing),
        rival_name="biharmonic",
        measure=RELATIVE,
        counted=missing,
        said=True,
    )


def sparse_grid() -> Case:
    """35 x 35 readings of a smooth field with one decimal, 15% known."""
    rng = generator(3)
    truth = 1.9 + 2.5 * gaussian_filter(rng.normal(size=(35, 35)), 4)
    missing = rng.random(truth.shape) > 0.15
    given = np.round(truth, 1)
    given[missing] = np.nan
    return _filled(truth, given, missing, RMS)


def sparse_volume() -> Case:
    """A smooth volume of 14 pixels a side, 8% known."""
    rng = generator(2)
    truth = gaussian_filter(rng.normal(size=(14,) * 3), 2.5)
    truth /= truth.std()
    missing = rng.random(truth.shape) > 0.08
    return _filled(truth, np.where(missing, np.nan, truth), missing, RMS)


def satellite_stripes() -> Case:
    """Four bands of 16 bits with slanted stripes without data, 1 to 8 pixels wide."""
    from skimage.data import retina
    from skimage.transform import resize

    rng, n = generator(9), 96
    eye = resize(retina()[300:1100, 300:1100] / 255.0, (n, n, 3), anti_aliasing=True)
    mixed = np.stack(
        [eye @ w for w in ((0.8, 0.2, 0), (0.3, 0.7, 0), (0, 0.6, 0.4), (0.1, 0.1, 0.8))], axis=-1
    )
    truth = mixed * 9000 + 7000
    given = np.rint(truth + rng.normal(0, 25, truth.shape)).astype(np.uint16)
    y, x = np.mgrid[:n, :n]
    missing = ((y + 0.13 * x) % 24) < 1 + 7 * np.abs(x - n / 2) / (n / 2)
    given[missing] = 0
    return Case(
        run=lambda: bd.inpaint(given, missing, channel_axis=-1),
        truth=truth,
        rival=lambda: biharmonic(given, missing, -1),
        rival_name="biharmonic",
        measure=RMS,
        counted=missing,
        intervals=True,
    )


def long_gap() -> Case:
    """Two months of an hourly series with daily and weekly rhythm, one gap of 120 hours and single ones."""
    rng, n = generator(1), 1400
    t = np.arange(n)
    truth = 18 + 6 * np.sin(2 * np.pi * t / 24) + 3 * np.sin(2 * np.pi * t / 168) + 0.002 * t
    given = truth + rng.normal(0, 0.3, n)
    missing = np.zeros(n, bool)
    missing[640:760] = True
    missing[rng.choice(n, 40, replace=False)] = True
    given[missing] = np.nan
    return _filled(truth, given, missing, RMS)


def _filled(truth: Array, given: Array, missing: Array, measure: Measure) -> Case:
    return Case(
        run=lambda: bd.inpaint(given, missing="nan"),
        truth=truth,
        rival=lambda: biharmonic(given, missing),
        rival_name="biharmonic",
        measure=measure,
        counted=missing,
        intervals=True,
    )


CASES = {
    "a hole in brick": partial(big_hole, "brick"),
    "a hole in grass": partial(big_hole, "grass"),
    "a hole in a gray photo": partial(big_hole, "camera"),
    "a hole in a colour photo": partial(big_hole, "astronaut"),
    "texture in the hole in brick": texture_is_carried_in,
    "detector gaps": detector_gaps,
    "detector gaps marked -1": marked_gaps,
    "sparse grid": sparse_grid,
    "sparse volume": sparse_volume,
    "satellite stripes": satellite_stripes,
    "a long gap in a series": long_gap,
}
