"""Where a picture is damaged: parts of it around its missing pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.tiling import Tile, cut

Bools = NDArray[np.bool_]
Places = NDArray[np.int64]

# Side in pixels of the cells by which missing pixels are grouped, those that hang together and fit in a cell as one; and of a
# part of several groups at most, which bounds its memory. A missing pixel costs as much as some 160 known ones do in a part.
CELL, LARGEST_PART = 256, 576
# Holes, which have pixels farther from known ones than this, are not cut either.
HOLE = 4.0
# What a part has around its missing pixels: as far as similar patches are searched for, and the patches themselves. Around holes
# as much again as they are wide, up to the second number: regions of their shape are held out beside them.
MARGIN, HOLE_MARGIN = 32, 128
# A picture is restored as a whole where its parts would have more than this share of its pixels together, unless it is larger
# than a part may be; and where more than that share of it is missing, unless its memory has to be bounded.
MOST, FEW, LARGEST = 0.8, 0.4, 2048**2


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
    if missing.mean() > FEW and missing.size <= LARGEST:
        return []
    groups = merged(_groups(missing))
    if sum(group.area for group in groups) > MOST * missing.size and max(missing.shape) <= LARGEST_PART:
        return []
    return [group.part() for group in sorted(groups, key=lambda group: tuple(group.low))]


@dataclass(frozen=True)
class Group:
    """Missing pixels that are restored together.

    Attributes
    ----------
    places : ndarray of int, shape (n, 2)
    low, high : ndarray of int, shape (2,)
        The box that holds them and what is needed around.
    """

    places: Places
    low: Places
    high: Places

    @property
    def box(self) -> Tile:
        """As slices."""
        return tuple(slice(int(a), int(b)) for a, b in zip(self.low, self.high, strict=True))

    @property
    def area(self) -> int:
        """Pixels of the box."""
        return int((self.high - self.low).prod())

    def part(self) -> Part:
        """With a mask of its own pixels."""
        own = torch.zeros(tuple((self.high - self.low).tolist()), dtype=torch.bool)
        row, column = torch.from_numpy(self.places - self.low).T
        own[row, column] = True
        return Part(self.box, own)


def merged(groups: list[Group]) -> list[Group]:
    """The groups, two of them as one where one box around both is no larger than a part may be, and has no more pixels than theirs."""
    left, done = list(groups), []
    while left:
        one = left.pop()
        lows = np.array([one.low, *(other.low for other in left)])
        highs = np.array([one.high, *(other.high for other in left)])
        low, high = np.minimum(lows, one.low), np.maximum(highs, one.high)
        cheaper = (high - low).prod(1) <= (highs - lows).prod(1) + one.area
        cheaper &= (high - low).max(1) <= LARGEST_PART
        cheaper[0] = False
        if not cheaper.any():
            done.append(one)
            continue
        number = int(np.flatnonzero(cheaper)[-1])
        places = np.concatenate([one.places, left[number - 1].places])
        left[number - 1] = Group(places, low[number], high[number])
    return done


def _groups(missing: Bools) -> list[Group]:
    """Missing pixels by the cell that they are in, or that has the middle of those that hang together."""
    from scipy.ndimage import find_objects, label

    if not missing.any():
        return []
    number, _ = label(missing, np.ones((3, 3), dtype=int))
    places = np.argwhere(missing)
    of = number[missing] - 1
    found = find_objects(number)
    boxes = np.array([[(s.start, s.stop) for s in box] for box in found])  # (count, 2, 2)
    sides = (boxes[..., 1] - boxes[..., 0]).max(1)
    holes = np.array([_is_hole(number, n, box) for n, box in enumerate(found, 1)])
    together = holes | (sides <= CELL)
    cells = np.where(together[of, None], boxes.mean(2).astype(int)[of], places) // CELL
    key = cells[:, 0] * (1 + missing.shape[1] // CELL) + cells[:, 1]
    order = np.argsort(key, kind="stable")
    ends = np.flatnonzero(np.diff(key[order])) + 1
    wide = np.where(holes, np.clip(sides, MARGIN, HOLE_MARGIN), MARGIN)
    return [_around(places[own], int(wide[of[own]].max()), missing.shape) for own in np.split(order, ends)]


def _is_hole(number: NDArray[Any], own: int, box: Tile) -> bool:
    """Whether missing pixels that hang together have one farther than `HOLE` from known ones: all of these are next to their box."""
    from scipy.ndimage import distance_transform_edt

    if min(s.stop - s.start for s in box) <= HOLE:
        return False
    around = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    here = number[around]
    if (here != 0).all():
        return True  # nothing is known
    return bool((distance_transform_edt(here != 0)[here == own] > HOLE).any())


def _around(places: Places, margin: int, grid: tuple[int, ...]) -> Group:
    """A group with that margin, within the picture."""
    return Group(places, np.maximum(places.min(0) - margin, 0), np.minimum(places.max(0) + margin + 1, grid))
