"""How good a restoration is where the truth is known, and how well two rankings agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Side (pixels) of the window of SSIM: scikit-image's default.
SSIM_WINDOW = 7
# The constant of GMSD for a range of 255, from its paper.
GMSD_CONSTANT = 170.0


@dataclass(frozen=True)
class Quality:
    """Measures of a restoration against the truth.

    Attributes
    ----------
    psnr : float
        Peak signal-to-noise ratio in dB.
    ssim : float
        Mean structural similarity; 1 for equal pictures.
    gmsd : float
        Gradient magnitude similarity deviation; 0 for equal pictures. It stands in for measures by trained
        networks such as LPIPS.
    """

    psnr: float
    ssim: float
    gmsd: float


def quality(restored: Array, truth: Array, peak: float, channel_axis: int | None) -> Quality:
    """Measure a restoration.

    Parameters
    ----------
    restored, truth : array, shape (M, N) or with channels
        In one scale. The restoration is clipped to `peak` above the lesser of 0 and the truth's least value.
    peak : float
        What PSNR refers to.
    channel_axis : int or None

    Returns
    -------
    Quality
    """
    from skimage.metrics import structural_similarity

    clean = truth.astype(np.float64)
    low = min(0.0, float(clean.min()))
    close = np.clip(restored.astype(np.float64), low, low + peak)
    error = float(np.mean((close - clean) ** 2))
    ssim = structural_similarity(  # type: ignore[no-untyped-call]
        close, clean, data_range=peak, channel_axis=channel_axis, win_size=SSIM_WINDOW
    )
    psnr = float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))
    return Quality(psnr, float(ssim), gmsd(_gray(close, channel_axis), _gray(clean, channel_axis), peak))


def gmsd(a: Floats, b: Floats, peak: float) -> float:
    """Gradient magnitude similarity deviation of two gray pictures (M, N).

    Xue, Zhang, Mou, Bovik, *Gradient Magnitude Similarity Deviation*, IEEE TIP 2014: gradients by Prewitt's filters
    of the means over 2 x 2 pixels.
    """
    from scipy.ndimage import prewitt, uniform_filter

    def gradient(picture: Floats) -> Floats:
        half = uniform_filter(picture * (255 / peak), 2, mode="nearest")[::2, ::2]
        return np.asarray(np.hypot(prewitt(half, 0, mode="nearest"), prewitt(half, 1, mode="nearest")) / 3)

    first, second = gradient(a), gradient(b)
    similarity = (2 * first * second + GMSD_CONSTANT) / (first**2 + second**2 + GMSD_CONSTANT)
    return float(similarity.std())


def kendall(a: list[float], b: list[float]) -> float:
    """Kendall's rank correlation, tau-b: 1 for the same order, -1 for the reverse; NaN for less than two."""
    from scipy.stats import kendalltau

    return float(kendalltau(a, b).statistic) if len(a) > 1 else float("nan")


def _gray(picture: Floats, channel_axis: int | None) -> Floats:
    return picture if channel_axis is None else np.asarray(picture.mean(axis=channel_axis))
