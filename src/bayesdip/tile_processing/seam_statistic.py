"""Whether tiles show: jumps across the borders of tiles beside jumps elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Seams:
    """Two ratios, 1 where nothing shows.

    Attributes
    ----------
    jump : float
        Mean absolute jump from pixel to pixel across borders of tiles, over that across all other lines.
    step : float
        Root mean square of the mean jump along a whole side of a tile, which the eye sees as a line, over that of pieces
        of other lines as long.
    pieces : int
        Sides of tiles that were looked at. By chance alone `step` differs from 1 by some ``0.7 / sqrt(pieces)``, and more
        where the picture has edges.
    """

    jump: float
    step: float
    pieces: int


def seams(picture: NDArray[Any], rows: Sequence[int], columns: Sequence[int], length: int) -> Seams:
    """Compare jumps across borders with those elsewhere.

    The jump between lines i - 1 and i of a picture x is ``x[i] - x[i-1] - (x[i+1] - x[i] + x[i-1] - x[i-2]) / 2``: what is left
    of a difference where the slope on both sides is taken away.

    Parameters
    ----------
    picture : ndarray, shape (M, N)
    rows, columns : sequence of int
        The first row, and column, of every tile but the first.
    length : int
        Of a tile's side.

    Returns
    -------
    Seams
    """
    jumps_there, jumps_else, steps_there, steps_else = [], [], [], []
    for lines, values in ((rows, picture), (columns, picture.T)):
        x = values.astype(np.float64)
        if len(x) < 4 or not len(lines):
            continue
        jumps = np.full(x.shape, np.nan)
        steps = np.diff(x, axis=0)
        jumps[2:-1] = steps[1:-1] - (steps[2:] + steps[:-2]) / 2
        pieces = max(1, x.shape[1] // length)
        means = np.stack([part.mean(1) for part in np.array_split(jumps, pieces, axis=1)], axis=1)
        sizes = np.abs(jumps).mean(1)
        there = np.zeros(len(x), dtype=bool)
        there[list(lines)] = True
        near = np.convolve(there, np.ones(5), "same") > 0
        elsewhere = ~near & np.isfinite(sizes)
        there &= np.isfinite(sizes)
        jumps_there.append(sizes[there])
        jumps_else.append(sizes[elsewhere])
        steps_there.append(means[there].ravel())
        steps_else.append(means[elsewhere].ravel())
    if not jumps_there:
        return Seams(1.0, 1.0, 0)
    # Rows and columns may differ in themselves: each is compared with its own.
    jump = float(np.mean([a.mean() / b.mean() for a, b in zip(jumps_there, jumps_else, strict=True)]))
    step = float(np.mean([_rms(a) / _rms(b) for a, b in zip(steps_there, steps_else, strict=True)]))
    return Seams(jump, step, sum(map(len, steps_there)))


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
