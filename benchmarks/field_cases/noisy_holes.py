"""Noise and missing pixels in one input."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

import bayesdip as bd
from benchmarks.field_cases.case import RMS, Case, psnr
from benchmarks.field_cases.simple import Array, biharmonic, eight_bits, non_local_means
from benchmarks.field_cases.source import crop, generator

KIND = "noise and holes together"


def photograph() -> tuple[Array, Array, Array]:
    """Truth, a faded gray photograph with grain, scratches and dust, and where they were painted."""
    from PIL import Image, ImageDraw

    rng, side = generator(27), 128
    truth = crop("camera", 60, 160, side) * 0.7 + 40.0
    grain = np.clip(truth + rng.normal(0, 6, truth.shape), 0, 255)
    drawing = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(drawing)
    for _ in range(5):
        x, y = (int(v) for v in rng.integers(0, side, 2))
        to = (x + int(rng.integers(-70, 70)), y + int(rng.integers(-70, 70)))
        pen.line((x, y, *to), fill=255, width=int(rng.integers(1, 5)))
    for _ in range(15):
        x, y = (int(v) for v in rng.integers(0, side - 4, 2))
        r = int(rng.integers(1, 4))
        pen.ellipse((x, y, x + r, y + r), fill=255)
    painted = np.asarray(drawing) > 0
    soft = np.clip(gaussian_filter(painted.astype(float), 0.7) * 1.4, 0, 1)
    return truth, eight_bits(grain * (1 - soft) + 245 * soft), painted


def old_photo() -> Case:
    """The mask covers the damage: one run against two, denoised in the holes' place."""
    truth, given, painted = photograph()
    missing = binary_dilation(painted, iterations=2)

    def two_runs() -> Array:
        filled = bd.inpaint(given, missing).mean
        return bd.denoise(filled, 6.0).mean

    return Case(
        run=lambda: bd.inpaint(given, missing),
        truth=truth,
        rival=two_runs,
        rival_name="two runs, sigma told",
        counted=missing,
        intervals=True,
    )


def old_photo_everywhere() -> Case:
    """The same over the whole picture, where it is asked for to take the grain away too: by default known pixels stay."""
    case = old_photo()
    _, given, painted = photograph()
    missing = binary_dilation(painted, iterations=2)
    return Case(
        run=lambda: bd.inpaint(given, missing, sigma="auto"),
        truth=case.truth,
        rival=case.rival,
        rival_name=case.rival_name,
        intervals=True,
    )


def narrow_mask() -> Case:
    """The mask is drawn a bit too narrow: the soft rims of the scratches are left outside of it."""
    truth, given, painted = photograph()
    wide = binary_dilation(painted, iterations=2)
    return Case(
        run=lambda: bd.inpaint(given, painted),
        truth=truth,
        rival=lambda: biharmonic(given, wide),
        rival_name="biharmonic with a wide mask",
        counted=wide,
        said=True,
    )


def gaps_and_noise() -> Case:
    """A noisy picture of floats, to be denoised; single pixels and a bar are NaN."""
    rng = generator(6)
    truth = crop("camera", 100, 150, 96) * 7.0 - 300
    given = truth + rng.normal(0, 120, truth.shape)
    missing = rng.random(truth.shape) < 0.01
    missing[50:56, 20:70] = True
    given[missing] = np.nan

    def rival() -> Array:
        return non_local_means(biharmonic(given, missing), 120.0)

    return Case(
        run=lambda: bd.denoise(given, missing="nan"),
        truth=truth,
        rival=rival,
        rival_name="biharmonic, then non-local means with sigma told",
        measure=RMS,
        intervals=True,
    )


def placeholder(value: float) -> Case:
    """No data, written as a number far outside of the range, in a noisy picture of floats: denoised by defaults."""
    rng = generator(7)
    truth = crop("camera", 100, 150, 96).astype(np.float32)
    given = truth + rng.normal(0, 10, truth.shape).astype(np.float32)
    missing = np.zeros(truth.shape, bool)
    missing[:, :5] = True
    missing[60:64, 70:80] = True
    given[missing] = value
    return Case(
        run=lambda: bd.denoise(given),
        truth=truth,
        rival=lambda: non_local_means(biharmonic(given, missing), 10.0),
        rival_name="biharmonic, then non-local means with sigma told",
        measure=psnr(),
        intervals=True,
        said=True,
    )


def masked_array() -> Case:
    """A NumPy masked array: what it masks is missing."""
    rng = generator(6)
    truth = crop("camera", 100, 150, 96)
    missing = rng.random(truth.shape) < 0.2
    given = np.ma.array(np.where(missing, 0, truth).astype(np.uint8), mask=missing)
    return Case(
        run=lambda: bd.inpaint(given),
        truth=truth,
        rival=lambda: biharmonic(given.data, missing),
        rival_name="biharmonic",
        counted=missing,
        intervals=True,
    )


CASES = {
    "an old photo, in its scratches": old_photo,
    "an old photo, everywhere, grain taken away": old_photo_everywhere,
    "an old photo, mask too narrow": narrow_mask,
    "NaN and noise, denoised": gaps_and_noise,
    "no data as -9.2e18": partial(placeholder, -9.223372e18),
    "no data as -9999": partial(placeholder, -9999.0),
    "no data as -32768": partial(placeholder, -32768.0),
    "a NumPy masked array": masked_array,
}
