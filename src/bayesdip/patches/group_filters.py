"""Compiled loops over groups of similar patches: estimates of a group, aggregation.

The patches of a group are the rows of Y, n patches of d values, seen with white noise of variance v; X is what an earlier
estimate (the pilot) has in their place.

- *Linear combination* of the group's own patches (Herbreteau and Kervrann, *A unified framework of non-local parametric
  methods for image denoising* and arXiv 2212.00422): ``T Y``, T of n x n. The quadratic risk
  ``|T X - X|^2 + d v |T|^2`` is least for ``T = I - d v (X X' + d v I)^{-1}``; with the data for a pilot,
  ``X X'`` is ``Y Y' - d v I`` on average (Stein's estimate). Each row of T may be held to the sum of one.
  The risk of a patch's value is then ``v T_ii`` of its row i.
- *Wiener filter*, the posterior mean under the Gaussian of the pilot's covariance, as in NL-Bayes
  (:mod:`bayesdip.patches.nl_bayes`).
- *Shrinkage of singular values* s of the group less its mean patch: ``(s + sqrt(s^2 - 4 c v sqrt(n))) / 2``, and zero
  where there is no root: the minimum of a nuclear norm with weights ``c v sqrt(n) / s``
  (Gu, Zhang, Zuo, Feng, *Weighted nuclear norm minimization with application to image denoising*, CVPR 2014).

A group is found by all channels of a guide. Its patches hold all channels of a pixel, or those of each channel are a group
of their own, as the shape of the outputs says: with B planes of weights, C / B channels are taken together.

Each function works on a stripe of reference patches and adds to pictures of its own: nothing is shared between threads.
Its working memory begins with zeros: compiled loops may multiply values past the end of a short sum by zero, and what the memory
held before may be no number.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.patches.eigenvectors import eigen, reflect
from bayesdip.patches.machine_code import compiled, whole_matrix
from bayesdip.patches.patch_search import most_places, most_similar
from bayesdip.patches.small_matrices import (
    ONE,
    ZERO,
    cholesky,
    gram,
    inverse_factor,
    mirror,
    product,
    square_of_factor,
)

Array = NDArray[Any]
# Noise of which patches lack that share is overstated. Patches that are chosen for being alike lack a few tenths by chance: already from
# none on, smooth parts of tuning pictures come out 0.1 dB worse.
OVERSTATED = np.float32(0.5)
# How far the squares of a group's singular values may be off, as a part of the threshold that they are held against. Sixteen results
# of tuning parts lose less than 0.001 dB on average, by 0.1 up to 0.002, by 0.3 up to 0.02; exact ones take a fifth more time.
UNSURE = np.float32(0.03)


@compiled
def gather(picture: Array, side: int, places: Array, count: int, rows: Array) -> None:
    """Patches at the first `count` places as rows."""
    channels, width = picture.shape[0], picture.shape[2]
    for k in range(count):
        top, left = places[k] // width, places[k] % width
        start = 0
        for c in range(channels):
            for u in range(side):
                here, there = rows[k, start : start + side], picture[c, top + u, left : left + side]
                for v in range(side):
                    here[v] = there[v]
                start += side


@compiled
def centre(rows: Array, count: int, size: int, mean: Array) -> None:
    """Take the mean row off the first `count` rows."""
    for i in range(size):
        mean[i] = ZERO
    for k in range(count):
        row = rows[k]
        for i in range(size):
            mean[i] += row[i]
    scale = ONE / np.float32(count)
    for i in range(size):
        mean[i] *= scale
    for k in range(count):
        row = rows[k]
        for i in range(size):
            row[i] -= mean[i]


@compiled
def add_patch(picture: Array, side: int, top: int, left: int, values: Array, weight: Any) -> None:
    """Aggregation: add a patch, times a weight, at its place."""
    start = 0
    for c in range(picture.shape[0]):
        for u in range(side):
            here, own = picture[c, top + u, left : left + side], values[start : start + side]
            for v in range(side):
                here[v] += weight * own[v]
            start += side


@compiled
def add_constant(picture: Array, side: int, top: int, left: int, weight: Any) -> None:
    """Add a weight to all pixels of a patch of one channel."""
    for u in range(side):
        here = picture[top + u, left : left + side]
        for v in range(side):
            here[v] += weight


@compiled
def mean_at(values: Array, places: Array, count: int) -> Any:
    """Mean over the first `count` places of a picture whose rows are one after the other."""
    total = ZERO
    for k in range(count):
        total += values[places[k]]
    return total / np.float32(count)


@compiled
def scatter(columns: Array, squares: Array, size: int, count: int) -> Any:
    """Mean squared distance of `count` patches, columns, from their mean patch, by the diagonal of their products."""
    total = ZERO
    for k in range(count):
        total += squares[k, k]
    scale = ONE / np.float32(count)
    for i in range(size):
        sum_ = ZERO
        for k in range(count):
            sum_ += columns[i, k]
        total -= sum_ * sum_ * scale
    return total / np.float32(max(count - 1, 1))


@compiled
def combine(
    y: Array,
    pilot: Array,
    noise: Array,
    noisy: float,
    affine: bool,
    tops: Array,
    lefts: Array,
    side: int,
    most: int,
    search: Any,
    total: Array,
    variance: Array,
    weights: Array,
) -> None:
    """Linear combinations of each group's patches, found by the pilot, for a stripe of reference patches.

    Parameters
    ----------
    y, pilot : array, shape (C, H, W)
    noise : array, shape (H W,)
        Mean variance of the noise in the patch that begins at each pixel.
    noisy : float
        Part of the noise's variance that the pilot holds: 1 where the pilot is the data.
    affine : bool
        Whether each combination's coefficients have the sum of one.
    tops, lefts : array of int
    side, most : int
        Of a patch, and patches of a group.
    search : four of int
        As :func:`bayesdip.patches.patch_search.squared_distances` takes it.
    total, variance, weights : arrays, shape (C, H, W), (B, H, W), (B, H, W)
        To which the weighted estimates, variances and weights are added. A weight is one over the sum of the squared
        coefficients: the estimates have the inverse of it as noise.
    """
    width, joint = y.shape[2], y.shape[0] // len(weights)
    size = joint * side * side
    found = np.zeros(most_places(search), y.dtype)
    places = np.zeros(most_places(search), np.int32)
    data, estimate = whole_matrix(most, size, y.dtype), whole_matrix(most, size, y.dtype)
    columns = whole_matrix(size, most, y.dtype)
    matrix, factor = whole_matrix(most, most, y.dtype), whole_matrix(most, most, y.dtype)
    work, sums = whole_matrix(most, most, y.dtype), np.zeros(most, y.dtype)
    for top in tops:
        for left in lefts:
            n = most_similar(pilot, top, left, side, search, most, found, places)
            v = mean_at(noise, places, n)
            ridge = np.float32(size) * v
            for block in range(len(weights)):
                first = block * joint
                gather(y[first : first + joint], side, places, n, data)
                gather(pilot[first : first + joint], side, places, n, estimate)
                for k in range(n):
                    for i in range(size):
                        columns[i, k] = estimate[k, i]
                gram(columns, size, n, matrix)
                # Where patches differ by much less than their noise, it is overstated: without what they lack, a
                # combination would have coefficients as large as the group.
                lacking = ridge * noisy - scatter(columns, matrix, size, n)
                if lacking < OVERSTATED * ridge * noisy:
                    lacking = ZERO
                for k in range(n):
                    matrix[k, k] += ridge * (ONE - noisy) + lacking
                cholesky(matrix, n, ridge)
                inverse_factor(matrix, n, factor)
                square_of_factor(factor, n, work, matrix)
                mirror(matrix, n)
                every = ZERO
                for k in range(n):
                    sums[k] = ZERO
                    for j in range(n):
                        sums[k] += matrix[k, j]
                    every += sums[k]
                for k in range(n):
                    # The least risk among rows of sum one adds a multiple of the inverse's own sums.
                    excess = ridge * sums[k] / every if affine else ZERO
                    for j in range(n):
                        factor[k, j] = excess * sums[j] - ridge * matrix[k, j]
                    factor[k, k] += ONE
                product(factor, data, n, n, size, estimate)
                for k in range(n):
                    power = ZERO
                    for j in range(n):
                        power += factor[k, j] * factor[k, j]
                    weight = ONE / max(power, ONE / np.float32(n))
                    top_k, left_k = places[k] // width, places[k] % width
                    add_patch(total[first : first + joint], side, top_k, left_k, estimate[k], weight)
                    add_constant(variance[block], side, top_k, left_k, weight * v * max(factor[k, k], ZERO))
                    add_constant(weights[block], side, top_k, left_k, weight)


@compiled
def wiener(
    y: Array,
    pilot: Array,
    noise: Array,
    covariances: Array,
    tops: Array,
    lefts: Array,
    side: int,
    most: int,
    search: Any,
    total: Array,
    variance: Array,
    weights: Array,
) -> None:
    """Posterior means of the groups under Gaussians of the pilot's covariances; arguments as of :func:`combine`.

    `covariances`, (B, size, size), are those of the noise in a patch at a unit of `noise`; none, (0, ...), where it is white.
    """
    width, joint = y.shape[2], y.shape[0] // len(weights)
    size = joint * side * side
    found = np.zeros(most_places(search), y.dtype)
    places = np.zeros(most_places(search), np.int32)
    data, estimate = whole_matrix(most, size, y.dtype), whole_matrix(most, size, y.dtype)
    matrix, factor = whole_matrix(size, size, y.dtype), whole_matrix(size, size, y.dtype)
    work = whole_matrix(size, size, y.dtype)
    mean, unused = np.zeros(size, y.dtype), np.zeros(size, y.dtype)
    white = len(covariances) == 0
    for top in tops:
        for left in lefts:
            n = most_similar(pilot, top, left, side, search, most, found, places)
            v = mean_at(noise, places, n)
            for block in range(len(weights)):
                first = block * joint
                gather(y[first : first + joint], side, places, n, data)
                gather(pilot[first : first + joint], side, places, n, estimate)
                centre(data, n, size, mean)
                centre(estimate, n, size, unused)
                gram(estimate, n, size, matrix)
                scale = ONE / np.float32(n)
                for i in range(size):
                    row = matrix[i]
                    for j in range(i, size):
                        row[j] *= scale
                    if white:
                        row[i] += v
                    else:
                        for j in range(i, size):
                            row[j] += v * covariances[block, i, j]
                cholesky(matrix, size, v)
                inverse_factor(matrix, size, factor)
                trace, level = ZERO, ONE
                square_of_factor(factor, size, work, matrix)
                mirror(matrix, size)
                if white:
                    for i in range(size):
                        trace += matrix[i, i]
                else:
                    for i in range(size):
                        for j in range(size):
                            work[i, j] = covariances[block, i, j]
                    product(matrix, work, size, size, size, factor)
                    factor, matrix = matrix, factor
                    level = work[0, 0]
                    for i in range(size):
                        for j in range(size):
                            trace += work[i, j] * matrix[j, i]
                product(data, matrix, n, size, size, estimate)
                own = v * level - v * v * (ONE - scale) * trace / np.float32(size)
                for k in range(n):
                    row, seen = estimate[k], data[k]
                    for i in range(size):
                        row[i] = seen[i] + mean[i] - v * row[i]
                    top_k, left_k = places[k] // width, places[k] % width
                    add_patch(total[first : first + joint], side, top_k, left_k, row, ONE)
                    add_constant(variance[block], side, top_k, left_k, max(own, ZERO))
                    add_constant(weights[block], side, top_k, left_k, ONE)


@compiled
def shrink(
    picture: Array,
    guide: Array,
    noise: Array,
    thresholds: Array,
    tops: Array,
    lefts: Array,
    side: int,
    most: int,
    search: Any,
    total: Array,
    weights: Array,
) -> None:
    """Shrink the singular values of groups of `picture`, found by `guide`; arguments as of :func:`combine`.

    `thresholds`, of shape (B,), are c times the variance of the noise in the picture as a part of `noise`.
    """
    width, joint = picture.shape[2], picture.shape[0] // len(weights)
    size, kind = joint * side * side, picture.dtype
    found, places = np.zeros(most_places(search), kind), np.zeros(most_places(search), np.int32)
    data, estimate, scores = (
        whole_matrix(most, size, kind),
        whole_matrix(most, size, kind),
        whole_matrix(most, size, kind),
    )
    matrix, vectors = whole_matrix(size, size, kind), whole_matrix(size, size, kind)
    into, out_of = whole_matrix(size, size, kind), whole_matrix(size, size, kind)
    mean, values, beside, scales = np.zeros((4, size), kind)
    work = whole_matrix(3, size, kind)
    for top in tops:
        for left in lefts:
            n = most_similar(guide, top, left, side, search, most, found, places)
            v = mean_at(noise, places, n)
            for block in range(len(weights)):
                first = block * joint
                gather(picture[first : first + joint], side, places, n, data)
                centre(data, n, size, mean)
                gram(data, n, size, matrix)
                mirror(matrix, size)
                least = np.float32(4) * thresholds[block] * v * sqrt(np.float32(n))
                eigen(matrix, size, UNSURE * least, values, vectors, beside, scales, work)
                rank = 0
                for i in range(size):
                    square = values[i]
                    if square > least:
                        for j in range(size):
                            into[j, rank] = vectors[i, j]
                        values[rank] = (ONE + sqrt(ONE - least / square)) / np.float32(2)
                        rank += 1
                reflect(matrix, size, scales, into, rank, work)
                product(data, into, n, size, rank, scores)
                for r in range(rank):
                    for j in range(size):
                        out_of[r, j] = values[r] * into[j, r]
                product(scores, out_of, n, rank, size, estimate)
                for k in range(n):
                    row = estimate[k]
                    for i in range(size):
                        row[i] += mean[i]
                    top_k, left_k = places[k] // width, places[k] % width
                    add_patch(total[first : first + joint], side, top_k, left_k, row, ONE)
                    add_constant(weights[block], side, top_k, left_k, ONE)
