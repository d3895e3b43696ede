"""Passes of the compiled group filters over a stack of slices or frames: patches of several slices, searched across.

The filters see pictures. A stack is one whose slices lie below each other, and a patch that reaches over several slices holds the same
place in each of them as channels: channel k of slice z is slice ``z + k``. What the filters add up for it goes back to where it
is from. So that a pass needs little memory, each stripe takes with it only the slices that it is searched in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.interruption import look
from bayesdip.patches.patch_grid import evenly_spaced
from bayesdip.threads import in_order
from bayesdip.window import box_sum

if TYPE_CHECKING:
    from bayesdip.patches.group_passes import Groups, StripeFilter, Sums

Array = NDArray[Any]


@dataclass(frozen=True)
class Stripe:
    """Some rows of reference patches in one slice, and the part of the stack around them.

    Attributes
    ----------
    slices, rows : slice
        Where patches are searched.
    top : int
        The slice of the reference patches, counted from the first one that is searched.
    tops : array of int
        Their rows, counted likewise.
    """

    slices: slice
    rows: slice
    top: int
    tops: Array

    @property
    def height(self) -> int:
        """Rows of each slice."""
        return int(self.rows.stop - self.rows.start)


def stripes(shape: tuple[int, ...], groups: Groups, rows: list[tuple[slice, Array]]) -> Iterator[Stripe]:
    """All stripes of a stack (C, Z, H, W), slice by slice.

    Parameters
    ----------
    shape : tuple of int
    groups : Groups
    rows : list of (slice, array)
        Those of each slice, and the rows of reference patches in them.
    """
    last = shape[1] - groups.depth
    for z in evenly_spaced(last, max(1, groups.depth - 1)).tolist():
        first = max(0, z - groups.across)
        slices = slice(first, min(last, z + groups.across) + 1)
        for part, own in rows:
            yield Stripe(slices, part, z - first, own - part.start)


def passed(
    arrays: list[Array],
    noise: Tensor,
    groups: Groups,
    of_stripe: StripeFilter,
    stop: Callable[[float], bool],
    basis: Array | None,
    rows: list[tuple[slice, Array]],
    sums: Sums,
) -> Sums | None:
    """All stripes of a stack by threads of their own.

    Parameters
    ----------
    arrays : list of array, shape (C, Z, H, W)
    noise : Tensor, shape (Z, H, W)
    groups : Groups
        Its patches fit in the stack.
    of_stripe, stop, basis
        As for the passes over a picture.
    rows : list of (slice, array)
        As :func:`stripes` takes them.
    sums : Sums
        Zeros; they are returned.

    Returns
    -------
    Sums or None
        None if `stop` ended the pass.
    """
    side, depth, shape = groups.side, groups.depth, arrays[0].shape
    means = box_sum(noise, (depth, side, side)) / (depth * side**2)
    of_patches = pad(means, (0, side - 1, 0, side - 1)).numpy().astype(arrays[0].dtype)
    lefts = evenly_spaced(shape[3] - side, groups.step).numpy()

    def run(one: Stripe) -> Sums:
        here = slice(one.slices.start, one.slices.stop + depth - 1)
        parts = [array[:, here, one.rows] for array in arrays]
        if basis is not None:
            parts = [np.tensordot(basis.T, part, 1) for part in parts]
        below = [_below_each_other(part, depth) for part in parts]
        planes = np.zeros((len(sums.weights), *below[0].shape[1:]), below[0].dtype)
        own = type(sums)(np.zeros_like(below[0]), planes, np.zeros_like(planes), None)
        search = (one.height, groups.radius, groups.across, groups.lag)
        variance = of_patches[one.slices, one.rows].ravel()
        of_stripe(below, variance, search, one.tops + one.top * one.height, lefts, own)
        return own

    tasks = list(stripes(shape, groups, rows))
    done = in_order(partial(run, one) for one in tasks)
    for number, (one, found) in enumerate(zip(tasks, done, strict=True), 1):
        _add(sums, one, found, depth)
        look()
        if stop(number / len(tasks)):
            return None
    return sums


def _below_each_other(part: Array, depth: int) -> Array:
    """From (C, Z, H, W) to (C depth, (Z - depth + 1) H, W)."""
    channels, slices, height, width = part.shape
    count = slices - depth + 1
    shifted = np.stack([part[:, k : k + count] for k in range(depth)], 1)
    return np.ascontiguousarray(shifted.reshape(channels * depth, count * height, width))


def _add(sums: Sums, one: Stripe, found: Sums, depth: int) -> None:
    """Add what a stripe's patches have in each of their slices to that slice."""
    count = one.slices.stop - one.slices.start
    shape = (count, one.height, found.total.shape[-1])
    total = found.total.reshape(-1, depth, *shape)
    planes = found.variance.reshape(-1, *shape), found.weights.reshape(-1, *shape)
    for k in range(depth):
        place = (slice(None), slice(one.slices.start + k, one.slices.stop + k), one.rows)
        sums.total[place] += total[:, k]
        sums.variance[place] += planes[0]
        sums.weights[place] += planes[1]
