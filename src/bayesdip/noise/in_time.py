"""The noise of a picture, looked for as far as a time budget lasts."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from bayesdip.findings import Finding
from bayesdip.interruption import Stopped, look
from bayesdip.noise.inspection import Inspection, inspect, white_noise

# Seconds of an inspection for each value of the picture, measured on a gray picture of 2000x2000 pixels.
SECONDS_OF_A_VALUE = 2e-6
# Values of the part from which the level of white noise is estimated where there is no time for more.
PART = 512**2


def inspect_in_time(picture: Tensor, seen: Tensor, **options: Any) -> Inspection:
    """What noise a picture has; white noise of the level in its middle where the run has no time for an inspection.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)
    seen : Tensor of bool, of that shape
    **options
        Of :func:`bayesdip.noise.inspect`.

    Returns
    -------
    Inspection
    """
    try:
        look(SECONDS_OF_A_VALUE * picture.numel())
    except Stopped:
        return _of_the_middle(picture, seen)
    return inspect(picture, seen, **options)


def _of_the_middle(picture: Tensor, seen: Tensor) -> Inspection:
    grid = picture.shape[1:]
    shrunk = min(1.0, (PART / prod(grid)) ** (1 / len(grid)))
    sides = [max(1, round(shrunk * n)) for n in grid]
    middle = (slice(None), *(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(grid, sides, strict=True)))
    values = torch.where(seen, picture, torch.nan)
    part = values[middle]
    noise = white_noise(part if bool(part.isfinite().flatten(1).any(1).all()) else values)
    text = (
        "the time budget is too short to look for other noise than white noise, and its level is that in the middle of the "
        "picture; give more time, or sigma= (--sigma)"
    )
    return Inspection(noise, findings=(Finding("noise in haste", text, {"values": part.numel()}),))
