"""Short-row matrices: each output along one axis is a weighted sum of a few inputs.

Resampling and padding are such matrices. Stored as one table of indices and one of
weights, they cost what their nonzero entries cost (a dense matrix for a signal of a
million samples would not fit in memory), and the transposed matrix is a table of the same kind,
so an adjoint is exact and, being a gather, the same to the bit on every run.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.operators.linear_map import linear


class ShortRows:
    """A matrix (rows, columns) whose row r holds ``weights[r, k]`` at column ``indices[r, k]``.

    Parameters
    ----------
    indices : int array, shape (rows, k)
        A column may repeat within a row: its weights add.
    weights : float array, shape (rows, k)
    columns : int
    """

    def __init__(self, indices: NDArray[np.int64], weights: NDArray[np.float64], columns: int) -> None:
        self.rows = len(indices)
        self.columns = columns
        self._indices = indices
        self._weights = weights
        self._transposed: ShortRows | None = None
        self._moved: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    @property
    def T(self) -> ShortRows:
        """The transposed matrix."""
        if self._transposed is None:
            self._transposed = _transpose(self._indices, self._weights, self.columns)
            self._transposed._transposed = self
        return self._transposed

    def apply(self, x: Tensor, axis: int) -> Tensor:
        """The matrix times `x` along `axis`: length `columns` becomes `rows`. Differentiable."""
        # The derivative is the transposed product: no scatter, no k copies of `x`.
        return linear(x, lambda v: self._product(v, axis), lambda v: self.T._product(v, axis))

    def dense(self) -> Tensor:
        """The whole matrix, (rows, columns), float64."""
        return self.apply(torch.eye(self.columns, dtype=torch.float64), 0)

    def _product(self, x: Tensor, axis: int) -> Tensor:
        indices, weights = self._tables(x)
        along = [1] * x.ndim
        along[axis] = self.rows
        out = x.index_select(axis, indices[0]).mul_(weights[0].view(along))
        for index, weight in zip(indices[1:], weights[1:], strict=True):
            out.addcmul_(x.index_select(axis, index), weight.view(along))
        return out

    def _tables(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Indices and weights, (k, rows), where and as what `x` is."""
        key = (x.device, x.dtype)
        if key not in self._moved:
            indices = torch.from_numpy(np.ascontiguousarray(self._indices.T)).to(x.device)
            weights = torch.from_numpy(np.ascontiguousarray(self._weights.T)).to(x)
            self._moved[key] = indices, weights
        return self._moved[key]


def reflected(indices: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Indices beyond 0..n-1 folded back, edges repeated (d c b a | a b c d | d c b a); any distance."""
    folded = indices % (2 * n)
    return np.minimum(folded, 2 * n - 1 - folded)


def wrapped(indices: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Indices beyond 0..n-1 continued periodically."""
    return indices % n


EXTENSIONS = {"reflect": reflected, "periodic": wrapped}


def padding(n: int, before: int, after: int, extension: str) -> ShortRows:
    """The matrix that extends an axis of length n beyond its ends; its transpose folds back."""
    indices = EXTENSIONS[extension](np.arange(-before, n + after), n)[:, None]
    return ShortRows(indices, np.ones(indices.shape), n)


def _transpose(indices: NDArray[np.int64], weights: NDArray[np.float64], columns: int) -> ShortRows:
    rows, k = indices.shape
    row = np.repeat(np.arange(rows), k)
    column, weight = indices.ravel(), weights.ravel()
    keep = weight != 0
    row, column, weight = row[keep], column[keep], weight[keep]
    order = np.argsort(column, kind="stable")
    row, column, weight = row[order], column[order], weight[order]
    counts = np.bincount(column, minlength=columns)
    slot = np.arange(len(column)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = max(1, int(counts.max()))
    new_indices = np.zeros((columns, width), dtype=np.int64)
    new_weights = np.zeros((columns, width))
    new_indices[column, slot] = row
    new_weights[column, slot] = weight
    return ShortRows(new_indices, new_weights, rows)
