"""Four gray pictures of scikit-image, blurred twice and noisy.

PSNR inside a border of 8 pixels, where a blur sees nothing of what lies beyond the picture. The noise level is given;
blurred pictures are rounded and clipped to 8 bits.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.ndimage import convolve, gaussian_filter

import bayesdip as bd
from bayesdip.errors import BayesDipError
from benchmarks.options import Options
from benchmarks.pictures import Array, psnr
from benchmarks.results import Results

SIDE, BORDER = 128, 8
# Names in scikit-image, and the corner of the crop.
CROPS = {"camera": (80, 200), "astronaut": (20, 150), "coins": (60, 60), "moon": (150, 150)}
# Standard deviations of the blur, in pixels, and of the noise, of 255.
DEGRADED = ((1.6, 2.0), (2.5, 5.0))


def run(results: Results, options: Options) -> None:
    """Each picture with both blurs.

    Raises
    ------
    BayesDipError
        ``--pictures`` names one that is not among them.
    """
    if unknown := set(options.pictures) - set(CROPS):
        raise BayesDipError(
            f"pictures are {', '.join(sorted(unknown))}: expected some of {', '.join(CROPS)}; choose of these"
        )
    for name, (blur, sigma) in product(options.pictures or CROPS, DEGRADED):
        if results.has(picture=name, blur=blur):
            continue
        clean, psf = crop(name), gaussian_psf(blur)
        given = blurred(clean, psf, sigma, options.seed)
        r = bd.deblur(given, psf, sigma=sigma, **options.restoring)
        inner = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))
        scores = {"psnr": psnr(r.mean[inner], clean[inner]), "blurred": psnr(given[inner], clean[inner])}
        row = {"picture": name, "blur": blur, "noise": sigma, **scores}
        results.add(row | {"seconds": round(r.seconds, 2), "method": r.method})
    means = {column: results.mean(column) for column in ("psnr", "blurred")}
    results.conclude(pictures=len(results.rows), side=SIDE, **means)


def crop(name: str) -> Array:
    """Gray, (SIDE, SIDE), 8 bits."""
    from skimage import data

    top, left = CROPS[name]
    part: Array = getattr(data, name)()[top : top + SIDE, left : left + SIDE]
    return part[..., 1] if part.ndim == 3 else part


def blurred(clean: Array, psf: Array, sigma: float, seed: int) -> Array:
    """Blurred, with Gaussian noise, rounded and clipped to 8 bits."""
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    soft = convolve(clean.astype(np.float64), psf, mode="reflect") + noise
    return np.clip(soft.round(), 0, 255).astype(np.uint8)


def gaussian_psf(blur: float) -> Array:
    """A point spread function on 13 x 13 pixels, which sums to one."""
    point = np.zeros((13, 13))
    point[6, 6] = 1.0
    psf: Array = gaussian_filter(point, blur)
    return psf / psf.sum()
