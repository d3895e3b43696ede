"""Held-out regions: where pixels are missing in holes, known pixels are held out in holes of the same shapes.

A pixel held out alone has known neighbours. It tells nothing of the error in the middle of a hole. So the holes'
own shapes, or parts of them, are shifted to places where the picture is known, and what is known there is held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Places = NDArray[np.int64]

# Pixels that are at most so far from a known one, in pixels, are no hole: pixels held out alone tell of them.
NEAR = 2.0
# Of the known pixels, at most this share is held out in regions, in at least so many of them.
SHARE, FEWEST = 0.06, 3
# Regions at most, and the fewest pixels of one.
MOST, SMALLEST = 32, 5
# Shifts of a hole that are tried: the nearest allowed one is taken, for a picture's parts are most like their neighbours.
SHIFTS = 64


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


def hole_share(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far pixels are in a hole: 0 up to `NEAR` pixels from known ones, 1 from twice that on.

    Parameters
    ----------
    distance : ndarray

    Returns
    -------
    ndarray, of that shape
    """
    found: NDArray[np.float64] = np.clip(np.log2(np.maximum(distance, 1.0) / NEAR), 0.0, 1.0)
    return found


def numbered(held_out: Bools) -> Places:
    """A number for every held-out pixel, the same for those that hang together; 0 elsewhere.

    Parameters
    ----------
    held_out : ndarray of bool, shape grid

    Returns
    -------
    ndarray of int, shape grid
    """
    from scipy.ndimage import label

    found, _ = label(held_out, np.ones((3,) * held_out.ndim, dtype=int))
    return np.asarray(found, dtype=np.int64)


def regions(observed: Bools, generator: np.random.Generator) -> Bools:
    """Known pixels to hold out in regions of the holes' shapes.

    Parameters
    ----------
    observed : ndarray of bool, shape grid
    generator : Generator

    Returns
    -------
    ndarray of bool, shape grid
        All False where there are no holes, or no place for such a region.
    """
    from scipy.ndimage import find_objects, label

    chosen = np.zeros_like(observed)
    depth = distances(observed)
    if not (depth > NEAR).any():
        return chosen
    core = depth > NEAR
    holes = ~observed & (
        distances(core) < 1.5 * NEAR
    )  # without what hangs on them, such as other missing pixels
    labels = np.asarray(label(holes, np.ones((3,) * observed.ndim, dtype=int))[0], dtype=np.int64)
    boxes = find_objects(labels)
    budget = int(SHARE * observed.sum())
    sizes = np.bincount(labels.ravel(), minlength=len(boxes) + 1)[1:].astype(float)
    taken = holes.copy()
    for _ in range(MOST):
        number = 1 + int(generator.choice(len(sizes), p=sizes / sizes.sum()))
        part = _part(labels, depth, number, boxes[number - 1], budget // FEWEST, generator)
        placed = _placed(part, taken, generator)
        if placed is None:
            continue
        here = tuple(placed.T)
        known = int(observed[here].sum())
        if known < SMALLEST or (chosen.any() and int((chosen & observed).sum()) + known > budget):
            continue
        chosen[here] = True
        for place in _around(placed, observed.shape):
            taken[place] = True
    return chosen & observed


def _part(
    labels: NDArray[np.int64],
    depth: NDArray[np.float64],
    number: int,
    box: tuple[slice, ...],
    most: int,
    generator: np.random.Generator,
) -> Places:
    """The pixels of a hole, (n, axes); of a large one those nearest to a deep place in it, `most` of them."""
    corner = np.array([s.start for s in box])
    places = np.argwhere(labels[box] == number)
    if len(places) > most:
        own = depth[box][tuple(places.T)]
        middle = places[generator.choice(np.flatnonzero(own >= np.quantile(own, 0.9)))]
        reach = np.abs(places - middle).max(1)
        places = places[np.argsort(reach, kind="stable")[:most]]
    return np.asarray(places + corner, dtype=np.int64)


def _placed(part: Places, taken: Bools, generator: np.random.Generator) -> Places | None:
    """The part shifted to a place where no hole and no other region is."""
    shape = np.array(taken.shape)
    low, high = -part.min(0), shape - 1 - part.max(0)
    shifts = generator.integers(low, high + 1, size=(SHIFTS, len(shape)))
    for shift in shifts[np.argsort(np.abs(shifts).max(1), kind="stable")]:
        moved: Places = part + shift
        if not taken[tuple(moved.T)].any():
            return moved
    return None


def _around(places: Places, shape: tuple[int, ...]) -> Iterator[tuple[NDArray[np.int64], ...]]:
    """The places and all their neighbours, so that two regions do not make one."""
    for step in product((-1, 0, 1), repeat=len(shape)):
        yield tuple(np.clip(places + step, 0, np.array(shape) - 1).T)
