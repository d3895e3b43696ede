"""Where the choices come from that make a random problem: a seeded generator, or a library that looks for failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class Choices(Protocol):
    """What a problem is made with."""

    def one_of(self, options: Sequence[T]) -> T:
        """One of several things."""

    def whole(self, low: int, high: int) -> int:
        """A whole number of `low` to `high`, both included."""

    def number(self, low: float, high: float) -> float:
        """A number between."""


class Seeded:
    """Choices by NumPy's generator: the same seed makes the same problem."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def one_of(self, options: Sequence[Any]) -> Any:
        return options[int(self._rng.integers(len(options)))]

    def whole(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high + 1))

    def number(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))


def arrays(choices: Choices) -> np.random.Generator:
    """A generator for the values of arrays, of which nobody chooses each."""
    return np.random.default_rng(choices.whole(0, 2**32 - 1))
