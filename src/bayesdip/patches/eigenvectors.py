"""Compiled eigenvalues and eigenvectors of one symmetric matrix of some dozens of rows, those that are wanted.

Householder's reduction to a tridiagonal matrix, the implicit QL iteration on it, and the reflections of the wanted vectors (Golub and
Van Loan, *Matrix Computations*, 4th edition, sections 8.3.1 and 8.3.3).
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from bayesdip.patches.machine_code import LANES, ROWS, compiled, rotate, set_row, subtract_tile, whole
from bayesdip.patches.small_matrices import ONE, TWO, ZERO, Matrix, block_of

# An off-diagonal value below this part of its neighbours on the diagonal is zero: a rounding error of single precision.
NEGLIGIBLE = np.float32(6e-8)
# A matrix whose largest value is less is zero: one over it would be no number of single precision.
LEAST_SCALE = np.float32(1e-30)
# A value needs less than two turns on average.
MOST_TURNS = 50


@compiled
def eigen(
    matrix: Matrix,
    size: int,
    error: float,
    values: Matrix,
    vectors: Matrix,
    beside: Matrix,
    scales: Matrix,
    pair: Matrix,
) -> None:
    """Eigenvalues of a positive semidefinite matrix, and eigenvectors of the tridiagonal matrix that it becomes, as rows.

    :func:`reflect` makes them those of the matrix. The values are not sorted.

    Parameters
    ----------
    matrix : array
        Of at least (size, size); destroyed: what :func:`reflect` needs stands there.
    size : int
    error : float
        What a value beside the diagonal may be to be taken for zero, and so how far eigenvalues may be off.
    values, beside, scales : arrays of at least (size,)
        `beside` is for the values next to the diagonal, `scales` for those of the reflections.
    vectors : array of at least (size, size)
    pair : array of at least (3, size)
    """
    # In units of the largest value: of patches that are alike, all of them are rounding errors, whose squares have no inverse.
    largest = ZERO
    for i in range(size):
        largest = max(largest, matrix[i, i])
    scale = ONE / largest if largest > LEAST_SCALE else ZERO
    for i in range(size):
        row = matrix[i, :size]
        for j in range(size):
            row[j] *= scale
    tridiagonal(matrix, size, values, beside, scales, pair)
    for i in range(size):
        row = vectors[i]
        for j in range(size):
            row[j] = ZERO
        row[i] = ONE
    zero = error * scale
    for first in range(size):
        for _ in range(MOST_TURNS):
            last = first
            while last < size - 1:
                if abs(beside[last]) <= zero + NEGLIGIBLE * (abs(values[last]) + abs(values[last + 1])):
                    break
                last += 1
            if last == first:
                break
            implicit_turn(values, beside, vectors, first, last, size)
    for i in range(size):
        values[i] *= largest


@compiled
def tridiagonal(
    matrix: Matrix, size: int, values: Matrix, beside: Matrix, scales: Matrix, pair: Matrix
) -> None:
    """``matrix = Q T Q'`` with `values` on the diagonal of T and `beside` next to it; no value is above one.

    The vector of each reflection of Q is left in its row, behind the diagonal. `pair` holds it, its product with the matrix, and it again.
    """
    step, along = matrix.shape[1], pair.shape[1]
    for k in range(size - 2):
        mirror_of, begin = matrix[k], k + 1
        rest = ZERO
        for j in range(begin + 1, size):
            rest += mirror_of[j] * mirror_of[j]
        lead = mirror_of[begin]
        scales[k] = ZERO
        beside[k] = lead
        if rest <= NEGLIGIBLE * NEGLIGIBLE:
            continue
        norm = sqrt(rest + lead * lead)
        beside[k] = -norm if lead > 0 else norm
        mirror_of[begin] = lead - beside[k]
        scale = TWO / (mirror_of[begin] * mirror_of[begin] + rest)
        scales[k] = scale
        for j in range(begin):
            pair[0, j] = pair[2, j] = ZERO
        for j in range(begin, size):
            pair[0, j] = pair[2, j] = mirror_of[j]
        left = block_of(begin)
        for j in range(left, size, 2 * LANES):
            set_row(pair, along + j, 0, pair, begin, 0, 1, matrix, begin * step + j, step, size - begin)
        inner = ZERO
        for j in range(begin, size):
            inner += pair[1, j] * mirror_of[j]
        inner *= scale * scale / TWO
        for j in range(left, begin):
            pair[1, j] = ZERO
        for j in range(begin, size):
            pair[1, j] = scale * pair[1, j] - inner * mirror_of[j]
        for i in range(begin, size, ROWS):
            for j in range(left, size, LANES):
                subtract_tile(matrix, i * step + j, step, pair, i, 1, along, pair, along + j, along, 2)
    for i in range(size):
        values[i] = matrix[i, i]
    if size > 1:
        beside[size - 2] = matrix[size - 2, size - 1]
    beside[size - 1] = ZERO


@compiled
def reflect(matrix: Matrix, size: int, scales: Matrix, columns: Matrix, count: int, work: Matrix) -> None:
    """Eigenvectors of the tridiagonal matrix, the first `count` of `columns`, become those of the matrix that it was made from."""
    step, along = matrix.shape[1], columns.shape[1]
    for k in range(size - 3, -1, -1):
        begin = k + 1
        if scales[k] == ZERO:
            continue
        for j in range(0, count, 2 * LANES):
            own = k * step + begin
            set_row(work, j, 0, matrix, own, 0, 1, columns, begin * along + j, along, size - begin)
        for j in range(count):
            work[0, j] *= scales[k]
        for i in range(begin, size, ROWS):
            for j in range(0, count, LANES):
                subtract_tile(columns, i * along + j, along, matrix, k * step + i, 1, 0, work, j, 0, 1)


@compiled
def implicit_turn(values: Matrix, beside: Matrix, vectors: Matrix, first: int, last: int, size: int) -> None:
    """One QL step with Wilkinson's shift on the block from `first` to `last`."""
    step, blocks = vectors.shape[1], whole(size) // LANES
    g = (values[first + 1] - values[first]) / (TWO * beside[first])
    r = sqrt(g * g + ONE)
    if g < ZERO:
        r = -r
    g = values[last] - values[first] + beside[first] / (g + r)
    sine, cosine, taken = ONE, ONE, ZERO
    for i in range(last - 1, first - 1, -1):
        f, b = sine * beside[i], cosine * beside[i]
        r = sqrt(f * f + g * g)
        beside[i + 1] = r
        if r == ZERO:
            values[i + 1] -= taken
            beside[last] = ZERO
            return
        sine, cosine = f / r, g / r
        g = values[i + 1] - taken
        r = (values[i] - g) * sine + TWO * cosine * b
        taken = sine * r
        values[i + 1] = g + taken
        g = cosine * r - b
        rotate(vectors, i * step, (i + 1) * step, cosine, sine, blocks)
    values[first] -= taken
    beside[first] = g
    beside[last] = ZERO
