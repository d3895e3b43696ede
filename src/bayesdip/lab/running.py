"""Measure claims: every condition with every seed, saved as they come, then judged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from bayesdip.errors import BayesDipError
from bayesdip.lab import pictures
from bayesdip.lab.claim import SIZES, Claim, Condition, Size, Trial
from bayesdip.lab.results import Results, Row
from bayesdip.lab.statistics import FEWEST_SEEDS, Criterion, verdict, where
from bayesdip.lab.workers import measured
from bayesdip.threads import one_thread

FOLDER = Path("benchmarks/lab")


def file_of(folder: Path, claim: Claim, size: str) -> Path:
    """Where the results of a claim at a size are saved."""
    return folder / size / f"{claim.label}.json"


def run_claims(
    claims: Sequence[Claim],
    size: Size,
    *,
    data: Path | None = None,
    seeds: int | None = None,
    jobs: int = 1,
    folder: Path | None = FOLDER,
    log: Callable[[str], None] = lambda line: None,
) -> Generator[tuple[Claim, Results, list[Criterion]], None, None]:
    """Measure what is not saved yet, and judge each claim as soon as all of its rows are there.

    Rows that the folder holds from an earlier run at the same size are reused, so that an interrupted run continues,
    and more seeds add to those that are there.

    Parameters
    ----------
    claims : sequence of Claim
    size : Size
    data : Path or None
        The folder with the pictures; None takes those of scikit-image.
    seeds : int or None
        Of each claim; None takes the size's own.
    jobs : int
        How many rows are measured at once, by a worker process each if there are several. The
        numbers do not depend on it.
    folder : Path or None
        Where results are saved; None saves nothing.
    log : callable
        Called with a line for every row.

    Yields
    ------
    tuple of Claim, Results, list of Criterion

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
        runs = [_Run.begin(claim, size, data, folder, log) for claim in claims]
        work = [(run, trial) for run in runs for trial in run.missing(seeds)]
        left = Counter(run.claim.label for run, _ in work)
        for run in runs:
            if not left[run.claim.label]:
                yield run.claim, run.results, run.conclude()
        with closing(measured([(run.claim.measure, trial) for run, trial in work], jobs)) as rows:
            for place, row in rows:
                run, trial = work[place]
                run.results.add({"seed": trial.seed, **trial.condition, **row})
                left[run.claim.label] -= 1
                if not left[run.claim.label]:
                    yield run.claim, run.results, run.conclude()


@dataclass(frozen=True)
class _Run:
    """A claim that is being measured at one size, under these conditions, pictures included."""

    claim: Claim
    size: Size
    data: Path | None
    conditions: list[Condition]
    results: Results

    @classmethod
    def begin(
        cls, claim: Claim, size: Size, data: Path | None, folder: Path | None, log: Callable[[str], None]
    ) -> _Run:
        """Continue from what the folder holds of the claim."""
        names = pictures.names(claim.pictures_at(size), data)
        of_size = {name: value for name, value in asdict(size).items() if name != "seeds"}
        file = None if folder is None else file_of(folder, claim, size.name)
        options = {"size": of_size, "pictures": names}
        results = Results(claim.label, options, file, lambda line: log(f"{claim.label}  {line}"))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        results.load()
        return cls(claim, size, data, on_pictures(claim.conditions_at(size), names), results)

    def missing(self, seeds: int) -> Iterator[Trial]:
        """Seed by seed, so that an interrupted run has whole seeds."""
        for seed in range(seeds):
            for condition in self.conditions:
                if not self.results.has(seed=seed, **condition):
                    yield Trial(condition, seed, self.size, self.data)

    def conclude(self) -> list[Criterion]:
        """Judge the rows, sorted by seed and condition: workers may have ended in another order."""
        rows = self.results.rows
        rows.sort(key=lambda row: (row["seed"], self._place(row)))
        criteria = self.claim.judge(whole_seeds(rows, len(self.conditions)))
        self.results.summary = {
            "verdict": verdict(criteria),
            "criteria": [
                {"what": c.what, **asdict(c.interval), "asked": c.asked, "verdict": c.verdict}
                for c in criteria
            ],
            "seconds": sum(row["seconds"] for row in rows),
        }
        self.results.save()
        return criteria

    def _place(self, row: Row) -> int:
        own = (n for n, condition in enumerate(self.conditions) if where([row], **condition))
        return next(own, len(self.conditions))


def on_pictures(conditions: list[Condition], names: Sequence[str]) -> list[Condition]:
    """Every condition on each picture; as they are where the claim takes none."""
    return [{"picture": name, **c} for c in conditions for name in names] if names else conditions


def whole_seeds(rows: Sequence[Row], conditions: int) -> list[Row]:
    """The rows of those seeds that have one for every condition: an interrupted run leaves part of one."""
    counts = Counter(row["seed"] for row in rows)
    return [row for row in rows if counts[row["seed"]] == conditions]


def read_saved(folder: Path, claim: Claim) -> tuple[str, Row] | None:
    """The size and the content of the saved results: the full ones where there are some, else the quick ones."""
    for name in ("full", "quick"):
        file = file_of(folder, claim, name)
        if file.exists():
            saved: Row = json.loads(file.read_text(encoding="utf-8"))
            conditions = on_pictures(claim.conditions_at(SIZES[name]), saved["options"]["pictures"])
            saved["rows"] = whole_seeds(saved["rows"], len(conditions))
            if saved["rows"]:
                return name, saved
    return None
