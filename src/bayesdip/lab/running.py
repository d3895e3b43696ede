"""Measure a claim: every cell with every seed, kept as they come."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from bayesdip.bench.results import Results, Row
from bayesdip.errors import BayesDipError
from bayesdip.lab import pictures
from bayesdip.lab.claim import Cell, Claim, Size, Task
from bayesdip.lab.statistics import Condition, verdict

FOLDER = Path("benchmarks/lab")


def kept_in(folder: Path, claim: Claim, size: str) -> Path:
    return folder / size / f"{claim.label}.json"


def run_claim(
    claim: Claim,
    size: Size,
    *,
    data: Path | None = None,
    seeds: int = 3,
    folder: Path | None = FOLDER,
    tell: Callable[[str], None] = lambda line: None,
) -> Results:
    """Measure what is not kept yet, then judge.

    Rows that the folder holds from an earlier run at the same size are taken up again, so that
    a run goes on where it ended, and more seeds add to those that are there.

    Raises
    ------
    BayesDipError
        Less than one seed, or the folder holds rows of another size or of other pictures.
    """
    if seeds < 1:
        raise BayesDipError(f"seeds is {seeds}: expected at least 1; a verdict needs 3")
    shown = pictures.names(size.pictures, data) if claim.on_pictures else []
    options = {"size": asdict(size), "pictures": shown}
    results = Results(
        claim.label, options, None if folder is None else kept_in(folder, claim, size.name), tell
    )
    if results.file is not None:
        results.file.parent.mkdir(parents=True, exist_ok=True)
    results.take_up()
    for seed, cell in planned(claim, size, shown, seeds):
        if not results.has(seed=seed, **cell):
            begin, busy = time.perf_counter(), time.process_time()
            measured = claim.measure(Task(cell, seed, size, data))
            spent = {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - busy}
            results.add({"seed": seed, **cell, **measured, **spent})
    conditions = claim.judge(results.rows)
    results.conclude(
        verdict=verdict(conditions),
        conditions=[facts(c) for c in conditions],
        seconds=sum(row["seconds"] for row in results.rows),
    )
    return results


def planned(claim: Claim, size: Size, shown: list[str], seeds: int) -> Iterator[tuple[int, Cell]]:
    """Seed by seed, so that a run that is cut short has whole seeds."""
    for seed in range(seeds):
        for cell in claim.cells(size):
            if not shown:
                yield seed, cell
            for picture in shown:
                yield seed, {"picture": picture, **cell}


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


def read_kept(folder: Path, claim: Claim) -> tuple[str, Row] | None:
    """The size and the result of what was kept: the full one where there is one, else the quick one."""
    for size in ("full", "quick"):
        file = kept_in(folder, claim, size)
        if file.exists():
            kept: Row = json.loads(file.read_text(encoding="utf-8"))
            if kept["summary"]:
                return size, kept
    return None
