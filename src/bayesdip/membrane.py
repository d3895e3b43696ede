"""Harmonic functions over missing pixels: each is the mean of its neighbours, as the height of a membrane over a hole is."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.interruption import look

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Harmonic functions on a line or in a plane are factorised up to so many unknowns: three channels took 4 ms of processor time in
# scratches, and 40 in a hole of 140x140 pixels, where conjugate gradients took 30 and 180.
MOST_FACTORISED = 20_000
# Relative residual, and iterations, of those beyond.
TOLERANCE, MOST_ITERATIONS = 1e-4, 2000


def harmonic(y: Array, missing: Bools) -> Array:
    """The mean of the neighbours in every missing pixel: a membrane over the hole, which never leaves the known values' range."""
    look()
    if not missing.any():
        return y.copy()
    solve, known_beside = _membrane(missing.shape, np.packbits(missing).tobytes())
    right = known_beside @ y.ravel()
    full = y.copy()
    full[missing] = solve(right, float(y[~missing].mean()))
    return full


def filled_by(fill: Callable[[Array, Bools], Array], y: Tensor, missing: Tensor) -> Tensor:
    """Channel by channel, each with its own missing entries; one that has no others stays as it is.

    Parameters
    ----------
    fill : callable
        As :func:`harmonic`, of one channel.
    y : Tensor, shape (C, *grid)
    missing : Tensor of bool, shape (C, *grid)

    Returns
    -------
    Tensor
        Like `y`.
    """
    channels = zip(y.double().cpu().numpy(), missing.cpu().numpy(), strict=True)
    full = [fill(x, gone) if gone.any() and not gone.all() else x for x, gone in channels]
    return torch.from_numpy(np.stack(full)).to(y)


@lru_cache(maxsize=8)
def _membrane(shape: tuple[int, ...], packed: bytes) -> tuple[Callable[[Array, float], Array], Any]:
    """Of one mask: from the sums of each missing pixel's known neighbours, and a first guess, to its value; and what takes these sums.

    All channels of a picture have it, and a mask is filled in several times: the equations are factorised once.
    """
    from scipy.sparse import coo_matrix

    missing = np.unpackbits(np.frombuffer(packed, np.uint8), count=prod(shape)).reshape(shape) == 1
    places = np.argwhere(missing)
    count = len(places)
    number, flat = np.full(shape, -1), np.arange(prod(shape)).reshape(shape)
    number[missing] = np.arange(count)
    degree = np.zeros(count)
    inner, outer = [], []
    for axis in range(len(shape)):
        for step in (-1, 1):
            beside = places.copy()
            beside[:, axis] += step
            own = np.flatnonzero((beside[:, axis] >= 0) & (beside[:, axis] < shape[axis]))
            there = tuple(beside[own].T)
            degree[own] += 1
            other = number[there]
            inner.append(np.stack([own[other >= 0], other[other >= 0]]))
            outer.append(np.stack([own[other < 0], flat[there][other < 0]]))
    diagonal = np.arange(count)
    pairs, rim = np.concatenate(inner, axis=1), np.concatenate(outer, axis=1)
    values = np.concatenate([degree, np.full(pairs.shape[1], -1.0)])
    rows, columns = np.concatenate([[diagonal, diagonal], pairs], axis=1)
    matrix = coo_matrix((values, (rows, columns)), shape=(count, count)).tocsc()
    known_beside = coo_matrix((np.ones(rim.shape[1]), tuple(rim)), shape=(count, prod(shape))).tocsr()
    if len(shape) > 2 or count > MOST_FACTORISED:
        return lambda right, guess: _by_gradients(matrix, degree, right, guess), known_beside
    factorised = _banded(matrix)
    return lambda right, guess: factorised(right), known_beside


def _banded(matrix: Any) -> Callable[[Array], Array]:
    """What solves equations with a sparse positive definite matrix: Cholesky's factor of its band, which an order of its rows makes narrow.

    Not SuperLU's, whose memory is lost where another thread lets go of it than made it: 35 MB a second in a large photograph.
    """
    from scipy.linalg import cho_solve_banded, cholesky_banded
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    entries = matrix.tocoo()
    row, column = place[entries.row], place[entries.col]
    lower = row >= column
    below = (row - column)[lower]
    band = np.zeros((below.max() + 1, len(order)))
    band[below, column[lower]] = entries.data[lower]
    factor = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)

    def solve(right: Array) -> Array:
        found = np.empty_like(right)
        found[order] = cho_solve_banded((factor, True), right[order], check_finite=False)
        return found

    return solve


def _by_gradients(matrix: Any, degree: Array, right: Array, guess: float) -> Array:
    """By conjugate gradients, which need no more memory than the matrix."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import cg

    start, scaled = np.full(len(right), guess), diags(1 / degree)
    solution, _ = cg(
        matrix, right, start, rtol=TOLERANCE, maxiter=MOST_ITERATIONS, M=scaled, callback=lambda _: look()
    )
    return np.asarray(solution)
