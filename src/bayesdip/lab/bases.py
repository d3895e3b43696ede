"""Denoising by thresholds in fixed bases, Fourier (as the DCT) and wavelets; and what is foreground."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError

Array = NDArray[np.float64]
FOREGROUND_SHARE = 0.3  # of the pixels


def dct_threshold(y: Array, threshold: float) -> Array:
    """Coefficients of the whole picture's DCT below the threshold set to zero; the mean is kept."""
    from scipy.fft import dctn, idctn

    coefficients = dctn(y, norm="ortho")
    kept = np.where(np.abs(coefficients) >= threshold, coefficients, 0.0)
    kept[0, 0] = coefficients[0, 0]
    return np.asarray(idctn(kept, norm="ortho"))


def wavelet_threshold(y: Array, threshold: float, mother: str) -> Array:
    """Details of the wavelet transform below the threshold set to zero; the approximation is kept.

    Raises
    ------
    BayesDipError
        PyWavelets is not installed.
    """
    pywt = _pywt()
    details = pywt.wavedec2(y, mother, mode="symmetric", level=pywt.dwtn_max_level(y.shape, mother))
    kept = [
        details[0],
        *(tuple(pywt.threshold(d, threshold, "hard") for d in level) for level in details[1:]),
    ]
    return np.asarray(pywt.waverec2(kept, mother, mode="symmetric"))[: y.shape[0], : y.shape[1]]


def best_threshold(estimate: Callable[[float], Array], truth: Array, sigma: float) -> Array:
    """The estimate whose threshold an oracle would take: the smallest error over the whole picture.

    Thresholds from 0.5 to 5 sigma are tried, a quarter of sigma apart: hard thresholds near 3 sigma are usual.
    """
    thresholds = sigma * np.linspace(0.5, 5.0, 19)
    return min((estimate(float(t)) for t in thresholds), key=lambda x: float(np.mean((x - truth) ** 2)))


def foreground(truth: Array, share: float = FOREGROUND_SHARE) -> NDArray[np.bool_]:
    """The share of the pixels with the largest gradient, smoothed by a Gaussian of two pixels."""
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    salient = gaussian_filter(gaussian_gradient_magnitude(truth, 1.0), 2.0)
    return np.asarray(salient >= np.quantile(salient, 1 - share))


def psnr_within(estimate: Array, truth: Array, mask: NDArray[np.bool_]) -> float:
    """PSNR in dB for a peak of 1, over the pixels of the mask, values clipped to 0..1."""
    error = np.mean((np.clip(estimate, 0, 1) - truth)[mask] ** 2)
    return float(-10 * np.log10(max(float(error), 1e-10)))


def _pywt() -> Any:
    try:
        return import_module("pywt")
    except ImportError as error:
        raise BayesDipError(
            "PyWavelets is not installed: wavelets need it; pip install 'bayesdip[compare]'"
        ) from error
