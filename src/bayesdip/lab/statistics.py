"""From rows over several seeds to an interval, and from intervals to a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.results import Row

SUPPORTED, REFUTED, NOT_DECIDED = "supported", "refuted", "not decided"
LEVEL = 0.95
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its confidence interval by Student's t."""

    mean: float
    low: float
    high: float
    seeds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Interval:
        """The 95% interval of the mean of independent values; endless for fewer than two."""
        from scipy.stats import t

        numbers = [float(v) for v in values]
        n = len(numbers)
        if n == 0 or not all(math.isfinite(v) for v in numbers):
            return cls(math.nan, -math.inf, math.inf, n)
        mean = sum(numbers) / n
        if n == 1:
            return cls(mean, -math.inf, math.inf, 1)
        spread = math.sqrt(sum((v - mean) ** 2 for v in numbers) / (n - 1) / n)
        reach = float(t.ppf(0.5 + LEVEL / 2, n - 1)) * spread
        return cls(mean, mean - reach, mean + reach, n)

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Condition:
    """What a claim asks of one measured number.

    Attributes
    ----------
    what : str
        The number, with its unit.
    interval : Interval
    least, most : float or None
        The bounds within which the claim holds.
    """

    what: str
    interval: Interval
    least: float | None = None
    most: float | None = None

    @property
    def verdict(self) -> str:
        """Supported where the whole interval is within the bounds, refuted where all of it is beyond one."""
        i, low, high = self.interval, self._least, self._most
        if i.seeds < FEWEST_SEEDS or not math.isfinite(i.mean):
            return NOT_DECIDED
        if i.low >= low and i.high <= high:
            return SUPPORTED
        return REFUTED if i.high < low or i.low > high else NOT_DECIDED

    @property
    def asked(self) -> str:
        bounds = (("at least", self.least), ("at most", self.most))
        return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    @property
    def _least(self) -> float:
        return -math.inf if self.least is None else self.least

    @property
    def _most(self) -> float:
        return math.inf if self.most is None else self.most


def falls_to(line: Sequence[float], value: float) -> float:
    """Where a falling curve over 0, 1, 2, ... reaches the value, linear in between; its length if nowhere."""
    for place, (a, b) in enumerate(pairwise(line)):
        if b <= value:
            return place + (a - value) / max(a - b, 1e-12)
    return float(len(line))


def verdict(conditions: Sequence[Condition]) -> str:
    """A claim holds if all of its conditions do; it fails with any of them."""
    found = {condition.verdict for condition in conditions}
    if REFUTED in found:
        return REFUTED
    return SUPPORTED if found == {SUPPORTED} else NOT_DECIDED


def by_seed(rows: Sequence[Row], column: str, where: Mapping[str, Any]) -> dict[int, float]:
    """The column's mean for each seed, over all rows with these values."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if all(row.get(k) == v for k, v in where.items()) and row.get(column) is not None:
            found.setdefault(int(row["seed"]), []).append(float(row[column]))
    return {seed: sum(values) / len(values) for seed, values in found.items()}


def level(rows: Sequence[Row], column: str, **where: Any) -> Interval:
    """The column's mean over seeds."""
    return Interval.of(by_seed(rows, column, where).values())


def difference(rows: Sequence[Row], column: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Interval:
    """How much larger the column is where ``a`` holds than where ``b`` does, seed by seed."""
    left, right = by_seed(rows, column, a), by_seed(rows, column, b)
    return Interval.of(left[seed] - right[seed] for seed in sorted(left.keys() & right.keys()))
