"""Compiled loop over groups of similar patches that lack values: what is missing in each patch.

A patch that lacks at most half of its values has them by the precision of its group's Gaussian, which is a system of as many unknowns:
the model and the equations are those of :mod:`bayesdip.patches.damaged_patches`, whose batched algebra does the same where nothing is
compiled, and on other devices. One that lacks more has them by the covariance of its known values, as in :mod:`bayesdip.patches.hbe`.
One group after the other, nothing is copied but the patches themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.patches.group_filters import centre
from bayesdip.patches.machine_code import compiled, whole_matrix
from bayesdip.patches.small_matrices import (
    ONE,
    ZERO,
    cholesky,
    gram,
    inverse_factor,
    mirror,
    square_of_factor,
)

Array = NDArray[Any]


@compiled
def solve(factor: Array, size: int, right: Array) -> None:
    """``right`` becomes x with ``factor' factor x = right``, of an upper triangular matrix."""
    for i in range(size):
        here = factor[i]
        right[i] /= here[i]
        a = right[i]
        for j in range(i + 1, size):
            right[j] -= a * here[j]
    for i in range(size - 1, -1, -1):
        here, total = factor[i], right[i]
        for j in range(i + 1, size):
            total -= here[j] * right[j]
        right[i] = total / here[i]


@compiled
def count_lacking(
    missing: Array, places: Array, offsets: Array, restored: int, most: int, lacks: Array
) -> int:
    """Values that the first `restored` patches of each group lack, into (G, restored), those of patches that lack more than `most` as 0; their sum."""
    size, total = len(offsets), 0
    for g in range(len(places)):
        for k in range(restored):
            place, lack = places[g, k], 0
            for i in range(size):
                if missing[place + offsets[i]]:
                    lack += 1
            lack = lack if lack <= most else 0
            lacks[g, k] = lack
            total += lack
    return total


@compiled
def restore(
    estimate: Array,
    values: Array,
    missing: Array,
    noise: Array,
    places: Array,
    offsets: Array,
    lacks: Array,
    added: float,
    weighs: bool,
    at: Array,
    weights: Array,
    means: Array,
    variances: Array,
) -> None:
    """What some groups say of the values that their patches lack.

    Parameters
    ----------
    estimate, values : arrays, of one axis
        Of the whole picture: what groups learn from, and what is known.
    missing : array of bool, of one axis
    noise : array, shape (d,)
        Its variance in each value of a patch.
    places : array of int, shape (G, n)
        Of each group's patches in the picture.
    offsets : array of int, shape (d,)
        Of a patch's values from its place.
    lacks : array of int, shape (G, r)
        Of the first r patches of each group, how many values are missing and are to be restored.
    added : float
        Multiple of the identity that is added to each covariance.
    weighs : bool
        Whether values are weighted by their posterior precision.
    at, weights, means, variances : arrays of one axis, as long as the sum of `lacks`
        What is found: places, and what :meth:`bayesdip.patches.known_pixels.Sums.add` takes.
    """
    count, size = places.shape[1], len(offsets)
    rows, mean = whole_matrix(count, size, np.float32), np.empty(size, np.float32)
    covariance, factor = whole_matrix(size, size, np.float32), whole_matrix(size, size, np.float32)
    work, precision = whole_matrix(size, size, np.float32), whole_matrix(size, size, np.float32)
    system, right = whole_matrix(size, size, np.float32), np.empty(size, np.float32)
    known, spread = np.empty(size, np.float32), np.empty(size, np.float32)
    gone, there = np.empty(size, np.int64), np.empty(size, np.int64)
    scale, done = ONE / np.float32(max(count - 1, 1)), 0
    for g in range(len(places)):
        least, most = size, 0
        for k in range(lacks.shape[1]):
            if lacks[g, k] > 0:
                least, most = min(least, lacks[g, k]), max(most, lacks[g, k])
        if most == 0:
            continue
        for k in range(count):
            row, place = rows[k], places[g, k]
            for i in range(size):
                row[i] = estimate[place + offsets[i]]
        centre(rows, count, size, mean)
        gram(rows, count, size, covariance)
        for i in range(size):
            here = covariance[i]
            for j in range(i, size):
                here[j] *= scale
            here[i] += noise[i] + added
        mirror(covariance, size)
        if 2 * least <= size:
            for i in range(size):
                for j in range(size):
                    precision[i, j] = covariance[i, j]
            cholesky(precision, size, ZERO)
            inverse_factor(precision, size, factor)
            square_of_factor(factor, size, work, precision)
            mirror(precision, size)
        for k in range(lacks.shape[1]):
            lack = lacks[g, k]
            if lack == 0:
                continue
            place, n, seen = places[g, k], 0, 0
            for i in range(size):
                value = place + offsets[i]
                known[i] = values[value] - mean[i]
                if missing[value]:
                    known[i] = ZERO
                    gone[n] = i
                    n += 1
                else:
                    there[seen] = i
                    seen += 1
            if 2 * lack <= size:
                by_precision(precision, size, known, gone, lack, weighs, system, factor, right, spread)
            else:
                by_covariance(
                    covariance, known, gone, lack, there, seen, weighs, system, work, factor[0], right, spread
                )
            for p in range(lack):
                i, variance, weight = gone[p], ZERO, ONE
                if weighs:
                    variance = max(spread[p] - noise[i], ZERO)
                    weight = ONE / (variance + added)
                at[done], weights[done] = place + offsets[i], weight
                means[done], variances[done] = right[p] + mean[i], variance
                done += 1


@compiled
def by_precision(
    precision: Array,
    size: int,
    known: Array,
    gone: Array,
    lack: int,
    weighs: bool,
    system: Array,
    factor: Array,
    found: Array,
    spread: Array,
) -> None:
    """Means and, if it `weighs`, variances of the `lack` values that are `gone`, given the `known` ones, which are 0 there."""
    for p in range(lack):
        own, total = precision[gone[p]], ZERO
        for i in range(size):
            total -= own[i] * known[i]
        found[p] = total
        for q in range(p, lack):
            system[p, q] = own[gone[q]]
    cholesky(system, lack, ZERO)
    solve(system, lack, found)
    if weighs:
        inverse_factor(system, lack, factor)
        for p in range(lack):
            total = ZERO
            for q in range(p, lack):
                total += factor[p, q] * factor[p, q]
            spread[p] = total


@compiled
def by_covariance(
    covariance: Array,
    known: Array,
    gone: Array,
    lack: int,
    there: Array,
    seen: int,
    weighs: bool,
    system: Array,
    cross: Array,
    pulled: Array,
    found: Array,
    spread: Array,
) -> None:
    """The same by the covariance of the `seen` values that are `there`."""
    for p in range(seen):
        own = covariance[there[p]]
        pulled[p] = known[there[p]]
        for q in range(p, seen):
            system[p, q] = own[there[q]]
        for q in range(lack):
            cross[p, q] = own[gone[q]]
    cholesky(system, seen, ZERO)
    solve(system, seen, pulled)
    for q in range(lack):
        found[q] = ZERO
    for p in range(seen):
        a, own = pulled[p], cross[p]
        for q in range(lack):
            found[q] += a * own[q]
    if not weighs:
        return
    for q in range(lack):
        spread[q] = covariance[gone[q], gone[q]]
    # What the known values explain: squares of the columns of U'^{-1} C[o, m], with U' U the covariance of the known ones.
    for p in range(seen):
        own = cross[p]
        for r in range(p):
            a, before = system[r, p], cross[r]
            for q in range(lack):
                own[q] -= a * before[q]
        scale = ONE / system[p, p]
        for q in range(lack):
            own[q] *= scale
            spread[q] -= own[q] * own[q]
