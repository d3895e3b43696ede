"""Rows of a benchmark, saved as they come in a JSON file from which a later run continues; targets; figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bayesdip.errors import BayesDipError
from bayesdip.io import atomic_write
from bayesdip.lab import results as lab
from bayesdip.lab.results import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Target:
    """A figure and the bounds that it should keep."""

    what: str
    measured: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        too_small = self.least is not None and self.measured < self.least
        too_large = self.most is not None and self.measured > self.most
        return not (too_small or too_large or self.measured != self.measured)

    @property
    def asked(self) -> str:
        bounds = (("at least", self.least), ("at most", self.most))
        return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    def __str__(self) -> str:
        return f"{'met   ' if self.met else 'missed'}  {self.what}: {self.measured:.4g} ({self.asked})"

    def to_dict(self) -> Row:
        return {"what": self.what, "measured": self.measured, "asked": self.asked, "met": self.met}


@dataclass
class Results(lab.Results):
    """Rows of one benchmark, with what they were measured with.

    Attributes
    ----------
    interrupted : callable
        Whether the benchmark shall end.
    """

    interrupted: Callable[[], bool] = field(default=lambda: False, compare=False)

    def __post_init__(self) -> None:
        if torch.cuda.is_available():
            self.environment.setdefault("gpu", torch.cuda.get_device_name())

    @classmethod
    def read(cls, file: Path) -> Results:
        """What an earlier run saved.

        Raises
        ------
        BayesDipError
            The file holds no results.
        """
        try:
            saved = json.loads(file.read_text(encoding="utf-8"))
            found = {name: saved[name] for name in ("name", "options", "rows", "summary", "environment")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BayesDipError(
                f"{file} holds no results: expected JSON of an earlier run; name another file"
            ) from error
        return cls(**found)

    def add(self, row: Row, *, quiet: bool = False) -> None:
        """Save a row, and only then log it: what was logged is in the file.

        Raises
        ------
        KeyboardInterrupt
            The benchmark was interrupted: the row may be that of a run that was ended early, and is left out.
        """
        if self.interrupted():
            raise KeyboardInterrupt
        self.rows.append(row)
        self.save()
        if not quiet:
            self.log(one_line(row))

    def part(self, name: str) -> list[Row]:
        """The rows of one part of the benchmark."""
        return of_part(self.rows, name)

    def mean(self, column: str) -> float:
        """Over the rows that have it."""
        values = [float(row[column]) for row in self.rows if row.get(column) is not None]
        return sum(values) / len(values)

    def conclude(self, targets: Sequence[Target] = (), /, **facts: Any) -> None:
        """Save and log averages and the like, and which targets are met."""
        if targets:
            facts |= {"met": sum(t.met for t in targets), "missed": sum(not t.met for t in targets)}
            facts["checks"] = [target.to_dict() for target in targets]
        self.summary = facts
        self.save()
        for target in targets:
            self.log(str(target))
        self.log(one_line(facts))

    def draw(self, figure: Callable[[list[Row]], Figure], suffix: str = "") -> None:
        """Save a figure of the rows as SVG beside the JSON file; the same rows give the same bytes."""
        if self.file is None or not self.rows:
            return
        import matplotlib

        path = self.file.with_name(f"{self.file.stem}{suffix}.svg")
        style = {"svg.hashsalt": "bayesdip", "svg.fonttype": "none"}
        with atomic_write(path, force=True) as temporary, matplotlib.rc_context(style):
            figure(self.rows).savefig(temporary, format="svg", metadata={"Date": None})
        self.log(f"figure: {path}")

    def lines(self) -> list[str]:
        """For people: what it is, each row, and the summary."""
        head = f"{self.name}  {one_line(self.options)}  ({self.environment.get('date', 'no date')})"
        checks = self.summary.get("checks", [])
        targets = [
            f"{'met   ' if c['met'] else 'missed'}  {c['what']}: {c['measured']:.4g} ({c['asked']})"
            for c in checks
        ]
        return [head, *map(one_line, self.rows), *targets, one_line(self.summary)]


def of_part(rows: list[Row], part: str) -> list[Row]:
    """The rows of one part of a benchmark."""
    return [row for row in rows if row.get("part") == part]


def one_line(row: Row) -> str:
    """Its short values; tables and curves are for the file."""
    short = {k: v for k, v in row.items() if not isinstance(v, list | dict) or len(str(v)) < 60}
    return "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in short.items())
