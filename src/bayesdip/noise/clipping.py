"""Whether data were cut off at the ends of their range, by the pile of equal values that this leaves there."""

from __future__ import annotations

import math
from typing import Any

import torch

from bayesdip.noise.estimate import PILE, finite_entries

# Entries: no fewer at an end of the range are a pile.
FEWEST = 3
# Next values inwards that the end of the range is compared with.
INWARDS = 3
# Times as many entries at the end as at any of these. Noise thins out towards the end of its range, and two
# neighbouring values differ by chance alone; clipping heaps a whole tail on one value.
STEEPNESS = 2.0


def detect_clipping(
    image: Any, observed: Any = None, *, channel_axis: int | None = None
) -> tuple[float, float]:
    """The levels at which noisy data were clipped, for ``Gaussian(sigma, clipped=...)``.

    A level is the lowest (highest) value of all channels, where it is much more frequent than
    each of the next values inwards. A picture without noise that has a flat black (white) ground
    looks like that too; for such data it makes no difference, because what is black is then also
    predicted to be black or below. Clipping goes undetected where it hardly took place: of less
    than 0.02% of the entries, or of noise not much wider than the steps of the data.

    Parameters
    ----------
    image : array or Tensor
        Of any real or integer type.
    observed : array or Tensor of bool, optional
        False where the picture means nothing: of the picture's shape, or without the channel axis. Entries that are
        not finite never count.
    channel_axis : int, optional
        The axis of the channels. None: an array has none, and a tensor has it first.

    Returns
    -------
    (float, float)
        ``-inf`` or ``inf`` where nothing was clipped.

    Raises
    ------
    ShapeError
        If `image` has no axis beside its channels, or not the channel axis named.
    """
    picture, seen = finite_entries(image, channel_axis, observed)
    values, counts = torch.unique(picture[seen].double(), return_counts=True)
    if len(values) <= INWARDS:  # two or three levels: a drawing, whose ends are its own
        return -math.inf, math.inf
    many = max(FEWEST, PILE * int(counts.sum()))
    low, high = (
        int(c[0]) >= many and int(c[0]) > STEEPNESS * int(c[1 : 1 + INWARDS].max())
        for c in (counts, counts.flip(0))
    )
    return float(values[0]) if low else -math.inf, float(values[-1]) if high else math.inf
