"""From rows over several seeds and pictures to an interval, and from intervals to a verdict."""

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


class Unit(NamedTuple):
    """What values are compared within: one seed on one picture, "" where a claim has no pictures."""

    seed: int
    picture: str


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and pictures with its confidence interval by Student's t."""

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
        half_width = float(t.ppf(0.5 + LEVEL / 2, n - 1)) * math.sqrt(_variance_of_mean(numbers))
        return cls(mean, mean - half_width, mean + half_width, n)

    @classmethod
    def of_units(cls, values: Mapping[Unit, float]) -> Interval:
        """The 95% interval of the mean over seeds and pictures, both taken for samples of many.

        The variance is the sum of that of a mean over seeds (of each seed's mean over the pictures) and of a mean over
        pictures (of each picture's mean over the seeds). What varies from value to value is in both, so that intervals
        are a little long; the degrees of freedom are Welch and Satterthwaite's. With one picture it is :meth:`of`.
        """
        by_seeds, by_pictures = (
            list(_means(values, part).values()) for part in (lambda u: u.seed, lambda u: u.picture)
        )
        over_seeds = cls.of(by_seeds)
        if len(by_pictures) < 2 or not math.isfinite(over_seeds.high):
            return over_seeds
        from scipy.stats import t

        parts = [_variance_of_mean(numbers) for numbers in (by_seeds, by_pictures)]
        variance, counts = sum(parts), (len(by_seeds), len(by_pictures))
        if variance == 0:
            return over_seeds
        freedom = variance**2 / sum(part**2 / (n - 1) for part, n in zip(parts, counts, strict=True))
        half_width = float(t.ppf(0.5 + LEVEL / 2, freedom)) * math.sqrt(variance)
        return cls(over_seeds.mean, over_seeds.mean - half_width, over_seeds.mean + half_width, len(by_seeds))

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
    """As a value: compare the rows with the first value to those with the second, within each seed and picture."""

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
    return _means(by_unit(rows, column, **values), lambda unit: unit.seed)


def by_unit(rows: Sequence[Row], column: str, **values: Any) -> dict[Unit, float]:
    """The column's mean for each seed and picture, over all rows with these values."""
    found: dict[Unit, list[float]] = {}
    for row in where(rows, **values):
        if row.get(column) is not None:
            unit = Unit(int(row["seed"]), str(row.get("picture", "")))
            found.setdefault(unit, []).append(float(row[column]))
    return {unit: sum(numbers) / len(numbers) for unit, numbers in found.items()}


def _variance_of_mean(numbers: Sequence[float]) -> float:
    mean, n = sum(numbers) / len(numbers), len(numbers)
    return sum((v - mean) ** 2 for v in numbers) / (n - 1) / n


def _means(values: Mapping[Unit, float], part: Callable[[Unit], Any]) -> dict[Any, float]:
    """The mean of the values for each seed, or for each picture."""
    found: dict[Any, list[float]] = {}
    for unit, value in values.items():
        found.setdefault(part(unit), []).append(value)
    return {key: sum(numbers) / len(numbers) for key, numbers in found.items()}


def paired(combine: Callable[..., float], *columns: Mapping[Unit, Any]) -> Interval:
    """Mean of a number that is computed within each seed and picture; those that a column lacks are left out."""
    units = sorted(set.intersection(*(set(column) for column in columns)))
    return Interval.of_units({unit: combine(*(column[unit] for column in columns)) for unit in units})


def level(rows: Sequence[Row], column: str, **values: Any) -> Interval:
    """The column's mean over seeds and pictures.

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
            return paired(value.compare, *(by_unit(rows, column, **side) for side in sides))
    return Interval.of_units(by_unit(rows, column, **values))


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
