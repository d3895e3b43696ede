"""What ``bayesdip batch`` says: what will be done first, then a bar over the pictures, and a table at the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.progress import Task as RichTask
from rich.text import Text

from bayesdip.batch_processing.folder_run import Job, Plan, Result
from bayesdip.batch_processing.journal import JOURNAL, Record
from bayesdip.batch_processing.machine import Crew
from bayesdip.cli.display import PLAIN_EVERY
from bayesdip.errors import one_line
from bayesdip.snapshot import clock

HEADINGS = ("picture", "method", "sigma", "error", "in 90%", "seconds", "")
# Of a name, in the table; and of notes below it.
NAME_WIDTH, MOST_NOTES = 48, 8


@dataclass
class Display:
    """Progress on standard error: a bar on a terminal, else a line now and then; failures as they come.

    Times are seconds by the monotonic clock, which a clock that is set back does not touch.

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
    last: float = field(default_factory=time.monotonic)
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
            columns = (TextColumn("pictures"), BarColumn(), MofNCompleteColumn(), Left(self))
            self.bar = Progress(*columns, console=console, transient=True, redirect_stdout=False)
            self.bar.add_task("pictures", total=self.total)
            self.bar.start()

    def told(self, job: Job, seconds: float) -> None:
        """Say what all will cost, by the first picture that says what it will."""
        if self.guess is not None or self.ended_count:
            return
        whole = seconds * max(1.0, self.whole / job.size / max(1, self.team.workers))
        self.guess = time.monotonic() + whole
        self._say(f"estimate: about {clock(whole)} for all, by {one_line(job.label)}")
        self._show()

    def ended(self, job: Job, record: Record) -> None:
        """One more."""
        self.ended_count += 1
        self.ended_size += job.size
        self.last = time.monotonic()
        if record["error"] is not None:
            self._say(f"failed: {failure(record)}")
        self._show()

    def left(self) -> str:
        """The time that is left, by the pace of the pictures that have ended, in words; empty while it is not known."""
        now = time.monotonic()
        if self.ended_count == self.total:
            return ""
        if self.ended_size:
            pace = (self.last - self.began) / self.ended_size
            seconds = self.last + pace * (self.whole - self.ended_size) - now
        elif self.guess is not None:
            seconds = self.guess - now
        else:
            return ""
        return f"{clock(max(seconds, 0.0))} left"

    def _show(self) -> None:
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.ended_count)
        elif time.monotonic() - self.said >= PLAIN_EVERY or self.ended_count == self.total:
            self._say(
                ", ".join(part for part in (f"pictures {self.ended_count}/{self.total}", self.left()) if part)
            )

    def _say(self, text: str) -> None:
        self.said = time.monotonic()
        if self.bar is not None:
            self.bar.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)


class Left(ProgressColumn):
    """The time that is left, as the display knows it."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self.display = display

    def render(self, task: RichTask) -> Text:
        """What stands at the end of the bar."""
        return Text(self.display.left())


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
    lines += _notes(result)
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


def _notes(result: Result) -> list[str]:
    """What was changed on reading, and what outputs cannot keep: the commonest, each once."""
    records = [result.records[job.name] for job in result.plan.to_do if job.name in result.records]
    counts = Counter(note for record in records for note in record.get("notes", ()))
    lines = [
        f"note: {one_line(note)}{f' ({count} pictures)' * (count > 1)}"
        for note, count in counts.most_common(MOST_NOTES)
    ]
    if len(counts) > MOST_NOTES:
        lines.append(f"note: {len(counts) - MOST_NOTES} more notes stand in {JOURNAL}")
    return lines


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
