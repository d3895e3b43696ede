"""The simple methods that results are held against, and what several inputs are made from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve, median_filter

Array = NDArray[Any]


def eight_bits(picture: Array) -> Array:
    """Rounded and clipped to 8 bits."""
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def biharmonic(picture: Array, missing: Array, channel_axis: int | None = None) -> Array:
    """``skimage.restoration.inpaint_biharmonic``; a mask with channels is taken channel by channel."""
    from skimage.restoration import inpaint_biharmonic

    values = np.where(np.isfinite(picture), picture, 0).astype(np.float64)
    if channel_axis is None:
        return inpaint_biharmonic(values, missing)
    gone = np.broadcast_to(missing if missing.ndim == values.ndim else missing[..., None], values.shape)
    planes = zip(
        *(np.ascontiguousarray(np.moveaxis(a, channel_axis, 0)) for a in (values, gone)), strict=True
    )
    return np.stack([inpaint_biharmonic(*plane) for plane in planes], axis=channel_axis)


def median(picture: Array, side: int = 3) -> Array:
    """The median of a square window, of each channel by itself."""
    return median_filter(picture, (side, side, 1)[: picture.ndim])


def non_local_means(picture: Array, sigma: float, channel_axis: int | None = None) -> Array:
    """``skimage.restoration.denoise_nl_means`` with the noise's standard deviation told, h = 0.8 sigma."""
    from skimage.restoration import denoise_nl_means

    options = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": channel_axis}
    return denoise_nl_means(picture.astype(np.float64), h=0.8 * sigma, sigma=sigma, **options)


def richardson_lucy(counts: Array, psf: Array, iterations: int = 30) -> Array:
    """Richardson 1972, Lucy 1974, on a picture that is mirrored at its borders."""
    estimate = np.full(counts.shape, max(float(counts.mean()), 1e-6))
    for _ in range(iterations):
        ratio = counts / np.maximum(convolve(estimate, psf, mode="reflect"), 1e-9)
        estimate = estimate * convolve(ratio, psf[::-1, ::-1], mode="reflect")
    return estimate


def gaussian_psf(width: float, radius: int) -> Array:
    """Of that standard deviation in pixels; sums to one."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    spread = np.exp(-(x**2 + y**2) / (2 * width**2))
    return spread / spread.sum()
