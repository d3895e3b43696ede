"""Coverage by region: the smooth half of a picture and its textured half."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

Array = NDArray[Any]

# Side of the window whose variance tells smooth places from textured ones.
WINDOW = 5


def is_textured(clean: Array, channel_axis: int | None = -1) -> Array:
    """Where the variance around a pixel is above its median over the picture.

    Parameters
    ----------
    clean : array
        A signal, a picture or a volume.
    channel_axis : int or None
        Channels are averaged; the default counts only where there are three axes.

    Returns
    -------
    array of bool, without the channel axis
    """
    if channel_axis == -1 and clean.ndim < 3:
        channel_axis = None
    gray = clean.astype(np.float64) if channel_axis is None else clean.mean(channel_axis)
    variance = uniform_filter(gray**2, WINDOW) - uniform_filter(gray, WINDOW) ** 2
    return np.asarray(variance > np.median(variance))


def coverage_by_region(held: Array, clean: Array, channel_axis: int | None) -> dict[str, float]:
    """The share of values that hold, in the smooth and in the textured half.

    Parameters
    ----------
    held : array of bool, shape of ``clean``
    clean : array
    channel_axis : int or None

    Returns
    -------
    dict
        ``coverage_smooth``, ``coverage_textured``.
    """
    textured = is_textured(clean - clean.mean(), channel_axis)
    if channel_axis is not None:
        held = np.moveaxis(held, channel_axis, -1)
    return {
        "coverage_smooth": round(float(held[~textured].mean()), 4),
        "coverage_textured": round(float(held[textured].mean()), 4),
    }
