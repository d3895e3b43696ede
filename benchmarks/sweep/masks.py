"""What is missing: scattered pixels, holes, lines, all alike or by channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep.choices import Choices, arrays

Array = NDArray[Any]

KINDS = ("scattered", "holes", "lines")


def random_mask(choices: Choices, grid: tuple[int, ...], channels: int | None) -> tuple[Array, str]:
    """Which pixels are missing.

    Parameters
    ----------
    choices : Choices
    grid : tuple of int
    channels : int or None
        Where given, the mask may have this many channels, last.

    Returns
    -------
    array of bool, shape (*grid,) or (*grid, channels)
        Some are True and some False.
    str
        What it is in words.
    """
    kind, rng = choices.one_of(KINDS), arrays(choices)
    by_channel = channels is not None and kind == "scattered" and choices.one_of((True, False))
    shape = (*grid, channels) if by_channel and channels is not None else grid
    missing = np.zeros(shape, bool)
    if kind == "scattered":
        share = choices.number(0.1, 0.8)
        missing = rng.random(shape) < share
        words = f"{share:.0%} scattered" + (" by channel" if by_channel else "")
    elif kind == "holes":
        count = choices.whole(2, 4)
        for _ in range(count):
            corner = [int(rng.integers(0, n)) for n in grid]
            sides = [int(rng.integers(min(3, n // 2), max(n // 4, 3) + 1)) for n in grid]
            missing[tuple(slice(c, c + s) for c, s in zip(corner, sides, strict=True))] = True
        words = f"{count} holes"
    else:
        axis = int(rng.integers(len(grid)))
        every, wide = choices.whole(6, 12), choices.whole(1, 3)
        at = np.indices(grid)[axis] % every < min(wide, max(grid[axis] - 2, 1))
        missing = at
        words = f"lines {wide} of {every} wide"
    flat = missing.reshape(-1)
    if not flat.any():
        flat[flat.size // 2] = True
    if flat.all():
        flat[:: max(flat.size // 8, 1)] = False
    return flat.reshape(shape), words
