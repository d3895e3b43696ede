"""``bayesdip bench deblur``: blurred and noisy pictures that every installation has, by any method."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product

import numpy as np
from scipy.ndimage import convolve, gaussian_filter

from bayesdip import api as tasks
from bayesdip.pipeline import Options
from bayesdip.settings import one_of
from benchmarks.pictures import Array, psnr
from benchmarks.results import Results

SIDE, BORDER = 128, 8
# Names in scikit-image, and where the part begins.
PARTS = {"camera": (80, 200), "astronaut": (20, 150), "coins": (60, 60), "moon": (150, 150)}
# Standard deviations of the blur, in pixels, and of the noise, of 255.
DEGRADED = ((1.6, 2.0), (2.5, 5.0))


def deblur(results: Results, options: Options, only: Collection[str] = ()) -> None:
    """PSNR inside a border of 8 pixels, where a blur sees nothing of what lies beyond the picture.

    The noise level is told; pictures are rounded and clipped to 8 bits.

    Raises
    ------
    BayesDipError
        `only` names a picture that is not among them.
    """
    for name in only:
        one_of("picture", name, tuple(PARTS))
    seed = options.get("seed", 0)
    for name, (blur, noise) in product(PARTS, DEGRADED):
        if (only and name not in only) or results.has(picture=name, blur=blur):
            continue
        clean, psf = _part(name), _gaussian(blur)
        drawn = np.random.default_rng(seed).normal(0, noise, clean.shape)
        soft = convolve(clean.astype(np.float64), psf, mode="reflect") + drawn
        given = np.clip(soft.round(), 0, 255).astype(np.uint8)
        r = tasks.deblur(given, psf, sigma=noise, **options)
        inside = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))
        results.add(
            {
                "picture": name,
                "blur": blur,
                "noise": noise,
                "psnr": psnr(r.mean[inside], clean[inside]),
                "blurred": psnr(given[inside], clean[inside]),
                "seconds": round(r.seconds, 2),
                "method": r.settings["method"],
            }
        )
    averages = {column: results.mean(column) for column in ("psnr", "blurred")}
    results.conclude(pictures=len(results.rows), side=SIDE, **averages)


def _part(name: str) -> Array:
    """Gray, (SIDE, SIDE), 8 bits."""
    from skimage import data

    whole = getattr(data, name)()
    top, left = PARTS[name]
    part: Array = whole[top : top + SIDE, left : left + SIDE]
    return part[..., 1] if part.ndim == 3 else part


def _gaussian(blur: float) -> Array:
    """Its values on 13 x 13 pixels, which sum to one."""
    point = np.zeros((13, 13))
    point[6, 6] = 1.0
    psf = gaussian_filter(point, blur)
    found: Array = psf / psf.sum()
    return found
