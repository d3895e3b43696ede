"""Denoising filters: non-local means, wavelets, bilateral, and BM3D where the user has it.

Their parameters are in units of the noise's standard deviation, sigma.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.baselines.baseline import Baseline
from bayesdip.baselines.conversions import by_channel, filled, noise_level, to_array, to_tensor
from bayesdip.problem import Problem

# Side of a patch and reach of the search (pixels): those of scikit-image's example of non-local means.
PATCH, REACH = 5, 6
# Shifts along each axis over which wavelet thresholding is averaged: as in scikit-image's example.
SHIFTS = 3
# Daubechies' wavelet with two vanishing moments: smoother than scikit-image's default, which is Haar's.
WAVELET = "db2"
# Diameter of the bilateral filter's window, and the spatial standard deviation in it (pixels).
BILATERAL_WINDOW, BILATERAL_REACH = 9, 1.5


def non_local_means(problem: Problem, value: float) -> Tensor:
    """Means of similar patches (Buades, Coll, Morel, CVPR 2005), fast (Froment, IPOL 2014); ``h = value sigma``."""
    from skimage.restoration import denoise_nl_means

    data, sigma = to_array(filled(problem)), noise_level(problem)
    options = {"patch_size": PATCH, "patch_distance": REACH, "fast_mode": True, "channel_axis": -1}
    restored = denoise_nl_means(data, h=value * sigma, sigma=sigma, **options)
    return to_tensor(restored.reshape(data.shape))  # it drops the axis of a single channel


def wavelet(problem: Problem, value: float) -> Tensor:
    """BayesShrink (Chang, Yu, Vetterli, IEEE TIP 2000) for noise of ``value sigma``.

    Averaged over shifts (Coifman and Donoho, 1995); three channels are taken for red, green and blue.
    """
    from skimage.restoration import cycle_spin, denoise_wavelet

    data = to_array(filled(problem))
    # Colours are turned to luma and chroma and back only where values lie in 0..1.
    low, span = data.min(), max(float(data.max() - data.min()), 1e-12)
    options = {
        "sigma": [value * noise_level(problem) / span] * data.shape[-1],
        "wavelet": WAVELET,
        "channel_axis": -1,
        "convert2ycbcr": data.shape[-1] == 3,
    }
    with warnings.catch_warnings():  # it warns that it works on one core
        warnings.simplefilter("ignore")
        restored = cycle_spin(
            (data - low) / span, denoise_wavelet, max_shifts=SHIFTS, func_kw=options, channel_axis=-1
        )
    return to_tensor(low + span * restored)


def bilateral(problem: Problem, value: float) -> Tensor:
    """Means of near pixels of similar colour (Tomasi and Manduchi, ICCV 1998); similar means within ``value sigma``."""
    import cv2

    data = to_array(filled(problem)).astype("float32")
    strength = max(value * noise_level(problem), 1e-6)

    def apply(picture: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.bilateralFilter(picture, BILATERAL_WINDOW, strength, BILATERAL_REACH))

    return to_tensor(apply(data) if data.shape[-1] == 3 else by_channel(data, apply))


def block_matching_3d(problem: Problem, value: float) -> Tensor:
    """BM3D (Dabov, Foi, Katkovnik, Egiazarian, IEEE TIP 2007), for noise of ``value sigma``."""
    import bm3d

    data, sigma = to_array(filled(problem)), value * noise_level(problem)
    if data.shape[-1] == 3:
        return to_tensor(bm3d.bm3d_rgb(data, sigma))
    return to_tensor(by_channel(data, lambda picture: bm3d.bm3d(picture, sigma)))


# The grids reach to both sides of the best values for noise of a tenth of the range on the tests' pictures.
BASELINES = (
    Baseline(
        "nlm",
        ("denoise",),
        non_local_means,
        "skimage.restoration.denoise_nl_means",
        values=(0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
        default=0.8,
        unit="sigma",
    ),
    Baseline(
        "wavelet",
        ("denoise",),
        wavelet,
        "skimage.restoration.denoise_wavelet",
        values=(0.8, 0.9, 1.0, 1.1, 1.2, 1.4),
        default=1.0,
        unit="sigma",
        needs="pywt",
    ),
    Baseline(
        "bilateral",
        ("denoise",),
        bilateral,
        "cv2.bilateralFilter",
        values=(2.0, 3.0, 4.0, 5.0, 7.0, 10.0),
        default=3.0,
        unit="sigma",
        needs="cv2",
    ),
    Baseline(
        "bm3d",
        ("denoise",),
        block_matching_3d,
        "bm3d",
        values=(0.8, 0.9, 1.0, 1.1, 1.2),
        default=1.0,
        unit="sigma",
        needs="bm3d",
    ),
)
