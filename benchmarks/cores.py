"""One noisy colour picture on one core, on two, and on two of which another program keeps one busy: seconds of the wall.

A part of scikit-image's astronaut of 512x512 pixels (``--sides N``), unclipped noise of sigma 25, by ``--method`` (`patches` if none is given) at ``--effort``. Each
run has a process of its own, on the cores that it is given and with as many threads, after a small picture that loads all it needs. The
cases take turns, ``--seeds`` times (three); medians count. The machine must be quiet. For Linux, which lets a process choose its cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from bayesdip.errors import BayesDipError
from bayesdip.lab.results import Row
from benchmarks.measurement import in_own_process
from benchmarks.options import Options
from benchmarks.results import Results, Target

SIDE, REPEATS, LIMIT_SECONDS = 512, 3, 1200.0
ONE, TWO, BUSY = "one core", "two cores", "two cores, one of them busy"
# Targets: times as fast on two cores as on one; times as long beside another program; seconds for 512x512 pixels.
FASTER, SLOWER, SECONDS = 1.8, 2.2, 10.0


def run(results: Results, options: Options) -> None:
    """A row for each case and turn."""
    cores = two_cores()
    sides = options.sides or (SIDE,)
    for side in sides:
        for turn in range(options.seeds or REPEATS):
            for case in (ONE, TWO, BUSY):
                key = {"side": side, "turn": turn, "case": case}
                if not results.has(**key):
                    given = cores[:1] if case == ONE else cores
                    results.add(key | measured(side, given, case == BUSY, options))
    targets = [target for side in sides for target in targets_of(results.rows, side)]
    results.conclude(targets, load=os.getloadavg()[0])


def two_cores() -> list[int]:
    """The first two that this process may use.

    Raises
    ------
    BayesDipError
        There are none to choose from.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        raise BayesDipError(
            f"this process can choose from {len(cores)} cores: expected at least two, on Linux; run it on such a machine"
        )
    return cores[:2]


def measured(side: int, cores: list[int], busy: bool, options: Options) -> Row:
    """Seconds of one run on these cores, the last of them kept busy if asked for."""
    asked = {
        "side": side,
        "cores": cores,
        "method": options.method,
        "effort": options.effort,
        "seed": options.seed,
    }
    with kept_busy(cores[-1] if busy else None):
        return in_own_process("benchmarks.cores_worker", asked, LIMIT_SECONDS, threads=len(cores))


@contextmanager
def kept_busy(core: int | None) -> Iterator[None]:
    """Another process that computes on that core without end; none if it is None."""
    if core is None:
        yield
        return
    spin = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True:\n    pass"
    with subprocess.Popen([sys.executable, "-c", spin]) as other:
        try:
            yield
        finally:
            other.kill()


def targets_of(rows: list[Row], side: int) -> list[Target]:
    """By the medians of the turns."""
    seconds = {}
    for case in (ONE, TWO, BUSY):
        found = [
            row["seconds"] for row in rows if (row["side"], row["case"]) == (side, case) and "seconds" in row
        ]
        if not found:
            return []
        seconds[case] = median(found)
    targets = [
        Target(f"{side}x{side}: one core's time over two cores'", seconds[ONE] / seconds[TWO], least=FASTER),
        Target(
            f"{side}x{side}: time with one of two cores busy over that with both free",
            seconds[BUSY] / seconds[TWO],
            most=SLOWER,
        ),
    ]
    return (
        [*targets, Target(f"{side}x{side}: seconds on two cores", seconds[TWO], most=SECONDS)]
        if side == SIDE
        else targets
    )
