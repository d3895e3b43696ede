"""What an array on the disk says of itself: axes by name, the sizes of its pixels, the names of its channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bayesdip.errors import BayesDipError

# Time, channel, depth, row, column, and the samples of a colour pixel: the letters of OME and of TIFF's readers.
NAMES = "tczyxs"
#: The axes of a picture, in OME's order.
SPACE = "zyx"
# Units by the name that OME-Zarr gives them (UDUNITS-2), with OME-XML's sign, and in metres or seconds.
UNITS: Mapping[str, tuple[str, float]] = {
    "micrometer": ("µm", 1e-6),
    "nanometer": ("nm", 1e-9),
    "picometer": ("pm", 1e-12),
    "angstrom": ("Å", 1e-10),
    "millimeter": ("mm", 1e-3),
    "centimeter": ("cm", 1e-2),
    "meter": ("m", 1.0),
    "kilometer": ("km", 1e3),
    "inch": ("in", 0.0254),
    "nanosecond": ("ns", 1e-9),
    "microsecond": ("µs", 1e-6),
    "millisecond": ("ms", 1e-3),
    "second": ("s", 1.0),
    "minute": ("min", 60.0),
    "hour": ("h", 3600.0),
    "day": ("d", 86400.0),
}
# Other spellings: ImageJ's, and the micro sign's twin.
_SPELLINGS = {
    **{sign: name for name, (sign, _) in UNITS.items()},
    **dict.fromkeys(("um", "μm", "micron", "microns", "\\u00b5m", "micrometre"), "micrometer"),
    **{"sec": "second", "us": "microsecond", "cm": "centimeter", "inches": "inch"},
}


def unit_name(text: str) -> str:
    """OME-Zarr's name of a unit; what is not known stays as it is."""
    word = text.strip()
    return _SPELLINGS.get(word, _SPELLINGS.get(word.lower(), word if word != "pixel" else ""))


def unit_sign(name: str) -> str:
    """OME-XML's sign of a unit."""
    return UNITS[name][0] if name in UNITS else name


@dataclass(frozen=True)
class Axis:
    """One axis of an array.

    Attributes
    ----------
    name : str
        One of ``t c z y x s``.
    length : int
    step : float or None
        From one index to the next, in `unit`; None where it is not known.
    unit : str
        By its name in OME-Zarr, such as ``micrometer``; empty where it is not known.
    start : float
        Where index 0 lies, in `unit`.
    """

    name: str
    length: int
    step: float | None = None
    unit: str = ""
    start: float = 0.0

    def coarser(self, factor: int) -> Axis:
        """The axis of the averages of so many neighbours each; the last may be of fewer."""
        step = self.step or 1.0
        return replace(
            self,
            length=-(-self.length // factor),
            step=None if self.step is None else self.step * factor,
            start=self.start + (factor - 1) / 2 * step,
        )


@dataclass(frozen=True, eq=False)
class Description:
    """What is known of an array besides its values.

    Attributes
    ----------
    axes : tuple of Axis
        In the array's order.
    dtype : numpy.dtype
    kind : str
        The format: ``"OME-Zarr 0.4"``, ``"OME-Zarr 0.5"``, ``"Zarr 2"``, ``"Zarr 3"``, ``"OME-TIFF"``, ``"ImageJ"``,
        ``"TIFF"`` or ``"array"``.
    channel_names : tuple of str
        One for each index along ``c``; empty where they have none.
    name : str
        Of the picture.
    extra : dict
        What only the same format can hold: how channels are shown, attributes, tags.
    """

    axes: tuple[Axis, ...]
    dtype: np.dtype[Any]
    kind: str = "array"
    channel_names: tuple[str, ...] = ()
    name: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> str:
        """The axes' letters, such as ``"czyx"``."""
        return "".join(axis.name for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.length for axis in self.axes)

    @property
    def nbytes(self) -> int:
        count = 1
        for n in self.shape:
            count *= n
        return count * self.dtype.itemsize

    def in_order(self, names: str) -> Description:
        """With its axes in another order."""
        return replace(self, axes=tuple(self.axes[self.names.index(name)] for name in names))

    def coarser(self, factor: int) -> Description:
        """Of averages over squares of so many rows and columns."""
        return replace(self, axes=tuple(a.coarser(factor) if a.name in "yx" else a for a in self.axes))


def named_axes(
    shape: Sequence[int], names: str | None, found: Sequence[str] | None, what: str
) -> tuple[Axis, ...]:
    """Axes of an array by the names that were given, else by those that it says; one and two axes need none.

    Raises
    ------
    BayesDipError
        There are no names, or not as many as axes, or one is not known or there twice.
    """
    if names is None and found is None and len(shape) <= 2:
        found = "yx"[-len(shape) :]
    letters = list(names.lower()) if names is not None else [one.lower() for one in found or ()]
    wanted = "one letter for each, of t (time), c (channel), z, y, x and s (samples of a colour)"
    size = " x ".join(map(str, shape))
    if not letters:
        raise BayesDipError(
            f"{what}: the {len(shape)} axes of {size} have no names; {wanted} is expected: give axes=, on the command line "
            "--axes, such as zyx"
        )
    if len(letters) != len(shape) or len(set(letters)) < len(letters) or not set(letters) <= set(NAMES):
        raise BayesDipError(
            f"{what}: axes are {''.join(letters)!r} for {len(shape)} axes of {size}; {wanted} is expected: give axes= (--axes)"
        )
    if "x" not in letters:
        raise BayesDipError(
            f"{what}: axes are {''.join(letters)!r}, without x; y and x, or x of a signal, are expected: give axes= (--axes)"
        )
    return tuple(Axis(name, int(n)) for name, n in zip(letters, shape, strict=True))
