"""How time and memory of fitting a network grow with the picture, and with the number of pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bayesdip.io import atomic_write
from bayesdip.methods.registry import NARROW
from bayesdip.settings import pick_device
from benchmarks.results import Results, Row
from benchmarks.targets import Check, of_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDES = (64, 128, 256, 512, 1024, 2048)
PICTURES = (1, 2, 4, 8, 16, 32, 64)
BATCH_SIDE = 64
ARCH = NARROW.describe()
# A fit that would not be done by then ends its line.
LIMITS = {"fast": 60.0, "balanced": 300.0, "best": 1800.0}
LABELS = {"plain": "all kept", "sparing": "recomputed on the way back"}
# What the estimate of memory told before a run is asked to keep to.
ASKED = 0.15


def restoring_growth(
    results: Results,
    *,
    effort: str = "fast",
    sides: Sequence[int] = SIDES,
    pictures: Sequence[int] = PICTURES,
    arch: str = ARCH,
    seed: int = 0,
) -> None:
    """A few steps at each size, each in a process of its own; the first that fails ends its line."""
    device = pick_device("auto")
    for mode in LABELS:
        line = [{"part": "sides", "mode": mode, "side": side, "pictures": 1} for side in sides]
        _climb(results, line, arch, device, LIMITS[effort], seed)
    line = [{"part": "pictures", "mode": "plain", "side": BATCH_SIDE, "pictures": k} for k in pictures]
    _climb(results, line, arch, device, LIMITS[effort], seed)
    checks = memory_checks(results.rows)
    for check in checks:
        results.tell(str(check))
    results.conclude(checks=[check.to_dict() for check in checks])
    plot(results)


def _climb(results: Results, line: list[Row], arch: str, device: str, limit: float, seed: int) -> None:
    for key in line:
        if not results.has(**key):
            spec = {"arch": arch, "side": key["side"], "pictures": key["pictures"], "device": device}
            spec |= {"sparing": key["mode"] == "sparing", "seed": seed}
            results.add(key | {"arch": arch, "device": device} | in_own_process(spec, limit))
        if results.has(**key, failed=True):
            return


def in_own_process(spec: dict[str, Any], limit_seconds: float) -> Row:
    """What ``bench.one_fit`` measures, or ``failed`` and ``why``."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.fit_worker"],
            input=json.dumps(spec),
            capture_output=True,
            text=True,
            timeout=limit_seconds,
        )
    except subprocess.TimeoutExpired:
        return {"failed": True, "why": f"took more than {limit_seconds:g} s"}
    if done.returncode != 0:
        complaint = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
        return {"failed": True, "why": complaint[-1][:200]}
    measured: Row = json.loads(done.stdout.splitlines()[-1])
    return measured | {"memory_error": measured["estimated_bytes"] / max(measured["peak_bytes"], 1) - 1}


def memory_checks(rows: list[Row]) -> list[Check]:
    """The largest relative error of the estimate of memory, in each part."""
    checks = []
    for part in ("sides", "pictures"):
        errors = [abs(row["memory_error"]) for row in of_part(rows, part) if not row.get("failed")]
        if errors:
            what = f"relative error of the memory told before a run, {part}"
            checks.append(Check(what, max(errors), most=ASKED))
    return checks


def plot(results: Results) -> None:
    """Time and memory in an SVG file beside the JSON file."""
    if results.file is None or not results.rows:
        return
    import matplotlib

    path = results.file.with_name(f"{results.file.stem}-plot.svg")
    with (
        atomic_write(path, force=True) as temporary,
        matplotlib.rc_context({"svg.hashsalt": "bayesdip", "svg.fonttype": "none"}),
    ):
        growth_figure(results.rows).savefig(temporary, format="svg", metadata={"Date": None})
    results.tell(f"growth: plotted in {path}")


def growth_figure(rows: list[Row]) -> Figure:
    """Seconds a step above, memory below; over the side on the left, over the pictures on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for column, (part, x) in zip(axes.T, (("sides", "side"), ("pictures", "pictures")), strict=True):
        done = [row for row in of_part(rows, part) if not row.get("failed")]
        for mode, label in LABELS.items():
            line = [row for row in done if row["mode"] == mode]
            if not line:
                continue
            places = [row[x] for row in line]
            column[0].plot(places, [row["seconds"] for row in line], "o-", label=label)
            (drawn,) = column[1].plot(places, [row["peak_bytes"] / 2**20 for row in line], "o-", label=label)
            told = [row["estimated_bytes"] / 2**20 for row in line]
            column[1].plot(places, told, ":", color=drawn.get_color(), label=f"told before, {label}")
        ticks = sorted({row[x] for row in done})
        for axis, what in zip(column, ("seconds a step", "peak memory (MiB)"), strict=True):
            axis.set(xscale="log", yscale="log", ylabel=what)
            axis.set_xticks(ticks, [str(t) for t in ticks])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    axes[1, 0].set_xlabel("side of one picture (pixels)")
    axes[1, 1].set_xlabel(f"pictures of {BATCH_SIDE} x {BATCH_SIDE} at once")
    axes[0, 0].legend(fontsize=8)
    axes[1, 0].legend(fontsize=8)
    figure.suptitle("One training step")
    return figure
