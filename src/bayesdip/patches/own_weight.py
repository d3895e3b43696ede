"""The weight of a pixel's own value in its estimate: the diagonal of the derivative of the picture that comes out by the data.

With the posterior variance s of a linear posterior mean and the noise's variance v the weight is ``h = s / v``. The filters find
groups, coefficients and thresholds in the same data, so that a pixel counts for more: its weight is h times a factor. By it
the mean without the pixel is ``(mean - weight value) / (1 - weight)``, the leave-one-out identity (Craven and Wahba, *Smoothing
noisy data with spline functions*, Numer. Math. 1979), and the restoration need not be run without it.

How large the factor is goes by the picture, and by whether the noise is what it was taken for. So it is measured in tiles of a
twentieth of the picture, which are restored twice, without one tenth of their values and without another. Of a value that one
of the two lacks, the one errs as the identity says that the other errs without it. (The derivative at a random probe, as in
Monte-Carlo SURE, was no better on normal noise, and wrong on clipped noise.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import log, prod

import numpy as np
import torch
from torch import Tensor

from bayesdip.patches.estimate import Estimate
from bayesdip.patches.nl_bayes import WhitenedData, filled_from_neighbours

# The factors at some values of h, straight lines over log h in between: by random probes (Ramani, Blu, Unser, IEEE Trans. Image
# Process. 2008) of middle parts of 96x96 and 112x112 pixels of twelve pictures of BSDS500 that are no part of a test set, sigma
# 10, 25, 50; in colour of 72x72 pixels of six. From picture to picture they scatter by 6%.
KNOTS = (0.018, 0.03, 0.06, 0.12, 0.25, 0.5)
CHAIN = {1: (1.9, 2.25, 2.16, 2.13, 1.97, 1.59), 3: (1.24, 1.74, 1.96, 1.93, 1.72, 1.6)}
AVERAGE = {1: (1.7, 1.82, 1.82, 1.82, 1.77, 1.57), 3: (0.92, 1.34, 1.56, 1.63, 1.56, 1.5)}
# Largest weight: beyond it the other pixels say next to nothing.
LARGEST = 0.9
# The tiles: their side, the share of the picture in them, and how many there are at most.
TILE, SHARE, MOST = 56, 0.05, 32
# Of a stack, the slices of a tile: a middle one sees as many as it is compared with.
SLICES = 9
# Of a tile's values, the share that each of its two restorations lacks.
LACKING = 0.1
# The largest factor that is tried, and the step of the derivative by it.
MOST_TIMES, SLOPE = 4.0, 0.05
# Standard deviation of the measured factor's prior: larger than the scatter above, for noise that was taken for another.
SPREAD = 0.15


def own_weights(share: Tensor, channels: int, *, averaged: bool) -> Tensor:
    """Of every pixel, as they are on average over pictures.

    Parameters
    ----------
    share : Tensor
        The posterior variance over the noise's.
    channels : int
        Of the picture.
    averaged : bool
        Whether the estimate is the chain's average with low-rank groups.

    Returns
    -------
    Tensor, the shape of `share`
    """
    factors = (AVERAGE if averaged else CHAIN)[1 if channels == 1 else 3]
    own, knots = share.clamp_min(torch.finfo(share.dtype).tiny), [log(knot) for knot in KNOTS]
    for plane in own:
        plane.mul_(torch.from_numpy(np.interp(plane.log().numpy(), knots, factors)).to(plane))
    return own


def factor(
    weight: Tensor,
    data: WhitenedData,
    averaged: bool,
    restored: Callable[[WhitenedData, float], Estimate | None],
) -> float:
    """What the weights of this picture are over those of others.

    Parameters
    ----------
    weight : Tensor, shape (C, H, W)
    data : WhitenedData
        Complete.
    averaged : bool
        As `own_weights` takes it.
    restored : callable
        From the data of a tile, and the share of the tiles that is done, to what comes out; None if it was stopped.

    Returns
    -------
    float
        The posterior mean under a normal prior around 1; 1 if it was stopped.
    """
    generator = torch.Generator().manual_seed(0)
    places = tiles(weight)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    for number, place in enumerate(places):
        values, noise = data.values[:, *place], data.noise[place]
        drawn = torch.rand(values.shape, generator=generator)
        found = []
        for half, out in enumerate((drawn < LACKING, drawn > 1 - LACKING)):
            tile = WhitenedData(filled_from_neighbours(values, out), noise, out)
            one = restored(tile, (number + (half + 0.5) / 2) / len(places))
            if one is None or one.std is None:
                return 1.0
            own = own_weights(one.std.square() / noise, len(values), averaged=averaged)
            found.append((out, values - one.mean, own))
        for (out, lacking, _), (_, seen, own) in (found, found[::-1]):
            pairs.append((lacking[out].double(), seen[out].double(), own[out].double()))
    return matched(*(torch.cat(parts) for parts in zip(*pairs, strict=True)))


def matched(lacking: Tensor, seen: Tensor, weight: Tensor) -> float:
    """The factor of the weights that makes the leave-one-out errors as large as the errors of those that lack the values.

    Parameters
    ----------
    lacking, seen : Tensor, shape (n,)
        The values less the means of them that lack them, and that have seen them.
    weight : Tensor, shape (n,)

    Returns
    -------
    float
        The posterior mean under the prior.
    """

    def excess(factor: float) -> Tensor:
        return weight * (lacking.square() - (seen / (1 - (factor * weight).clamp_max(LARGEST))).square())

    low, high = 0.0, MOST_TIMES
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if float(excess(middle).sum()) > 0 else (low, middle)
    slope = float((excess(low - SLOPE) - excess(low + SLOPE)).sum()) / (2 * SLOPE)
    if not slope > 0:
        return 1.0
    spread = float(excess(low).square().sum()) / slope**2
    return (spread + SPREAD**2 * low) / (spread + SPREAD**2)


def tiles(weight: Tensor) -> list[tuple[slice, ...]]:
    """Tiles whose weights are spread like those of the picture or stack: at equal quantiles of all tiles' mean weights."""
    sides = _sides(weight.shape[1:])
    starts = [_starts(n, side) for n, side in zip(weight.shape[1:], sides, strict=True)]
    places = [
        tuple(slice(start, start + side) for start, side in zip(corner, sides, strict=True))
        for corner in product(*starts)
    ]
    count = min(max(1, int(SHARE * prod(weight.shape[1:]) / prod(sides))), MOST, len(places))
    order = sorted(places, key=lambda place: float(weight[:, *place].mean()))
    return [order[int((number + 0.5) / count * len(order))] for number in range(count)]


def work_share(shape: Sequence[int]) -> float:
    """Of `factor`, as a share of restoring the picture (C, H, W) or stack (C, Z, H, W)."""
    tile = prod(min(side, n) for side, n in zip(_sides(shape[1:]), shape[1:], strict=True))
    return 2 * len(tiles(torch.zeros(1).expand(*shape))) * tile / prod(shape[1:])


def _sides(grid: Sequence[int]) -> list[int]:
    """Of a tile along each axis."""
    return [TILE if axis >= len(grid) - 2 else SLICES for axis in range(len(grid))]


def _starts(length: int, side: int) -> list[int]:
    """Of tiles along an axis; those of the ends lie at its ends."""
    count = max(1, length // side)
    return [round(number * max(0, length - side) / max(1, count - 1)) for number in range(count)]


def without_own(mean: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    """Every pixel's mean without its own value."""
    weight = weight.clamp(0.0, LARGEST)
    return (mean - weight * values) / (1 - weight)
