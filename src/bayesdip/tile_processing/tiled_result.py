"""What came of a restoration in tiles, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bayesdip.batch_processing.journal import Record
from bayesdip.findings import Finding
from bayesdip.tile_processing.plan import Plan
from bayesdip.tile_processing.tile_task import together
from bayesdip.tile_processing.tiled_run import Outcome


@dataclass(frozen=True)
class Tiled:
    """What came of a large picture.

    Attributes
    ----------
    output, std : Path or None
        What was written.
    tiles : int
        How many there were.
    done_before : int
        Of these, those that an earlier run had done.
    method : str
    noise : tuple of str
        The noise that was found or given, in words: one for all, or for each channel that was restored by itself.
    coverage : float or None
        Of 90% intervals, in the sample that was calibrated on.
    held_out : float or None
        Root mean square error on held-out values of all tiles.
    seconds : float
    memory : int
        Most bytes that a worker had in memory; 0 where that is not known.
    findings : tuple of Finding
    records : list of dict
        What each tile said.
    """

    output: Path
    std: Path | None
    tiles: int
    done_before: int
    method: str
    noise: tuple[str, ...]
    coverage: float | None
    held_out: float | None
    seconds: float
    memory: int
    findings: tuple[Finding, ...] = ()
    records: list[Record] = field(default_factory=list, repr=False)


def summed_up(outcome: Outcome, targets: dict[str, Path], plan: Plan, seconds: float) -> Tiled:
    """The result of a run that is whole."""
    records = [outcome.records[tile.name] for tile in plan.tiles()]
    noises = tuple(
        dict.fromkeys("found by each tile" if k.noise is None else k.noise.describe() for k in outcome.known)
    )
    coverages = [k.calibration.coverage for k in outcome.known if k.calibration is not None]
    error = together([record["held_out"] for record in records if record["held_out"]])
    return Tiled(
        output=targets["output"],
        std=targets.get("std"),
        tiles=len(records),
        done_before=outcome.done_before,
        method=outcome.known[0].method.name,
        noise=noises,
        coverage=float(np.mean(coverages)) if coverages else None,
        held_out=None if error is None else error[0],
        seconds=seconds,
        memory=max((record["memory"] for record in records), default=0),
        findings=(*outcome.findings, *_of_tiles(records)),
        records=records,
    )


def _of_tiles(records: Sequence[Record]) -> tuple[Finding, ...]:
    """What tiles found, each kind once, with the number of tiles."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        for finding in record["findings"]:
            kinds.setdefault(finding["kind"], []).append(finding)
    found = [
        Finding(
            kind,
            f"in {len(same)} of {len(records)} tiles, here the first: {same[0]['text']}",
            {"tiles": len(same)},
        )
        for kind, same in kinds.items()
    ]
    cut = sum(record.get("parts", 1) > 1 for record in records)
    if cut:
        text = (
            f"{cut} of {len(records)} tiles were restored in parts, for the memory was too small for the whole of one: fewer workers "
            "(workers=, --workers) leave more for each"
        )
        found.append(Finding("small tiles", text, {"tiles": cut}))
    left = sum(record["left"] > 0 for record in records)
    if left:
        text = (
            f"{left} of {len(records)} tiles see no known pixel: their values are as they were, and their standard deviation is NaN; "
            "larger tiles (tile=, --tile) may see some"
        )
        found.append(Finding("nothing known", text, {"tiles": left}))
    return tuple(found)
