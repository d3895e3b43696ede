"""Whether a picture was compressed as JPEG, by its cosine coefficients, which were rounded to multiples of a step.

A file of JPEG is cut into blocks of 8x8, and the coefficients of each are rounded; most high ones to 0. On the grid of
these blocks many coefficients are thus nearly 0. On any other grid of 8x8 they spread as those of any picture do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from torch import Tensor

Array = NDArray[np.float64]

SIDE = 8
# The brightness that JPEG compresses (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
# Blocks that are looked at on each grid, and fewest that say something.
MOST_BLOCKS, FEWEST_BLOCKS = 400, 20
# Coefficients from this sum of both frequencies on; nearly 0 is what rounding the pixels to whole numbers leaves of 0.
FIRST_SUM, NEARLY_ZERO = 3, 0.6
# Times as many on one grid as on the median grid, and by so many standard deviations of their number. On pictures of
# BSDS500 with noise of 10 to 40, as JPEG of quality 75 to 95, it was 4 to 24 times; noisy uncompressed 1.3 at most.
MORE, SURELY = 1.4, 6.0


def is_compressed(picture: Tensor) -> bool:
    """Whether a picture, (C, M, N) of one or three channels on 256 levels, was compressed as JPEG and not resized after."""
    if picture.ndim != 3 or len(picture) not in (1, 3) or not bool(picture.isfinite().all()):
        return False
    values = picture.numpy()
    if values.min() < 0 or values.max() > 255 or values.max() <= 1 or (values != np.round(values)).any():
        return False
    brightness = values[0] if len(values) == 1 else np.tensordot(LUMA, values, 1)
    clipped = ((values == 0) | (values == 255)).any(0)
    counts = np.array(
        [
            _nearly_zero(brightness[top:, left:], clipped[top:, left:])
            for top in range(SIDE)
            for left in range(SIDE)
        ]
    )
    zeros, every = counts.T
    if every.min() == 0:
        return False
    share = zeros / every
    best, usual = int(share.argmax()), float(np.median(share))
    scatter = (max(usual, 1 / every[best]) / every[best]) ** 0.5
    return bool(share[best] > MORE * usual + SURELY * scatter)


def _nearly_zero(brightness: Array, clipped: NDArray[np.bool_]) -> tuple[int, int]:
    """How many of the higher coefficients of blocks side by side are nearly 0, and how many there are."""
    blocks, hit = _blocks(brightness), _blocks(clipped)
    blocks = blocks[~hit.any((1, 2))]
    blocks = blocks[:: max(1, -(-len(blocks) // MOST_BLOCKS))]
    if len(blocks) < FEWEST_BLOCKS:
        return 0, 0
    coefficients = dctn(blocks, axes=(1, 2), norm="ortho")
    chosen = np.indices((SIDE, SIDE)).sum(0) >= FIRST_SUM
    high = coefficients[:, chosen]
    return int((abs(high) < NEARLY_ZERO).sum()), high.size


def _blocks(values: NDArray[Any]) -> NDArray[Any]:
    """Side by side, (n, 8, 8)."""
    rows, columns = (n // SIDE for n in values.shape)
    cut = values[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    return cut.swapaxes(1, 2).reshape(-1, SIDE, SIDE)
