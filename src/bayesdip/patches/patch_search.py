"""Compiled search for similar patches: squared distances to those around, and the nearest of them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from bayesdip.patches.small_matrices import ONE, ZERO, compiled

Array = NDArray[Any]


@compiled
def squared_distances(
    guide: Array, top: int, left: int, side: int, radius: int, found: Array, places: Array
) -> int:
    """Squared distances of the patches within `radius` to the one at (top, left).

    Parameters
    ----------
    guide : array, shape (C, H, W)
    top, left, side, radius : int
    found : array of at least ``(2 radius + 1)^2`` values
        Distances; the reference's own is -1, so that it is always the nearest.
    places : array of int, likewise
        ``row * W + column`` of each patch's first pixel.

    Returns
    -------
    int
        How many were found.
    """
    channels, height, width = guide.shape
    first_row, last_row = max(0, top - radius), min(height - side, top + radius)
    first, last = max(0, left - radius), min(width - side, left + radius)
    n = last - first + 1
    count = 0
    for row in range(first_row, last_row + 1):
        here = found[count : count + n]
        for q in range(n):
            here[q] = ZERO
        for c in range(channels):
            for u in range(side):
                own = guide[c, top + u, left : left + side]
                other = guide[c, row + u, first : first + n + side]
                v = 0
                while v + 4 <= side:
                    a0, b0, c0, d0 = own[v], own[v + 1], own[v + 2], own[v + 3]
                    a, b = other[v : v + n], other[v + 1 : v + 1 + n]
                    e, f = other[v + 2 : v + 2 + n], other[v + 3 : v + 3 + n]
                    for q in range(n):
                        p0, p1, p2, p3 = a[q] - a0, b[q] - b0, e[q] - c0, f[q] - d0
                        here[q] += p0 * p0 + p1 * p1 + p2 * p2 + p3 * p3
                    v += 4
                while v < side:
                    a0, a = own[v], other[v : v + n]
                    for q in range(n):
                        p0 = a[q] - a0
                        here[q] += p0 * p0
                    v += 1
        for q in range(n):
            places[count + q] = row * width + first + q
        if row == top:
            here[left - first] = -ONE
        count += n
    return count


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
def most_similar(
    picture: Array, top: int, left: int, side: int, radius: int, most: int, found: Array, places: Array
) -> Any:
    """Bring the places of the most similar patches to the front of `places`, at most `most` of them; how many they are."""
    available = squared_distances(picture, top, left, side, radius, found, places)
    count = min(most, available)
    select(found, places, available, count)
    return count
