"""How good a restoration is where the truth is known, and how well two rankings agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

SSIM_WINDOW = 7
# Xue, Zhang, Mou, Bovik, Gradient Magnitude Similarity Deviation, IEEE TIP 2014, for a range of 255.
GMSD_C = 170.0


@dataclass(frozen=True)
class Quality:
    """Against the truth.

    Attributes
    ----------
    psnr : float
        Peak signal-to-noise ratio in dB.
    ssim : float
        Mean structural similarity; 1 is alike.
    gmsd : float
        Gradient magnitude similarity deviation; 0 is alike. It stands in for measures by trained
        networks such as LPIPS, and is none.
    """

    psnr: float
    ssim: float
    gmsd: float


def quality(restored: Array, truth: Array, peak: float, channel_axis: int | None) -> Quality:
    """Compare two pictures of one shape; values are clipped to the truth's range of ``peak``."""
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
    """Gradient magnitude similarity deviation of two gray pictures (M, N); 0 is alike."""
    first, second = (_gradient(_halved(picture * (255 / peak))) for picture in (a, b))
    similarity = (2 * first * second + GMSD_C) / (first**2 + second**2 + GMSD_C)
    return float(similarity.std())


def _gray(picture: Floats, channel_axis: int | None) -> Floats:
    return picture if channel_axis is None else np.asarray(picture.mean(axis=channel_axis))


def _halved(picture: Floats) -> Floats:
    """Means over 2 x 2 pixels, every second one: the distance from which one looks."""
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(picture, 2, mode="nearest")[::2, ::2])


def _gradient(picture: Floats) -> Floats:
    """Its magnitude by Prewitt's filters."""
    from scipy.ndimage import prewitt

    return np.asarray(np.hypot(prewitt(picture, 0, mode="nearest"), prewitt(picture, 1, mode="nearest")) / 3)


def kendall(a: list[float], b: list[float]) -> float:
    """Kendall's rank correlation, tau-b: 1 for the same order, -1 for the reverse; NaN for less than two."""
    from scipy.stats import kendalltau

    return float(kendalltau(a, b).statistic) if len(a) > 1 else float("nan")
