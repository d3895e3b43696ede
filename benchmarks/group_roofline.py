"""The group filters of one picture beside what a core can do: block matching, algebra of groups, aggregation.

Everything that a group works on lies in the nearest caches, so that a pass is bounded by its operations at the rate of
multiplications and additions of single precision that a core reaches there (Williams, Waterman, Patterson, *Roofline*, CACM
2009), and no bytes from memory count but the picture's, once, in the rate of a large copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from bayesdip.lab.results import Row
from bayesdip.patches.chain import chain_of
from bayesdip.patches.group_filters import add_constant, add_patch, gather
from bayesdip.patches.group_passes import Groups, combination, components, shrinkage, wiener_filter
from bayesdip.patches.patch_grid import evenly_spaced
from bayesdip.patches.patch_search import most_similar
from bayesdip.threads import one_thread
from benchmarks.measurement import timed
from benchmarks.options import Options
from benchmarks.results import Results

Array = NDArray[Any]

SIDE = 128
REPEATS = 3
# Values of a row of the kernel that finds the peak, and turns of it: the rows stay in the first cache.
ROW, TURNS = 512, 200_000
COPIED_BYTES = 2**28
COLOUR = 3
# Operations of a compared value: difference, square, sum.
COMPARED = 3
# Operations of eigenvalues and vectors of a symmetric matrix, over the cube of its size (Golub and Van Loan, *Matrix Computations*,
# 4th edition, section 8.3).
EIGEN = 9


@njit(fastmath=True)
def multiply_and_add(rows: Array, out: Array, turns: int) -> None:
    """Four rows, times numbers, are added to one, as in the filters' products: eight operations a value."""
    a, b, c, d = rows[0], rows[1], rows[2], rows[3]
    for turn in range(turns):
        p = np.float32(turn & 1)
        for j in range(len(out)):
            out[j] += p * a[j] + p * b[j] + p * c[j] + p * d[j]


@njit(fastmath=True, nogil=True)
def searched(
    guide: Array, tops: Array, lefts: Array, side: int, most: int, radius: int, every: Array
) -> None:
    """The places of all groups."""
    search = (guide.shape[1], radius, 0, 0)
    found = np.empty((2 * radius + 1) ** 2, guide.dtype)
    places = np.empty((2 * radius + 1) ** 2, np.int32)
    group = 0
    for top in tops:
        for left in lefts:
            n = most_similar(guide, top, left, side, search, most, found, places)
            every[group, :n] = places[:n]
            group += 1


@njit(fastmath=True, nogil=True)
def moved(picture: Array, every: Array, side: int, joint: int, total: Array, weights: Array) -> None:
    """Gather all groups and add them where they were."""
    rows = np.empty((every.shape[1], joint * side * side), picture.dtype)
    width, one = picture.shape[2], np.float32(1)
    for group in range(len(every)):
        places = every[group]
        for first in range(0, len(picture), joint):
            gather(picture[first : first + joint], side, places, len(places), rows)
            for k in range(len(places)):
                top, left = places[k] // width, places[k] % width
                add_patch(total[first : first + joint], side, top, left, rows[k], one)
                add_constant(weights[first // joint], side, top, left, one)


def run(results: Results, options: Options) -> None:
    """All passes of the gray and the colour chain at ``balanced``."""
    with one_thread():
        peak, copied = peak_operations(), peak_bytes_per_second()
        results.log(f"peak {peak / 1e9:.1f} billion operations and {copied / 1e9:.1f} GB a second")
        for channels in (1, COLOUR):
            for name, kind, groups in passes(channels):
                if not results.has(channels=channels, run=name):
                    row: Row = {"channels": channels, "run": name}
                    results.add(row | measured(kind, groups, channels, peak, copied, options.seed))
    results.conclude(peak_operations=peak, peak_bytes=copied)


def passes(channels: int) -> list[tuple[str, str, Groups]]:
    """Name, kind and groups of each pass."""
    chain = chain_of("balanced", channels)
    assert chain.last is not None
    found = [("first combination", "combination", chain.first)]
    found += [("Wiener filter", "Wiener", groups) for groups in chain.filters]
    found += [("last combination", "combination", chain.last)]
    for groups in chain.shrunk:
        apart = "apart" if groups.apart else "together"
        found.append((f"shrinkage of {groups.side}x{groups.side}, channels {apart}", "shrinkage", groups))
    return found


def measured(kind: str, groups: Groups, channels: int, peak: float, copied: float, seed: int) -> Row:
    """Seconds of a pass and of its stages, and the share of the peak that each reaches."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randn(channels, SIDE, SIDE, generator=generator)
    basis = components(picture.numpy()) if groups.apart else None
    noise = torch.ones(SIDE, SIDE)

    def never(share: float) -> bool:
        return False

    own = picture, picture, noise, groups, never
    whole: dict[str, Callable[[], Any]] = {
        "combination": lambda: combination(*own, noisy=1.0, affine=False, basis=basis),
        "Wiener": lambda: wiener_filter(*own, basis=basis),
        "shrinkage": lambda: shrinkage(
            *own, thresholds=np.ones(channels if groups.apart else 1, np.float32), basis=basis
        ),
    }
    tops, lefts = (evenly_spaced(SIDE - groups.side, groups.step).numpy() for _ in range(2))
    every = np.zeros((len(tops) * len(lefts), groups.count), np.int32)
    guide, joint = picture.numpy(), 1 if groups.apart else channels
    total, weights = np.zeros_like(guide), np.zeros_like(guide)
    seconds = best(whole[kind])
    search = best(lambda: searched(guide, tops, lefts, groups.side, groups.count, groups.radius, every))
    moving = best(lambda: moved(guide, every, groups.side, joint, total, weights))
    operations = {
        "search": search_operations(groups, channels, tops, lefts),
        "algebra": len(every) * channels // joint * algebra(kind, groups.count, joint * groups.side**2),
        "aggregation": len(every) * groups.count * groups.side**2 * (2 * channels + channels // joint),
    }
    stages = {"search": search, "algebra": seconds - search - moving, "aggregation": moving}
    bound = sum(operations.values()) / peak + 4 * picture.nbytes / copied
    row: Row = {"seconds": seconds, "bound_seconds": bound, "share": bound / seconds}
    for stage, count in operations.items():
        row |= {f"{stage}_seconds": stages[stage], f"{stage}_share": count / peak / max(stages[stage], 1e-9)}
    return row


def search_operations(groups: Groups, channels: int, tops: Array, lefts: Array) -> int:
    """Of the squared distances to all patches within the radius, which ends at the picture's rim."""
    last = SIDE - groups.side
    along = [
        sum(min(last, at + groups.radius) - max(0, at - groups.radius) + 1 for at in map(int, places))
        for places in (tops, lefts)
    ]
    return COMPARED * channels * groups.side**2 * along[0] * along[1]


def algebra(kind: str, count: int, size: int) -> int:
    """Operations of one group of `count` patches of `size` values: products, factor and inverse of symmetric matrices."""
    if kind == "combination":  # count x count: the matrix, its inverse, the combinations
        return count**2 * size + count**3 + 2 * count**2 * size
    if kind == "Wiener":  # size x size, likewise
        return size**2 * count + size**3 + 2 * size**2 * count
    return size**2 * count + EIGEN * size**3 + 2 * size**2 * count


def best(work: Callable[[], Any]) -> float:
    """Seconds of the processor of the quickest of some calls, after one that compiles."""
    work()
    taken = []
    for _ in range(REPEATS):
        with timed() as clock:
            work()
        taken.append(clock.cpu)
    return min(taken)


def peak_operations() -> float:
    """A second, of the product's inner loop."""
    rows, out = np.ones((4, ROW), np.float32), np.zeros(ROW, np.float32)
    return 8 * ROW * TURNS / best(lambda: multiply_and_add(rows, out, TURNS))


def peak_bytes_per_second() -> float:
    """Read and written by a large copy."""
    source = np.ones(COPIED_BYTES, np.uint8)
    target = np.empty_like(source)
    return 2 * COPIED_BYTES / best(lambda: np.copyto(target, source))
