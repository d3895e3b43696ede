"""Denoising filters: non-local means, wavelets, bilateral, and BM3D where the user has it.

Their strength is told in units of the noise's standard deviation.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.baselines.baseline import Baseline, by_channel, library, noise_level, to_array, to_tensor
from bayesdip.baselines.filling import filled
from bayesdip.problem import Problem

PATCH, REACH = 5, 6
# Shifts along each axis over which wavelet thresholding is averaged (Coifman and Donoho 1995).
SHIFTS = 3
WAVELET = "db2"
BILATERAL_WINDOW, BILATERAL_REACH = 9, 1.5


def non_local_means(problem: Problem, value: float) -> Tensor:
    """Buades, Coll, Morel 2005, the fast version of Froment 2014; ``h = value sigma``."""
    from skimage.restoration import denoise_nl_means

    data, sigma = to_array(filled(problem)), noise_level(problem)
    restored = denoise_nl_means(
        data,
        patch_size=PATCH,
        patch_distance=REACH,
        h=value * sigma,
        sigma=sigma,
        fast_mode=True,
        channel_axis=-1,
    )
    return to_tensor(restored.reshape(data.shape))  # it drops a single channel's axis


def wavelet(problem: Problem, value: float) -> Tensor:
    """BayesShrink (Chang, Yu, Vetterli 2000) for noise of ``value sigma``, averaged over shifts."""
    from skimage.restoration import cycle_spin, denoise_wavelet

    library("pywt")
    data = to_array(filled(problem))
    options = {
        "sigma": value * noise_level(problem),
        "wavelet": WAVELET,
        "channel_axis": -1,
        "convert2ycbcr": data.shape[-1] == 3,
    }
    # Colours are turned to luma and chroma and back only where values lie in 0..1.
    low, span = data.min(), max(float(data.max() - data.min()), 1e-12)
    options["sigma"] = [options["sigma"] / span] * data.shape[-1]
    with warnings.catch_warnings():  # it says that it works on one core
        warnings.simplefilter("ignore")
        restored = cycle_spin(
            (data - low) / span, denoise_wavelet, max_shifts=SHIFTS, func_kw=options, channel_axis=-1
        )
    return to_tensor(low + span * restored)


def bilateral(problem: Problem, value: float) -> Tensor:
    """Tomasi and Manduchi 1998; colours as far apart as ``value sigma`` are averaged."""
    cv2 = library("cv2")
    data = to_array(filled(problem)).astype("float32")
    strength = max(value * noise_level(problem), 1e-6)

    def apply(picture: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(cv2.bilateralFilter(picture, BILATERAL_WINDOW, strength, BILATERAL_REACH))

    return to_tensor(apply(data) if data.shape[-1] == 3 else by_channel(data, apply))


def bm3d(problem: Problem, value: float) -> Tensor:
    """Dabov, Foi, Katkovnik, Egiazarian 2007, told that the noise is ``value sigma``."""
    package = library("bm3d")
    data, sigma = to_array(filled(problem)), value * noise_level(problem)
    if data.shape[-1] == 3:
        return to_tensor(package.bm3d_rgb(data, sigma))
    return to_tensor(by_channel(data, lambda picture: package.bm3d(picture, sigma)))


BASELINES = (
    Baseline(
        "nlm",
        ("denoise",),
        non_local_means,
        "sigma",
        (0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
        0.8,
        "skimage.restoration.denoise_nl_means",
    ),
    Baseline(
        "wavelet",
        ("denoise",),
        wavelet,
        "sigma",
        (0.8, 0.9, 1.0, 1.1, 1.2, 1.4),
        1.0,
        "skimage.restoration.denoise_wavelet",
        needs="pywt",
    ),
    Baseline(
        "bilateral",
        ("denoise",),
        bilateral,
        "sigma",
        (2.0, 3.0, 4.0, 5.0, 7.0, 10.0),
        3.0,
        "cv2.bilateralFilter",
        needs="cv2",
    ),
    Baseline("bm3d", ("denoise",), bm3d, "sigma", (0.8, 0.9, 1.0, 1.1, 1.2), 1.0, "bm3d", needs="bm3d"),
)
