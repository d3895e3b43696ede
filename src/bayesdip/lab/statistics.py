"""From rows over several seeds to an interval, and from intervals to a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import sub, truediv
from typing import Any, NamedTuple

from bayesdip.lab.results import Row

SUPPORTED, REFUTED, NOT_DECIDED = "supported", "refuted", "not decided"
LEVEL = 0.95  # of the confidence intervals
FEWEST_SEEDS = 3  # with two, Student's t is 12.7 standard errors wide


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its confidence interval by Student's t."""

    mean: float
    low: float
    high: float
    seeds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Interval:
        """The 95% interval of the mean of independent values; infinite for fewer than two."""
        from scipy.stats import t

        numbers = [float(v) for v in values]
        n = len(numbers)
        if n == 0 or not all(math.isfinite(v) for v in numbers):
            return cls(math.nan, -math.inf, math.inf, n)
        mean = sum(numbers) / n
        if n == 1:
            return cls(mean, -math.inf, math.inf, 1)
        standard_error = math.sqrt(sum((v - mean) ** 2 for v in numbers) / (n - 1) / n)
        half_width = float(t.ppf(0.5 + LEVEL / 2, n - 1)) * standard_error
        return cls(mean, mean - half_width, mean + half_width, n)

    @property
    def half_width(self) -> float:
        """Of the interval; 0 where it is infinite, as error bars need it."""
        return self.high - self.mean if math.isfinite(self.high) else 0.0

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Criterion:
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
        i = self.interval
        low = -math.inf if self.least is None else self.least
        high = math.inf if self.most is None else self.most
        if i.seeds < FEWEST_SEEDS or not math.isfinite(i.mean):
            return NOT_DECIDED
        if i.low >= low and i.high <= high:
            return SUPPORTED
        return REFUTED if i.high < low or i.low > high else NOT_DECIDED

    @property
    def asked(self) -> str:
        """The bounds in words."""
        bounds = (("at least", self.least), ("at most", self.most))
        return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    def __str__(self) -> str:
        return f"{self.what}: {self.interval} (asked: {self.asked}): {self.verdict}"


Rule = Callable[[Sequence[Row]], Criterion]


def verdict(criteria: Sequence[Criterion]) -> str:
    """A claim holds if all of its criteria do; it fails with any of them."""
    found = {criterion.verdict for criterion in criteria}
    if REFUTED in found:
        return REFUTED
    return SUPPORTED if found == {SUPPORTED} else NOT_DECIDED


LARGEST = object()  # as a value: the largest that the column holds


class Contrast(NamedTuple):
    """As a value: compare the rows with the first value to those with the second, seed by seed."""

    first: Any
    second: Any
    word: str
    compare: Callable[[float, float], float]


def above(first: Any, second: Any) -> Contrast:
    """How much larger the column is at the first value than at the second."""
    return Contrast(first, second, "above", sub)


def over(first: Any, second: Any) -> Contrast:
    """How many times as large the column is at the first value as at the second."""
    return Contrast(first, second, "over", truediv)


class Column(NamedTuple):
    """A measured number or curve: its name in the rows, and what it is, with its unit."""

    name: str
    label: str


def where(rows: Sequence[Row], **values: Any) -> list[Row]:
    """The rows with these values."""
    wanted = {
        name: max(row[name] for row in rows) if value is LARGEST else value for name, value in values.items()
    }
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def by_seed(rows: Sequence[Row], column: str, **values: Any) -> dict[int, float]:
    """The column's mean for each seed, over all rows with these values."""
    found: dict[int, list[float]] = {}
    for row in where(rows, **values):
        if row.get(column) is not None:
            found.setdefault(int(row["seed"]), []).append(float(row[column]))
    return {seed: sum(numbers) / len(numbers) for seed, numbers in found.items()}


def paired(combine: Callable[..., float], *columns: Mapping[int, Any]) -> Interval:
    """Mean over seeds of a number that is computed seed by seed; seeds that a column lacks are left out."""
    seeds = sorted(set.intersection(*(set(column) for column in columns)))
    return Interval.of(combine(*(column[seed] for column in columns)) for seed in seeds)


def level(rows: Sequence[Row], column: str, **values: Any) -> Interval:
    """The column's mean over seeds.

    Parameters
    ----------
    rows : sequence of dict
    column : str
    **values
        Only rows with these values count. One of them may be a :class:`Contrast`: then it is the mean of the
        difference or ratio.
    """
    for name, value in values.items():
        if isinstance(value, Contrast):
            sides = ({**values, name: value.first}, {**values, name: value.second})
            return paired(value.compare, *(by_seed(rows, column, **side) for side in sides))
    return Interval.of(by_seed(rows, column, **values).values())


def ask(column: Column, *, least: float | None = None, most: float | None = None, **values: Any) -> Rule:
    """The rule that the column's :func:`level` lies within the bounds."""

    def rule(rows: Sequence[Row]) -> Criterion:
        shown = where(rows, **{name: v for name, v in values.items() if v is LARGEST})[0]
        words = [f"{name} {_shown(shown[name] if v is LARGEST else v)}" for name, v in values.items()]
        return Criterion(", ".join([column.label, *words]), level(rows, column.name, **values), least, most)

    return rule


def _shown(value: Any) -> str:
    if isinstance(value, Contrast):
        return f"{_shown(value.first)} {value.word} {_shown(value.second)}"
    return repr(value) if "," in str(value) else str(value)
