"""Channels that are known on regular lattices, as a colour filter array knows them: the cells that repeat, as a smaller picture.

Such a picture has no two neighbours of one channel, and nothing that looks at windows sees its noise. Every place of the cell
by itself is a smaller picture that is known all over, with the same noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Sides of cells that are looked for: Bayer's has 2, X-Trans' 6.
SIDES = range(2, 7)
# Of a place in the cell that is known, so much is known at least; the others are missing by themselves.
KNOWN = 0.75
# Cells are looked for in a corner of so many pixels a side, a multiple of every side, before all is looked at.
CORNER = 360
# The fewest cells along an axis.
FEWEST = 4


@dataclass(frozen=True)
class Cells:
    """The cell that repeats.

    Attributes
    ----------
    side : int
        In pixels, along every axis.
    places : tuple of (int, tuple of int)
        Channel, and place in the cell, of what is known.
    shape : tuple of int
        Of what is seen, (C, *grid).
    """

    side: int
    places: tuple[tuple[int, tuple[int, ...]], ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, seen: Tensor) -> Cells | None:
        """The smallest cell of what is seen, (C, *grid); None if no place is never known, or there is no cell."""
        if bool(seen.all()):
            return None
        corner = seen[(slice(None), *[slice(0, CORNER)] * (seen.ndim - 1))]
        for side in SIDES:
            if _places(corner, side) is not None:
                places = _places(seen, side)
                if places is not None:
                    return cls(side, places, tuple(seen.shape))
        return None

    def packed(self, values: Tensor) -> Tensor:
        """Values (C, *grid) as (places, *grid // side)."""
        return torch.stack([values[self._at(channel, place)] for channel, place in self.places])

    def _at(self, channel: int, place: tuple[int, ...]) -> tuple[int | slice, ...]:
        whole = (n // self.side * self.side for n in self.shape[1:])
        return (channel, *(slice(at, stop, self.side) for at, stop in zip(place, whole, strict=True)))

    def by_channel(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Root mean square of the places' levels in each channel, 0 where nothing is known."""
        channels = np.array([channel for channel, _ in self.places])
        squares = np.bincount(channels, np.square(levels), minlength=self.shape[0])
        found: NDArray[np.float64] = np.sqrt(
            squares / np.maximum(np.bincount(channels, minlength=self.shape[0]), 1)
        )
        return found

    def unpacked(self, flags: Tensor) -> Tensor:
        """Flags of the packed picture at their places in the picture itself, False elsewhere."""
        found = torch.zeros(self.shape, dtype=torch.bool)
        for (channel, place), there in zip(self.places, flags, strict=True):
            found[self._at(channel, place)] = there
        return found


def _places(seen: Tensor, side: int) -> tuple[tuple[int, tuple[int, ...]], ...] | None:
    if min(seen.shape[1:]) < FEWEST * side:
        return None
    found, never = [], False
    for channel, plane in enumerate(seen):
        for place in product(range(side), repeat=plane.ndim):
            share = float(plane[tuple(slice(at, None, side) for at in place)].double().mean())
            if 0 < share < KNOWN:
                return None
            never |= share == 0
            if share:
                found.append((channel, place))
    return tuple(found) if found and never else None
