"""Values of tiles that overlap, blended so that one goes over into the next without a seam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.tile_processing.plan import Region

Array = NDArray[Any]


@dataclass(frozen=True)
class Piece:
    """What was restored of a region.

    Attributes
    ----------
    core : Region
        The pieces' cores lie side by side.
    reach : Region
        Where its values are: as far beyond the core as others reach into it, on each side where there is another.
    values : dict
        By ``"output"`` and ``"std"``, in the array's order of axes.
    empty : ndarray of bool or None
        Where nothing is known, so that the values are as they were; None where that is nowhere.
    """

    core: Region
    reach: Region
    values: dict[str, Array]
    empty: NDArray[np.bool_] | None = None

    def weight(self, region: Region) -> NDArray[np.float64]:
        """Of its values in a part of its reach: those of all pieces sum to one in every place."""
        found = np.ones([1] * len(region))
        for place, (part, core, reach) in enumerate(zip(region, self.core, self.reach, strict=True)):
            at = np.arange(part.start, part.stop) + 0.5
            line = np.ones(at.shape)
            if reach.start < core.start:
                line *= smooth_step((at - reach.start) / (2 * (core.start - reach.start)))
            if reach.stop > core.stop:
                line *= smooth_step((reach.stop - at) / (2 * (reach.stop - core.stop)))
            found = found * np.expand_dims(line, [k for k in range(len(region)) if k != place])
        return found


def smooth_step(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """``t^2 (3 - 2 t)``, level at both ends: from 0 at t = 0 to 1 at t = 1, and half way as far from both."""
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def blended(pieces: Iterable[Piece]) -> dict[str, Array]:
    """The values of the first piece's core, where other pieces reach into it blended with theirs.

    Means of values, and of standard deviations: of two estimates whose errors may be the same, the mean has at most the mean of
    their standard deviations. Where all pieces agree, their value comes back to the bit. Where the first knows nothing, its
    values stay; where others know nothing, they do not count.

    Parameters
    ----------
    pieces : iterable of Piece
        All that reach into the first one's core. One is in memory at a time.

    Returns
    -------
    dict of ndarray
        By role, of the first piece's types; whole numbers are rounded.
    """
    coming = iter(pieces)
    first = next(coming)
    region = first.core
    own = {role: cut(values, first.reach, region) for role, values in first.values.items()}
    total = np.array(first.weight(region))
    change = {role: np.zeros(values.shape) for role, values in own.items()}
    for piece in coming:
        common = tuple(
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(region, piece.reach, strict=True)
        )
        if any(s.start >= s.stop for s in common):
            continue
        weight = piece.weight(common)
        if piece.empty is not None:
            weight = np.where(cut(piece.empty, piece.reach, common), 0.0, weight)
        cut(total, region, common)[...] += weight
        for role, values in own.items():
            theirs = cut(piece.values[role], piece.reach, common).astype(np.float64)
            added = weight * (theirs - cut(values, region, common))
            cut(change[role], region, common)[...] += np.where(weight > 0, added, 0.0)
    found = {}
    for role, values in own.items():
        changed = change[role] != 0
        if first.empty is not None:
            changed &= ~cut(first.empty, first.reach, region)
        found[role] = np.where(changed, as_type(values + change[role] / total, values.dtype), values)
    return found


def cut(values: Array, region: Region, part: Region) -> Array:
    """A part of the values of a region: a view of them."""
    return values[
        tuple(slice(p.start - r.start, p.stop - r.start) for p, r in zip(part, region, strict=True))
    ]


def joined(parts: Sequence[tuple[Region, Array]], region: Region) -> Array:
    """Parts of a region in their places."""
    whole = np.empty([s.stop - s.start for s in region], np.result_type(*(values for _, values in parts)))
    for core, values in parts:
        cut(whole, region, core)[...] = values
    return whole


def as_type(values: Array, dtype: np.dtype[Any]) -> Array:
    """Rounded and clipped where the type is one of whole numbers."""
    if dtype.kind in "ui" and values.dtype != dtype:
        info = np.iinfo(dtype)
        whole = np.clip(np.rint(np.nan_to_num(values)), info.min, info.max)
        return np.asarray(whole.astype(dtype))
    return np.asarray(values.astype(dtype, copy=False))
