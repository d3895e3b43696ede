"""What is told of a run's cost beforehand, beside what it took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bayesdip import api as tasks
from bayesdip.comparison.elimination import measured
from bayesdip.pipeline import Options
from bayesdip.progress import Estimate, Snapshot
from bayesdip.result import Restoration
from benchmarks.results import Row

# A network too small to count.
SMALLEST: dict[str, Any] = {"arch": "shuffle(scales=1,width=4,skip=2,shuffled=2)", "time_budget": 2.0}
# They decide the network themselves.
LEFT_OUT = ("callback", "preset", "kernel")


def get_ready(options: Options) -> None:
    """A tiny run first: what a program needs once shall not be laid to the first picture."""
    tiny = np.random.default_rng(0).integers(0, 255, (24, 24)).astype(np.uint8)
    chosen: Any = {key: value for key, value in options.items() if key not in LEFT_OUT}
    tasks.denoise(tiny, 25.0, **{**chosen, **SMALLEST})


def watched(restore: Callable[..., Restoration], options: Options) -> tuple[Restoration, Row]:
    """``restore(**options)``, and the seconds and bytes told (the first time) and taken.

    Nothing is told of a run that is over before.
    """
    told: list[Estimate] = []

    def listen(snapshot: Snapshot) -> None:
        if snapshot.estimate is not None:
            told.append(snapshot.estimate)

    with measured() as cost:
        restoration = restore(**{**options, "callback": listen})
    row: Row = {"memory": cost.memory}
    if told:
        row |= {"told_seconds": told[0].seconds, "told_memory": told[0].memory}
    return restoration, row


def worst_ratios(rows: list[Row]) -> Row:
    """The ratio of told to taken that is farthest from 1: of the seconds, and of the first row's bytes.

    Later pictures are given memory that the first has left.
    """
    seconds = [row["told_seconds"] / row["seconds"] for row in rows if "told_seconds" in row]
    memory = [row["told_memory"] / max(row["memory"], 1) for row in rows[:1] if "told_memory" in row]
    found = {"told_over_taken_seconds": seconds, "told_over_taken_memory": memory}
    return {name: max(ratios, key=lambda r: max(r, 1 / r)) for name, ratios in found.items() if ratios}
