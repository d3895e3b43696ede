"""One 512x512 posterior mean against plain conjugate gradients in double precision, and 100 draws.

Half of the pixels are missing, without noise. Both begin with a picture, a mask and a kernel, so that all set-up counts, and
take turns in one run. Ours gives the mean picture and estimates offset and amplitude on the way; the plain one stops
at the solution of the system.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from bayesdip.gp.grid_covariance import embed
from bayesdip.kernels.kernel import Kernel
from bayesdip.lab.results import Row
from benchmarks.gp_problems import RESIDUAL, Transforms, kernel_named, missing_pixels, noise_free
from benchmarks.measurement import Clock, timed
from benchmarks.options import Options
from benchmarks.pictures import camera
from benchmarks.results import Results, Target

AMOUNTS: dict[str, dict[str, Any]] = {
    "fast": {"repeats": 3},
    "balanced": {"repeats": 5, "names": ("skip2", "skip5", "skip5-1024")},
    "best": {"repeats": 9, "names": ("skip2", "skip5", "skip5-1024")},
}
# Of the plain solver: over the kernel's variance, added to the diagonal.
JITTER = 1e-5


def run(results: Results, options: Options) -> None:
    """Medians of repeated solves for each kernel, and targets."""
    solve(results, **AMOUNTS[options.effort], seed=options.seed)
    results.conclude(targets(results.part("solve")))


def solve(
    results: Results,
    *,
    side: int = 512,
    repeats: int = 3,
    draws: int = 100,
    names: tuple[str, ...] = ("skip2", "skip5"),
    seed: int = 0,
) -> None:
    """A row for each kernel."""
    for name in names:
        if results.has(part="solve", kernel=name):
            continue
        picture, gone, kernel = camera(side), missing_pixels(0.5, side, seed), kernel_named(name)
        noise_free(camera(32), missing_pixels(0.5, 32), kernel)  # neither pays for loading a library
        ours, plain = [], []
        for _ in range(repeats):
            with timed() as clock:
                found = noise_free(picture, gone, kernel)
            ours.append(clock)
            with timed() as clock:
                other = reference_solve(kernel, ~gone, _centred(picture, gone)[0], RESIDUAL)
            plain.append(clock)
        with Transforms(side * side) as counted:
            noise_free(picture, gone, kernel)
        with timed() as sampling:
            drawn = noise_free(picture, gone, kernel, draws=draws, seed=seed)
        row: Row = {
            "part": "solve",
            "kernel": name,
            "side": side,
            "repeats": repeats,
            "iterations": found.info["iterations"],
            "pairs": counted.pairs,
            "residual": found.info["residual"],
            **_medians("", ours),
            "plain_iterations": other.iterations,
            "plain_pairs": 2 * other.iterations + 1,  # with K and with the preconditioner
            "plain_residual": other.residual,
            **_medians("plain_", plain),
            "rms_difference": _difference(found.mean, other.x, picture, gone, kernel),
            "draws": draws,
            "draws_seconds": sampling.seconds,
            "draws_cpu_seconds": sampling.cpu,
            "draws_iterations": drawn.info["sample_iterations"],
        }
        for ratio, mine, others in (("ratio", "", "plain_"), ("draws_ratio", "draws_", "")):
            row[ratio] = row[f"{mine}seconds"] / row[f"{others}seconds"]
            row[ratio.replace("ratio", "cpu_ratio")] = row[f"{mine}cpu_seconds"] / row[f"{others}cpu_seconds"]
        results.add(row)


def targets(rows: list[Row]) -> list[Target]:
    """Of transforms, time against the plain version, and draws."""
    found = []
    for row in rows:
        where = f"{row['kernel']}, {row['side']}x{row['side']}, half missing"
        found += [
            Target(f"pairs of transforms, {where}", row["pairs"], most=60),
            Target(f"seconds over the plain version's, {where}", row["ratio"], most=0.8),
            Target(f"{row['draws']} draws over one solve, {where}", row["draws_ratio"], most=60),
        ]
    return found


@dataclass(frozen=True)
class ReferenceSolution:
    """``x`` of shape (M, N), after so many iterations, with that relative residual."""

    x: Tensor
    iterations: int
    residual: float


def reference_solve(
    kernel: Kernel, seen: Tensor, b: Tensor, tol: float = 1e-3, most: int = 2000
) -> ReferenceSolution:
    """Solve ``(S K S + jitter) x = b`` by conjugate gradients with a circulant preconditioner: nothing clever.

    Every product with K is one pair of transforms on a grid of twice the size on each axis,
    and so is every application of the preconditioner, ``(K + jitter)^-1`` of the torus.

    Parameters
    ----------
    kernel : Kernel
    seen : Tensor of bool, shape (M, N)
        Where the picture is known; S keeps these pixels.
    b : Tensor, shape (M, N), float64, zero elsewhere
    tol : float
        Relative residual at which it stops.
    most : int
        Iterations.
    """
    torus = tuple(2 * n for n in b.shape)
    lags = kernel.quadrant(tuple(n + 1 for n in b.shape))
    for axis in range(b.ndim):
        lags = torch.cat((lags, lags.flip(axis).narrow(axis, 1, b.shape[axis] - 1)), axis)
    spectrum = torch.fft.rfftn(lags - kernel.limit).real.clamp(min=0)
    jitter = JITTER * float(kernel.quadrant((1,) * b.ndim))
    inverse = 1 / (spectrum + jitter)

    def filtered(v: Tensor, response: Tensor) -> Tensor:
        full: Tensor = torch.fft.irfftn(torch.fft.rfftn(v, torus) * response, torus)
        return full[tuple(slice(n) for n in v.shape)] * seen

    x, r = torch.zeros_like(b), b.clone()
    z = filtered(r, inverse)
    p, rz = z.clone(), (r * z).sum()
    size = b.norm()
    iterations = 0
    while iterations < most and r.norm() > tol * size:
        q = filtered(p, spectrum) + jitter * p
        step = rz / (p * q).sum()
        x += step * p
        r -= step * q
        iterations += 1
        z = filtered(r, inverse)
        rz, before = (r * z).sum(), rz
        p = z + (rz / before) * p
    return ReferenceSolution(x, iterations, float(r.norm() / size))


def _centred(picture: Tensor, gone: Tensor) -> tuple[Tensor, float]:
    """What the plain version solves for: known pixels less their mean, 0 where missing; and the mean."""
    mean = float(picture[0][~gone].double().mean())
    return torch.where(gone, 0.0, picture[0].double() - mean), mean


def _difference(found: Tensor, x: Tensor, picture: Tensor, gone: Tensor, kernel: Kernel) -> float:
    """Root mean square over the missing pixels of ours less the plain version's mean picture."""
    covariance = embed(kernel, picture.shape[1:], constant=False)
    plain = covariance.apply(x[None])[0] + _centred(picture, gone)[1]
    return float((found[0].double() - plain)[gone].square().mean().sqrt())


def _medians(prefix: str, clocks: list[Clock]) -> Row:
    seconds, cpu = (median(getattr(c, name) for c in clocks) for name in ("seconds", "cpu"))
    return {f"{prefix}seconds": seconds, f"{prefix}cpu_seconds": cpu}
