"""What the curves of ``speed`` say: how much sooner one run has what another one reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdip.lab.results import Row
from benchmarks.results import of_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = "paper"


def time_to_reach(seconds: Sequence[float], quality: Sequence[float], wanted: float) -> float | None:
    """The first moment at which the quality is there; None if it never is."""
    return next((t for t, q in zip(seconds, quality, strict=True) if q >= wanted), None)


def least_ratio(
    slow: tuple[Sequence[float], Sequence[float]], quick: tuple[Sequence[float], Sequence[float]]
) -> dict[str, float | None]:
    """How many times sooner ``quick`` has whatever ``slow`` reaches, at the worst and at the last.

    Over the moments at which ``slow`` is better than ever before: t_slow(q) / t_quick(q), 0 where
    ``quick`` never has that quality. Both are (seconds, quality), higher is better.
    """
    best, ratios = -np.inf, []
    for t, q in zip(*slow, strict=True):
        if q > best:
            best = q
            reached = time_to_reach(*quick, q)
            ratios.append((0.0 if reached is None else t / max(reached, 1e-9), q, t))
    if not ratios:
        return {"ratio": None, "at_quality": None, "at_seconds": None, "ratio_last": None}
    least = min(ratios)
    return {"ratio": least[0], "at_quality": least[1], "at_seconds": least[2], "ratio_last": ratios[-1][0]}


def comparisons(rows: list[Row]) -> dict[str, Any]:
    """For each side and run of ours: ratios by PSNR and by held-out error, the best of each run, and its rate."""
    papers = {row["side"]: row["curve"] for row in rows if row["run"] == PAPER}
    found: dict[str, Any] = {}
    for row in rows:
        curve, slow = row["curve"], papers.get(row["side"])
        facts: Row = {
            "steps_per_second": row["steps_per_second"],
            "psnr": max(curve["psnr"], default=None),
            "seconds": curve["seconds"][-1] if curve["seconds"] else None,
        }
        found[f"{row['side']}-{row['run']}"] = facts
        if row["run"] == PAPER or slow is None:
            continue
        for name, sign in (("psnr", 1), ("held_out", -1)):
            ratio = least_ratio(*((c["seconds"], [sign * q for q in c[name]]) for c in (slow, curve)))
            if ratio["at_quality"] is not None:
                ratio["at_quality"] *= sign
            facts[f"sooner_by_{name}"] = ratio
    return found


def curves_figure(rows: list[Row]) -> Figure:
    """PSNR above, held-out error below, over seconds; a column for each side."""
    from matplotlib.figure import Figure

    rows = of_part(rows, "speed")
    sides = sorted({row["side"] for row in rows})
    figure = Figure(figsize=(4.2 * len(sides) + 0.5, 6.6), layout="constrained")
    axes = figure.subplots(2, len(sides), squeeze=False, sharex="col")
    for column, side in zip(axes.T, sides, strict=True):
        for row in (row for row in rows if row["side"] == side):
            curve = row["curve"]
            label = "the paper's recipe" if row["run"] == PAPER else f"ours, {row['run']}"
            for axis, name in zip(column, ("psnr", "held_out"), strict=True):
                axis.plot(curve["seconds"], curve[name], label=label)
        column[0].set(title=f"{side} x {side}", ylabel="PSNR (dB)")
        column[1].set(xlabel="seconds", ylabel="error on held-out noisy pixels")
        for axis in column:
            axis.set_xscale("log")
            axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=8)
    figure.suptitle("What each run would have given back at that moment")
    return figure
