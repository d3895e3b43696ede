"""Whether a picture in colour has correlated noise, by the differences of its channels, which hold little of the picture.

Noise of a camera's picture is smoothed by demosaicing and by the camera's own denoising. In the calmest places of the colours it is nearly
the same in many windows; a clean picture's colours grow quickly from the calmest windows on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.noise.estimated_covariance import MOST_CHANNELS, opponent_basis
from bayesdip.noise.tapered_windows import TaperedWindows, counted, frequencies

Array = NDArray[Any]

SIDE, STEP, MOST_WINDOWS = 16, 4, 4000
# Share of the windows that is the calmest, and fewest windows to say something.
CALM, FEWEST = 0.05, 200
# Power of the windows at these shares over that at the first one, up to which it is noise; least standard deviation of each difference of
# channels, as a share of the data's range; and the flatness from which on noise is white (geometric over arithmetic mean of the power
# from FINE periods a pixel on). Of parts of 128x128 pixels of 24 tuning pictures, whole, made half as large, and then as JPEG of quality 75
# and 96, none of 96 passed for noisy, and none of 48 with white noise of 5 to 50; of 48 simulated camera pictures with noise of 3 to 15, 7
# did. With (1.4, 1.6, 1.8) two that were textured all over did, too, and came out 1.0 and 1.7 dB worse than by a white model.
AT, STEADY, LEAST_LEVEL = (0.025, 0.1, 0.2, 0.4), (1.3, 1.45, 1.65), 0.006
FINE, FLATNESS = 0.25, 0.7


def has_correlated_colours(picture: Tensor, seen: Tensor, value_range: float) -> bool:
    """Whether the differences of channels clearly show correlated noise.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, H, W)
    seen : Tensor of bool, shape (C, H, W)
        Windows with other entries are left out.
    value_range : float
        Of the data.

    Returns
    -------
    bool
        False for a single channel, for more than four, and for small pictures.
    """
    if picture.ndim != 3 or not 1 < len(picture) <= MOST_CHANNELS or min(picture.shape[1:]) < SIDE:
        return False
    windows = TaperedWindows.of(picture, seen, SIDE, STEP, MOST_WINDOWS)
    if windows.modes.shape[2] < FEWEST:
        return False
    counts = counted(SIDE)
    differences = np.einsum("ia,fan->ifn", opponent_basis(len(picture))[1:], windows.modes)
    power = np.abs(differences) ** 2 * counts[:, None]
    usual = np.median(power, axis=2, keepdims=True)
    if not (usual > 0).all():
        return False
    calm = np.argsort((power / usual).mean((0, 1)), kind="stable")[: round(CALM * power.shape[2])]
    noise = power[..., calm].mean(2)
    if not (noise > 0).all():
        return False
    relative = np.sort((power / noise[..., None]).mean((0, 1)))
    first, *others = relative[[int(share * len(relative)) for share in AT]]
    levels = np.sqrt(noise.sum(1) / counts.sum())
    steady = all(other < most * first for other, most in zip(others, STEADY, strict=True))
    return (
        steady and bool((levels > LEAST_LEVEL * value_range).all()) and _flatness(noise / counts) < FLATNESS
    )


def _flatness(power: Array) -> float:
    """Of the fine frequencies, in the mean of all differences."""
    rows, columns = frequencies(SIDE)
    fine = power[:, np.maximum(rows, columns).ravel()[1:] >= FINE]
    return float((np.exp(np.log(fine).mean(1)) / fine.mean(1)).mean())
