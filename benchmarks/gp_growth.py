"""How time and memory grow with the picture, beside dense algebra and GPyTorch."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bayesdip.io import atomic_write
from benchmarks.results import Results, Row
from benchmarks.solve_worker import METHODS
from benchmarks.targets import Check, of_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS = ("network", "blocks", "smooth")
LABELS = {
    "network": "ours, kernel of the network",
    "blocks": "ours in blocks, kernel of the network",
    "smooth": "ours, RBF kernel",
    "dense": "dense Cholesky, RBF",
    "gpytorch": "GPyTorch exact, RBF",
    "gpytorch-grid": "GPyTorch grid interpolation, RBF",
}
# Share of the free memory that one process may take.
MEMORY_SHARE = 0.7
POLL_SECONDS = 0.05
# Sides from which on ours is asked to grow as N log N; below, fixed costs rule.
ASKED_FROM = 256
# Side of a block of `gp.posterior_in_blocks`: a smaller picture is one block.
BLOCK = 1024


def growth(
    results: Results,
    *,
    sides: Sequence[int] = (256, 512, 1024),
    other_sides: Sequence[int] = (64, 128, 256, 512),
    limit_seconds: float = 15.0,
    methods: Sequence[str] = tuple(METHODS),
    seed: int = 0,
) -> None:
    """One posterior mean at each size, each in a process of its own; one plot of all beside the JSON file.

    A method climbs until it fails, or exceeds the time or 70% of the free memory: that ends its line.
    ``limit_seconds`` counts the start of the process too and holds for the others; ours has ten times that.
    """
    for method in methods:
        if method.startswith("gpytorch") and find_spec("gpytorch") is None:
            results.tell("growth: GPyTorch is not installed (pip install bayesdip[gpytorch]): left out")
            continue
        mine = method in OURS
        chosen = {
            "network": sides,
            "blocks": [side for side in sides if side > BLOCK],
            "smooth": [*(side for side in other_sides if side < min(sides)), *sides],
        }
        for side in chosen.get(method, other_sides):
            key = {"part": "growth", "method": method, "side": side}
            if not results.has(**key):
                spec = {"method": method, "side": side, "seed": seed}
                outcome = in_own_process(spec, 10 * limit_seconds if mine else limit_seconds)
                if "peak_bytes" in outcome:
                    outcome["copies"] = outcome["peak_bytes"] / (4 * side * side)
                results.add(key | outcome)
            if results.has(**key, failed=True):
                break
    plot(results)


def growth_checks(rows: list[Row]) -> list[Check]:
    checks = []
    for method in OURS:
        line = [row for row in _line(rows, method) if row["side"] >= ASKED_FROM]
        if not line:
            continue
        first, last = line[0], line[-1]
        sides = f"{LABELS[method]}, {first['side']} to {last['side']} a side"
        if len(line) > 1:
            worst = max(over_n_log_n(first, row) for row in line[1:])
            checks.append(Check(f"time over N log N, {sides}", worst, most=1.5))
            step = max(over_n_log_n(a, b) for a, b in pairwise(line))
            checks.append(Check(f"time over N log N from one size to the next, {sides}", step, most=1.5))
        most = max(row["copies"] for row in line)
        checks.append(Check(f"peak memory in float32 copies of the picture, {sides}", most, most=25))
    return checks


def over_n_log_n(small: Row, large: Row) -> float:
    """How many times more the large size took than N log N, N the pixels, makes of the small one's time."""
    n, m = small["side"] ** 2, large["side"] ** 2
    return float(large["seconds"] / small["seconds"] / (m * math.log(m) / (n * math.log(n))))


def in_own_process(spec: dict[str, Any], limit_seconds: float) -> Row:
    """What ``bench.one_solve`` measures, or ``failed`` and ``why``: error, time, or memory."""
    import psutil

    limit_bytes = MEMORY_SHARE * psutil.virtual_memory().available
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.solve_worker"],
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=errors,
        )
        why = ""
        try:
            assert child.stdin is not None
            child.stdin.write(json.dumps(spec).encode())
            child.stdin.close()
            while child.poll() is None and not why:
                time.sleep(POLL_SECONDS)
                if time.perf_counter() - begin > limit_seconds:
                    why = f"took more than {limit_seconds:g} s"
                elif _resident(child.pid) > limit_bytes:
                    why = f"took more than {limit_bytes / 2**30:.1f} GiB"
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        told.seek(0)
        errors.seek(0)
        lines = told.read().decode().splitlines()
        complaint = errors.read().decode(errors="replace").strip().splitlines()
    # A run that was measured within the limit counts, whatever became of its repetition.
    if lines and (why or child.returncode == 0):
        measured: Row = json.loads(lines[-1])
        return measured
    why = why or (complaint[-1] if complaint else f"ended with code {child.returncode}")
    return {"failed": True, "why": why[:200]}


def plot(results: Results) -> None:
    """Time and memory by size, every method a line, in an SVG file beside the JSON file."""
    rows = of_part(results.rows, "growth")
    if results.file is None or not any(_line(rows, method) for method in LABELS):
        return
    import matplotlib

    path = results.file.with_name(f"{results.file.stem}-growth.svg")
    with (
        atomic_write(path, force=True) as temporary,
        matplotlib.rc_context({"svg.hashsalt": "bayesdip", "svg.fonttype": "none"}),
    ):
        growth_figure(rows).savefig(temporary, format="svg", metadata={"Date": None})
    results.tell(f"growth: plotted in {path}")


def growth_figure(rows: list[Row]) -> Figure:
    """Seconds and peak memory over the side of the picture, from the rows of `growth`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    by_time, by_memory = figure.subplots(1, 2)
    for method, label in LABELS.items():
        line = _line(rows, method)
        if not line:
            continue
        sides = [row["side"] for row in line]
        style = "o-" if method in OURS else "s--"
        (drawn,) = by_time.plot(sides, [row["seconds"] for row in line], style, label=label)
        # A process that fits into what the tiny solve left has no peak to show.
        mebibytes = [max(row["peak_bytes"], 2**18) / 2**20 for row in line]
        by_memory.plot(sides, mebibytes, style, color=drawn.get_color())
        for row in rows:
            if row["method"] == method and row.get("failed"):
                for axes in (by_time, by_memory):
                    top = axes.get_xaxis_transform()
                    axes.plot(row["side"], 0.97, "x", color=drawn.get_color(), markersize=9, transform=top)
    for line in filter(None, [_line(rows, OURS[0])]):
        sides, n = [row["side"] for row in line], [row["side"] ** 2 for row in line]
        unit = line[0]["seconds"] / (n[0] * math.log(n[0]))
        thin = {"color": "gray", "linewidth": 0.8}
        by_time.plot(sides, [unit * m * math.log(m) for m in n], label="N log N", **thin)
        by_memory.plot(
            sides, [25 * 4 * m / 2**20 for m in n], label="25 float32 copies of the picture", **thin
        )
        by_memory.legend(fontsize=8)
    every = sorted({row["side"] for row in rows})
    for axes, what in ((by_time, "seconds"), (by_memory, "peak memory (MiB)")):
        axes.set(xscale="log", yscale="log", xlabel="side of the picture (pixels)", ylabel=what)
        axes.set_xticks(every, [str(side) for side in every])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    by_time.legend(fontsize=8)
    figure.suptitle(
        "One posterior mean, half of the pixels missing (cross at the top: a size at which a method failed)"
    )
    return figure


def _line(rows: list[Row], method: str) -> list[Row]:
    mine = [row for row in of_part(rows, "growth") if row["method"] == method and not row.get("failed")]
    return sorted(mine, key=lambda row: int(row["side"]))


def _resident(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:  # it has just ended
        return 0
