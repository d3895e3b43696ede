"""The result of a benchmark: rows that are kept as they come, in a JSON file that can be taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayesdip.errors import BayesDipError
from bayesdip.io import atomic_write
from benchmarks.environment import environment

Row = dict[str, Any]


@dataclass
class Results:
    """Rows of one benchmark, with what they were measured with.

    Attributes
    ----------
    name : str
    options : dict
        What was varied or fixed by the caller; rows are only taken up again under the same ones.
    file : Path or None
        Where the rows are kept; written after every row.
    tell : callable
        Called with one line of text for every new row.
    """

    name: str
    options: dict[str, Any]
    file: Path | None = None
    tell: Callable[[str], None] = lambda line: None
    rows: list[Row] = field(default_factory=list)
    summary: Row = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=environment)

    def take_up(self) -> None:
        """Read the rows that an earlier run of the same benchmark left in the file.

        Raises
        ------
        BayesDipError
            The file holds something else.
        """
        if self.file is None or not self.file.exists():
            return
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))
            same = (kept["name"], kept["options"]) == (self.name, json.loads(json.dumps(self.options)))
            rows = kept["rows"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BayesDipError(f"{self.file} is no result of a benchmark: name another file") from error
        if not same:
            raise BayesDipError(f"{self.file} holds {kept['name']} with other options: name another file")
        self.rows, self.environment = rows, kept["environment"]

    def has(self, **key: Any) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(k) == v for k, v in key.items()) for row in self.rows)

    def add(self, row: Row) -> None:
        """Keep a row, and only then tell it: what was told is in the file."""
        self.rows.append(row)
        self.save()
        self.tell("  ".join(f"{k} {_shown(v)}" for k, v in row.items() if _is_short(v)))

    def conclude(self, **facts: Any) -> None:
        """Averages and the like, computed from the rows."""
        self.summary = facts
        self.tell("  ".join(f"{k} {_shown(v)}" for k, v in facts.items()))
        self.save()

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "options": self.options,
            "environment": self.environment,
            "summary": self.summary,
            "rows": self.rows,
        }

    def save(self) -> None:
        if self.file is not None:
            with atomic_write(self.file, force=True) as temporary:
                temporary.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    def mean(self, column: str) -> float:
        values = [float(row[column]) for row in self.rows if row.get(column) is not None]
        return sum(values) / len(values)


def _is_short(value: Any) -> bool:
    """Whether it fits on a line: tables and curves are for the file."""
    return not isinstance(value, list | dict) or len(str(value)) < 60


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
