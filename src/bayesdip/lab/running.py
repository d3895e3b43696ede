"""Measure claims: every cell with every seed, kept as they come, then judged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.problems import one_thread
from benchmarks.results import Results, Row

from bayesdip.errors import BayesDipError
from bayesdip.lab import pictures
from bayesdip.lab.claim import SIZES, Cell, Claim, Size, Task
from bayesdip.lab.statistics import FEWEST_SEEDS, Condition, verdict
from bayesdip.lab.workers import measured

FOLDER = Path("benchmarks/lab")


def kept_in(folder: Path, claim: Claim, size: str) -> Path:
    return folder / size / f"{claim.label}.json"


def run_claims(
    claims: Sequence[Claim],
    size: Size,
    *,
    data: Path | None = None,
    seeds: int | None = None,
    jobs: int = 1,
    folder: Path | None = FOLDER,
    tell: Callable[[str], None] = lambda line: None,
) -> Generator[tuple[Claim, Results, list[Condition]], None, None]:
    """Measure what is not kept yet, and judge each claim as soon as all of its rows are there.

    Rows that the folder holds from an earlier run at the same size are taken up again, so that
    a run goes on where it ended, and more seeds add to those that are there.

    Parameters
    ----------
    seeds : int or None
        Of each claim; None takes the size's own.
    jobs : int
        How many rows are measured at once, by a worker process each if there are several. The
        numbers do not depend on it.
    tell : callable
        Called with a line for every row.

    Raises
    ------
    BayesDipError
        Less than one seed or job, or the folder holds rows of another size or of other pictures.
    """
    seeds = size.seeds if seeds is None else seeds
    if seeds < 1:
        raise BayesDipError(f"seeds is {seeds}: expected at least 1; a verdict needs {FEWEST_SEEDS}")
    if jobs < 1:
        raise BayesDipError(
            f"jobs is {jobs}: expected at least 1; leave it out for as many as there are cores"
        )
    with one_thread():  # before the results note how many there are
        runs = [_Run.begin(claim, size, data, folder, tell) for claim in claims]
        work = [(run, task) for run in runs for task in run.missing(seeds)]
        left = {run.claim.label: sum(other is run for other, _ in work) for run in runs}
        for run in runs:
            if not left[run.claim.label]:
                yield run.claim, run.results, run.conclude()
        with closing(measured([(run.claim.measure, task) for run, task in work], jobs)) as coming:
            for place, row in coming:
                run, task = work[place]
                run.results.add({"seed": task.seed, **task.cell, **row})
                left[run.claim.label] -= 1
                if not left[run.claim.label]:
                    yield run.claim, run.results, run.conclude()


@dataclass(frozen=True)
class _Run:
    """A claim that is being measured at one size.

    Attributes
    ----------
    cells : list of dict
        What is varied, pictures included.
    """

    claim: Claim
    size: Size
    data: Path | None
    cells: list[Cell]
    results: Results

    @classmethod
    def begin(
        cls, claim: Claim, size: Size, data: Path | None, folder: Path | None, tell: Callable[[str], None]
    ) -> _Run:
        """Take up what the folder holds of the claim."""
        shown = pictures.names(size.pictures, data) if claim.on_pictures else []
        of_size = {name: value for name, value in asdict(size).items() if name != "seeds"}
        results = Results(
            claim.label,
            {"size": of_size, "pictures": shown},
            None if folder is None else kept_in(folder, claim, size.name),
            lambda line: tell(f"{claim.label}  {line}"),
        )
        if results.file is not None:
            results.file.parent.mkdir(parents=True, exist_ok=True)
        results.take_up()
        return cls(claim, size, data, _on_pictures(claim.cells(size), shown), results)

    def missing(self, seeds: int) -> Iterator[Task]:
        """Seed by seed, so that a run that is cut short has whole seeds."""
        for seed in range(seeds):
            for cell in self.cells:
                if not self.results.has(seed=seed, **cell):
                    yield Task(cell, seed, self.size, self.data)

    def conclude(self) -> list[Condition]:
        """Judge the rows, in the order of their plan: workers may have ended in another one."""
        self.results.rows.sort(key=lambda row: (row["seed"], self._place(row)))
        conditions = self.claim.judge(whole_seeds(self.results.rows, len(self.cells)))
        self.results.conclude(
            verdict=verdict(conditions),
            conditions=[facts(c) for c in conditions],
            seconds=sum(row["seconds"] for row in self.results.rows),
        )
        return conditions

    def _place(self, row: Row) -> int:
        matching = (n for n, cell in enumerate(self.cells) if all(row.get(k) == v for k, v in cell.items()))
        return next(matching, len(self.cells))


def _on_pictures(cells: list[Cell], shown: Sequence[str]) -> list[Cell]:
    """Every cell on each picture; as they are where the claim takes none."""
    return [{"picture": picture, **cell} for cell in cells for picture in shown] if shown else cells


def facts(condition: Condition) -> Row:
    i = condition.interval
    return {
        "what": condition.what,
        "mean": i.mean,
        "low": i.low,
        "high": i.high,
        "seeds": i.seeds,
        "asked": condition.asked,
        "verdict": condition.verdict,
    }


def whole_seeds(rows: Sequence[Row], cells: int) -> list[Row]:
    """The rows of those seeds that have one for every cell: a run that was cut short leaves part of one."""
    counts = Counter(row["seed"] for row in rows)
    return [row for row in rows if counts[row["seed"]] == cells]


def read_kept(folder: Path, claim: Claim) -> tuple[str, Row] | None:
    """The size and the result of what was kept: the full one where there is one, else the quick one."""
    for name in ("full", "quick"):
        file = kept_in(folder, claim, name)
        if file.exists():
            kept: Row = json.loads(file.read_text(encoding="utf-8"))
            cells = _on_pictures(claim.cells(SIZES[name]), kept["options"]["pictures"])
            kept["rows"] = whole_seeds(kept["rows"], len(cells))
            if kept["rows"]:
                return name, kept
    return None
