"""The entries around an entry, on a grid of up to three axes."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Half the side of the window around an entry, by the number of axes, and of the ring next to it.
REACH = {1: 6, 2: 2, 3: 1}
RING = {1: 2, 2: 1, 3: 1}


def neighbours(values: Array, places: Bools, reach: int) -> Array:
    """The entries around each place, (places, entries), without its own; beyond the border the mirror image."""
    padded = np.pad(values, reach, mode="reflect" if min(values.shape) > reach else "edge")
    at = [index + reach for index in np.nonzero(places)]
    columns = [
        padded[tuple(i + s for i, s in zip(at, shift, strict=True))] for shift in shifts(values.ndim, reach)
    ]
    return np.stack(columns, axis=1)


def shifts(dims: int, reach: int) -> list[tuple[int, ...]]:
    """All lags up to `reach` per axis but zero."""
    lags = range(-reach, reach + 1)
    return [lag for lag in product(lags, repeat=dims) if any(lag)]
