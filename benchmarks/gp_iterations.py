"""The solver's iterations for every stationary kernel, from 1 to 99% of the pixels missing, and a large hole.

There is no noise. The hole is a square of half the side.
"""

from __future__ import annotations

from bayesdip.lab.results import Row
from benchmarks.gp_problems import (
    HOLE,
    Transforms,
    kernel_named,
    missing_pixels,
    noise_free,
    stationary_kernels,
)
from benchmarks.measurement import timed
from benchmarks.options import Options
from benchmarks.pictures import camera
from benchmarks.results import Results, Target

SIDES = {"fast": 256, "balanced": 512, "best": 512}
HOLE_SIDE = 512
SHARES = (0.01, 0.1, 0.5, 0.9, 0.99)


def run(results: Results, options: Options) -> None:
    """A row for each kernel and mask, and targets."""
    iterations(results, side=SIDES[options.effort], seed=options.seed)
    results.conclude(targets(results.part("iterations")))


def iterations(
    results: Results,
    *,
    side: int,
    hole_side: int = HOLE_SIDE,
    names: tuple[str, ...] | None = None,
    shares: tuple[float, ...] = SHARES,
    seed: int = 0,
) -> None:
    """A row for each kernel and mask."""
    for name in names or stationary_kernels():
        for missing in (*shares, HOLE):
            key: Row = {"part": "iterations", "kernel": name, "missing": missing}
            if results.has(**key):
                continue
            n = hole_side if missing == HOLE else side
            with Transforms(n * n) as counted, timed() as clock:
                found = noise_free(camera(n), missing_pixels(missing, n, seed), kernel_named(name)).info
            kept = {fact: found[fact] for fact in ("iterations", "residual", "converged")}
            results.add({**key, "side": n, **kept, "pairs": counted.pairs, "seconds": clock.seconds})


def targets(rows: list[Row]) -> list[Target]:
    """Of the most iterations, and of those that do not converge."""
    if not rows:
        return []
    worst = max(rows, key=lambda row: row["iterations"])
    where = f"{len(rows)} kernels and masks, most for {worst['kernel']} with {worst['missing']} missing"
    return [
        Target(f"iterations, {where}", worst["iterations"], most=60),
        Target("kernels and masks not solved", sum(not row["converged"] for row in rows), most=0),
    ]
