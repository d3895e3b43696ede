"""Salt and pepper: values at an end of the range whose neighbours are not there, and that fall independently of each other.

Strokes of a drawing have neighbours of their own kind, and clipped noise lies within the spread of its neighbours (after Chan, Ho,
Nikolova, *Salt-and-pepper noise removal by median-type noise detectors and detail-preserving regularization*, IEEE TIP 2005).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdip.noise.neighbours import REACH, neighbours
from bayesdip.noise.rounding import rounding_step

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The constants were set on 24 pictures of BSDS500 and on scikit-image's, clean and with white noise.
# Salt and pepper: distance from the neighbours' median, in their spreads, of the sure ones.
SURE = 6.0
# Least share of them that are this many times as far from the median as any neighbour that is not at the end. Noise behind a tone
# curve (gamma) heaps values on the dark end too, but leaves others on the way there: on nine parts of tuning pictures in such
# noise it was 0.1 to 0.65, with 0.4 to 30% of salt and pepper 0.83 to 1. The last number where both of the following signs are there, too: in strong
# contrast it was 0.69, and of 120 parts in clipped noise that have both none passes from 0.5 on.
GAP, LEAST_APART, NEARLY_APART = 2.0, 0.75, 0.6
# Or, where the picture's own contrast hides that at one end and the other end has impulses: within this share of the range from the end there are at
# most so many others, per entry at it.
ON_THE_WAY, LEAST_GAP = 0.05, 0.25
# Or where neighbours are far from the end at least this share of what is at the end anywhere, or of what is at the other end, is; looked at in so many
# places. What is sure alone is too small a share in pictures with dark or white parts: of 120 parts of tuning pictures with 2 to 30% of salt and
# pepper, 96x96, 33 had ten impulses or more that were not found, now 10, and of all 434 are not found for 8,390. Of the picture's own 878 are
# taken for impulses, before 64.
AS_MANY, MOST_LOOKED_AT = 0.75, 40_000
# Where half of the neighbours have the same value, it is the picture's.
MOST_ALIKE = 0.5
# Least share of the neighbours that are elsewhere than at the same end.
ELSEWHERE = 0.25
# Least number and share of sure ones.
FEWEST, LEAST_SHARE = 20, 1e-3
# How many pairs of them are neighbours, for every pair this far apart.
INDEPENDENT, FAR_LAG = (0.5, 1.5), 5
SQRT_2PI = 2.5066


def at_both_ends(values: Array, seen: Bools, least: float) -> tuple[Bools, Bools]:
    """Salt and pepper. Where one is clear, so is the other if there is a gap in the values next to it."""
    high, low = float(values.max()), float(values.min())
    salt, pepper = (_at_end(values, seen, least, end) for end in (high, low))
    if salt.any() and not pepper.any():
        pepper = _at_end(values, seen, least, low, salt.sum() / seen.sum())
    elif pepper.any() and not salt.any():
        salt = _at_end(values, seen, least, high, pepper.sum() / seen.sum())
    return salt, pepper


def _at_end(values: Array, seen: Bools, least: float, end: float, other: float = 0.0) -> Bools:
    """Salt or pepper: impulses among the entries with the value `end`, where those at the `other` end have that share, if they are clear.

    First those that stand apart for sure: from their neighbours, or by the values of all entries. If these fall like impulses, all that are
    more likely to be one than the picture's own, by their share and by the spread of the neighbours.
    """
    there: Bools = (values == end) & seen
    found: Bools = np.zeros_like(there)
    count = int(there.sum())
    if count < max(FEWEST, LEAST_SHARE * values.size) or count > MOST_ALIKE * values.size:
        return found
    around = neighbours(values, there, REACH[values.ndim])
    median, spread = _centre_and_spread(around, around == end, least)
    distance = np.abs(end - median)
    found[there] = sure = distance > SURE * spread
    apart = sure & (distance > GAP * _farthest(around, around == end, median, end))
    share = _share_of_impulses(values, seen, there, (found, apart), end, least, other)
    if share == 0:
        return np.zeros_like(there)
    extreme = (around == values.max()) | (around == values.min())
    median, spread = _centre_and_spread(around, extreme, least)
    distance, alike = np.abs(end - median) / spread, (around == end).mean(1)
    by_chance = share + 3 * (share / around.shape[1]) ** 0.5 + 1 / around.shape[1]
    clipped = np.maximum(alike - by_chance, 0.0)
    density = np.exp(-0.5 * distance**2) / (SQRT_2PI * spread)
    likely = share > clipped + density * rounding_step(torch.from_numpy(values[seen]))
    found[there] = likely | ((distance > SURE) & (alike < MOST_ALIKE))
    return found


def _share_of_impulses(
    values: Array,
    seen: Bools,
    there: Bools,
    signs: tuple[Bools, Bools],
    end: float,
    least: float,
    other: float,
) -> float:
    """The share of all entries that are impulses at an end, by those that stand apart for sure, on the grid, and which of these do so clearly;
    0 where there are none."""
    sure, apart = signs
    few, clearly = _few_on_the_way(values, there, seen, end), apart.sum() >= LEAST_APART * sure.sum()
    far_away = 0.0
    if few or other or clearly:
        far_away = _share_far_away(values, there, seen, end, least, other)
    nearly = few and far_away > 0 and apart.sum() >= NEARLY_APART * sure.sum()
    is_apart = few if other else clearly or nearly
    share = float(sure.sum() / seen.sum()) if is_apart and _fall_independently(sure) else 0.0
    # What is sure may be a part.
    return max(share, far_away) if other or share > 0 else 0.0


def _centre_and_spread(around: Array, left_out: Bools, least: float) -> tuple[Array, Array]:
    """Median and robust standard deviation of each row without what is left out; of a row with little else, of all."""
    most = left_out.mean(1) > 1 - ELSEWHERE
    rows = np.where(left_out & ~most[:, None], np.nan, around)
    median = np.nanmedian(rows, axis=1)
    spread = 1.4826 * np.nanmedian(abs(rows - median[:, None]), axis=1)
    return median, np.maximum(spread, least)


def _farthest(around: Array, left_out: Bools, median: Array, end: float) -> Array:
    """How far the neighbours that are not left out reach from the median towards `end`."""
    towards = np.where(end >= median[:, None], 1.0, -1.0) * (around - median[:, None])
    reach: Array = np.where(left_out, 0.0, towards).max(1, initial=0.0)
    return reach


def _few_on_the_way(values: Array, there: Bools, seen: Bools, end: float) -> bool:
    """Whether far fewer entries have nearly the value `end` than have it."""
    width = ON_THE_WAY * float(np.ptp(values[seen]))
    near = seen & ~there & (np.abs(values - end) <= width)
    return bool(near.sum() <= LEAST_GAP * there.sum())


def _share_far_away(
    values: Array, there: Bools, seen: Bools, end: float, least: float, other: float
) -> float:
    """The share of entries with the value `end` where their neighbours are far from it; 0 where there are fewer than elsewhere and at the `other`
    end, as of clipped noise, which no bright part of a dark picture has, or where they do not fall independently of each other."""
    most = round(MOST_LOOKED_AT ** (1 / values.ndim))
    middle = tuple(slice(max(n - most, 0) // 2, max(n - most, 0) // 2 + most) for n in values.shape)
    part, hit, known = values[middle], there[middle], seen[middle]
    if not known.any():
        return 0.0
    around = neighbours(part, known, REACH[values.ndim])
    extreme = (around == values.max()) | (around == values.min())
    median, spread = _centre_and_spread(around, extreme, least)
    far = np.zeros_like(known)
    far[known] = np.abs(end - median) > SURE * spread
    hit_far = hit & far
    count = int(hit_far.sum())
    enough = AS_MANY * min(hit[known].mean(), other or np.inf) * far.sum()
    if count < max(FEWEST, enough):
        return 0.0
    pairs, expected = (
        sum(_pairs(np.moveaxis(a, axis, 0), 1) for axis in range(a.ndim)) for a in (hit_far, far)
    )
    share = count / int(far.sum())
    expected *= share**2
    return share if _are_as_many(pairs, expected) else 0.0


def _fall_independently(found: Bools) -> bool:
    """Whether there are enough of them, and next to each other as often as `FAR_LAG` apart.

    Not as often as their share says: they are seen more easily in some places than in others.
    """
    count = int(found.sum())
    if count < max(FEWEST, LEAST_SHARE * found.size):
        return False
    near, far = (
        sum(_pairs(np.moveaxis(found, axis, 0), lag) for axis in range(found.ndim)) for lag in (1, FAR_LAG)
    )
    return _are_as_many(near, far)


def _are_as_many(found: float, expected: float) -> bool:
    """Whether there are about as many pairs, both Poisson numbers."""
    low, high = INDEPENDENT
    chance = 3 * (found + expected + 1) ** 0.5
    return bool(low * expected - chance <= found <= high * expected + chance)


def _pairs(found: Bools, lag: int) -> float:
    """How many are `lag` apart along the first axis, as if it were endless."""
    length = len(found)
    return float((found[lag:] & found[:-lag]).sum()) * length / (length - lag) if length > lag else 0.0
