"""A sparse approximation of the inverse covariance of scattered pixels.

Pixels are ordered from coarse to fine, and each is predicted from its nearest predecessors
alone. This gives the sparse Cholesky factor of the inverse covariance that is closest to it in
Kullback-Leibler divergence (Vecchia, J. R. Stat. Soc. B 50, 1988; Schaefer, Katzfuss and Owhadi,
SIAM J. Sci. Comput. 43, 2021). Far pixels matter little once near ones are known, whatever the mask.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from scipy.sparse import csc_array
from torch import Tensor
from torch.nn.functional import pad

# Numbers in the small covariances that are factorised at a time: about what a cache holds.
CHUNK_NUMBERS = 2**19

Product = Callable[[Tensor], Tensor]
"""A sparse matrix times a vector, (m,) to (m,)."""


@dataclass(frozen=True)
class LocalInverse:
    """``U U^T``, about the inverse of a covariance: (R, n) to (R, n), zero where nothing is observed.

    Attributes
    ----------
    places : Tensor of int, shape (m,)
        The observed ones of the n entries.
    factor, transposed : callable
        ``U v`` and ``U^T v`` over the observed entries alone.
    log_determinant : float
        Of ``U U^T``.
    """

    places: Tensor
    factor: Product
    transposed: Product
    log_determinant: float

    def without(self, last: Tensor) -> LocalInverse:
        """The inverse for the data without those entries, (n,) of bool, that came last when it was made."""
        keep = ~last.flatten()[self.places]
        return replace(self, transposed=lambda v: self.transposed(v) * keep, log_determinant=math.nan)

    def apply(self, r: Tensor) -> Tensor:
        return self._over_observed(r, lambda v: self.factor(self.transposed(v)))

    def up(self, v: Tensor) -> Tensor:
        """``U v`` for each row of v."""
        return self._over_observed(v, self.factor)

    def down(self, v: Tensor) -> Tensor:
        """``U^T v`` for each row of v."""
        return self._over_observed(v, self.transposed)

    def _over_observed(self, v: Tensor, through: Product) -> Tensor:
        out = torch.zeros_like(v)
        for row, result in zip(v, out, strict=True):
            result.index_copy_(0, self.places, through(row.index_select(0, self.places)))
        return out


def local_inverse(
    seen: Tensor,
    table: Tensor,
    noise: Tensor,
    neighbours: int,
    like: Tensor,
    mixing: Tensor | None = None,
    last: Tensor | None = None,
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
    last : Tensor of bool, shape of `seen`, optional
        Entries that predict no others; see `LocalInverse.without`.
    """
    seen, table = seen.cpu(), table.cpu()
    variances = noise.to("cpu", torch.float64)
    variances = variances.flatten() if variances.numel() == 1 else variances.expand(seen.shape).flatten()
    B = torch.eye(len(seen), dtype=torch.float64) if mixing is None else mixing.to("cpu", torch.float64)
    places = seen.flatten().nonzero().squeeze(1)
    rank = seen.flatten().cumsum(0, dtype=torch.int32) - 1
    # Every row gets the same length, padded by zeros on the diagonal, so it has its place from the
    # start. The narrowest types: this is the largest thing that inference holds.
    size, width = len(places), neighbours + 1
    columns = torch.empty((size, width), dtype=torch.int32 if size * width < 2**31 else torch.int64)
    values = torch.empty((size, width), dtype=like.dtype)
    log_determinant = 0.0
    for own, near in predecessors(seen, neighbours, None if last is None else last.cpu()):
        weights, deviation = prediction(own, near, seen.shape, table, B, variances)
        log_determinant -= 2 * float(deviation.log().sum())
        row = rank[own]
        columns[row, 0] = row.to(columns)
        columns[row, 1:] = torch.where(near >= 0, rank[near], row[:, None]).to(columns)
        values[row, 0] = (1 / deviation).to(values)
        values[row, 1:] = (-weights / deviation).T.to(values)
    factor, transposed = _products(columns, values, like.device)
    return LocalInverse(places.to(like.device), factor, transposed, log_determinant)


def _products(columns: Tensor, values: Tensor, device: torch.device) -> tuple[Product, Product]:
    """``U v`` and ``U^T v``, from the columns and values of ``U^T``, (m, entries in each row)."""
    size, width = columns.shape
    starts = torch.arange(0, size * width + 1, width, dtype=columns.dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")
        transposed = torch.sparse_csr_tensor(
            starts, columns.flatten(), values.flatten(), (size, size), device=device, check_invariants=False
        )
        if device.type != "cpu":
            factor = transposed.t().to_sparse_csr()
            return factor.mv, transposed.mv
    # The same three arrays, read by columns.
    by_columns = csc_array(
        (transposed.values().numpy(), transposed.col_indices().numpy(), transposed.crow_indices().numpy()),
        shape=(size, size),
    )
    return lambda v: torch.from_numpy(by_columns @ v.numpy()), transposed.mv


def predecessors(seen: Tensor, count: int, last: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Observed entries level by level, (m,), and the nearest of their predecessors, (m, count), -1 for none.

    A pyramid of cells: each cell of side ``2^level`` is stood for by one of its entries, and an entry
    belongs to the last level at which it stands for a cell. Coarser levels come first. Another
    channel counts as one pixel away. Entries of `last` come after all levels.
    """
    shape = seen.shape
    # An axis of one pixel says nothing; the channel axis comes first.
    coupled = shape[0] > 1
    axes = [0] * coupled + [i for i in range(1, len(shape)) if shape[i] > 1] or [0]
    coordinates = _coordinates(shape, axes)
    # Within a level the order is random, but the same in every run.
    priority = torch.rand(seen.numel(), generator=torch.Generator().manual_seed(0))
    key = torch.zeros(seen.numel())
    levels: list[tuple[Tensor, Tensor]] = []
    cells = torch.arange(seen.numel(), dtype=torch.int32).reshape(shape).masked_fill_(~seen, -1)
    if last is not None:
        levels.append((cells, seen & last))
        cells = cells.masked_fill(last, -1)
        key[(seen & last).flatten()] = priority[(seen & last).flatten()]
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
    del priority
    yield first, torch.full((len(first), count), -1)
    reach = _window(shape, count)
    window = torch.tensor([o for o in product(*(range(-w, w + 1) for w in reach)) if any(o)]).reshape(
        -1, len(shape)
    )
    frame, chunk = torch.tensor(reach), max(1, CHUNK_NUMBERS // (count + 1) ** 2)
    while levels:
        cells, new = levels.pop()
        own = cells[new]
        if len(own) == 0:
            continue
        framed = torch.full(
            [n + 2 * w for n, w in zip(cells.shape, reach, strict=True)], -1, dtype=cells.dtype
        )
        framed[tuple(slice(w, w + n) for n, w in zip(cells.shape, reach, strict=True))] = cells
        strides = torch.tensor(framed.stride())
        around = (window * strides).sum(1)
        centres = new.flatten().nonzero().squeeze(1)
        for piece, centre in zip(torch.split(own, chunk), torch.split(centres, chunk), strict=True):
            at = torch.stack(unravelled(centre, cells.shape), 1)
            near = framed.view(-1)[((at + frame) * strides).sum(1)[:, None] + around]
            lags = coordinates[near] - coordinates[piece][:, None]
            if coupled:
                lags[..., 0].clamp_(-1, 1)
            distance = lags.float().square_().sum(-1)
            distance[(near < 0) | (key[near] <= key[piece][:, None])] = torch.inf
            nearest = distance.topk(min(count, len(window)), dim=1, largest=False, sorted=False)
            chosen = near.gather(1, nearest.indices).masked_fill(nearest.values.isinf(), -1)
            yield piece, pad(chosen, (0, count - chosen.shape[1]), value=-1)


def _coordinates(shape: torch.Size, axes: list[int]) -> Tensor:
    """Where each entry lies on those axes, (entries, len(axes)), in the narrowest type."""
    narrow = torch.int16 if max(shape) < 2**15 else torch.int32
    found = torch.empty((*shape, len(axes)), dtype=narrow)
    for i, axis in enumerate(axes):
        along = torch.arange(shape[axis], dtype=narrow)
        found[..., i] = along.reshape(-1, *[1] * (len(shape) - 1 - axis))
    return found.flatten(0, -2)


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


def unravelled(places: Tensor, shape: Sequence[int]) -> list[Tensor]:
    """Coordinates on each axis: ``torch.unravel_index`` without the second that its first call takes."""
    found = []
    for n in reversed(shape):
        found.append(places % n if n > 1 else torch.zeros_like(places))
        places = places.div(n, rounding_mode="floor") if n > 1 else places
    return found[::-1]


def prediction(
    own: Tensor, near: Tensor, shape: Sequence[int], table: Tensor, mixing: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Weights (k, m) that predict each entry from its neighbours, and the deviation (m,) that is left.

    A Cholesky factorisation of all the small covariances at once: the entries are the last axis, so
    every step is one long vector operation. `shape` is (G, *grid); the table holds the lags that occur;
    `noise` is one number, or one for each entry.
    """
    points = torch.cat((near.T, own[None]))
    valid = points >= 0
    points = points.clamp(min=0)
    channel, *axes = unravelled(points, shape)
    noise = noise[points] if len(noise) > 1 else noise.expand(points.shape)
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
        L[i, i] = torch.where(valid[i], L[i, i] + noise[i], 1)
    for j in range(k + 1):
        if j:
            L[j:, j] -= (L[j:, :j] * L[j, :j]).sum(1)
        # What the others cannot tell about an entry is its noise at least.
        L[j, j] = L[j, j].maximum(noise[j]).clamp(min=eps * float(flat[0])).sqrt()
        L[j + 1 :, j] /= L[j, j]
    weights = L[k, :k].clone()
    for j in reversed(range(k)):
        weights[j] -= (L[j + 1 : k, j] * weights[j + 1 :]).sum(0)
        weights[j] /= L[j, j]
    return weights, L[k, k]
