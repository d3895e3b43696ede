"""Compiled search for similar patches: squared distances to those around, and the nearest of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.patches.machine_code import LANES, compare_row, compare_rows, compiled
from bayesdip.patches.small_matrices import ONE, ZERO

Array = NDArray[Any]
# Distances whose quantiles stand for those of all.
SAMPLE = 64
# More than any distance of values in units of their noise.
LARGEST = np.float32(3e38)


@compiled
def distances_in_rows(
    guide: Array,
    top: int,
    left: int,
    side: int,
    rows: tuple[int, int],
    columns: tuple[int, int],
    count: int,
    found: Array,
    places: Array,
) -> int:
    """Squared distances of the patches that begin in these rows and columns, both ends included, to the one at (top, left).

    They are written behind the first `count`, places as ``row * W + column``. Returns how many there are then.
    """
    width, first = guide.shape[2], columns[0]
    n, number = columns[1] - first + 1, rows[1] - rows[0] + 1
    for row in range(number):
        for q in range(n):
            places[count + row * n + q] = (rows[0] + row) * width + first + q
    if n >= LANES:
        by_vectors(guide, top * width + left, rows[0] * width + first, side, number, n, found[count:])
    else:
        for row in range(number):
            one_by_one(guide, top, left, side, rows[0] + row, first, n, found[count + row * n :])
    return count + number * n


@compiled
def by_vectors(guide: Array, own: int, other: int, side: int, rows: int, columns: int, found: Array) -> None:
    """Squared distances of the patches in some rows and columns, the first of them at the place `other`, to the one at `own`."""
    channels, height, width = guide.shape
    for row in range(0, rows, 2):
        for block in range(0, columns, LANES):
            at = min(block, columns - LANES)  # the last vector ends where the row does
            here, there = row * columns + at, other + row * width + at
            if row + 1 < rows:
                compare_rows(found, here, columns, guide, own, there, channels, height, width, side)
            else:
                compare_row(found, here, 0, guide, own, there, channels, height, width, side)


@compiled
def one_by_one(
    guide: Array, top: int, left: int, side: int, row: int, first: int, count: int, found: Array
) -> None:
    """Squared distances of the `count` patches that begin in a row, from a first column on, to the one at (top, left)."""
    for q in range(count):
        found[q] = ZERO
        for c in range(guide.shape[0]):
            for u in range(side):
                for v in range(side):
                    difference = guide[c, row + u, first + q + v] - guide[c, top + u, left + v]
                    found[q] += difference * difference


@compiled
def around(place: int, radius: int, length: int) -> Any:
    """First and last place within `radius` on an axis of `length` places."""
    return max(0, place - radius), min(length - 1, place + radius)


@compiled
def squared_distances(
    guide: Array, top: int, left: int, side: int, search: Any, found: Array, places: Array
) -> Any:
    """Squared distances of the patches around the one at (top, left), in its own slice and in those beside it.

    Parameters
    ----------
    guide : array, shape (C, H, W)
        A picture; or a stack, its slices below each other.
    top, left, side : int
    search : four of int
        Rows of a slice; largest lag in the patch's own slice; slices on either side; largest lag there. A neighbour is
        searched around the place where the slice before was most similar, so that the search follows what moves.
    found : array of at least :func:`most_places` values
        Distances; the reference's own is -1, so that it is always the nearest.
    places : array of int, likewise
        ``row * W + column`` of each patch's first pixel.

    Returns
    -------
    int
        How many were found.
    """
    height, radius, slices, lag = search
    width = guide.shape[2]
    own = top // height
    start, row = own * height, top - own * height
    first_row, last_row = around(row, radius, height - side + 1)
    columns = around(left, radius, width - side + 1)
    rows = (start + first_row, start + last_row)
    count = distances_in_rows(guide, top, left, side, rows, columns, 0, found, places)
    found[(row - first_row) * (columns[1] - columns[0] + 1) + left - columns[0]] = -ONE
    depth = guide.shape[1] // height
    for direction in (-1, 1):
        centre, middle = row, left
        for k in range(1, slices + 1):
            number = own + direction * k
            if number < 0 or number >= depth:
                break
            start = number * height
            first_row, last_row = around(centre, lag, height - side + 1)
            rows, columns = (start + first_row, start + last_row), around(middle, lag, width - side + 1)
            before = count
            count = distances_in_rows(guide, top, left, side, rows, columns, count, found, places)
            best = before
            for q in range(before, count):
                if found[q] < found[best]:
                    best = q
            centre, middle = places[best] // width - start, places[best] % width
    return count


@compiled
def most_places(search: Any) -> Any:
    """How many patches a search finds at most; arguments as of :func:`squared_distances`."""
    return (2 * search[1] + 1) ** 2 + 2 * search[2] * (2 * search[3] + 1) ** 2


@compiled
def select(found: Array, places: Array, count: int, wanted: int) -> None:
    """Bring the `wanted` least of `count` distances, and their places, to the front (Hoare's quickselect)."""
    low, high = 0, count - 1
    while low < high:
        a, b, c = found[low], found[(low + high) // 2], found[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while i < high and found[i] < pivot:  # NaN compares with none: hence the bounds
                i += 1
            while j > low and found[j] > pivot:
                j -= 1
            if i <= j:
                found[i], found[j] = found[j], found[i]
                places[i], places[j] = places[j], places[i]
                i += 1
                j -= 1
        if wanted - 1 <= j:
            high = j
        elif wanted - 1 >= i:
            low = i
        else:
            return


@compiled
def bounded(found: Array, places: Array, count: int, wanted: int) -> int:
    """Bring distances that are at most a bound, and their places, to the front: about twice as many as are wanted; how many.

    The bound is a quantile of a sample of the distances. Where it turns out too low, all stay as they are.
    """
    every = count // SAMPLE
    rank = min(2 * SAMPLE * wanted // count + 3, SAMPLE)
    if every < 2 or rank > SAMPLE // 2:
        return count
    least = np.empty(rank, found.dtype)  # of those seen so far, in order
    for k in range(rank):
        least[k] = LARGEST
    for q in range(0, every * SAMPLE, every):
        value = found[q]
        if value < least[rank - 1]:
            k = rank - 1
            while k > 0 and least[k - 1] > value:
                least[k] = least[k - 1]
                k -= 1
            least[k] = value
    bound, below = least[rank - 1], 0
    for q in range(count):
        below += found[q] <= bound
    if below < wanted:
        return count
    below = 0
    for q in range(count):
        value, place = found[q], places[q]
        found[below], places[below] = value, place
        below += value <= bound
    return below


@compiled
def most_similar(
    picture: Array, top: int, left: int, side: int, search: Any, most: int, found: Array, places: Array
) -> Any:
    """Bring the places of the most similar patches to the front of `places`, at most `most` of them; how many they are."""
    available = squared_distances(picture, top, left, side, search, found, places)
    count = min(most, available)
    select(found, places, bounded(found, places, available, count), count)
    return count
