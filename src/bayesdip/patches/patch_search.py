"""Compiled search for similar patches: squared distances to those around, and the nearest of them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from bayesdip.patches.small_matrices import ONE, ZERO, compiled

Array = NDArray[Any]


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
    channels, width = guide.shape[0], guide.shape[2]
    first = columns[0]
    n = columns[1] - first + 1
    for row in range(rows[0], rows[1] + 1):
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
        count += n
    return count


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
def most_similar(
    picture: Array, top: int, left: int, side: int, search: Any, most: int, found: Array, places: Array
) -> Any:
    """Bring the places of the most similar patches to the front of `places`, at most `most` of them; how many they are."""
    available = squared_distances(picture, top, left, side, search, found, places)
    count = min(most, available)
    select(found, places, available, count)
    return count
