"""Entries that say nothing of the picture: salt and pepper, hot and dead pixels, tracks of cosmic rays.

An impulse stands apart from its neighbours, and the optics do not: what is seen through them is as wide as they are.

- *Salt and pepper* are values at an end of the range whose neighbours are not there, and that fall on pixels
  independently of each other: strokes of a drawing have neighbours of their own kind, and clipped noise lies
  within the spread of its neighbours (after Chan, Ho, Nikolova, *Salt-and-pepper noise removal by median-type
  noise detectors and detail-preserving regularization*, IEEE TIP 2005).
- *Hot and dead pixels* exceed all their neighbours by many times their spread, and there is a gap between them and
  the rest: the tail of a picture's own detail, or of heavy-tailed noise, has none.
- *Tracks* are found only where the picture's own structures are wide (after van Dokkum, *Cosmic-ray rejection by
  Laplacian edge detection*, PASP 2001): they are sharper than all of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, uniform_filter
from torch import Tensor

from bayesdip.noise.rounding import rounding_step

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Half the side of the window around an entry, by the number of axes, and of the ring next to it.
REACH = {1: 6, 2: 2, 3: 1}
RING = {1: 2, 2: 1, 3: 1}
# The constants below were set on 24 pictures of BSDS500 and on scikit-image's, clean and with white noise. Of the 24 clean
# ones, 4 have an entry that passes for an impulse (at most 408 of 463,000), and 1 of their 192x192 parts.
# Salt and pepper: distance from the neighbours' median, in their spreads, of the sure ones.
SURE = 6.0
# Least share of them that are this many times as far from the median as any neighbour that is not at the end. Noise behind a tone
# curve (gamma) heaps values on the dark end too, but leaves others on the way there: on nine parts of tuning pictures in such
# noise it was 0.1 to 0.65, with 0.4 to 30% of salt and pepper 0.83 to 1.
GAP, LEAST_APART = 2.0, 0.75
# Or, where the picture's own contrast hides that at one end and the other end has impulses: within this share of the range from the end there are at
# most so many others, per entry at it.
ON_THE_WAY, LEAST_GAP = 0.05, 0.25
# Or where neighbours are far from the end at least this share of what is at the end anywhere is; looked at in so many places. What is
# sure alone is too small a share in dark pictures: of 120 parts of tuning pictures with 2 to 30% of salt and pepper, 96x96, 33 had ten
# impulses or more that were not found, now 10, and of all 3,717 are not found for 8,390. Of the picture's own 194 are, before 64.
AS_MANY, MOST_LOOKED_AT = 0.75, 100_000
# Where half of the neighbours have the same value, it is the picture's.
MOST_ALIKE = 0.5
# Least share of the neighbours that are elsewhere than at the same end.
ELSEWHERE = 0.25
# Least number and share of sure ones.
FEWEST, LEAST_SHARE = 20, 1e-3
# How many pairs of them are neighbours, for every pair this far apart.
INDEPENDENT, FAR_LAG = (0.5, 1.5), 5
# Hot pixels: excess over all neighbours, in spreads; there must be a gap of a factor of two below it, in which there are
# at most so many per hot pixel. The excess over the neighbours' contrast is that of a point against wide stars.
EXCESSES, IN_GAP, OVER_CONTRAST = (8.0, 16.0, 32.0, 64.0), 0.25, 1.0
# So many may be the picture's own details, unless they exceed their neighbours by more than any step of the picture.
FEW = 4
# Sharpness: height over the background, in units of the noise, from which on it is looked at; up to the first limit
# structures are wide, above the second they are narrow; how many there may be between, per narrow one.
CONTRAST, BACKGROUND, SHARP, OPTICS_GAP = 10.0, 0.25, (0.5, 0.8), 0.1
# Most entries of a clump that are found one after the other.
LONGEST = 8
# More than so many are no outliers.
LARGEST_SHARE = 0.05
# Least standard deviation of any neighbourhood, as a share of the range of the inner 99% of the data.
LEAST_SPREAD, INNER = 0.01, (0.005, 0.995)
SQRT_2PI = 2.5066
# Values at once in the table of neighbours.
MOST_VALUES = 2**24


@dataclass(frozen=True)
class Impulses:
    """Which entries are impulses.

    Attributes
    ----------
    salt, pepper, hot, dead : Tensor of bool, shape (C, *grid)
        At the upper and at the lower end of the range; far above and far below the neighbours.
    """

    salt: Tensor
    pepper: Tensor
    hot: Tensor
    dead: Tensor

    @property
    def every(self) -> Tensor:
        """All of them."""
        return self.salt | self.pepper | self.hot | self.dead


def find_impulses(picture: Tensor, observed: Tensor) -> Impulses:
    """Find the impulses of a picture, channel by channel.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)
    observed : Tensor of bool, shape (C, *grid)

    Returns
    -------
    Impulses
    """
    found = [_of_channel(c.numpy(), seen.numpy()) for c, seen in zip(picture, observed, strict=True)]
    salt, pepper, hot, dead = (torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))
    ends = salt | pepper
    # Where all channels are hit at once, one that is at an end of its range was hit if another was.
    if len(ends) > 1 and 2 * int(ends.all(0).sum()) > int(ends[0].sum()) > 0:
        for part, end in ((salt, picture.flatten(1).amax(1)), (pepper, picture.flatten(1).amin(1))):
            part |= ends.any(0) & observed & (picture == end.reshape(-1, *[1] * (picture.ndim - 1)))
    return Impulses(salt, pepper, hot, dead)


def _of_channel(values: Array, seen: Bools) -> tuple[Bools, Bools, Bools, Bools]:
    """Salt, pepper, hot and dead pixels of one channel."""
    none = np.zeros(values.shape, bool)
    grid = [n for n in values.shape if n > 1]
    if int(seen.sum()) < FEWEST or len(grid) > 3 or not grid:
        return none, none, none, none
    squeezed, seen = values.reshape(grid), seen.reshape(grid)
    if not seen.all():
        squeezed = _nearest_seen(squeezed, seen)
    low, high = np.quantile(squeezed[seen], INNER)
    spread = max(rounding_step(torch.from_numpy(squeezed[seen])), LEAST_SPREAD * float(high - low))
    if not spread > 0:
        return none, none, none, none
    salt, pepper = _at_both_ends(squeezed, seen, spread)
    rest = seen & ~salt & ~pepper
    clean = squeezed if rest.all() else _nearest_seen(squeezed, rest)
    hot, dead = (_outliers(sign * clean, rest, spread) for sign in (1.0, -1.0))
    salt, pepper, hot, dead = (part.reshape(values.shape) for part in (salt, pepper, hot, dead))
    return salt, pepper, hot, dead


def _nearest_seen(values: Array, seen: Bools) -> Array:
    """`values` with those not seen replaced by the nearest that was."""
    nearest = distance_transform_edt(~seen, return_distances=False, return_indices=True)
    filled: Array = values[tuple(nearest)]
    return filled


def _at_both_ends(values: Array, seen: Bools, least: float) -> tuple[Bools, Bools]:
    """Salt and pepper. Where one is clear, so is the other if there is a gap in the values next to it."""
    high, low = float(values.max()), float(values.min())
    salt, pepper = (_at_end(values, seen, least, end) for end in (high, low))
    if salt.any() and not pepper.any():
        pepper = _at_end(values, seen, least, low, by_values=True)
    elif pepper.any() and not salt.any():
        salt = _at_end(values, seen, least, high, by_values=True)
    return salt, pepper


def _at_end(values: Array, seen: Bools, least: float, end: float, *, by_values: bool = False) -> Bools:
    """Salt or pepper: impulses among the entries with the value `end`.

    First those that stand apart for sure: from their neighbours, or by the values of all entries. If these fall like impulses, all that are
    more likely to be one than the picture's own, by their share and by the spread of the neighbours.
    """
    there: Bools = (values == end) & seen
    found: Bools = np.zeros_like(there)
    count = int(there.sum())
    if count < max(FEWEST, LEAST_SHARE * values.size) or count > MOST_ALIKE * values.size:
        return found
    around = _neighbours(values, there, REACH[values.ndim])
    median, spread = _centre_and_spread(around, around == end, least)
    distance = np.abs(end - median)
    found[there] = sure = distance > SURE * spread
    apart = sure & (distance > GAP * _farthest(around, around == end, median, end))
    if by_values:
        is_apart = _few_on_the_way(values, there, seen, end)
    else:
        is_apart = apart.sum() >= LEAST_APART * sure.sum()
    share = float(found.sum() / seen.sum()) if is_apart and _fall_independently(found) else 0.0
    if by_values or share > 0:  # what is sure may be a part
        share = max(share, _share_far_away(values, there, seen, end, least))
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


def _share_far_away(values: Array, there: Bools, seen: Bools, end: float, least: float) -> float:
    """The share of entries with the value `end` where their neighbours are far from it; 0 where there are fewer than elsewhere, as of
    clipped noise, which no bright part of a dark picture has, or where they do not fall independently of each other."""
    most = round(MOST_LOOKED_AT ** (1 / values.ndim))
    middle = tuple(slice(max(n - most, 0) // 2, max(n - most, 0) // 2 + most) for n in values.shape)
    part, hit, known = values[middle], there[middle], seen[middle]
    around = _neighbours(part, known, REACH[values.ndim])
    extreme = (around == values.max()) | (around == values.min())
    median, spread = _centre_and_spread(around, extreme, least)
    far = np.zeros_like(known)
    far[known] = np.abs(end - median) > SURE * spread
    hit_far = hit & far
    count = int(hit_far.sum())
    if count < FEWEST or count < AS_MANY * hit[known].mean() * far.sum():
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


def _outliers(values: Array, seen: Bools, least: float) -> Bools:
    """Entries far above all their neighbours."""
    found = np.zeros_like(seen)
    noise = _noise(values)
    if noise == 0:  # a drawing, whose points are its own
        return found
    noise = max(least, noise)
    for _ in range(3):  # of two side by side, the larger goes first
        clean = values if not found.any() else _nearest_seen(values, ~found)
        places = seen & ~found & (clean - _ring_maximum(clean) > EXCESSES[0] / 2 * noise)
        new = _apart(clean, places, noise) | _sharper_than_the_optics(clean, seen & ~found, noise)
        if not new.any():
            break
        found |= new
    if 0 < found.sum() <= FEW:
        found = _beyond_all_steps(values, found)
    found |= _touching(values, seen, found, noise)
    return found if found.sum() <= LARGEST_SHARE * seen.sum() else np.zeros_like(found)


def _touching(values: Array, seen: Bools, found: Bools, noise: float) -> Bools:
    """Entries next to those found that stand out from all others around: of a track or a clump, the largest first."""
    found, whole = found.copy(), np.ones((3,) * values.ndim, bool)
    own_noise = _noise(values)
    for _ in range(LONGEST if found.any() else 0):
        near: Bools = np.asarray(binary_dilation(found, whole)) & seen & ~found
        if not near.any():
            break
        left, own = np.where(found, np.nan, values), values[near]
        around, ring = (_neighbours(left, near, reach[values.ndim]) for reach in (REACH, RING))
        known: Bools = np.asarray(~np.isnan(ring).all(axis=1))
        around, ring = (np.where(known[:, None], part, 0.0) for part in (around, ring))
        top = np.where(known, np.nanmax(ring, axis=1), np.inf)
        median = np.nanmedian(around, axis=1)
        spread = np.maximum(1.4826 * np.nanmedian(abs(around - median[:, None]), axis=1), noise)
        new = own - top > np.maximum(EXCESSES[0] * spread, OVER_CONTRAST * (top - median))
        # Two side by side hide each other from that; both are sharper than what the optics make.
        height = own - np.nanquantile(around, BACKGROUND, axis=1)
        new |= (
            known & (height > CONTRAST * own_noise) & (own - np.nanmedian(ring, axis=1) > SHARP[1] * height)
        )
        if not new.any():
            break
        found[near] = new
    return found


def _sharper_than_the_optics(values: Array, seen: Bools, noise: float) -> Bools:
    """Bright entries that are narrow where all other structures are wide; none where there is no such gap.

    The measure is the height over the median of the neighbours next to an entry, as a share of its height over the
    background: 1 for a point and for a line of one pixel, 0.2 for a star whose profile has a standard deviation of 1.7.
    """
    found = np.zeros_like(seen)
    if values.ndim == 1:  # the neighbours of a sample are too few
        return found
    places = seen & (values - _local_mean(values) > 2 * CONTRAST * noise / 3)
    if not places.any():
        return found
    around = _neighbours(values, places, REACH[values.ndim])
    ring = np.median(_neighbours(values, places, RING[values.ndim]), axis=1)
    height = values[places] - np.quantile(around, BACKGROUND, axis=1)
    high = height > CONTRAST * noise
    sharpness = np.where(high, (values[places] - ring) / np.where(high, height, 1.0), 0.0)
    wide, narrow = int((high & (sharpness < SHARP[0])).sum()), int((sharpness > SHARP[1]).sum())
    between = int(high.sum()) - wide - narrow
    if narrow <= wide and between <= OPTICS_GAP * narrow:
        found[places] = sharpness > SHARP[1]
    return found


def _local_mean(values: Array) -> Array:
    return np.asarray(uniform_filter(values, 2 * REACH[values.ndim] + 1, mode="nearest"))


def _apart(values: Array, places: Bools, noise: float) -> Bools:
    """Those of the places whose excess over all neighbours has a gap below it."""
    found = np.zeros_like(places)
    if not places.any():
        return found
    around = _neighbours(values, places, REACH[values.ndim])
    top = _neighbours(values, places, RING[values.ndim]).max(1)
    median = np.median(around, axis=1)
    spread = np.maximum(1.4826 * np.median(abs(around - median[:, None]), axis=1), noise)
    own = values[places]
    isolated = own - top > OVER_CONTRAST * (top - median)
    excess = np.where(isolated, (own - top) / spread, 0.0)
    for limit in EXCESSES:
        above, in_gap = int((excess > limit).sum()), int(((excess > limit / 2) & (excess <= limit)).sum())
        # One or two may be the end of a tail.
        if (above > 2 or (above and limit > EXCESSES[0])) and in_gap <= IN_GAP * above:
            found[places] = excess > limit
            break
    return found


def _beyond_all_steps(values: Array, found: Bools) -> Bools:
    """Those that exceed their neighbours by more than any two neighbours differ without them."""
    clean = _nearest_seen(values, ~found)
    largest = max(abs(np.diff(clean, axis=axis)).max() for axis in range(values.ndim))
    return np.asarray(found & (values - _ring_maximum(clean) > largest))


def _noise(values: Array) -> float:
    """A robust size of the differences of neighbours, as a standard deviation."""
    steps = np.concatenate([np.diff(values, axis=axis).ravel() for axis in range(values.ndim)])
    return float(1.4826 * np.median(abs(steps)) / 2**0.5)


def _ring_maximum(values: Array) -> Array:
    """The largest of the neighbours next to each entry."""
    reach = RING[values.ndim]
    padded = np.pad(values, reach, mode="reflect" if min(values.shape) > reach else "edge")
    largest = np.full_like(values, -np.inf)
    for shift in _shifts(values.ndim, reach):
        window = tuple(slice(reach + s, reach + s + n) for s, n in zip(shift, values.shape, strict=True))
        np.maximum(largest, padded[window], out=largest)
    return largest


def _neighbours(values: Array, places: Bools, reach: int) -> Array:
    """The entries around each place, (places, entries), without its own; beyond the border the mirror image."""
    padded = np.pad(values, reach, mode="reflect" if min(values.shape) > reach else "edge")
    at = [index + reach for index in np.nonzero(places)]
    columns = [
        padded[tuple(i + s for i, s in zip(at, shift, strict=True))] for shift in _shifts(values.ndim, reach)
    ]
    return np.stack(columns, axis=1)


def _shifts(dims: int, reach: int) -> list[tuple[int, ...]]:
    """All lags up to `reach` per axis but zero."""
    lags = range(-reach, reach + 1)
    return [lag for lag in product(lags, repeat=dims) if any(lag)]
