"""Rows of a benchmark, saved as they come in a JSON file from which a later run continues; targets; figures."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesdip.errors import BayesDipError
from bayesdip.io import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
PACKAGES = ("bayesdip", "torch", "numpy", "scipy", "scikit-image")


def environment() -> dict[str, Any]:
    """Facts about this machine and what runs on it, as plain JSON values; no names of hosts or users."""
    import psutil
    import torch

    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_at_start": round(psutil.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }
    return facts | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # where there is none, as on macOS, platform knows the model
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


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
class Results:
    """Rows of one benchmark, with what they were measured with.

    Attributes
    ----------
    name : str
    options : dict
        What the caller varied or fixed; saved rows are reused only under the same ones.
    file : Path or None
        Written after every row; None saves nothing.
    log : callable
        Called with one line of text for every new row.
    rows : list of dict
    summary : dict
        What was computed from the rows.
    environment : dict
        Of the run that began the file.
    """

    name: str
    options: dict[str, Any]
    file: Path | None = None
    log: Callable[[str], None] = field(default=lambda line: None, compare=False)
    rows: list[Row] = field(default_factory=list)
    summary: Row = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=environment)

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

    def load(self) -> None:
        """Take over the rows that an earlier run left in the file, if there is one.

        Raises
        ------
        BayesDipError
            The file holds something else.
        """
        if self.file is None or not self.file.exists():
            return
        saved = self.read(self.file)
        if (saved.name, saved.options) != (self.name, json.loads(json.dumps(self.options))):
            raise BayesDipError(
                f"{self.file} holds {saved.name} with other options: expected {self.options}; name another file"
            )
        self.rows, self.environment = saved.rows, saved.environment

    def has(self, **key: Any) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(k) == v for k, v in key.items()) for row in self.rows)

    def add(self, row: Row, *, quiet: bool = False) -> None:
        """Save a row, and only then log it: what was logged is in the file."""
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

    def conclude(self, targets: Sequence[Target] = (), **facts: Any) -> None:
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

    def save(self) -> None:
        """Write the file, all of it or nothing."""
        if self.file is not None:
            facts = {
                name: getattr(self, name) for name in ("name", "options", "environment", "summary", "rows")
            }
            with atomic_write(self.file, force=True) as temporary:
                temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

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
