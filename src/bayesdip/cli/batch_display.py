"""What ``bayesdip batch`` says: what will be done first, then a bar over the pictures, and a table at the end."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bayesdip.batch_processing.folder_run import Job, Plan, Result
from bayesdip.batch_processing.journal import JOURNAL, Record
from bayesdip.batch_processing.machine import Crew
from bayesdip.cli.display import PLAIN_EVERY
from bayesdip.errors import one_line
from bayesdip.progress import clock

HEADINGS = ("picture", "method", "sigma", "error", "in 90%", "seconds", "")
# Of a name, in the table.
NAME_WIDTH = 48


@dataclass
class Display:
    """Progress on standard error: a bar on a terminal, else a line now and then; failures as they come.

    Attributes
    ----------
    team : Crew
    notes : list of str
        To be said before the work.
    """

    team: Crew
    notes: list[str]
    bar: Progress | None = None
    total: int = 0
    ended_count: int = 0
    whole: float = 0.0
    ended_size: float = 0.0
    guess: float | None = None
    began: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def begins(self, plan: Plan) -> None:
        """Say what will be done."""
        for note in (*self.notes, *plan.notes):
            self._say(f"note: {note}")
        if plan.own:
            self._say(f"note: {len(plan.own)} inputs were written here by an earlier run, and are left out")
        done = f"; {len(plan.done)} are done already, and are left alone" if plan.done else ""
        what = f"{len(plan.to_do)} picture{'s' * (len(plan.to_do) != 1)}"
        team = replace(self.team, workers=min(self.team.workers, len(plan.to_do)))
        self._say(f"{what} to restore{f', {team}' if plan.to_do else ''}{done}")
        self.total, self.whole = len(plan.to_do), sum(job.size for job in plan.to_do)
        self.began = time.monotonic()
        console = Console(stderr=True, highlight=False)
        if console.is_terminal and self.total:
            columns = (
                TextColumn("pictures"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self.bar = Progress(*columns, console=console, transient=True, redirect_stdout=False)
            self.bar.add_task("pictures", total=self.total, left="")
            self.bar.start()

    def told(self, job: Job, seconds: float) -> None:
        """Say what all will cost, by the first picture that says what it will."""
        if self.guess is not None or self.ended_count:
            return
        self.guess = seconds * max(1.0, self.whole / job.size / max(1, self.team.workers))
        self._say(f"estimate: about {clock(self.guess)} for all, by {one_line(job.label)}")
        self._show()

    def ended(self, job: Job, record: Record) -> None:
        """One more."""
        self.ended_count += 1
        self.ended_size += job.size
        if record["error"] is not None:
            self._say(f"failed: {failure(record)}")
        self._show()

    def left(self) -> float | None:
        """Seconds, by the pace of the pictures that have ended; None while it is not known."""
        elapsed = time.monotonic() - self.began
        if self.ended_size:
            return elapsed * (self.whole - self.ended_size) / self.ended_size
        return None if self.guess is None else max(0.0, self.guess - elapsed)

    def _show(self) -> None:
        left = self.left()
        words = "" if left is None else f"{clock(left)} left"
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.ended_count, left=words)
        elif time.monotonic() - self.said >= PLAIN_EVERY or self.ended_count == self.total:
            self._say(
                ", ".join(part for part in (f"pictures {self.ended_count}/{self.total}", words) if part)
            )

    def _say(self, text: str) -> None:
        self.said = time.monotonic()
        if self.bar is not None:
            self.bar.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)


def failure(record: Record) -> str:
    """One line on a picture that failed."""
    name, text = one_line(record["input"]), str(record["error"]["message"])
    return text if name in text else f"{name}: {text}"


def as_text(result: Result, folder: Path) -> str:
    """The table of what this run did, and one line on the whole."""
    plan = result.plan
    rows = [
        _row(record)
        for job in plan.to_do
        if (record := result.records.get(job.name)) is not None and record["error"] is None
    ]
    lines = _table([HEADINGS, *rows]) if rows else []
    lines += [f"failed: {failure(record)}" for record in result.failed]
    parts = [f"{len(rows)} restored"]
    if result.failed:
        parts.append(f"{len(result.failed)} failed")
    if plan.done:
        parts.append(f"{len(plan.done)} left alone, because nothing has changed")
    missing = len(plan.to_do) - len(rows) - len(result.failed)
    if missing:
        parts.append(
            f"{missing} not done, because the run was interrupted: the same command goes on from here"
        )
    summary = f"{', '.join(parts)}, in {clock(result.seconds)}; see {one_line(folder / JOURNAL)}"
    return "\n".join([*lines, summary])


def _row(record: Record) -> tuple[str, ...]:
    name = one_line(record["output"])
    if cell_len(name) > NAME_WIDTH:
        name = f"...{name[3 - NAME_WIDTH :]}"
    sigma = ",".join(f"{s:.4g}" for s in record["sigma"] or ()) or "varies"
    found = [finding["kind"] for finding in record["findings"]]
    remarks = ([] if record["stopped"] in ("finished", "converged") else [record["stopped"]]) + found
    return (
        name,
        record["method"],
        sigma,
        _number(record["held_out_rmse"], "{:.4g}"),
        _number(record["coverage"], "{:.0%}"),
        f"{record['seconds']:.1f}",
        ", ".join(dict.fromkeys(remarks)),
    )


def _number(value: Any, shape: str) -> str:
    return "-" if value is None else shape.format(value)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(cell_len(row[n]) for row in rows) for n in range(len(rows[0]))]
    padded = (
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return [line.rstrip() for line in padded]
