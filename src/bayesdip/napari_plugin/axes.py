"""Which axes of a layer are the picture's grid, which are channels, and which are restored one index after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from bayesdip.errors import BayesDipError

# As image files and their readers name rows and columns, and depth.
ROWS, COLUMNS, DEPTH = "y", "x", "z"
Index = tuple[int, ...]


@dataclass(frozen=True)
class Axes:
    """The axes of a layer's data, by their numbers.

    Attributes
    ----------
    names : tuple of str
        As the layer has them, without the axis of an RGB layer's colours.
    shape : tuple of int
        Of these axes.
    grid : tuple of int
        Restored together: rows and columns, and depth in a volume.
    channel : int or None
        Restored together, without being neighbours.
    is_rgb : bool
        Whether colours stand on one more axis, the last.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    grid: tuple[int, ...]
    channel: int | None
    is_rgb: bool

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        shape: Sequence[int],
        *,
        is_rgb: bool = False,
        volume: bool = False,
        channel: str | None = None,
    ) -> Axes:
        """From what a layer says, and what is wanted of it.

        Parameters
        ----------
        names : sequence of str
            napari's own are ``"axis -1"`` and so on; then rows and columns are the last two.
        shape : sequence of int
            Without the colours of an RGB layer.
        is_rgb : bool
        volume : bool
            Whether depth belongs to the grid: the axis called z, or the one before rows and columns.
        channel : str, optional
            Name of the axis of channels that are restored together.

        Raises
        ------
        BayesDipError
            There is no depth, or no such axis, or the layer has colours already.
        """
        known = [name.lower() for name in names]
        rows, columns = (
            (known.index(ROWS), known.index(COLUMNS))
            if ROWS in known and COLUMNS in known
            else (len(known) - 2, len(known) - 1)
        )
        others = [axis for axis in range(len(known)) if axis not in (rows, columns)]
        picked = None
        if channel is not None:
            if is_rgb or channel not in names or names.index(channel) not in others:
                raise BayesDipError(
                    f"channels are to lie on the axis {channel!r}: expected an axis of the layer that is neither rows nor columns, "
                    "and no RGB layer; choose none"
                )
            picked = names.index(channel)
            others.remove(picked)
        grid = [rows, columns]
        if volume:
            if not others:
                raise BayesDipError(
                    f"the layer has the axes {', '.join(names)}: expected an axis of depth for a volume; leave it off"
                )
            grid.append(known.index(DEPTH) if DEPTH in known and known.index(DEPTH) in others else others[-1])
        return cls(tuple(names), tuple(shape), tuple(sorted(grid)), picked, is_rgb)

    @property
    def independent(self) -> tuple[int, ...]:
        """The axes each index of which is restored by itself."""
        together = (*self.grid, self.channel)
        return tuple(axis for axis in range(len(self.shape)) if axis not in together)

    @property
    def channel_axis(self) -> int | None:
        """Where channels stand in the array of one index."""
        if self.is_rgb:
            return -1
        if self.channel is None:
            return None
        return sum(axis < self.channel for axis in (*self.grid, self.channel))

    def indices(self, shown: Sequence[int] | None = None) -> list[Index]:
        """What is restored one after the other: indices on the independent axes.

        Parameters
        ----------
        shown : sequence of int, optional
            One index on every axis: only that.
        """
        ranges = [
            range(self.shape[axis]) if shown is None else (min(max(shown[axis], 0), self.shape[axis] - 1),)
            for axis in self.independent
        ]
        return list(product(*ranges))

    def place(self, index: Index) -> tuple[int | slice, ...]:
        """Where one index lies in the layer's array."""
        found: list[int | slice] = [slice(None)] * len(self.shape)
        for axis, number in zip(self.independent, index, strict=True):
            found[axis] = number
        return tuple(found)

    def enlarged(self, factor: int) -> Axes:
        """The axes of a picture whose grid has that many times as many pixels on every axis."""
        shape = [size * factor if axis in self.grid else size for axis, size in enumerate(self.shape)]
        return Axes(self.names, tuple(shape), self.grid, self.channel, self.is_rgb)

    def only(self, index: Index) -> Axes:
        """The axes of that index alone, kept with one element each."""
        shape = [1 if axis in self.independent else size for axis, size in enumerate(self.shape)]
        return Axes(self.names, tuple(shape), self.grid, self.channel, self.is_rgb)

    @property
    def pixels(self) -> int:
        """Values of one colour."""
        return prod(self.shape)

    def said(self, index: Index) -> Iterator[str]:
        """One index in words, axis by axis."""
        for axis, number in zip(self.independent, index, strict=True):
            yield f"{self.names[axis]} {number}"
