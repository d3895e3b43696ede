"""Whether data were cut off at the ends of their range, told by the pile that this leaves there."""

from __future__ import annotations

import math

import torch
from torch import Tensor

FEWEST = 3  # entries at an end of the range
PILE = 2e-4  # and their least share of all entries
NEIGHBOURS = 3  # next values inwards
# times as many entries as at any of these. Noise thins out towards the end of its range, and two
# neighbouring values differ by chance alone; clipping heaps a whole tail on one value.
STEEPNESS = 2.0


def detect_clipping(y: Tensor, observed: Tensor | None = None) -> tuple[float, float]:
    """The levels at which noisy data were clipped, for ``Gaussian(sigma, clipped=...)``.

    A level is the lowest (highest) value of all channels, where it is much more frequent than
    each of the next values inwards. A picture without noise that has a flat black (white) ground
    looks like that too; for such data it makes no difference, because what is black is then also
    predicted to be black or below. Clipping goes undetected where it hardly took place: of less
    than 0.02% of the entries, or of noise not much wider than the steps of the data.

    Parameters
    ----------
    y : Tensor, shape (C, *grid)
    observed : Tensor of bool, broadcastable to `y`, optional
        False where `y` means nothing. Entries that are not finite never count.

    Returns
    -------
    (float, float)
        ``-inf`` or ``inf`` where nothing was clipped.
    """
    seen = y.isfinite() if observed is None else y.isfinite() & observed.to(y.device)
    values, counts = torch.unique(y[seen], return_counts=True)
    if len(values) <= NEIGHBOURS:  # two or three levels: a drawing, whose ends are its own
        return -math.inf, math.inf
    many = max(FEWEST, PILE * int(counts.sum()))
    low, high = (
        int(c[0]) >= many and int(c[0]) > STEEPNESS * int(c[1 : 1 + NEIGHBOURS].max())
        for c in (counts, counts.flip(0))
    )
    return float(values[0]) if low else -math.inf, float(values[-1]) if high else math.inf
