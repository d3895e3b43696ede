"""Compiled algebra of matrices of some dozens of rows, one at a time.

A library's routines for such matrices take most of their time to begin, and threads that share one of them wait for each
other. These loops run inside one thread, over contiguous rows, four at a time where sums are taken, so that the compiler
makes vector instructions of them. All work in the precision of their arguments, and write into matrices that are passed.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[Any]

# Sums may be reordered, and a division by zero gives infinity. Functions become part of those that call them: a call that
# remained would go to the copy that the process has loaded first, and copies differ in how they reorder sums, so that
# results would depend on what was compiled or run before. The same machine gives the same result each time.
_HOW: Any = {"fastmath": True, "error_model": "numpy", "nogil": True, "forceinline": True}


def compiled(function: Any) -> Any:
    """A function as machine code, which is kept on disk where there is a place for it.

    There is none if the package lies in a folder that cannot be written and the user has no home: in a container, or as
    a service. Each process compiles anew then.
    """
    try:
        return njit(cache=True, **_HOW)(function)
    except RuntimeError:  # numba's, for want of a place
        return njit(**_HOW)(function)


ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
# An off-diagonal value below this part of its neighbours on the diagonal is zero: a rounding error of single precision.
NEGLIGIBLE = np.float32(6e-8)
# A matrix whose largest value is less is zero: one over it would be no number of single precision.
LEAST_SCALE = np.float32(1e-30)
# A pivot of less than this part of the noise is of patches that were not seen with such noise, as those of a saturated
# part of a picture; of less than that part of the largest value on the diagonal, it is rounding errors only.
LEAST_NOISE, LEAST_PIVOT = np.float32(1e-3), np.float32(2e-6)
# A value needs less than two turns on average.
MOST_TURNS = 50


@compiled
def gram(rows: Matrix, count: int, size: int, out: Matrix) -> None:
    """``out = rows' rows`` of the first `count` rows of `size` values: the upper triangle."""
    for i in range(size):
        here = out[i, i:size]
        n = size - i
        for j in range(n):
            here[j] = ZERO
        k = 0
        while k + 4 <= count:
            a, b, c, d = rows[k, i:size], rows[k + 1, i:size], rows[k + 2, i:size], rows[k + 3, i:size]
            a0, b0, c0, d0 = a[0], b[0], c[0], d[0]
            for j in range(n):
                here[j] += a0 * a[j] + b0 * b[j] + c0 * c[j] + d0 * d[j]
            k += 4
        while k < count:
            a = rows[k, i:size]
            a0 = a[0]
            for j in range(n):
                here[j] += a0 * a[j]
            k += 1


@compiled
def mirror(matrix: Matrix, size: int) -> None:
    """Copy the upper triangle to the lower one."""
    for i in range(size):
        for j in range(i):
            matrix[i, j] = matrix[j, i]


@compiled
def transpose(matrix: Matrix, size: int, out: Matrix) -> None:
    """``out = matrix'``."""
    for i in range(size):
        for j in range(size):
            out[j, i] = matrix[i, j]


@compiled
def cholesky(matrix: Matrix, size: int, noise: float) -> None:
    """The upper triangle of a positive semidefinite matrix becomes U, with ``U' U`` the matrix.

    A pivot far below `noise`, or below rounding errors, is raised, and what stands beside it is taken for zero: of patches
    that are alike to the last bit, as where a picture is saturated, the matrix is singular.
    """
    least = LEAST_NOISE * noise
    for i in range(size):
        least = max(least, LEAST_PIVOT * matrix[i, i])
    for i in range(size):
        here = matrix[i, i:size]
        n = size - i
        k = 0
        while k + 4 <= i:
            a, b = matrix[k, i:size], matrix[k + 1, i:size]
            c, d = matrix[k + 2, i:size], matrix[k + 3, i:size]
            a0, b0, c0, d0 = a[0], b[0], c[0], d[0]
            for j in range(n):
                here[j] -= a0 * a[j] + b0 * b[j] + c0 * c[j] + d0 * d[j]
            k += 4
        while k < i:
            a = matrix[k, i:size]
            a0 = a[0]
            for j in range(n):
                here[j] -= a0 * a[j]
            k += 1
        if here[0] < least:
            here[0] = least
            for j in range(1, n):
                here[j] = ZERO
        scale = ONE / sqrt(here[0])
        for j in range(n):
            here[j] *= scale


@compiled
def inverse_factor(factor: Matrix, size: int, out: Matrix) -> None:
    """``out`` is the inverse of an upper triangular matrix, zero below the diagonal."""
    for i in range(size - 1, -1, -1):
        scale = ONE / factor[i, i]
        for j in range(size):
            out[i, j] = ZERO
        out[i, i] = scale
        k = i + 1
        while k + 4 <= size:
            a, b, c, d = out[k, k:size], out[k + 1, k:size], out[k + 2, k:size], out[k + 3, k:size]
            here = out[i, k:size]
            a0, b0 = -scale * factor[i, k], -scale * factor[i, k + 1]
            c0, d0 = -scale * factor[i, k + 2], -scale * factor[i, k + 3]
            for j in range(size - k):
                here[j] += a0 * a[j] + b0 * b[j] + c0 * c[j] + d0 * d[j]
            k += 4
        while k < size:
            a, here = out[k, k:size], out[i, k:size]
            a0 = -scale * factor[i, k]
            for j in range(size - k):
                here[j] += a0 * a[j]
            k += 1


@compiled
def product(left: Matrix, right: Matrix, rows: int, inner: int, columns: int, out: Matrix) -> None:
    """``out = left right``: (rows, inner) times (inner, columns)."""
    for i in range(rows):
        here, own = out[i, :columns], left[i]
        for j in range(columns):
            here[j] = ZERO
        k = 0
        while k + 4 <= inner:
            a, b, c, d = (
                right[k, :columns],
                right[k + 1, :columns],
                right[k + 2, :columns],
                right[k + 3, :columns],
            )
            a0, b0, c0, d0 = own[k], own[k + 1], own[k + 2], own[k + 3]
            for j in range(columns):
                here[j] += a0 * a[j] + b0 * b[j] + c0 * c[j] + d0 * d[j]
            k += 4
        while k < inner:
            a, a0 = right[k, :columns], own[k]
            for j in range(columns):
                here[j] += a0 * a[j]
            k += 1


@compiled
def eigen(
    matrix: Matrix, size: int, values: Matrix, vectors: Matrix, beside: Matrix, scales: Matrix, work: Matrix
) -> None:
    """Eigenvalues and, as rows, eigenvectors of a positive semidefinite matrix, which is destroyed.

    Householder's reduction to a tridiagonal matrix and the implicit QL iteration (Golub and Van Loan, *Matrix
    Computations*, 4th edition, sections 8.3.1 and 8.3.3). The values are not sorted.

    Parameters
    ----------
    matrix, vectors : arrays of at least (size, size)
    values, beside, scales, work : arrays of at least (size,)
        `beside` is for the values next to the diagonal, `scales` for those of the reflections.
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
    tridiagonal(matrix, size, values, vectors, beside, scales, work)
    for first in range(size):
        for _ in range(MOST_TURNS):
            last = first
            while last < size - 1:
                if abs(beside[last]) <= NEGLIGIBLE * (abs(values[last]) + abs(values[last + 1])):
                    break
                last += 1
            if last == first:
                break
            implicit_turn(values, beside, vectors, first, last, size)
    for i in range(size):
        values[i] *= largest


@compiled
def tridiagonal(
    matrix: Matrix, size: int, values: Matrix, vectors: Matrix, beside: Matrix, scales: Matrix, work: Matrix
) -> None:
    """``matrix = vectors' T vectors`` with `values` on the diagonal of T and `beside` next to it; no value is above one."""
    for k in range(size - 2):
        mirror_of, n = matrix[k, k + 1 : size], size - k - 1
        rest = ZERO
        for j in range(1, n):
            rest += mirror_of[j] * mirror_of[j]
        lead = mirror_of[0]
        scales[k] = ZERO
        beside[k] = lead
        if rest <= NEGLIGIBLE * NEGLIGIBLE:
            continue
        norm = sqrt(rest + lead * lead)
        beside[k] = -norm if lead > 0 else norm
        mirror_of[0] = lead - beside[k]
        scale = TWO / (mirror_of[0] * mirror_of[0] + rest)
        scales[k] = scale
        moved = work[:n]
        for j in range(n):
            moved[j] = ZERO
        for i in range(n):
            row, a = matrix[k + 1 + i, k + 1 : size], mirror_of[i]
            for j in range(n):
                moved[j] += a * row[j]
        along = ZERO
        for j in range(n):
            along += moved[j] * mirror_of[j]
        along *= scale * scale / TWO
        for j in range(n):
            moved[j] = scale * moved[j] - along * mirror_of[j]
        for i in range(n):
            row, a, b = matrix[k + 1 + i, k + 1 : size], mirror_of[i], moved[i]
            for j in range(n):
                row[j] -= a * moved[j] + b * mirror_of[j]
    for i in range(size):
        values[i] = matrix[i, i]
    if size > 1:
        beside[size - 2] = matrix[size - 2, size - 1]
    beside[size - 1] = ZERO
    for i in range(size):
        for j in range(size):
            vectors[i, j] = ZERO
        vectors[i, i] = ONE
    for k in range(size - 3, -1, -1):
        scale, mirror_of, n = scales[k], matrix[k, k + 1 : size], size - k - 1
        moved = work[:n]
        for j in range(n):
            moved[j] = ZERO
        for i in range(n):
            row, a = vectors[k + 1 + i, k + 1 : size], mirror_of[i]
            for j in range(n):
                moved[j] += a * row[j]
        for i in range(n):
            row, a = vectors[k + 1 + i, k + 1 : size], scale * mirror_of[i]
            for j in range(n):
                row[j] -= a * moved[j]
    for i in range(size):
        for j in range(i):
            a = vectors[i, j]
            vectors[i, j] = vectors[j, i]
            vectors[j, i] = a


@compiled
def implicit_turn(values: Matrix, beside: Matrix, vectors: Matrix, first: int, last: int, size: int) -> None:
    """One QL step with Wilkinson's shift on the block from `first` to `last`."""
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
        upper, lower = vectors[i, :size], vectors[i + 1, :size]
        for j in range(size):
            a, c = upper[j], lower[j]
            lower[j] = sine * a + cosine * c
            upper[j] = cosine * a - sine * c
    values[first] -= taken
    beside[first] = g
    beside[last] = ZERO
