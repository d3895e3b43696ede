"""A sparse approximation of the inverse covariance of scattered pixels.

Pixels are ordered from coarse to fine, and each is predicted from its nearest predecessors
alone. This gives the sparse Cholesky factor of the inverse covariance that is closest to it in
Kullback-Leibler divergence (Vecchia, J. R. Stat. Soc. B 50, 1988; Schaefer, Katzfuss and Owhadi,
SIAM J. Sci. Comput. 43, 2021). Far pixels matter little once near ones are known, whatever the mask.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn.functional import pad

# Pixels whose predecessors' covariances are factorised at a time: what a cache holds.
CHUNK = 2**14


@dataclass(frozen=True)
class LocalInverse:
    """``U U^T``, about the inverse of a covariance: (R, n) to (R, n).

    Attributes
    ----------
    factor, transposed : Tensor, sparse CSR (n, n)
        U and its transpose. Rows of pixels that are not observed are empty.
    log_determinant : float
        Of ``U U^T``.
    """

    factor: Tensor
    transposed: Tensor
    log_determinant: float

    def apply(self, r: Tensor) -> Tensor:
        return self.up(self.down(r))

    def up(self, v: Tensor) -> Tensor:
        """``U v`` for each row of v."""
        return (self.factor @ v.T).T

    def down(self, v: Tensor) -> Tensor:
        """``U^T v`` for each row of v."""
        return (self.transposed @ v.T).T


def local_inverse(
    seen: Tensor, table: Tensor, noise: Tensor, neighbours: int, like: Tensor, mixing: Tensor | None = None
) -> LocalInverse:
    """The sparse inverse of ``B x K + N`` over the observed entries.

    Parameters
    ----------
    seen : Tensor of bool, shape (G, *grid)
        G channels that are treated together.
    table : Tensor, float64, shape (*grid)
        K at the lags 0, 1, ... of each axis.
    noise : Tensor, shape broadcastable to (G, *grid)
        Noise variance.
    neighbours : int
        How many predecessors predict an entry.
    like : Tensor
        Gives the factor's dtype and device.
    mixing : Tensor, shape (G, G), optional
        B, the covariance between the channels; without it they are independent.
    """
    n = seen.numel()
    variances = noise.to("cpu", torch.float64).expand(seen.shape).flatten()
    B = torch.eye(len(seen), dtype=torch.float64) if mixing is None else mixing.to("cpu", torch.float64)
    rows, columns, values = [], [], []
    log_determinant = 0.0
    for own, before in predecessors(seen.cpu(), neighbours):
        for piece, near in zip(torch.split(own, CHUNK), torch.split(before, CHUNK), strict=True):
            weights, deviation = prediction(piece, near, seen.shape, table.cpu(), B, variances)
            log_determinant -= 2 * float(deviation.log().sum())
            valid = near >= 0
            # In the narrowest types: these lists are the largest thing that inference holds.
            rows += [piece.int(), piece[:, None].expand_as(near)[valid].int()]
            columns += [piece.int(), near[valid].int()]
            values += [
                (1 / deviation).to("cpu", like.dtype),
                (-weights / deviation).T[valid].to("cpu", like.dtype),
            ]
    entries = (torch.cat(values).numpy(), (torch.cat(rows).numpy(), torch.cat(columns).numpy()))
    transposed = csr_matrix(entries, shape=(n, n))
    return LocalInverse(_sparse(transposed.T.tocsr(), like), _sparse(transposed, like), log_determinant)


def predecessors(seen: Tensor, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Observed entries level by level, (m,), and the nearest of their predecessors, (m, count), -1 for none.

    A pyramid of cells: each cell of side ``2^level`` is stood for by one of its entries, and an entry
    belongs to the last level at which it stands for a cell. Coarser levels come first. Another
    channel counts as one pixel away.
    """
    shape = seen.shape
    entries = torch.arange(seen.numel()).reshape(shape)
    coordinates = torch.stack(torch.unravel_index(entries.flatten(), shape), -1).to(torch.int32)
    # Within a level the order is random, but the same in every run.
    priority = torch.rand(seen.numel(), generator=torch.Generator().manual_seed(0))
    key = torch.zeros(seen.numel())
    cells = torch.where(seen, entries, -1)
    levels: list[tuple[Tensor, Tensor]] = []
    while cells.numel() > 1:
        coarser = _coarsened(cells, priority)
        stays = torch.zeros(seen.numel() + 1, dtype=torch.bool)
        stays[coarser] = True  # -1, an empty cell, lands on the spare last entry
        new = (cells >= 0) & ~stays[cells]
        key[cells[new]] = len(levels) + priority[cells[new]]
        levels.append((cells, new))
        cells = coarser
    first = cells[cells >= 0].flatten()
    key[first] = len(levels) + 1.0
    yield first, torch.full((len(first), count), -1)
    reach = _window(shape, count)
    window = torch.tensor([o for o in product(*(range(-w, w + 1) for w in reach)) if any(o)]).reshape(
        -1, len(shape)
    )
    frame = torch.tensor(reach)
    for cells, new in reversed(levels):
        own = cells[new]
        if len(own) == 0:
            continue
        framed = torch.full([n + 2 * w for n, w in zip(cells.shape, reach, strict=True)], -1)
        framed[tuple(slice(w, w + n) for n, w in zip(cells.shape, reach, strict=True))] = cells
        strides = torch.tensor(framed.stride())
        for piece, at in zip(torch.split(own, CHUNK), torch.split(new.nonzero(), CHUNK), strict=True):
            near = framed.flatten()[((at + frame) * strides).sum(1)[:, None] + (window * strides).sum(1)]
            lags = coordinates[near] - coordinates[piece][:, None]
            lags[..., 0].clamp_(-1, 1)
            distance = lags.square().sum(-1).float()
            distance[(near < 0) | (key[near] <= key[piece][:, None])] = torch.inf
            nearest = distance.topk(min(count, len(window)), dim=1, largest=False, sorted=False)
            chosen = near.gather(1, nearest.indices).masked_fill(nearest.values.isinf(), -1)
            yield piece, pad(chosen, (0, count - chosen.shape[1]), value=-1)


def _window(shape: torch.Size, count: int) -> tuple[int, ...]:
    """Cells to each side in which predecessors are looked for.

    A window of twice as many cells as are needed, for about half of them come later in the order.
    """
    axes = max(1, sum(n > 1 for n in shape[1:]))
    reach = max(1, math.ceil(((2 * count) ** (1 / axes) - 1) / 2))
    return (shape[0] - 1, *(min(reach, n - 1) for n in shape[1:]))


def _coarsened(cells: Tensor, priority: Tensor) -> Tensor:
    """One pixel for each 2 x ... x 2 block of cells: the one of highest priority; -1 where there is none."""
    for axis in range(cells.ndim):
        if cells.shape[axis] == 1:
            continue
        if cells.shape[axis] % 2:
            edge = torch.full_like(cells.narrow(axis, 0, 1), -1)
            cells = torch.cat((cells, edge), axis)
        pairs = cells.reshape(*cells.shape[:axis], -1, 2, *cells.shape[axis + 1 :])
        first, second = pairs.select(axis + 1, 0), pairs.select(axis + 1, 1)
        better = (second >= 0) & ((first < 0) | (priority[second] > priority[first]))
        cells = torch.where(better, second, first)
    return cells


def prediction(
    own: Tensor, near: Tensor, shape: Sequence[int], table: Tensor, mixing: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Weights (k, m) that predict each entry from its neighbours, and the deviation (m,) that is left.

    A Cholesky factorisation of all the small covariances at once: the entries are the last axis, so
    every step is one long vector operation. `shape` is (G, *grid); the table holds the lags that occur.
    """
    points = torch.cat((near.T, own[None]))
    valid = points >= 0
    points = points.clamp(min=0)
    channel, *axes = torch.unravel_index(points, tuple(shape))
    k = near.shape[1]
    flat, eps = table.flatten(), torch.finfo(torch.float64).eps
    L = torch.zeros((k + 1, k + 1, len(own)), dtype=torch.float64)
    for i in range(k + 1):
        place = torch.zeros_like(points[: i + 1])
        for axis, stride in zip(axes, table.stride(), strict=True):
            place += (axis[: i + 1] - axis[i]).abs() * stride
        both = valid[: i + 1] & valid[i]
        L[i, : i + 1] = flat[place * both] * both
        if len(mixing) > 1:
            L[i, : i + 1] *= mixing[channel[: i + 1], channel[i]]
        # Neighbours that do not exist are independent of everything.
        L[i, i] = torch.where(valid[i], L[i, i] + noise[points[i]], 1)
    for j in range(k + 1):
        if j:
            L[j:, j] -= (L[j:, :j] * L[j, :j]).sum(1)
        # What the others cannot tell about an entry is its noise at least.
        L[j, j] = L[j, j].maximum(noise[points[j]]).clamp(min=eps * float(flat[0])).sqrt()
        L[j + 1 :, j] /= L[j, j]
    weights = L[k, :k].clone()
    for j in reversed(range(k)):
        weights[j] -= (L[j + 1 : k, j] * weights[j + 1 :]).sum(0)
        weights[j] /= L[j, j]
    return weights, L[k, k]


def _sparse(matrix: csr_matrix, like: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr),
            torch.from_numpy(matrix.indices),
            torch.from_numpy(matrix.data).to(like.dtype),
            matrix.shape,
            device=like.device,
            check_invariants=False,
        )
