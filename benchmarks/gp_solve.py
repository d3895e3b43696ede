"""One exact posterior mean: its cost against the plain version, and its iterations for every kernel and mask."""

from __future__ import annotations

from statistics import median

import torch
from torch import Tensor

from bayesdip.gp import GPPosterior, posterior
from bayesdip.gp.grid_covariance import embed
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from benchmarks.problems import (
    HOLE,
    Clock,
    Transforms,
    camera,
    kernel_named,
    missing_pixels,
    shipped,
    timed,
)
from benchmarks.reference_solver import plain_solve
from benchmarks.results import Results, Row
from benchmarks.targets import Check, of_part

RESIDUAL = 1e-3
SHARES = (0.01, 0.1, 0.5, 0.9, 0.99)


def solve(
    results: Results,
    *,
    side: int = 512,
    repeats: int = 3,
    draws: int = 100,
    names: tuple[str, ...] = ("skip2", "skip5"),
    seed: int = 0,
) -> None:
    """Half of the pixels missing, no noise: ours against ``bench.plain``, by turns in one run; then draws.

    Both begin with a picture, a mask and a kernel: all setup counts. Ours gives the mean picture
    and finds offset and amplitude by the way; the plain one stops at the solution of the system.
    """
    for name in names:
        if results.has(part="solve", kernel=name):
            continue
        picture, gone, kernel = camera(side), missing_pixels(0.5, side, seed), kernel_named(name)
        ours(camera(32), missing_pixels(0.5, 32), kernel)  # neither pays for loading a library
        mine, plain = [], []
        for _ in range(repeats):
            with timed() as clock:
                found = ours(picture, gone, kernel)
            mine.append(clock)
            with timed() as clock:
                other = plain_solve(kernel, ~gone, _centred(picture, gone)[0], RESIDUAL)
            plain.append(clock)
        with Transforms(side * side) as counted:
            ours(picture, gone, kernel)
        with timed() as sampling:
            drawn = ours(picture, gone, kernel, draws=draws, seed=seed)
        row: Row = {
            "part": "solve",
            "kernel": name,
            "side": side,
            "repeats": repeats,
            "iterations": found.iterations,
            "pairs": counted.pairs,
            "residual": found.residual,
            **_medians("", mine),
            "plain_iterations": other.iterations,
            "plain_pairs": 2 * other.iterations + 1,  # with K and with the preconditioner
            "plain_residual": other.residual,
            **_medians("plain_", plain),
            "rms_difference": _difference(found, other.x, picture, gone, kernel),
            "draws": draws,
            "draws_seconds": sampling.seconds,
            "draws_cpu_seconds": sampling.cpu,
            "draws_iterations": drawn.sample_iterations,
        }
        row["ratio"] = row["seconds"] / row["plain_seconds"]
        row["cpu_ratio"] = row["cpu_seconds"] / row["plain_cpu_seconds"]
        row["draws_ratio"] = row["draws_seconds"] / row["seconds"]
        row["draws_cpu_ratio"] = row["draws_cpu_seconds"] / row["cpu_seconds"]
        results.add(row)


def solve_checks(rows: list[Row]) -> list[Check]:
    checks = []
    for row in of_part(rows, "solve"):
        where = f"{row['kernel']}, {row['side']}x{row['side']}, half missing"
        checks += [
            Check(f"pairs of transforms, {where}", row["pairs"], most=60),
            Check(f"seconds over the plain version's, {where}", row["ratio"], most=0.8),
            Check(f"{row['draws']} draws over one solve, {where}", row["draws_ratio"], most=60),
        ]
    return checks


def iterations(
    results: Results,
    *,
    side: int = 256,
    hole_side: int = 512,
    names: tuple[str, ...] | None = None,
    shares: tuple[float, ...] = SHARES,
    seed: int = 0,
) -> None:
    """Every shipped kernel, from 1% to 99% of the pixels missing, and one large hole; no noise."""
    masks: tuple[float | str, ...] = (*shares, HOLE)
    for name in names or shipped():
        for missing in masks:
            key: Row = {"part": "iterations", "kernel": name, "missing": missing}
            if results.has(**key):
                continue
            n = hole_side if missing == HOLE else side
            picture, gone = camera(n), missing_pixels(missing, n, seed)
            with Transforms(n * n) as counted, timed() as clock:
                found = ours(picture, gone, kernel_named(name))
            results.add(
                {
                    **key,
                    "side": n,
                    "iterations": found.iterations,
                    "pairs": counted.pairs,
                    "residual": found.residual,
                    "converged": found.converged,
                    "seconds": clock.seconds,
                }
            )


def iterations_checks(rows: list[Row]) -> list[Check]:
    mine = of_part(rows, "iterations")
    if not mine:
        return []
    worst = max(mine, key=lambda row: row["iterations"])
    where = f"{len(mine)} kernels and masks, most for {worst['kernel']} with {worst['missing']} missing"
    far = sum(not row["converged"] for row in mine)
    return [
        Check(f"iterations, {where}", worst["iterations"], most=60),
        Check("kernels and masks not solved", far, most=0),
    ]


def ours(picture: Tensor, gone: Tensor, kernel: Kernel, draws: int = 0, seed: int = 0) -> GPPosterior:
    """The posterior of a noise-free picture with missing pixels."""
    return posterior(
        picture,
        Mask(gone),
        kernel,
        Gaussian(0.0),
        samples=draws,
        generator=torch.Generator().manual_seed(seed),
        tol=RESIDUAL,
    )


def _centred(picture: Tensor, gone: Tensor) -> tuple[Tensor, float]:
    """What the plain version solves for: known pixels less their mean, 0 where missing; and the mean."""
    mean = float(picture[0][~gone].double().mean())
    return torch.where(gone, 0.0, picture[0].double() - mean), mean


def _difference(found: GPPosterior, x: Tensor, picture: Tensor, gone: Tensor, kernel: Kernel) -> float:
    """Root mean square over the missing pixels of ours less the plain version's mean picture."""
    covariance = embed(kernel, picture.shape[1:], constant=False)
    plain = covariance.apply(x[None])[0] + _centred(picture, gone)[1]
    return float((found.mean[0].double() - plain)[gone].square().mean().sqrt())


def _medians(prefix: str, clocks: list[Clock]) -> Row:
    return {
        f"{prefix}seconds": median(c.seconds for c in clocks),
        f"{prefix}cpu_seconds": median(c.cpu for c in clocks),
    }
