"""The blind ranking of ``bayesdip compare`` against the true one, on the pictures of both tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from bayesdip.comparison import Comparison, compare
from bayesdip.lab.results import Row
from benchmarks.options import Options
from benchmarks.pictures import Pair, masked_pairs, noisy_pairs
from benchmarks.results import Results, Target

# A blind choice counts as right if its true PSNR is this close to the best (dB), and so many of 20 must be.
CLOSE_ENOUGH = 0.2
RIGHT_OF_20 = 18
# Candidates of this project that take seconds to minutes, and the classical ones.
CANDIDATES = ("gp", "patches", "sgld", "baselines")
# Side of the centre crop; who takes part; effort and seconds for every run of our methods.
AMOUNTS: dict[str, dict[str, Any]] = {
    "fast": {"side": 128, "methods": CANDIDATES, "effort": "fast", "time_budget": 30.0},
    "balanced": {"side": 256, "methods": CANDIDATES, "effort": "fast"},
    "best": {"side": 256, "methods": ("ours", "baselines"), "effort": "balanced"},
}


def run(results: Results, options: Options) -> None:
    """The ranking without a truth and the true one, of every picture; a row each."""
    chosen = dict(AMOUNTS[options.effort])
    side = chosen.pop("side")
    for task, pair in crops(options.folder, side, options.pictures):
        if not results.has(task=task, picture=pair.name):
            found = compared(pair, seed=options.seed, log=results.log, **chosen)
            results.add({"task": task, "picture": pair.name} | row_of(found))
    rows = results.rows
    right = sum(row["loss_db"] <= CLOSE_ENOUGH for row in rows)
    what = f"blind choice within {CLOSE_ENOUGH} dB of the truly best, share of pictures"
    winners = sorted({row["true_best"] for row in rows})
    results.conclude(
        [Target(what, right / len(rows), least=RIGHT_OF_20 / 20)],
        pictures=len(rows),
        right=right,
        largest_loss_db=max(row["loss_db"] for row in rows),
        kendall=mean(row["kendall"] for row in rows),
        won={name: sum(row["true_best"] == name for row in rows) for name in winners},
        noise="clipped to 8 bits, its level estimated",
        crop=side,
    )


def compared(pair: Pair, **options: Any) -> Comparison:
    """Compare on one picture whose truth is known."""
    if pair.given.dtype == bool:
        seen = np.where(pair.given, 0, pair.clean)
        return compare(seen, pair.given, truth=pair.clean, **options)
    return compare(pair.given, truth=pair.clean, channel_axis=pair.channel_axis, **options)


def row_of(found: Comparison) -> Row:
    """What is kept of one comparison; ``gap_error_db`` is the mean error of the estimated distances to the best."""
    agreement = found.agreement
    assert agreement is not None
    scored = [e for e in found.applied if e.quality is not None and e.behind is not None]
    best, *others = scored
    gaps = [abs(e.behind.value - (best.quality.psnr - e.quality.psnr)) for e in others]
    return {
        "blind_best": found.best.name,
        "true_best": agreement.best,
        "loss_db": agreement.loss,
        "kendall": agreement.kendall if isfinite(agreement.kendall) else None,
        "gap_error_db": float(np.mean(gaps)) if gaps else 0.0,
        "seconds": round(found.seconds, 1),
        "sigma": [round(s, 3) for s in found.setup.sigma or ()],
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
            for e in scored
        },
        "not_applicable": {e.name: e.why for e in found.entries if e.why},
    }


def crops(data: Path, side: int, only: tuple[str, ...]) -> Iterator[tuple[str, Pair]]:
    """The centre of every picture of both tables; ``only`` may name pictures of one of them."""
    for task, pairs in (("denoise", noisy_pairs), ("inpaint", masked_pairs)):
        for pair in pairs(data, side=side):
            if not only or pair.name in only:
                yield task, pair


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that are known."""
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None
