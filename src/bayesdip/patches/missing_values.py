"""Compiled loop over groups of similar patches that lack few values: what is missing in each patch.

The model, and the equations by the precision of a group's Gaussian, are those of :mod:`bayesdip.patches.damaged_patches`, whose
batched algebra does the same where nothing is compiled, and on other devices. One group after the other, nothing is
copied but the patches themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.patches.group_filters import centre
from bayesdip.patches.small_matrices import (
    ONE,
    ZERO,
    cholesky,
    compiled,
    gram,
    inverse_factor,
)

Array = NDArray[Any]


@compiled
def gram_of_factor(factor: Array, size: int, work: Array, out: Array) -> None:
    """``out = factor factor'``, of an upper triangular matrix."""
    for i in range(size):
        for j in range(i):
            work[i, j] = factor[j, i]
        work[i, i] = factor[i, i]
    for i in range(size):
        here = out[i]
        for j in range(size):
            here[j] = ZERO
        for k in range(i, size):
            a, own = factor[i, k], work[k]
            for j in range(k + 1):
                here[j] += a * own[j]


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
    rows, mean = np.empty((count, size), np.float32), np.empty(size, np.float32)
    precision, factor = np.empty((size, size), np.float32), np.empty((size, size), np.float32)
    work, system = np.empty((size, size), np.float32), np.empty((size, size), np.float32)
    known, pulled = np.empty(size, np.float32), np.empty(size, np.float32)
    which = np.empty(size, np.int64)
    scale, done = ONE / np.float32(max(count - 1, 1)), 0
    for g in range(len(places)):
        wanted = 0
        for k in range(lacks.shape[1]):
            wanted += lacks[g, k]
        if wanted == 0:
            continue
        for k in range(count):
            row, place = rows[k], places[g, k]
            for i in range(size):
                row[i] = estimate[place + offsets[i]]
        centre(rows, count, size, mean)
        gram(rows, count, size, precision)
        for i in range(size):
            here = precision[i]
            for j in range(i, size):
                here[j] *= scale
            here[i] += noise[i] + added
        cholesky(precision, size, ZERO)
        inverse_factor(precision, size, factor)
        gram_of_factor(factor, size, work, precision)
        mirror_lower(precision, size)
        for k in range(lacks.shape[1]):
            lack = lacks[g, k]
            if lack == 0:
                continue
            place, n = places[g, k], 0
            for i in range(size):
                value = place + offsets[i]
                known[i] = values[value] - mean[i]
                if missing[value]:
                    known[i] = ZERO
                    which[n] = i
                    n += 1
            for p in range(lack):
                own, total = precision[which[p]], ZERO
                for i in range(size):
                    total -= own[i] * known[i]
                pulled[p] = total
                for q in range(p, lack):
                    system[p, q] = own[which[q]]
            cholesky(system, lack, ZERO)
            solve(system, lack, pulled)
            if weighs:
                inverse_factor(system, lack, factor)
            for p in range(lack):
                i, variance, weight = which[p], ZERO, ONE
                if weighs:
                    for q in range(p, lack):
                        variance += factor[p, q] * factor[p, q]
                    variance = max(variance - noise[i], ZERO)
                    weight = ONE / (variance + added)
                at[done], weights[done] = place + offsets[i], weight
                means[done], variances[done] = pulled[p] + mean[i], variance
                done += 1


@compiled
def mirror_lower(matrix: Array, size: int) -> None:
    """Copy the lower triangle to the upper one."""
    for i in range(size):
        for j in range(i):
            matrix[j, i] = matrix[i, j]
