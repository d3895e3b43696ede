"""Held-out regions: where missing pixels hang together, known pixels are held out in the same shapes.

A pixel held out alone has known neighbours all around. It tells nothing of the error in the middle of a hole, and little of
that along a line or at a hole's rim. So the holes' own shapes, or parts of them, are shifted and mirrored to places that
are known and where as much is known around them, and what is known there is held out.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Places = NDArray[np.int64]

# Missing pixels hang together if their neighbours are missing more often than others: if the mask's correlation from one pixel to
# the next (Moran, Biometrika 1950) in a window of so many pixels is above this, and above chance by so many standard deviations.
# One line in six has 0.10, one in twelve 0.18; of 500 masks of scattered pixels none had 0.08.
WINDOW, CORRELATED, DEVIATIONS = 1500, 0.06, 3.5
# A window with fewer known pixels, as in the middle of a hole that is about as wide, tells nothing: one of so many times the pixels does.
FEWEST_KNOWN, WIDER = 30, 4
# The fewest pixels of a hole.
SMALLEST = 3
# Of the known pixels, at most this share is held out in regions (the second one where that are fewer than so many), in at
# least so many regions, and at most so many.
SHARE, SMALL_SHARE, WANTED = 0.06, 0.1, 100
FEWEST, MOST = 3, 32
# Or as many as make this share of the pixels in holes, but not more than so many regions: a part of a letter has 15 pixels, and 32 of
# them tell little of ten thousand.
OF_HOLES, LIMIT = 0.25, 128
# A part of a hole reaches so many times as far as the hole is deep: farther along a line the errors are the same again.
REACH = 3
# A place is compared with the hole's by what is known up to so many pixels around.
AROUND = 2
# Shifts that are tried at random for each of the mirror images, besides all along one axis; and values compared at most.
SHIFTS, COMPARED = 64, 2_000_000
# How much a place at the other end of the picture counts against it, in shares of what is known around: a picture's parts are
# most like their neighbours.
FARTHEST = 0.1


def distances(observed: Bools) -> NDArray[np.float64]:
    """How far every pixel is from the nearest observed one, in pixels; 0 where it is observed.

    Parameters
    ----------
    observed : ndarray of bool, shape grid

    Returns
    -------
    ndarray, shape grid
        The grid's longest side where nothing is observed.
    """
    from scipy.ndimage import distance_transform_edt

    if not observed.any():
        return np.full(observed.shape, float(max(observed.shape)))
    found: NDArray[np.float64] = distance_transform_edt(~observed)
    return found


def channel_distances(observed: Bools) -> NDArray[np.float64]:
    """The same channel by channel, once where all have the same mask.

    Parameters
    ----------
    observed : ndarray of bool, shape (C, *grid)

    Returns
    -------
    ndarray, shape (C, *grid)
    """
    if (observed == observed[:1]).all():
        return np.broadcast_to(distances(observed[0]), observed.shape)
    return np.stack([distances(plane) for plane in observed])


def in_holes(observed: Bools) -> Bools:
    """Missing pixels that hang together: holes, scratches and lines, but not pixels scattered at random, however many.

    Parameters
    ----------
    observed : ndarray of bool, shape grid

    Returns
    -------
    ndarray of bool, shape grid
    """
    if observed.all():
        return np.zeros_like(observed)
    return _in_holes(observed.shape, np.packbits(observed).tobytes())


@lru_cache(maxsize=8)
def _in_holes(shape: tuple[int, ...], packed: bytes) -> Bools:
    """Of one mask, read-only: judging a result asks for the same mask's holes half a dozen times."""
    missing = np.unpackbits(np.frombuffer(packed, np.uint8), count=prod(shape)).reshape(shape) == 0
    number = numbered(missing & _hang_together(missing))
    large: Bools = np.asarray(np.bincount(number.ravel()) >= SMALLEST)
    large[0] = False
    found = np.asarray(large[number])
    found.flags.writeable = False
    return found


def channels_in_holes(observed: Bools) -> Bools:
    """The same channel by channel, (C, *grid), once where all have the same mask."""
    if (observed == observed[:1]).all():
        return np.broadcast_to(in_holes(observed[0]), observed.shape)
    return np.stack([in_holes(plane) for plane in observed])


def _hang_together(missing: Bools) -> Bools:
    """Where a window's missing pixels have more missing neighbours than if they were scattered, shape grid."""
    found, few = _by_windows(missing, WINDOW)
    if few.any() and _window(missing.shape, WINDOW) != missing.shape:
        found = np.where(few, _by_windows(missing, WIDER * WINDOW)[0], found)
    return found


def _by_windows(missing: Bools, pixels: int) -> tuple[Bools, Bools]:
    """The same by windows of so many pixels, and which missing pixels have few known ones in theirs."""
    from scipy.ndimage import convolve, uniform_filter

    sides = _window(missing.shape, pixels)
    gone, every = missing.astype(np.float64), np.ones(missing.shape)
    beside = np.ones((3,) * missing.ndim)
    beside[(1,) * missing.ndim] = 0

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(uniform_filter(values, sides, mode="constant"))

    inside = np.maximum(mean(every), 1e-9)
    share = mean(gone) / inside
    pairs = mean(gone * convolve(every, beside, mode="constant"))
    both = mean(gone * convolve(gone, beside, mode="constant"))
    known = np.maximum(1 - share, 0.5 / np.prod(sides))
    correlation = (both / np.maximum(pairs, 1e-9) - share) / known
    # Each pixel is in half as many pairs as it has neighbours.
    chance = np.sqrt(2 / (inside * np.prod(sides) * beside.sum()))
    count = (1 - share) * inside * np.prod(sides)
    found = np.asarray((count < 0.5) | (correlation > np.maximum(CORRELATED, DEVIATIONS * chance)))
    return found, missing & (count > 0.5) & (count < FEWEST_KNOWN)


def _window(shape: tuple[int, ...], pixels: int) -> tuple[int, ...]:
    """Sides of a window of so many pixels: as long in every axis as the grid allows."""
    side = 1
    while prod(min(n, side) for n in shape) < min(pixels, prod(shape)):
        side += 2
    return tuple(min(n, side) for n in shape)


def numbered(held_out: Bools) -> Places:
    """A number for every held-out pixel, the same for those that hang together; 0 elsewhere.

    Corners hang together in a picture, but not in a volume: there pixels at random would.

    Parameters
    ----------
    held_out : ndarray of bool, shape grid

    Returns
    -------
    ndarray of int, shape grid
    """
    from scipy.ndimage import generate_binary_structure, label

    dims = held_out.ndim
    found, _ = label(held_out, generate_binary_structure(dims, 1 if dims > 2 else dims))
    return np.asarray(found, dtype=np.int64)


def in_regions(held_out: Bools) -> Bools:
    """The held-out pixels that are not alone, shape grid."""
    number = numbered(held_out)
    together: Bools = np.asarray(np.bincount(number.ravel()) > 1)
    together[0] = False
    return np.asarray(together[number])


def single(held_out: Bools, regions: Bools) -> Bools:
    """Of pixels held out at random, those that touch no region and no other: what is alone is told from what is not.

    Parameters
    ----------
    held_out, regions : ndarray of bool, shape grid

    Returns
    -------
    ndarray of bool, shape grid
    """
    alone = held_out & ~regions
    together = in_regions(alone | regions)
    return np.asarray(alone & ~together)


def regions(observed: Bools, generator: np.random.Generator, most: int = MOST) -> Bools:
    """Known pixels to hold out in regions of the holes' shapes.

    Parameters
    ----------
    observed : ndarray of bool, shape grid
    generator : Generator
    most : int
        Regions at most, unless these are less than `OF_HOLES` of the holes' pixels.

    Returns
    -------
    ndarray of bool, shape grid
        All False where there are no holes, or no place for such a region.
    """
    from scipy.ndimage import find_objects

    chosen = np.zeros_like(observed)
    holes = in_holes(observed)
    if not holes.any():
        return chosen
    labels, depth = numbered(holes), distances(observed)
    boxes = find_objects(labels)
    known = int(observed.sum())
    budget = int(max(SHARE * known, min(WANTED, SMALL_SHARE * known)))
    sizes = np.bincount(labels.ravel(), minlength=len(boxes) + 1)[1:].astype(float)
    for tried in range(LIMIT):
        if tried >= most and chosen.sum() >= OF_HOLES * holes.sum():
            break
        number = 1 + int(generator.choice(len(sizes), p=sizes / sizes.sum()))
        part = _part(labels, depth, number, boxes[number - 1], max(SMALLEST, budget // FEWEST), generator)
        placed = _placed(part, observed, holes, chosen, generator)
        if placed is None:
            continue
        if chosen.any() and int(chosen.sum()) + len(placed) > budget:
            break
        chosen[tuple(placed.T)] = True
    return chosen


def _part(
    labels: Places,
    depth: NDArray[np.float64],
    number: int,
    box: tuple[slice, ...],
    most: int,
    generator: np.random.Generator,
) -> Places:
    """The pixels of a hole, (n, axes); of a large one those nearest to a deep place in it, at most `most` of them."""
    corner = np.array([s.start for s in box])
    places = np.argwhere(labels[box] == number)
    own = depth[box][tuple(places.T)]
    middle = places[generator.choice(np.flatnonzero(own >= np.quantile(own, 0.9)))]
    reach = np.abs(places - middle).max(1)
    nearest = np.argsort(reach, kind="stable")[:most]
    places = places[nearest[reach[nearest] <= REACH * own.max()]]
    return np.asarray(places + corner, dtype=np.int64)


def _placed(
    part: Places, observed: Bools, holes: Bools, chosen: Bools, generator: np.random.Generator
) -> Places | None:
    """The part, or a mirror image of it, where it is known, or most of it, and as much around it as around its hole."""
    from scipy.ndimage import maximum_filter

    shape = np.array(observed.shape)
    known = np.pad(observed & ~chosen, AROUND)  # beyond the border nothing is known
    taken = np.pad(
        holes | maximum_filter(chosen, 3), AROUND, constant_values=True
    )  # two regions do not make one
    around, weight = _surroundings(part, shape)
    # Where a hole was cut, what is around the part counts as known: a part beside the hole would make it larger.
    wanted = np.pad(observed | holes, AROUND)[tuple((around + AROUND).T)]
    best, least = None, np.inf
    for mirrored in product((1, -1), repeat=len(shape)):
        here, there = part * mirrored, around * mirrored
        shifts = _shifts(here, shape, len(part) + len(around), generator)
        held = _at(known, here, shifts).sum(1)
        free = (held >= SMALLEST) & ~_at(taken, here, shifts).any(1)
        if not free.any():
            continue
        shifts = shifts[free]
        different = (_at(known, there, shifts) != wanted) @ weight / weight.sum()
        moved = np.abs((here + 0.0).mean(0) + shifts - part.mean(0)).max(1) / shape.max()
        cost = different + FARTHEST * moved + 1 - held[free] / len(part)
        at = int(cost.argmin())
        if cost[at] < least:
            best, least = here + shifts[at], cost[at]
    return None if best is None else best[observed[tuple(best.T)]]


def _surroundings(part: Places, shape: NDArray[np.int64]) -> tuple[Places, NDArray[np.float64]]:
    """The places up to `AROUND` pixels from the part, (n, axes), and how much each counts: the less, the farther it is."""
    from scipy.ndimage import distance_transform_cdt

    low = part.min(0) - AROUND
    box = np.ones(part.max(0) + AROUND + 1 - low, dtype=bool)
    box[tuple((part - low).T)] = False
    far = distance_transform_cdt(box, metric="chessboard")
    places = np.argwhere((far > 0) & (far <= AROUND))
    return np.asarray(places + low, dtype=np.int64), 1.0 / far[tuple(places.T)]


def _shifts(part: Places, shape: NDArray[np.int64], values: int, generator: np.random.Generator) -> Places:
    """Shifts that keep a part inside of the grid: some at random, and all that move along one axis alone."""
    low, high = -part.min(0), shape - 1 - part.max(0)
    found = [generator.integers(low, high + 1, size=(SHIFTS, len(shape)))]
    still = np.clip(0, low, high)
    for axis in range(len(shape)):
        along = np.arange(low[axis], high[axis] + 1)
        moved = np.repeat(still[None], len(along), 0)
        moved[:, axis] = along
        found.append(moved)
    every = np.concatenate(found)
    most = max(1, COMPARED // values)
    return every if len(every) <= most else generator.permutation(every)[:most]


def _at(padded: Bools, places: Places, shifts: Places) -> Bools:
    """A padded mask at the places moved by each of the shifts, (shifts, places)."""
    steps = np.array([np.prod(padded.shape[axis + 1 :], dtype=np.int64) for axis in range(padded.ndim)])
    return np.asarray(padded.ravel()[((shifts + AROUND) @ steps)[:, None] + places @ steps])


def share_beyond(observed: NDArray[np.bool_], held_out: NDArray[np.bool_]) -> float:
    """Share of the missing entries, arrays (C, *grid), that are farther from any known one of their channel than every held-out one was."""
    from scipy.ndimage import distance_transform_edt

    beyond = 0
    for seen, left_out in zip(observed, held_out, strict=True):
        if seen.any() and not seen.all():
            farthest = distance_transform_edt(~(seen & ~left_out))[left_out].max(initial=0.0)
            beyond += int((distance_transform_edt(~seen)[~seen] > farthest).sum())
    return beyond / max(1, int((~observed).sum()))
