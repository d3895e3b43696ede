"""Pictures, signals and volumes without noise, values in 0..1, and the units in which they are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.sweep.choices import Choices, arrays

Array = NDArray[Any]

SHAPES = ("signal", "picture", "odd picture", "thin picture", "colour", "channels first", "volume")
PHOTOGRAPHS = ("camera", "coins", "moon", "brick", "grass", "page", "cell")
# Type, least and largest value of the truth; integers leave room for the noise.
UNITS = (
    ("uint8", 30.0, 225.0),
    ("uint8", 10.0, 120.0),
    ("uint16", 1000.0, 40000.0),
    ("uint16", 300.0, 700.0),
    ("int16", -1000.0, 3000.0),
    ("float32", 0.0, 1.0),
    ("float32", -300.0, 900.0),
    ("float64", 0.0, 1.0),
    ("float64", 1e-6, 2e-6),
    ("float64", -1e6, 4e6),
)


@dataclass(frozen=True)
class Units:
    """A type and the range of the truth in it."""

    dtype: str
    low: float
    high: float

    @property
    def span(self) -> float:
        return self.high - self.low

    def of(self, unit: Array) -> Array:
        """Values of 0..1 in these units, float64 and not rounded."""
        return self.low + self.span * unit

    def stored(self, values: Array) -> Array:
        """As that type: integers are rounded and clipped to its range."""
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            return values.astype(dtype)
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


@dataclass(frozen=True)
class Truth:
    """A truth in 0..1, with its channel axis, and a word for its shape and its looks."""

    unit: Array
    channel_axis: int | None
    words: str

    @property
    def grid(self) -> tuple[int, ...]:
        shape = list(self.unit.shape)
        if self.channel_axis is not None:
            del shape[self.channel_axis]
        return tuple(shape)

    @property
    def last(self) -> Array:
        """With its channels last, of which a gray one has one."""
        return (
            self.unit[..., None]
            if self.channel_axis is None
            else np.moveaxis(self.unit, self.channel_axis, -1)
        )

    def like(self, last: Array) -> Array:
        """Back from channels that stand last."""
        return last[..., 0] if self.channel_axis is None else np.moveaxis(last, -1, self.channel_axis)


def random_units(choices: Choices) -> Units:
    """One of `UNITS`."""
    return Units(*choices.one_of(UNITS))


def random_truth(choices: Choices, shapes: tuple[str, ...] = SHAPES) -> Truth:
    """Of one of these shapes: smooth, with edges, textured, or a part of a photograph."""
    shape = choices.one_of(shapes)
    side = choices.whole
    grid: tuple[int, ...]
    if shape == "signal":
        grid = (side(64, 256),)
    elif shape == "odd picture":
        grid = (2 * side(10, 24) + 1, 2 * side(10, 24) + 1)
    elif shape == "thin picture":
        grid = (side(3, 8), side(40, 64))
    elif shape == "volume":
        grid = (side(5, 9), side(10, 16), side(10, 16))
    else:
        grid = (side(24, 56), side(24, 56))
    channels = 3 if shape == "colour" else 2 if shape == "channels first" else 1
    looks = choices.one_of(
        ("smooth", "edges", "texture", "photograph") if len(grid) == 2 else ("smooth", "edges")
    )
    values = (
        _photograph(choices, grid, channels)
        if looks == "photograph"
        else _made(choices, looks, grid, channels)
    )
    axis = {"colour": -1, "channels first": 0}.get(shape)
    truth = Truth(_in_unit_range(values), -1, f"{looks} {shape} {'x'.join(map(str, grid))}")
    return Truth(truth.unit[..., 0] if axis is None else np.moveaxis(truth.unit, -1, axis), axis, truth.words)


def _made(choices: Choices, looks: str, grid: tuple[int, ...], channels: int) -> Array:
    rng = arrays(choices)
    wide = choices.number(3.0, 6.0) if len(grid) < 3 else choices.number(1.5, 2.5)
    # Channels of one picture look alike.
    common = _smooth(rng, grid, wide)
    values = np.stack([common + 0.3 * _smooth(rng, grid, wide) for _ in range(channels)], axis=-1)
    if looks == "edges":
        steps = np.sign(_smooth(rng, grid, wide))[..., None]
        values = values + choices.number(0.5, 2.0) * steps
    if looks == "texture":
        values = values + choices.number(0.2, 0.6) * _smooth(rng, grid, 1.0)[..., None]
    return values


def _smooth(rng: np.random.Generator, grid: tuple[int, ...], width: float) -> Array:
    field = gaussian_filter(rng.normal(size=grid), width, mode="nearest")
    return (field - field.mean()) / max(float(field.std()), 1e-12)


def _photograph(choices: Choices, grid: tuple[int, ...], channels: int) -> Array:
    from skimage import data

    if channels == 3:
        whole = getattr(data, choices.one_of(("astronaut", "chelsea", "coffee")))()
    else:
        whole = getattr(data, choices.one_of(PHOTOGRAPHS))()[..., None]
    top, left = (choices.whole(0, n - m) for n, m in zip(whole.shape, grid, strict=False))
    part = whole[top : top + grid[0], left : left + grid[1]].astype(np.float64)
    part = part + 1e-3 * arrays(choices).normal(size=part.shape)  # a part may be of one value
    return part if part.shape[-1] == channels else np.concatenate([part, part[::-1]], axis=-1)


def _in_unit_range(values: Array) -> Array:
    low = values.min()
    return (values - low) / max(float(values.max() - low), 1e-12)
