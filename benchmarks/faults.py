"""Kills at random moments and damaged files: the same bits after each kill, one line for each file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bayesdip.lab.results import Row
from benchmarks import malformed_files
from benchmarks.fault_kills import RUNS, Victim
from benchmarks.options import Options
from benchmarks.results import Results, Target

# Kills, if not said otherwise, and damaged files for each.
KILLS, FILES_FOR_A_KILL = 100, 100
# How often a run may be over before its kill, for each that is killed.
MOST_MISSES = 5


def run(results: Results, options: Options) -> None:
    """`options.seeds` kills, and a hundred times as many files; `options.pictures` names some of the runs, or ``files``."""
    kills = KILLS if options.seeds is None else options.seeds
    wanted = options.pictures or (*RUNS, "files")
    try:
        measure(results, wanted, kills, options.seed)
    finally:  # of what there is, where it was interrupted
        conclude(results)


def saved_options(options: Options) -> Row:
    """Any parts, and any number of them, stand in one file."""
    return {"seed": options.seed}


def measure(results: Results, wanted: Sequence[str], kills: int, seed: int) -> None:
    """Rows for what the file does not hold yet."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (name for name in RUNS if name in wanted):
            kill(results, name, -(-kills // len(RUNS)), Path(folder), seed)
        if "files" in wanted and not results.part("files"):
            sandbox = Path(folder) / "files"
            sandbox.mkdir()
            count = FILES_FOR_A_KILL * kills
            for row in malformed_files.read_all(sandbox, count, lambda n: results.log(f"{n} files")):
                results.add(row)
            left = sorted(path.name for path in sandbox.iterdir())
            results.add({"part": "left behind", "files": left})


def kill(results: Results, name: str, kills: int, folder: Path, seed: int) -> None:
    """Kill one run so often, at moments that are spread evenly over its time."""
    done = [row for row in results.part("kills") if row["run"] == name]
    if len(done) >= kills:
        return
    victim, rng = Victim(name, seed, folder), np.random.default_rng((seed, len(done)))
    number = len(done)
    for _ in range(MOST_MISSES * kills):
        if number >= kills:
            break
        row = victim.killed(number, rng)
        if row is not None:
            results.add(row)
            number += 1


def conclude(results: Results) -> None:
    """How many of the kills were followed by the same bits, and what became of the files."""
    kills, files = results.part("kills"), results.part("files")
    counts = {key: sum(row[key] for row in files) for key in ("files", "tracebacks", "hangs", "writes")}
    same = sum(row["same"] for row in kills)
    checks = []
    if kills:
        checks.append(Target("share of resumed runs with the same bits", same / len(kills), least=1.0))
    if files:
        checks += [Target(key, counts[key], most=0) for key in ("tracebacks", "hangs", "writes")]
    by_run = {
        name: f"{sum(row['same'] for row in kills if row['run'] == name)} of {sum(row['run'] == name for row in kills)}"
        for name in RUNS
    }
    middle = sum(row["kept"] > 0 for row in kills)
    results.conclude(checks, kills=len(kills), same=same, in_the_middle=middle, **by_run, **counts)
