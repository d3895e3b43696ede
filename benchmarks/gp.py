"""``bayesdip bench gp``: what the exact Gaussian process costs, and whether it is right.

Rows are kept as they come, each with its ``part``; the summary holds every figure that was asked
for beside what was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesdip.settings import one_of
from benchmarks import gp_calibration, gp_figure6, gp_growth, gp_solve
from benchmarks.results import Results, Row
from benchmarks.targets import Check


@dataclass(frozen=True)
class Plan:
    """How much an effort measures: arguments of the parts' functions."""

    solve: dict[str, Any]
    iterations: dict[str, Any]
    growth: dict[str, Any]
    coverage: dict[str, Any]
    ranks: dict[str, Any]
    networks: dict[str, Any] | None = None


PLANS = {
    "fast": Plan(
        solve={"repeats": 3},
        iterations={"side": 256},
        growth={"sides": (256, 512, 1024), "other_sides": (64, 128, 256), "limit_seconds": 12.0},
        coverage={"repetitions": 100, "draws": 400},
        ranks={"repetitions": 256},
    ),
    "balanced": Plan(
        solve={"repeats": 5, "names": ("skip2", "skip5", "skip5-1024")},
        iterations={"side": 512},
        growth={
            "sides": (256, 512, 1024, 2048, 4096),
            "other_sides": (64, 96, 128, 192, 256, 512, 1024),
            "limit_seconds": 30.0,
        },
        coverage={"repetitions": 400, "draws": 1000},
        ranks={"repetitions": 1024},
    ),
    "best": Plan(
        solve={"repeats": 9, "names": ("skip2", "skip5", "skip5-1024")},
        iterations={"side": 512},
        growth={
            "sides": (256, 512, 1024, 2048, 4096),
            "other_sides": (64, 96, 128, 192, 256, 512, 1024, 2048),
            "limit_seconds": 300.0,
        },
        coverage={"repetitions": 1000, "draws": 2000},
        ranks={"repetitions": 4096},
        networks={},
    ),
}

Measure = Callable[[Results, Plan, Path | None, int], None]


def _solve(results: Results, plan: Plan, data: Path | None, seed: int) -> None:
    gp_solve.solve(results, **plan.solve, seed=seed)


def _iterations(results: Results, plan: Plan, data: Path | None, seed: int) -> None:
    gp_solve.iterations(results, **plan.iterations, seed=seed)


def _growth(results: Results, plan: Plan, data: Path | None, seed: int) -> None:
    gp_growth.growth(results, **plan.growth, seed=seed)


def _calibration(results: Results, plan: Plan, data: Path | None, seed: int) -> None:
    gp_calibration.coverage(results, **plan.coverage, seed=seed)
    gp_calibration.ranks(results, **plan.ranks, seed=seed)


def _figure6(results: Results, plan: Plan, data: Path | None, seed: int) -> None:
    if data is None:
        results.tell("figure6: needs the folder with the pictures, --data: left out")
        return
    gp_figure6.kernels(results, data, seed)
    if plan.networks is not None:
        gp_figure6.networks(results, data, **plan.networks, seed=seed)


@dataclass(frozen=True)
class Part:
    """One of the questions, in a sentence; what answers it, and what of the answer was asked for."""

    shows: str
    measure: Measure
    checks: tuple[Callable[[list[Row]], list[Check]], ...]


PARTS = {
    "solve": Part(
        "one 512x512 posterior mean against the plain double-precision version, and 100 draws",
        _solve,
        (gp_solve.solve_checks,),
    ),
    "iterations": Part(
        "iterations for every shipped kernel, from 1 to 99% of the pixels missing, and a large hole",
        _iterations,
        (gp_solve.iterations_checks,),
    ),
    "growth": Part(
        "time and memory by picture size, beside dense algebra and GPyTorch, with a plot",
        _growth,
        (gp_growth.growth_checks,),
    ),
    "calibration": Part(
        "whether intervals and draws are right on pictures from the prior",
        _calibration,
        (gp_calibration.coverage_checks, gp_calibration.ranks_checks),
    ),
    "figure6": Part(
        "the paper's 64x64 inpainting by closed-form and learnt kernels (needs --data)",
        _figure6,
        (gp_figure6.figure6_checks,),
    ),
}


def bench_gp(
    results: Results,
    data: Path | None,
    effort: str = "fast",
    seed: int = 0,
    parts: tuple[str, ...] = tuple(PARTS),
) -> None:
    """Measure some parts, and set what was asked for beside it.

    Raises
    ------
    BayesDipError
        There is no such effort or part.
    FileError
        ``data`` was given and does not hold the picture of figure 6.
    """
    one_of("effort", effort, tuple(PLANS))
    for part in parts:
        one_of("part", part, tuple(PARTS))
        PARTS[part].measure(results, PLANS[effort], data, seed)
    found = [check for part in parts for checks in PARTS[part].checks for check in checks(results.rows)]
    results.summary = {
        "met": sum(check.met for check in found),
        "missed": sum(not check.met for check in found),
        "checks": [check.to_dict() for check in found],
    }
    for check in found:
        results.tell(str(check))
    results.save()
