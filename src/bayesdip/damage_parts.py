"""Where a picture is damaged: parts of it around its missing pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.tiling import Tile, cut

Bools = NDArray[np.bool_]
Places = NDArray[np.int64]

# Side in pixels of the cells by which missing pixels are grouped: it bounds the memory of a part. Those that hang together are
# not cut where they fit in half of a cell.
CELL = 512
# Nor are holes, which have pixels farther from known ones than this.
HOLE = 4.0
# What a part has around its missing pixels: as far as similar patches are searched for, and the patches themselves. Around holes
# as much again as they are wide, up to the second number: regions of their shape are held out beside them.
MARGIN, HOLE_MARGIN = 32, 128
# Parts that together have a larger share of the picture's pixels than this gain nothing over the whole, unless it has so many
# pixels that its memory has to be bounded.
MOST, LARGEST = 0.8, 2048**2


@dataclass(frozen=True)
class Part:
    """A part of a picture around missing pixels.

    Attributes
    ----------
    tile : Tile
        Its box.
    own : Tensor of bool, shape (*tile)
        The missing pixels that are restored in this part. Others may lie in it, which are in a part of their own.
    """

    tile: Tile
    own: Tensor

    @property
    def here(self) -> Tile:
        """The box in arrays (C, *grid)."""
        return (slice(None), *self.tile)

    def of(self, problem: Problem) -> Problem:
        """What was seen of it."""
        part = cut(problem, self.tile)
        gone = ~part.observed
        alike = bool((gone == gone[:1]).all())
        return replace(part, operator=Mask(gone[0] if alike else gone, tuple(self.own.shape)))

    def places(self, flat: Places, grid: tuple[int, ...]) -> Places:
        """Flat places on its grid as such on the picture's."""
        at = np.unravel_index(flat, tuple(self.own.shape))
        moved = tuple(a + s.start for a, s in zip(at, self.tile, strict=True))
        return np.asarray(np.ravel_multi_index(moved, grid), dtype=np.int64)


def damaged_parts(missing: Bools) -> list[Part]:
    """Parts of a picture that together hold each missing pixel once as their own.

    Parameters
    ----------
    missing : ndarray of bool, shape (H, W)

    Returns
    -------
    list of Part
        From the top to the bottom. Empty where nothing is missing, and where the whole picture is as cheap.
    """
    groups = merged(_groups(missing), missing.shape)
    boxes = [group.box(missing.shape) for group in groups]
    if sum(map(_area, boxes)) > MOST * missing.size and missing.size <= LARGEST:
        return []
    return [Part(box, group.mask(box)) for group, box in sorted(zip(groups, boxes, strict=True), key=_first)]


@dataclass(frozen=True)
class Group:
    """Missing pixels that are restored together: their places, (n, 2), and how much is needed around them."""

    places: Places
    margin: int

    def box(self, grid: tuple[int, ...]) -> Tile:
        """Around all of them."""
        low, high = self.places.min(0) - self.margin, self.places.max(0) + self.margin + 1
        return tuple(slice(max(0, int(a)), min(n, int(b))) for a, b, n in zip(low, high, grid, strict=True))

    def mask(self, box: Tile) -> Tensor:
        """Where they are in that box."""
        found = torch.zeros([s.stop - s.start for s in box], dtype=torch.bool)
        row, column = torch.from_numpy(self.places - [s.start for s in box]).T
        found[row, column] = True
        return found

    def with_(self, other: Group) -> Group:
        """Both."""
        return Group(np.concatenate([self.places, other.places]), max(self.margin, other.margin))


def merged(groups: list[Group], grid: tuple[int, ...]) -> list[Group]:
    """The groups, two of them as one where one box around both has no more pixels than their own, and is no larger than a cell and its margins."""
    left, done = list(groups), []
    while left:
        one = left.pop()
        found = None
        for number, other in enumerate(left):
            both = one.with_(other)
            box = both.box(grid)
            small = max(s.stop - s.start for s in box) <= CELL + 2 * MARGIN
            if small and _area(box) <= _area(one.box(grid)) + _area(other.box(grid)):
                found = number
                break
        if found is None:
            done.append(one)
        else:
            left[found] = both
    return done


def _groups(missing: Bools) -> list[Group]:
    """Missing pixels by the cell that they are in, or that has the middle of those that hang together."""
    from scipy.ndimage import distance_transform_edt, find_objects, label, maximum

    if not missing.any():
        return []
    number, count = label(missing, np.ones((3, 3), dtype=int))
    places = np.argwhere(missing)
    of = number[missing] - 1
    boxes = np.array([[(s.start, s.stop) for s in box] for box in find_objects(number)])  # (count, 2, 2)
    sides = (boxes[..., 1] - boxes[..., 0]).max(1)
    holes = np.asarray(maximum(distance_transform_edt(missing), number, np.arange(1, count + 1))) > HOLE
    together = holes | (sides <= CELL // 2)
    cells = np.where(together[of, None], boxes.mean(2).astype(int)[of], places) // CELL
    key = cells[:, 0] * (1 + missing.shape[1] // CELL) + cells[:, 1]
    order = np.argsort(key, kind="stable")
    ends = np.flatnonzero(np.diff(key[order])) + 1
    wide = np.where(holes, np.clip(sides, MARGIN, HOLE_MARGIN), MARGIN)
    return [Group(places[own], int(wide[of[own]].max())) for own in np.split(order, ends)]


def _area(box: Tile) -> int:
    return prod(s.stop - s.start for s in box)


def _first(pair: tuple[Group, Tile]) -> tuple[int, ...]:
    return tuple(s.start for s in pair[1])
