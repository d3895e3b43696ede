"""Whether tiles show: jumps across the borders of tiles beside jumps elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# A jump is measured by two lines on each side.
REACH = 2
# Of what other lines show, this share is at most what is told to be chance.
CHANCE = 0.95


@dataclass(frozen=True)
class Seams:
    """Two ratios, near 1 where nothing shows, and how large they get elsewhere.

    Attributes
    ----------
    jump : float
        Mean absolute jump from pixel to pixel across borders of tiles, over that across all other lines.
    step : float
        Root mean square of the mean jump along a whole side of a tile, which the eye sees as a line, over that of pieces
        of other lines as long.
    pieces : int
        Sides of tiles that were looked at.
    jump_by_chance, step_by_chance : float
        What 95% of the other sets of lines that lie as far apart have at most. A border that is no seam stays below in
        19 of 20 cases, whatever edges the picture has.
    """

    jump: float
    step: float
    pieces: int
    jump_by_chance: float = 1.0
    step_by_chance: float = 1.0


def seams(picture: NDArray[Any], rows: Sequence[int], columns: Sequence[int], length: int) -> Seams:
    """Compare jumps across borders with those elsewhere.

    The jump between lines i - 1 and i of a picture x is ``x[i] - x[i-1] - (x[i+1] - x[i] + x[i-1] - x[i-2]) / 2``: what is left
    of a difference where the slope on both sides is taken away. Where the truth is known, its difference from the result
    is the better `picture`: edges that happen to lie on a border do not count.

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
    found = [
        _of_lines(*_jumps(values, length), np.asarray(lines, dtype=int), length)
        for lines, values in ((rows, picture), (columns, picture.T))
        if len(lines) and len(values) > 2 * REACH
    ]
    if not found:
        return Seams(1.0, 1.0, 0)
    # Rows and columns may differ in themselves: each is compared with its own.
    here = np.mean([ratios[0] for ratios, _ in found], axis=0)
    shifts = min(len(ratios) for ratios, _ in found)
    elsewhere = np.mean([ratios[1:shifts] for ratios, _ in found], axis=0)
    chance = np.quantile(elsewhere, CHANCE, axis=0) if len(elsewhere) else np.ones(2)
    pieces = sum(number for _, number in found)
    return Seams(float(here[0]), float(here[1]), pieces, float(chance[0]), float(chance[1]))


def _jumps(values: NDArray[Any], length: int) -> tuple[Array, Array]:
    """By line: the mean absolute jump; and the mean jumps of its pieces, one of which is in memory at a time."""
    lines, width = values.shape
    sizes, means = np.zeros(lines), []
    for part in np.array_split(np.arange(width), max(1, width // length)):
        x = values[:, part[0] : part[-1] + 1].astype(np.float64)
        steps = np.diff(x, axis=0)
        jumps = np.full(x.shape, np.nan)
        jumps[REACH:-1] = steps[1:-1] - (steps[2:] + steps[:-2]) / 2
        sizes += np.abs(jumps).sum(1) / width
        means.append(jumps.mean(1))
    return sizes, np.stack(means, axis=1)


def _of_lines(sizes: Array, means: Array, lines: NDArray[Any], length: int) -> tuple[Array, int]:
    """The two ratios of these lines, then of these lines shifted; and the number of pieces of the first."""
    there = np.zeros(len(sizes), dtype=bool)
    there[lines] = True
    near = np.convolve(there, np.ones(2 * REACH + 1), "same") > 0
    elsewhere = ~near & np.isfinite(sizes)
    rows = []
    for shift in (0, *range(REACH + 1, length - REACH)):
        shifted = lines + shift
        shifted = shifted[shifted < len(sizes) - 1]
        if len(shifted):
            jump = sizes[shifted].mean() / sizes[elsewhere].mean()
            rows.append([jump, _rms(means[shifted]) / _rms(means[elsewhere])])
    return np.asarray(rows), means[lines].size


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
