"""Entries that say nothing of the picture: salt and pepper, hot and dead pixels, tracks of cosmic rays.

An impulse stands apart from its neighbours, and the optics do not: what is seen through them is as wide as they are.

- *Salt and pepper* are values at an end of the range whose neighbours are not there (:mod:`bayesdip.noise.salt_and_pepper`).
- *Hot and dead pixels* exceed all their neighbours by many times their spread, and there is a gap between them and
  the rest: the tail of a picture's own detail, or of heavy-tailed noise, has none.
- *Tracks* are found only where the picture's own structures are wide (after van Dokkum, *Cosmic-ray rejection by
  Laplacian edge detection*, PASP 2001): they are sharper than all of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, uniform_filter
from torch import Tensor

from bayesdip.noise.neighbours import REACH, RING, neighbours, shifts
from bayesdip.noise.rounding import rounding_step
from bayesdip.noise.salt_and_pepper import FEWEST, at_both_ends

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The constants below were set on 24 pictures of BSDS500 and on scikit-image's, clean and with white noise. Of the 24 clean
# ones, 4 have an entry that passes for an impulse (at most 408 of 463,000), and 1 of their 192x192 parts.
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
    salt, pepper = at_both_ends(squeezed, seen, spread)
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
        around, ring = (neighbours(left, near, reach[values.ndim]) for reach in (REACH, RING))
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
    around = neighbours(values, places, REACH[values.ndim])
    ring = np.median(neighbours(values, places, RING[values.ndim]), axis=1)
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
    around = neighbours(values, places, REACH[values.ndim])
    top = neighbours(values, places, RING[values.ndim]).max(1)
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
    for shift in shifts(values.ndim, reach):
        window = tuple(slice(reach + s, reach + s + n) for s, n in zip(shift, values.shape, strict=True))
        np.maximum(largest, padded[window], out=largest)
    return largest
