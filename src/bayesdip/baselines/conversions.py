"""Between a problem's tensors and the arrays of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.problem import Problem

Floats = NDArray[np.float64]

# Standard deviations (pixels) of the Gaussian windows of `filled`, each about three times the one before:
# every window fills what the one before did not reach, and the last reaches across any picture.
WINDOWS = (0.7, 1.5, 4.0, 12.0, 40.0, 150.0, 600.0)
# A window with less weight than this on known pixels is not used: rounding errors would show.
LEAST_WEIGHT = 1e-3


def noise_level(problem: Problem) -> float:
    """Root of the mean noise variance over all channels, in working units."""
    return float(problem.noise.variance(problem.y, problem.operator.observed).mean().sqrt())


def to_array(picture: Tensor) -> Floats:
    """(C, M, N) to a float64 array (M, N, C), as other libraries want it."""
    return np.ascontiguousarray(picture.detach().cpu().double().permute(1, 2, 0).numpy())


def to_tensor(array: NDArray[Any]) -> Tensor:
    """(M, N, C) to a float64 tensor (C, M, N)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype=np.float64))


def by_channel(array: NDArray[Any], function: Callable[[NDArray[Any]], NDArray[Any]]) -> Floats:
    """Apply a function of (M, N) arrays to every channel of (M, N, C)."""
    return np.stack([function(channel) for channel in np.moveaxis(array, -1, 0)], axis=-1).astype(np.float64)


def filled(problem: Problem) -> Tensor:
    """The data with values for what is missing: Gaussian averages of the known pixels around it.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    Tensor, float64, shape (C, *operator.output_shape)
        Known values are unchanged.

    Raises
    ------
    BayesDipError
        A channel has no observed value.
    """
    from scipy.ndimage import gaussian_filter

    y = problem.y.detach().cpu().double()
    known = problem.operator.observed.expand(y.shape)
    if known.all():
        return y
    if not known.flatten(1).any(1).all():
        raise BayesDipError(
            "a channel has no known pixel: expected some in every channel; leave that channel out"
        )
    result = y.clone()
    for channel, seen, out in zip(y.numpy(), known.numpy(), result, strict=True):
        missing = torch.from_numpy(~seen)
        for window in WINDOWS:
            weight = gaussian_filter(seen.astype(float), window)
            value = gaussian_filter(channel * seen, window) / weight.clip(min=1e-300)
            reached = missing & torch.from_numpy(weight > LEAST_WEIGHT)
            out[reached] = torch.from_numpy(value)[reached]
            missing &= ~reached
            if not missing.any():
                break
        else:
            out[missing] = float(channel[seen].mean())
    return result
