"""Noise that there may be: correlated noise that cannot be told from texture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bayesdip.findings import Finding
from bayesdip.noise.estimated_covariance import SIDE, STEP, estimated_autocovariance
from bayesdip.noise.spectrum import SMOOTHEST, Windows
from bayesdip.noise.tapered_windows import whole_windows

# What the calmest places have, from this share of the data's range (of its inner 99%) and this many times the white noise on. Of 144 parts of tuning
# pictures in colour of each kind, whole and made half as large, it has 4 of 132 clean ones in which no noise was recognised, 8 of 135 with white
# noise of 5 and 2 of 136 of 10; of those with noise that neighbours share, all 20 of 20, 25 of 43 of 10. Of gray ones a fifth of the clean ones would have it.
# Nothing is taken away: clean texture would be lost.
LEAST_SHARE, OVER_WHITE = 0.05, 2.0
# In one channel there is too little to go by.
CHANNELS = (2, 4)


def doubtful_levels(
    picture: Tensor, seen: Tensor, white: tuple[float, ...], value_range: float
) -> tuple[float, ...] | None:
    """The standard deviation of the correlated noise that a picture may have in each channel; None where it has no such noise.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, H, W)
        In which no correlated noise was recognised.
    seen : Tensor of bool, shape (C, H, W)
    white : tuple of float
        The white noise of each channel.
    value_range : float
        Of the data.

    Returns
    -------
    tuple of float or None
    """
    windows = Windows.of(picture, seen) if CHANNELS[0] <= len(picture) <= CHANNELS[1] else None
    # A quick look first: of white noise the middle frequencies have no more than all.
    if windows is None or (windows.share(SMOOTHEST)[:, 1] ** 0.5).mean() < OVER_WHITE * np.mean(white):
        return None
    if not whole_windows(seen, SIDE, STEP):
        return None
    covariance = estimated_autocovariance(picture, seen)
    middle = tuple(n // 2 for n in covariance.shape[2:])
    levels = np.sqrt(np.maximum([covariance[(c, c, *middle)] for c in range(len(picture))], 0.0))
    mean = float(np.sqrt(np.mean(np.square(levels))))
    if mean < max(LEAST_SHARE * value_range, OVER_WHITE * float(np.mean(white))):
        return None
    return tuple(levels.tolist())


def doubtful_variance(levels: tuple[float, ...]) -> Tensor:
    """Of an error that neighbouring pixels share, float64, (C, 1, 1)."""
    return torch.tensor(levels, dtype=torch.float64).square().reshape(-1, 1, 1)


def doubtful_finding(levels: tuple[float, ...], in_tiles: bool = False) -> Finding:
    """What to say of noise that there may be; of a picture that is restored in tiles, whose error bars are those of each tile's known noise."""
    advice = (
        "error bars do not take in; a part that is restored by itself can have its covariance estimated (noise=Correlated.estimated)"
        if in_tiles
        else "error bars take in; where it is noise, --noise correlated (noise=Correlated.estimated(image)) takes it away"
    )
    text = (
        "texture and noise that neighbouring pixels share cannot be told apart: there may be noise of sigma "
        f"{', '.join(f'{level:.3g}' for level in levels)}, which is left, and which {advice}; sigma= says that there is none"
    )
    return Finding("doubtful noise", text, {"sigma": list(levels)})
