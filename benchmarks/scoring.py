"""One restored picture as a row: quality, coverage, and what the run cost beside what it said beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import bayesdip as bd
from bayesdip.lab.results import Row
from bayesdip.result import Restoration
from benchmarks.measurement import timed
from benchmarks.pictures import Array, psnr
from benchmarks.results import Results

LEVEL = 0.9


def warm_up(options: Row) -> None:
    """A small run first, so that what a program loads once does not count for the first picture."""
    small = np.random.default_rng(0).integers(0, 255, (24, 24)).astype(np.uint8)
    bd.denoise(small, 25.0, **{**options, "time_budget": 2.0})


def restored(
    restore: Callable[..., Restoration], options: Row, name: str, clean: Array, missing: Array | None = None
) -> tuple[Restoration, Row]:
    """``restore(**options)`` and its row.

    Parameters
    ----------
    restore : callable
        One of the restoring functions, with its picture.
    clean : array
        The truth.
    missing : array of bool or None
        Pixels that were not seen: coverage is counted on them. Where none is missing, it is counted on the held-out
        pixels (each half of them calibrated by the other half), and ``coverage90_seen`` on all.
    """
    estimates: list[Any] = []

    def listen(snapshot: bd.Snapshot) -> None:
        if snapshot.estimate is not None:
            estimates.append(snapshot.estimate)

    with timed() as clock:
        r = restore(**{**options, "callback": listen})
    row: Row = {
        "picture": name,
        "method": r.method,
        "psnr": psnr(r.mean, clean),
        "seconds": round(r.seconds, 2),
        "cpu_seconds": round(clock.cpu, 2),
        "held_out_rmse": r.held_out,
        "steps": r.info.get("steps", r.info.get("iterations")),
        "stopped": r.stopped,
    }
    if estimates:
        row |= {"told_seconds": estimates[0].seconds, "told_memory": estimates[0].memory}
    return r, row | _coverage(r, clean, missing)


def _coverage(r: Restoration, clean: Array, missing: Array | None) -> Row:
    """Share of true values inside 90% intervals, calibrated and (``raw``) not."""
    if r.std is None:
        return {}
    found = [inside(r.interval(LEVEL, calibrated=calibrated), clean) for calibrated in (True, False)]
    if missing is not None:
        return {name: float(share[missing].mean()) for name, share in zip(_NAMES, found, strict=True)}
    row: Row = {"coverage90_seen": found[0].mean(), "coverage90_seen_raw": found[1].mean()}
    if r.calibration is not None:
        held = r.calibration.held_out
        rows = clean[None] if r.channel_axis is None else np.moveaxis(clean, r.channel_axis, 0)
        truth = rows.reshape(len(rows), -1)[:, held.places]
        reach = 1.645 * held.std
        raw = (held.mean - reach, held.mean + reach)
        row |= dict(zip(_NAMES, (inside(i, truth).mean() for i in ((held.low, held.high), raw)), strict=True))
        row["coverage90_told"] = r.calibration.coverage
    return {name: float(value) for name, value in row.items()}


_NAMES = ("coverage90", "coverage90_raw")


def inside(interval: tuple[Array, Array], truth: Array) -> Array:
    """Where the truth lies in the interval."""
    return np.asarray((interval[0] <= truth) & (truth <= interval[1]))


def averages(results: Results, *columns: str) -> Row:
    """Of these columns and of the coverages, over the rows that have them; the worst estimate of the seconds."""
    named = [name for name in (*columns, *_NAMES) if any(row.get(name) is not None for row in results.rows)]
    found: Row = {"pictures": len(results.rows)} | {name: results.mean(name) for name in named}
    ratios = [row["told_seconds"] / row["seconds"] for row in results.rows if "told_seconds" in row]
    if ratios:
        found["told_over_taken_seconds"] = max(ratios, key=lambda r: max(r, 1 / r))
    return found
