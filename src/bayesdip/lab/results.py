"""Rows of an experiment, saved as they come in a JSON file from which a later run continues."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bayesdip.errors import BayesDipError
from bayesdip.io import atomic_write

Row = dict[str, Any]
PACKAGES = ("bayesdip", "torch", "numpy", "scipy", "scikit-image")


def environment() -> dict[str, Any]:
    """Facts about this machine and what runs on it, as plain JSON values; no names of hosts or users."""
    import psutil
    import torch

    return {
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


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # where there is none, as on macOS, platform knows the model
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@dataclass
class Results:
    """Rows of one experiment, with what they were measured with.

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

    def load(self) -> None:
        """Read the rows that an earlier run left in the file.

        Raises
        ------
        BayesDipError
            The file holds something else.
        """
        if self.file is None or not self.file.exists():
            return
        try:
            saved = json.loads(self.file.read_text(encoding="utf-8"))
            same = (saved["name"], saved["options"]) == (self.name, json.loads(json.dumps(self.options)))
            rows, found = saved["rows"], saved["environment"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BayesDipError(
                f"{self.file} holds no results: expected JSON of an earlier run; name another folder"
            ) from error
        if not same:
            raise BayesDipError(
                f"{self.file} holds {saved['name']} with other options: expected {self.options}; "
                "name another folder"
            )
        self.rows, self.environment = rows, found

    def has(self, **key: Any) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(k) == v for k, v in key.items()) for row in self.rows)

    def add(self, row: Row) -> None:
        """Save a row, and only then log it: what was logged is in the file."""
        self.rows.append(row)
        self.save()
        self.log("  ".join(f"{k} {_shown(v)}" for k, v in row.items() if not isinstance(v, list)))

    def save(self) -> None:
        """Write the file, all of it or nothing."""
        if self.file is not None:
            facts = {
                name: getattr(self, name) for name in ("name", "options", "environment", "summary", "rows")
            }
            with atomic_write(self.file, force=True) as temporary:
                temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
