"""What is restored together and what by itself: roles of axes, and the tiles of an array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError
from bayesdip.io.stored import Axis, Description

Array = NDArray[Any]
Region = tuple[slice, ...]
# By the number of axes that are searched across: sides of tiles, and how far a tile looks beyond its core. A patch is searched
# for 24 pixels away, in several stages; how far the rest of the picture is felt beyond that shows in tests/test_tiled.py.
SIDES = {1: 2**16, 2: 1024, 3: 96}
MARGINS = {1: 512, 2: 48, 3: 16}
# Networks keep some 8 kB for a value of the picture, eight times what patches and processes do.
NETWORK_SIDES = {1: 2**14, 2: 512, 3: 64}
LEAST_SIDE = 32
# Tiles that meet are blended over this share of the margin on each side of their border. The outermost pixels of what a tile
# sees are restored least well.
BLENDED = 2 / 3
# A rest of the picture that is smaller than this share of a tile joins the tile before it.
SMALL_REST = 0.25


@dataclass(frozen=True)
class Roles:
    """What the axes of an array are, by their letters.

    Attributes
    ----------
    across : str
        Axes of the pictures' grid, one to three, in the order z y x or t y x: similar patches are searched across them.
    channels : str
        The axis of channels that are restored together; empty where there is none.
    independent : str
        Each index along these is restored by itself.
    """

    across: str
    channels: str
    independent: str


def roles_of(description: Description, across: str | None = None, channels: str | None = None) -> Roles:
    """Roles of the axes: rows and columns are searched across, colours restored together, unless it is said otherwise.

    Parameters
    ----------
    description : Description
    across : str, optional
        Letters of one to three axes, such as ``"zyx"`` for volumes.
    channels : str, optional
        The letter of the axis of channels that are restored together; ``""`` for none.

    Raises
    ------
    BayesDipError
        There is no such axis, an axis has two roles, or there are too many.
    """
    names = description.names
    across = "".join(n for n in names if n in "yx") if across is None else across.lower()
    channels = ("s" if "s" in names and "s" not in across else "") if channels is None else channels.lower()
    for option, letters, most in (("across", across, 3), ("channels", channels, 1)):
        strange = [letter for letter in letters if letter not in names]
        if strange or len(set(letters)) < len(letters) or len(letters) > most:
            raise BayesDipError(
                f"{option} is {letters!r}, and the axes are {names!r}: expected {'one' if most == 1 else 'one to three'} of "
                f"these letters; give {option}= (on the command line --{option}), or other names with axes= (--axes)"
            )
    if "x" not in across or set(channels) & set(across):
        raise BayesDipError(
            f"across is {across!r} and channels {channels!r}: expected x among the first, and none of them in the second; "
            "give across= and channels= (--across, --channels)"
        )
    order = "".join(sorted(across, key="tczyxs".index))
    return Roles(order, channels, "".join(n for n in names if n not in across + channels))


@dataclass(frozen=True)
class Tile:
    """A part of an array that is restored at once.

    Attributes
    ----------
    number : int
        Its place in the order of all tiles, whoever restores it: seeds come from it.
    group : int
        Of the tiles that share their noise and calibration: the index along an independent axis of channels.
    core : tuple of slice
        What it is restored for; it sees more.
    """

    number: int
    group: int
    core: Region

    @property
    def name(self) -> str:
        """By which the journal knows it."""
        return "tile " + ",".join(f"{s.start}:{s.stop}" for s in self.core)


@dataclass(frozen=True)
class Plan:
    """How an array is cut.

    Attributes
    ----------
    description : Description
    roles : Roles
    side, margin : int
        Of the cores, along the axes that are searched across, and of what is seen around them.
    """

    description: Description
    roles: Roles
    side: int
    margin: int

    @property
    def chunk(self) -> dict[str, int]:
        """Sides of the blocks by which results are stored: a tile writes whole ones alone."""
        half = self.side // 2 if self.side >= 512 and self.side % 2 == 0 else self.side
        sides = dict.fromkeys(self.roles.across, half)
        if self.roles.channels:
            sides[self.roles.channels] = self.description.shape[self.position(self.roles.channels)]
        return sides

    def position(self, name: str) -> int:
        return self.description.names.index(name)

    @property
    def groups(self) -> int:
        """How many noises and calibrations there are."""
        return self.description.shape[self.position("c")] if "c" in self.roles.independent else 1

    def group_of(self, region: Region) -> int:
        return region[self.position("c")].start if "c" in self.roles.independent else 0

    def count(self) -> int:
        """Of the tiles."""
        return prod(len(edges) for edges in self._edges())

    def most(self) -> int:
        """A bound on the number of tiles, which costs nothing to find however many there are."""
        sides = {name: self.side for name in self.roles.across}
        return prod(
            1 if axis.name in self.roles.channels else -(-axis.length // sides.get(axis.name, 1))
            for axis in self.description.axes
        )

    def tiles(self) -> Iterator[Tile]:
        """All tiles, in the array's order."""
        for number, core in enumerate(product(*self._edges())):
            yield Tile(number, self.group_of(core), core)

    def grown(self, region: Region, margin: int) -> Region:
        """The region with so much around it along the axes that are searched across."""
        return tuple(
            slice(max(0, s.start - margin), min(axis.length, s.stop + margin))
            if axis.name in self.roles.across
            else s
            for s, axis in zip(region, self.description.axes, strict=True)
        )

    def parts(self, region: Region, count: int) -> list[Region]:
        """The region cut into so many parts along each axis that is searched across."""
        cuts = []
        for s, axis in zip(region, self.description.axes, strict=True):
            edges = [s.start, s.stop]
            if axis.name in self.roles.across:
                edges = np.linspace(s.start, s.stop, count + 1).round().astype(int).tolist()
            cuts.append([slice(a, b) for a, b in pairwise(edges)])
        return list(product(*cuts))

    @cached_property
    def overlap(self) -> int:
        """How far on each side of a border the tiles that meet there are blended; their outermost values are not used."""
        across = [axis for axis in self.description.axes if axis.name in self.roles.across]
        last = [axis.length - (self._cores(axis) - 1) * self.side for axis in across]
        return overlap_of(self.margin, min(self.side, *last))

    def reach(self, core: Region) -> Region:
        """The core with the strips beyond it in which its tile is blended with others."""
        return self.grown(core, self.overlap)

    def inside(self, core: Region) -> Region:
        """The part of a core in which its tile stands alone."""
        reach = self.reach(core)
        return tuple(
            slice(2 * c.start - r.start, 2 * c.stop - r.stop) for c, r in zip(core, reach, strict=True)
        )

    def neighbours(self, core: Region) -> list[Region]:
        """The cores that meet this one, at a corner too, in the array's order."""
        near = []
        for s, axis in zip(core, self.description.axes, strict=True):
            if axis.name in self.roles.across:
                index = s.start // self.side
                near.append(
                    [self._core(axis, n) for n in range(max(0, index - 1), min(self._cores(axis), index + 2))]
                )
            else:
                near.append([s])
        return [found for found in product(*near) if found != core]

    def _edges(self) -> list[list[slice]]:
        found = []
        for axis in self.description.axes:
            if axis.name in self.roles.channels:
                found.append([slice(0, axis.length)])
            elif axis.name in self.roles.across:
                found.append([self._core(axis, n) for n in range(self._cores(axis))])
            else:
                found.append([slice(n, n + 1) for n in range(axis.length)])
        return found

    def _cores(self, axis: Axis) -> int:
        """How many there are along an axis that is searched across."""
        count = max(1, -(-axis.length // self.side))
        rest = axis.length - (count - 1) * self.side
        return count - 1 if count > 1 and rest < SMALL_REST * self.side else count

    def _core(self, axis: Axis, index: int) -> slice:
        start = index * self.side
        return slice(start, axis.length if index == self._cores(axis) - 1 else start + self.side)

    def cells(self, side: int, group: int, count: int, generator: np.random.Generator) -> Iterator[Region]:
        """Regions of that side along the axes that are searched across, drawn at random, no two of them alike."""
        axes = self.description.axes
        numbers = [
            -(-axis.length // side) if axis.name in self.roles.across
            else 1 if axis.name in self.roles.channels or (axis.name == "c" and self.groups > 1)
            else axis.length
            for axis in axes
        ]  # fmt: skip
        total = prod(numbers)
        drawn = generator.permutation(total) if total <= 4 * count else _distinct(generator, total, count)
        for flat in drawn[:count]:
            region = []
            for axis, place in zip(axes, np.unravel_index(int(flat), numbers), strict=True):
                if axis.name in self.roles.across:
                    start = max(0, min(int(place) * side, (axis.length - side) // 16 * 16))
                    region.append(slice(start, min(axis.length, start + side)))
                elif axis.name in self.roles.channels:
                    region.append(slice(0, axis.length))
                elif axis.name == "c" and self.groups > 1:
                    region.append(slice(group, group + 1))
                else:
                    region.append(slice(int(place), int(place) + 1))
            yield tuple(region)


def _distinct(generator: np.random.Generator, total: int, count: int) -> Array:
    """Numbers below `total`, each once, in the order in which they were drawn."""
    return np.asarray(list(dict.fromkeys(generator.integers(0, total, 4 * count).tolist())))


def overlap_of(margin: int, shortest: int) -> int:
    """How far tiles of that margin are blended, where the shortest core is so long that only two meet on a line."""
    return min(round(BLENDED * margin), shortest // 2)


def to_picture(values: Array, names: str, roles: Roles) -> Array:
    """A region of an array, which has one index along independent axes, as a picture: its grid, and channels last."""
    order = [names.index(name) for name in roles.independent + roles.across + roles.channels]
    return np.asarray(values.transpose(order)[(0,) * len(roles.independent)])


def from_picture(picture: Array, names: str, roles: Roles) -> Array:
    """What :func:`to_picture` made, with the array's axes in their order."""
    order = roles.independent + roles.across + roles.channels
    full = picture[(None,) * len(roles.independent)]
    return np.asarray(full.transpose([order.index(name) for name in names]))


def seed_of(seed: int, *numbers: int) -> int:
    """The seed of a tile, or of a sample; the chains of a network draw theirs from it."""
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1)[0] >> 1)
