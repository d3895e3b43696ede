"""How good the blind ranking of ``bayesdip compare`` is, where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from bayesdip.comparison import Comparison, compare
from bayesdip.comparison.splits import ESTIMATORS
from benchmarks.pictures import Pair, masked_pairs, noisy_pairs
from benchmarks.results import Results, Row
from benchmarks.targets import Check

# A blind choice counts as right if its true PSNR is this close to the best (dB), and so many of 20 must be.
CLOSE_ENOUGH = 0.2
RIGHT_OF_20 = 18
# Methods that take seconds, for the comparison of the estimators.
QUICK = ("gp", "gp-nonlocal", "baselines")


@dataclass(frozen=True)
class Plan:
    """Side of the middle crop; who takes part; effort and seconds for every run of our methods."""

    side: int
    methods: tuple[str, ...]
    effort: str
    time_budget: float | None


PLANS = {
    "fast": Plan(128, ("gp", "gp-nonlocal", "sgld", "baselines"), "fast", 30.0),
    "balanced": Plan(256, ("gp", "gp-nonlocal", "sgld", "baselines"), "fast", None),
    "best": Plan(256, ("ours", "baselines"), "balanced", None),
}


def bench_compare(results: Results, data: Path, effort: str, seed: int, only: tuple[str, ...]) -> None:
    """Blind and true rankings of every picture of the two tables; one row each, kept as it comes."""
    plan = PLANS[effort]
    for task, pair in crops(data, plan.side, only):
        if not results.has(task=task, picture=pair.name):
            found = run(
                pair,
                methods=plan.methods,
                effort=plan.effort,
                time_budget=plan.time_budget,
                seed=seed,
                tell=results.tell,
            )
            results.add({"task": task, "picture": pair.name} | row_of(found))
    rows = results.rows
    right = sum(row["loss_db"] <= CLOSE_ENOUGH for row in rows)
    check = Check(
        f"blind choice within {CLOSE_ENOUGH} dB of the truly best, share of pictures",
        right / len(rows),
        least=RIGHT_OF_20 / 20,
    )
    results.conclude(
        pictures=len(rows),
        right=right,
        largest_loss_db=max(row["loss_db"] for row in rows),
        kendall=_mean(row["kendall"] for row in rows),
        won={name: sum(row["true_best"] == name for row in rows) for name in sorted(_winners(rows))},
        check=check.to_dict(),
        noise="clipped to 8 bits, its level estimated",
        crop=plan.side,
    )
    results.tell(str(check))


def bench_estimators(results: Results, data: Path, seed: int, only: tuple[str, ...]) -> None:
    """Denoising by quick methods, ranked by each estimator of the error that there is."""
    for estimator in ESTIMATORS:
        for pair in noisy_pairs(data, only, PLANS["fast"].side):
            if not results.has(estimator=estimator, picture=pair.name):
                found = run(pair, methods=QUICK, estimator=estimator, seed=seed)
                results.add({"estimator": estimator, "picture": pair.name} | row_of(found))
    results.conclude(**{e: _by_estimator(results.rows, e) for e in ESTIMATORS})


def run(pair: Pair, **options: Any) -> Comparison:
    """Compare on one picture whose truth is known."""
    if pair.missing is not None:
        seen = np.where(pair.missing, 0, pair.clean)
        return compare(seen, pair.missing, truth=pair.clean, **options)
    assert pair.noisy is not None
    return compare(pair.noisy, truth=pair.clean, channel_axis=pair.channel_axis, **options)


def row_of(found: Comparison) -> Row:
    """What is kept of one comparison."""
    agreement = found.agreement
    assert agreement is not None
    return {
        "blind_best": found.best.name,
        "true_best": agreement.best,
        "loss_db": agreement.loss,
        "kendall": agreement.kendall if isfinite(agreement.kendall) else None,
        "gap_error_db": gap_error(found),
        "seconds": round(found.seconds, 1),
        "sigma": [round(s, 3) for s in found.setup.sigma],
        "methods": {
            e.name: {
                "psnr": round(e.quality.psnr, 3),
                "behind_db": round(e.behind.value, 3),
                "behind_low_db": round(e.behind.low, 3),
                "behind_high_db": round(e.behind.high, 3),
                "rounds": e.rounds,
                "seconds": round(e.seconds, 2),
                "setting": e.setting,
            }
            for e in found.applied
            if e.quality is not None and e.behind is not None
        },
        "not_applicable": {e.name: e.why for e in found.entries if e.why},
    }


def gap_error(found: Comparison) -> float:
    """Mean difference in dB between the estimated distance to the blind best and the true one."""
    best, *others = [e for e in found.applied if e.quality is not None and e.behind is not None]
    gaps = [
        abs(e.behind.value - (best.quality.psnr - e.quality.psnr))
        for e in others
        if e.quality is not None and e.behind is not None and best.quality is not None
    ]
    return float(np.mean(gaps)) if gaps else 0.0


def crops(data: Path, side: int, only: tuple[str, ...]) -> Iterator[tuple[str, Pair]]:
    """The middle of every picture of both tables; ``only`` may name pictures of one of them."""
    for task, pairs in (("denoise", noisy_pairs), ("inpaint", masked_pairs)):
        for pair in pairs(data, side=side):
            if not only or pair.name in only:
                yield task, pair


def _winners(rows: list[Row]) -> set[str]:
    return {row["true_best"] for row in rows}


def _by_estimator(rows: list[Row], estimator: str) -> Row:
    mine = [row for row in rows if row["estimator"] == estimator]
    return {
        "right": sum(row["loss_db"] <= CLOSE_ENOUGH for row in mine),
        "pictures": len(mine),
        "mean_loss_db": _mean(row["loss_db"] for row in mine),
        "kendall": _mean(row["kendall"] for row in mine),
        "gap_error_db": _mean(row["gap_error_db"] for row in mine),
        "seconds": _mean(row["seconds"] for row in mine),
    }


def _mean(values: Iterator[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None
