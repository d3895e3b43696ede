"""What a benchmark was asked to show, beside what it measured."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.results import Row


@dataclass(frozen=True)
class Check:
    """A figure and the bounds it was asked to keep."""

    what: str
    measured: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        return not (
            (self.least is not None and self.measured < self.least)
            or (self.most is not None and self.measured > self.most)
            or self.measured != self.measured
        )

    @property
    def asked(self) -> str:
        bounds = (("at least", self.least), ("at most", self.most))
        return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    def __str__(self) -> str:
        return f"{'met   ' if self.met else 'missed'}  {self.what}: {self.measured:.4g} ({self.asked})"

    def to_dict(self) -> Row:
        return {"what": self.what, "measured": self.measured, "asked": self.asked, "met": self.met}


def of_part(rows: list[Row], part: str) -> list[Row]:
    """The rows of one part of a benchmark."""
    return [row for row in rows if row.get("part") == part]
