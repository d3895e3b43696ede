"""The Vecchia factor: a sparse Cholesky factor of the inverse covariance of scattered pixels.

Pixels are ordered from coarse to fine, and each is predicted from its conditioning set alone: the
nearest of the pixels before it. This gives the sparse Cholesky factor of the inverse covariance that is
closest to it in Kullback-Leibler divergence (Vecchia, J. R. Stat. Soc. B 50, 1988; Schaefer, Katzfuss and
Owhadi, SIAM J. Sci. Comput. 43, 2021). Far pixels matter little once near ones are known, whatever the mask.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import torch
from scipy.sparse import csc_array
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.interruption import look
from bayesdip.threads import in_order, workers

# Entries of the small covariances that are factorised at a time: about what a processor's cache holds, and for a
# small picture not much more than it has pixels. They change the time and the memory alone.
MOST_ENTRIES, LEAST_ENTRIES = 2**18, 2**15

Product = Callable[[Tensor], Tensor]
"""A sparse matrix times a vector, (m,) to (m,)."""


@dataclass(frozen=True)
class VecchiaFactor:
    """U, upper triangular, with ``U U^T`` about the inverse of a covariance of n entries.

    Attributes
    ----------
    places : Tensor of int, shape (m,)
        The observed ones of the n entries.
    product, transposed_product : callable
        ``U v`` and ``U^T v`` over the observed entries alone.
    """

    places: Tensor
    product: Product
    transposed_product: Product

    def without(self, last: Tensor) -> VecchiaFactor:
        """The factor for the data without those entries, (n,) of bool, that came last when it was made."""
        keep = ~last.flatten()[self.places]
        return replace(self, transposed_product=lambda v: self.transposed_product(v) * keep)

    def solve(self, r: Tensor) -> Tensor:
        """``U U^T r``, about the inverse covariance times each row: (R, n) to (R, n), zero where nothing is observed."""
        return self._over_observed(r, lambda v: self.product(self.transposed_product(v)))

    def _over_observed(self, v: Tensor, through: Product) -> Tensor:
        out = torch.zeros_like(v)
        for row, result in zip(v, out, strict=True):
            # Added to zeros: index_add_ takes places of 32 bits as they are.
            result.index_add_(0, self.places, through(row.index_select(0, self.places)))
        return out


def vecchia_factor(
    seen: Tensor,
    table: Tensor,
    noise: Tensor,
    set_size: int,
    like: Tensor,
    coregionalisation: Tensor | None = None,
    last: Tensor | None = None,
) -> VecchiaFactor:
    """The Vecchia factor of the inverse of ``B x K + N`` over the observed entries (x: Kronecker product).

    Parameters
    ----------
    seen : Tensor of bool, shape (G, *grid)
        G channels that depend on each other.
    table : Tensor, float64, shape (*grid)
        K at the lags 0, 1, ... of each axis.
    noise : Tensor, shape broadcastable to (G, *grid)
        Noise variance.
    set_size : int
        Entries of a conditioning set.
    like : Tensor
        Gives the factor's dtype and device.
    coregionalisation : Tensor, shape (G, G), optional
        B, the covariance between the channels; without it they are independent.
    last : Tensor of bool, shape of `seen`, optional
        Entries that are in no conditioning set; see `VecchiaFactor.without`.

    Returns
    -------
    VecchiaFactor
    """
    seen, table = seen.cpu(), table.cpu()
    variances = noise.to("cpu", torch.float64)
    variances = variances.flatten() if variances.numel() == 1 else variances.expand(seen.shape).flatten()
    B = (
        torch.eye(len(seen), dtype=torch.float64)
        if coregionalisation is None
        else coregionalisation.to("cpu", torch.float64)
    )
    places = observed_places(seen)
    # Every row gets the same length, padded by zeros on the diagonal, so it has its place from the
    # start. The narrowest types: this is the largest thing that inference holds.
    size, width = len(places) - 1, set_size + 1
    columns = torch.empty((size, width), dtype=torch.int32 if size * width < 2**31 else torch.int64)
    values = torch.empty((size, width), dtype=like.dtype)

    def predicted(own: Tensor, near: Tensor) -> tuple[Tensor, ...]:
        at = places.index_select(0, near.flatten()).view(near.shape)
        weights, deviation = prediction(places.index_select(0, own), at, seen.shape, table, B, variances)
        return own, near, weights, deviation

    # Threads that share these small operations wait for each other, beside a busy core ten times as long.
    sets = conditioning_sets(seen, set_size, None if last is None else last.cpu())
    for own, near, weights, deviation in in_order(partial(predicted, own, near) for own, near in sets):
        row, to = own[:, None], own.long()
        columns.index_copy_(0, to, torch.cat((row, torch.where(near < size, near, row)), 1).to(columns))
        weights.div_(deviation).neg_()
        values.index_copy_(0, to, torch.cat((1 / deviation[:, None], weights.T), 1).to(values))
    product_, transposed_product = _products(columns, values, like.device)
    return VecchiaFactor(places[:-1].to(like.device), product_, transposed_product)


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
    # The same three arrays, read column by column, are the transpose.
    by_columns = csc_array(
        (transposed.values().numpy(), transposed.col_indices().numpy(), transposed.crow_indices().numpy()),
        shape=(size, size),
    )
    return lambda v: torch.from_numpy(by_columns @ v.numpy()), transposed.mv


def observed_places(seen: Tensor) -> Tensor:
    """Where the observed entries are, (m + 1,), in the narrowest type; the last is -1, for none."""
    places = seen.flatten().nonzero().squeeze(1)
    return pad(places.to(_narrow(seen.numel())), (0, 1), value=-1)


def _narrow(count: int) -> torch.dtype:
    return torch.int32 if count < 2**31 else torch.int64


def conditioning_sets(
    seen: Tensor, count: int, last: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Observed entries level by level, (n,), and the conditioning set of each, (n, count): the nearest before it.

    The order is that of a pyramid of cells: each cell of side ``2^level`` is represented by one of its entries, and an
    entry belongs to the last level at which it represents a cell. Coarser levels come first.

    Parameters
    ----------
    seen : Tensor of bool, shape (G, *grid)
        Where an entry is observed. Another channel counts as one pixel away.
    count : int
        Entries of a conditioning set.
    last : Tensor of bool, shape (G, *grid), optional
        Entries that come after all levels.

    Yields
    ------
    own, near : Tensor of int, shape (n,) and (n, count)
        By their number among the m observed entries, in the order of the flattened grid; m is none.
    """
    shape = seen.shape
    # An axis of one pixel has no distances; the channel axis comes first.
    coupled = shape[0] > 1
    axes = [0] * coupled + [i for i in range(1, len(shape)) if shape[i] > 1] or [0]
    places = observed_places(seen)
    none = len(places) - 1
    coordinates = _coordinates(places, shape, axes)
    # Within a level the order is random, but the same in every run.
    drawn = torch.rand(seen.numel(), generator=torch.Generator().manual_seed(0))
    priority = pad(drawn.index_select(0, places[:-1]), (0, 1), value=-1)
    del places, drawn
    cells = seen.flatten().cumsum(0, dtype=_narrow(seen.numel())).sub_(1).reshape(shape)
    cells.masked_fill_(~seen, none)
    reach = _window(shape, count)
    key = torch.full((none + 1,), -1.0)
    levels: list[_Level] = []
    if last is not None:
        levels.append(_Level.of(cells, (seen & last).flatten(), reach, none))
        cells = cells.masked_fill(last, none)
        key[levels[0].own.long()] = priority[levels[0].own.long()]
    while cells.numel() > 1:
        look()
        coarser = _coarsened(cells, priority, none)
        stays = torch.zeros(none + 1, dtype=torch.bool)
        stays[none] = True
        stays[coarser.flatten().long()] = True
        level = _Level.of(cells, ~stays.index_select(0, cells.flatten()), reach, none)
        key[level.own.long()] = len(levels) + priority.index_select(0, level.own)
        levels.append(level)
        cells = coarser
        del level, coarser, stays
    first = cells[cells < none].flatten()
    key[first.long()] = len(levels) + 1.0
    del priority, cells
    yield first, first.new_full((len(first), count), none)
    window = torch.tensor([o for o in product(*(range(-w, w + 1) for w in reach)) if any(o)]).reshape(
        -1, len(shape)
    )
    at_once = min(MOST_ENTRIES, max(LEAST_ENTRIES, seen.numel() // 2)) // workers()
    chunk = max(1, at_once // (count + 1) ** 2)
    while levels:
        level = levels.pop()
        around = (window * torch.tensor(level.framed.stride())).sum(1).to(level.centres)
        for own, centre in zip(torch.split(level.own, chunk), torch.split(level.centres, chunk), strict=True):
            look()
            near = level.framed.view(-1).index_select(0, (centre[:, None] + around).flatten())
            distance = torch.zeros((len(own), len(window)))
            for i, along in enumerate(coordinates):
                lag = along.index_select(0, near).view(distance.shape) - along.index_select(0, own)[:, None]
                lag = lag.clamp_(-1, 1) if coupled and i == 0 else lag.float()
                distance.addcmul_(lag, lag)
            later = key.index_select(0, near).view(distance.shape) <= key.index_select(0, own)[:, None]
            distance.masked_fill_(later, torch.inf)
            nearest = distance.topk(min(count, len(window)), dim=1, largest=False, sorted=False)
            chosen = near.view(distance.shape).gather(1, nearest.indices)
            chosen.masked_fill_(nearest.values.isinf(), none)
            yield own, pad(chosen, (0, count - chosen.shape[1]), value=none)


@dataclass(frozen=True)
class _Level:
    """A level of the pyramid: the entries that belong to it, and the candidates for their conditioning sets.

    Attributes
    ----------
    framed : Tensor of int, shape (G, *cells) and a frame
        The entry that represents each cell.
    own, centres : Tensor of int, shape (n,)
        The entries that belong to the level, and where in `framed` they lie.
    """

    framed: Tensor
    own: Tensor
    centres: Tensor

    @classmethod
    def of(cls, cells: Tensor, mine: Tensor, reach: Sequence[int], none: int) -> _Level:
        """`mine`, of bool and flat, says which of the cells belong to the level."""
        frame = [width for w in reversed(reach) for width in (w, w)]
        framed = pad(cells, frame, value=none)
        places = mine.nonzero().squeeze(1)
        at = unravelled(places, cells.shape)
        centres = torch.zeros_like(places)
        for along, w, stride in zip(at, reach, framed.stride(), strict=True):
            centres += (along + w) * stride
        return cls(framed, cells.flatten().index_select(0, places), centres.to(_narrow(framed.numel())))


def _coordinates(places: Tensor, shape: torch.Size, axes: list[int]) -> list[Tensor]:
    """Where each of the places lies on each of those axes, in the narrowest type."""
    narrow = torch.int16 if max(shape) < 2**15 else torch.int32
    at = unravelled(places.clamp(min=0), shape)
    return [at[axis].to(narrow) for axis in axes]


def _window(shape: torch.Size, count: int) -> tuple[int, ...]:
    """Cells to each side in which a conditioning set is looked for.

    A window of twice as many cells as are needed: about half of them come later in the order.
    """
    axes = max(1, sum(n > 1 for n in shape[1:]))
    reach = max(1, math.ceil(((2 * count) ** (1 / axes) - 1) / 2))
    return (shape[0] - 1, *(min(reach, n - 1) for n in shape[1:]))


def _coarsened(cells: Tensor, priority: Tensor, none: int) -> Tensor:
    """One pixel for each 2 x ... x 2 block of cells: the one of highest priority."""
    for axis in range(cells.ndim):
        if cells.shape[axis] == 1:
            continue
        if cells.shape[axis] % 2:
            edge = torch.full_like(cells.narrow(axis, 0, 1), none)
            cells = torch.cat((cells, edge), axis)
        pairs = cells.reshape(*cells.shape[:axis], -1, 2, *cells.shape[axis + 1 :])
        first, second = pairs.select(axis + 1, 0), pairs.select(axis + 1, 1)
        ahead, behind = (priority.index_select(0, half.flatten()) for half in (first, second))
        cells = torch.where((behind > ahead).view(first.shape), second, first)
    return cells


def unravelled(places: Tensor, shape: Sequence[int]) -> list[Tensor]:
    """Coordinates on each axis: ``torch.unravel_index`` without the second that its first call takes."""
    found = []
    for n in reversed(shape):
        found.append(places % n if n > 1 else torch.zeros_like(places))
        places = places.div(n, rounding_mode="floor") if n > 1 else places
    return found[::-1]


def prediction(
    own: Tensor, near: Tensor, shape: Sequence[int], table: Tensor, coregionalisation: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Weights (k, m) that predict each of m entries from its conditioning set, and the deviation (m,) that is left.

    A Cholesky factorisation of all the small covariances at once: the entries are the last axis, so
    every step is one long vector operation.

    Parameters
    ----------
    own, near : Tensor of int, shape (m,) and (m, k)
        The entries and their conditioning sets, as places in (G, *grid); -1 is none.
    shape : sequence of int
        (G, *grid).
    table : Tensor, shape (*lags)
        K at the lags 0, 1, ... of each axis. What lies beyond counts as its edge.
    coregionalisation : Tensor, shape (G, G)
        The covariance between channels.
    noise : Tensor, shape (1,) or (G * pixels,)
        Its variance.

    Returns
    -------
    weights : Tensor, shape (k, m)
    deviation : Tensor, shape (m,)
    """
    points = torch.cat((near.T, own[None]))
    valid = points >= 0
    points.clamp_(min=0)
    channel, *axes = unravelled(points, shape)
    k = near.shape[1]
    lags = torch.zeros((k + 1, k + 1, len(own)), dtype=torch.int32)
    for along, n, stride in zip(axes, table.shape, table.stride(), strict=True):
        if n > 1:
            along = along.int()
            lag = (along[:, None] - along).abs_().clamp_(max=n - 1)
            lags.add_(lag, alpha=stride)
            del lag
    L = table.flatten().index_select(0, lags.flatten()).view(lags.shape)
    del lags
    if len(coregionalisation) > 1:
        L *= coregionalisation[channel[:, None], channel]
    noise = noise[points] if len(noise) > 1 else noise.expand(points.shape)
    variance = L.diagonal(dim1=0, dim2=1).T
    variance += noise
    if not bool(valid.all()):
        # Entries that do not exist are independent of everything.
        L *= valid[:, None] & valid
        variance.masked_fill_(~valid, 1)
    least = torch.finfo(torch.float64).eps * float(table.flatten()[0])
    for j in range(k + 1):
        # The variance given all others is at least the noise's.
        L[j, j] = L[j, j].maximum(noise[j]).clamp_(min=least).sqrt_()
        L[j + 1 :, j] /= L[j, j]
        if j < k:
            below = L[j + 1 :, j]
            L[j + 1 :, j + 1 :].addcmul_(below[:, None], below, value=-1)
    weights = L[k, :k].clone()
    for j in reversed(range(k)):
        weights[j] /= L[j, j]
        weights[:j].addcmul_(L[j, :j], weights[j], value=-1)
    return weights, L[k, k]
