"""Compiled algebra of matrices of some dozens of rows, one at a time.

A library's routines for such matrices take most of their time to begin, and threads that share one of them wait for each
other. These run inside one thread, a tile of four rows and sixteen columns at a time
(:mod:`bayesdip.patches.machine_code`). Matrices come from :func:`bayesdip.patches.machine_code.whole_matrix`; all work in the precision of
their arguments, and write into matrices that are passed.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.patches.machine_code import (
    LANES,
    ROWS,
    compiled,
    set_tile,
    subtract_row,
    subtract_tile,
)

Matrix = NDArray[Any]

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
# A pivot of less than this part of the noise is of patches that were not seen with such noise, as those of a saturated
# part of a picture; of less than that part of the largest value on the diagonal, it is rounding errors only.
LEAST_NOISE, LEAST_PIVOT = np.float32(1e-3), np.float32(2e-6)


@compiled
def block_of(column: int) -> int:
    """The first column of the block that a column is in."""
    return column // LANES * LANES


@compiled
def gram(rows: Matrix, count: int, size: int, out: Matrix) -> None:
    """``out = rows' rows`` of the first `count` rows of `size` values: the upper triangle."""
    step, along = out.shape[1], rows.shape[1]
    for i in range(0, size, ROWS):
        for j in range(block_of(i), size, LANES):
            set_tile(out, i * step + j, step, rows, i, 1, along, rows, j, along, count)


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
    step, least = matrix.shape[1], LEAST_NOISE * noise
    for i in range(size):
        least = max(least, LEAST_PIVOT * matrix[i, i])
    for first in range(0, size, ROWS):
        for j in range(block_of(first), size, LANES):
            place = first * step + j
            subtract_tile(matrix, place, step, matrix, first, 1, step, matrix, j, step, first)
        for i in range(first, min(first + ROWS, size)):
            for j in range(block_of(i), size, LANES):
                above = first * step
                subtract_row(
                    matrix, i * step + j, 0, matrix, above + i, 0, step, matrix, above + j, step, i - first
                )
            here = matrix[i]
            if here[i] < least:
                here[i] = least
                for j in range(i + 1, size):
                    here[j] = ZERO
            scale = ONE / sqrt(here[i])
            for j in range(i, size):
                here[j] *= scale


@compiled
def inverse_factor(factor: Matrix, size: int, out: Matrix) -> None:
    """``out`` is the inverse of an upper triangular matrix, zero below the diagonal."""
    step, along = factor.shape[1], out.shape[1]
    for first in range((size - 1) // ROWS * ROWS, -1, -ROWS):
        last = min(first + ROWS, size)
        for i in range(first, last):
            here = out[i]
            for j in range(size):
                here[j] = ZERO
        for j in range(block_of(last), size, LANES):
            inner = min(size, j + LANES) - last  # beyond, the inverse is zero in these columns
            own, below = first * step + last, last * along + j
            subtract_tile(out, first * along + j, along, factor, own, step, 1, out, below, along, inner)
        for i in range(last - 1, first - 1, -1):
            for j in range(block_of(i), size, LANES):
                own, below = i * step + i + 1, (i + 1) * along + j
                subtract_row(out, i * along + j, 0, factor, own, 0, 1, out, below, along, last - i - 1)
            here, scale = out[i], ONE / factor[i, i]
            here[i] = ONE
            for j in range(i, size):
                here[j] *= scale


@compiled
def square_of_factor(factor: Matrix, size: int, work: Matrix, out: Matrix) -> None:
    """``out = factor factor'``, of an upper triangular matrix with zeros below: the upper triangle."""
    transpose(factor, size, work)
    step, along = out.shape[1], work.shape[1]
    for i in range(0, size, ROWS):
        for j in range(block_of(i), size, LANES):
            first = max(i, j)  # rows above are zero in these columns
            own, other = first * along + i, first * along + j
            set_tile(out, i * step + j, step, work, own, 1, along, work, other, along, size - first)


@compiled
def product(left: Matrix, right: Matrix, rows: int, inner: int, columns: int, out: Matrix) -> None:
    """``out = left right``: (rows, inner) times (inner, columns)."""
    own, along, step = left.shape[1], right.shape[1], out.shape[1]
    for i in range(0, rows, ROWS):
        for j in range(0, columns, LANES):
            set_tile(out, i * step + j, step, left, i * own, own, 1, right, j, along, inner)
