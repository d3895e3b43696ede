"""Values for missing pixels from the known ones around them: a start, and a stand-in for held-out data."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.problem import Problem

# Standard deviations (pixels) of the windows: each fills what the one before did not reach.
WINDOWS = (0.7, 1.5, 4.0, 12.0, 40.0, 150.0, 600.0)
# Less weight of known pixels than this in a window says nothing.
LEAST_WEIGHT = 1e-3


def filled(problem: Problem) -> Tensor:
    """The data, float64 (C, M, N), unobserved ones replaced by a Gaussian average of those around them.

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
        raise BayesDipError("a channel has no known pixel: expected some in every channel")
    result = y.clone()
    for channel, seen, out in zip(y.numpy(), known.numpy(), result, strict=True):
        todo = torch.from_numpy(~seen)
        for window in WINDOWS:
            weight = gaussian_filter(seen.astype(float), window)
            value = gaussian_filter(channel * seen, window) / weight.clip(min=1e-300)
            reached = todo & torch.from_numpy(weight > LEAST_WEIGHT)
            out[reached] = torch.from_numpy(value)[reached]
            todo &= ~reached
            if not todo.any():
                break
        else:
            out[todo] = float(channel[seen].mean())
    return result
