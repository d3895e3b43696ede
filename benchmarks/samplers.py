"""Samplers against known posteriors, over a long run, and by noise level, with a figure.

Whether they sample what they say, stay there, and leave the noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

import bayesdip as bd
from bayesdip.arch.architecture import Architecture
from bayesdip.lab.results import Row
from bayesdip.methods.sgld import NARROW
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.setup import set_up
from bayesdip.networks.steppers import AdamStepper
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior
from benchmarks.options import Options
from benchmarks.pictures import psnr
from benchmarks.results import Results, Target, of_part
from benchmarks.samplers_exact import exact, exact_targets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 64
BURN_INS = 10  # how long a chain is watched after its burn-in, in burn-ins
# Smaller than what short runs take: there a larger step pays although it raises the mean squared residual by some percent.
STEP_SIZE = 0.025


@dataclass(frozen=True)
class Amount:
    """How much an effort measures."""

    exact: dict[str, Any]
    burn_in: int
    plateau_steps: int
    sigmas: tuple[int, ...]
    arch: Architecture = NARROW


AMOUNTS = {
    "fast": Amount({"chains": 16, "steps": 3000}, 500, 2000, (5, 15, 25, 50, 75)),
    "balanced": Amount({"chains": 32, "steps": 10000}, 1000, 5000, (5, 15, 25, 35, 50, 75)),
    "best": Amount({"chains": 64, "steps": 40000}, 7000, 20000, (5, 15, 25, 35, 50, 75)),
}


def run(results: Results, options: Options) -> None:
    """All parts, targets and the figure."""
    amount, seed = AMOUNTS[options.effort], options.seed
    exact(results, **amount.exact, seed=seed)
    for sampler in ("psgld", "adam-noise"):
        drift(results, sampler, amount, seed)
    for sigma in amount.sigmas:
        for method in ("psgld", "adam"):
            plateau(results, method, sigma, amount, seed)
    rows = results.rows
    results.conclude([*exact_targets(rows), *drift_targets(rows), *plateau_targets(rows)])
    results.draw(samplers_figure)


def drift(results: Results, sampler: str, amount: Amount, seed: int) -> None:
    """The mean squared residual over ten burn-ins, sigma 25, in blocks one burn-in long; their mean is the plateau."""
    key = {"part": "drift", "sampler": sampler}
    if results.has(**key):
        return
    steps, share = (BURN_INS + 1) * amount.burn_in, 1 / (BURN_INS + 1)
    schedule = Schedule(steps, warm_up=0.5 * share, heated=0.6 * share, burnt_in=share, step_size=STEP_SIZE)
    clean, problem = noisy_camera(25, seed)
    found = sampled(problem, amount.arch, schedule, seed, sampler)
    at, fits = np.array(found.trace["step"]), np.array(found.trace["fit"])
    ends = amount.burn_in * np.arange(1, BURN_INS + 2)
    blocks = [float((fits[(at > a) & (at <= b)] ** 2).mean()) for a, b in pairwise(ends)]
    level = float(np.mean(blocks))
    row = {"burn_in": amount.burn_in, "mse_over_sigma2": blocks}
    row |= {"drift": max(abs(b / level - 1) for b in blocks), "psnr": psnr(found.mean.cpu(), clean)}
    results.add(key | row)


def plateau(results: Results, method: str, sigma: int, amount: Amount, seed: int) -> None:
    """Mean squared error to the noisy picture where a method ends; ``adam`` is plain descent on the negative log-likelihood."""
    key = {"part": "plateau", "method": method, "sigma": sigma}
    if results.has(**key):
        return
    _, problem = noisy_camera(sigma, seed)
    schedule = Schedule(amount.plateau_steps, step_size=STEP_SIZE)
    if method == "adam":
        made = set_up(problem, amount.arch, seed=seed, device="cpu")
        rate = schedule.learning_rate
        stepper = AdamStepper(made.target, made.generator, learning_rate=rate, input_noise=0.0)
        loop = TrainingLoop(made.target, Progress(), schedule.steps, lambda: None)
        loop.advance(stepper, 1.0, "fit", lambda picture: None)
        fits = loop.trace["fit"][-1:]
    else:
        trace = sampled(problem, amount.arch, schedule, seed).trace
        fits = [f for f, on in zip(trace["fit"], trace["sampling"], strict=True) if on]
    ratio = float(np.mean(np.square(fits)))
    results.add(key | {"steps": schedule.steps, "mse": ratio * sigma**2, "mse_over_sigma2": ratio})


def sampled(
    problem: Problem, arch: Architecture, schedule: Schedule, seed: int, sampler: str = "psgld"
) -> Posterior:
    """By ``method="sgld"`` with a schedule of ours."""
    method = bd.SGLD(arch=arch, sampler=sampler, samples=0, seed=seed).resolved(problem)
    return method.fit_by(problem, Progress(), schedule)


def noisy_camera(sigma: int, seed: int) -> tuple[Tensor, Problem]:
    """A part of scikit-image's camera, (1, 64, 64) in 0..1, and the same with noise of sigma gray levels of 255."""
    from skimage import data

    gray = data.camera()  # type: ignore[no-untyped-call]
    clean = torch.from_numpy(gray[80 : 80 + SIDE, 200 : 200 + SIDE] / 255.0)[None]
    noise = Gaussian(sigma / 255)
    y = noise.sample(clean, torch.Generator().manual_seed(seed))
    return clean, Problem(y, Identity((SIDE, SIDE)), noise)


def drift_targets(rows: list[Row]) -> list[Target]:
    """Of the posterior's sampler alone."""
    return [
        Target(f"drift of the mean squared residual over {BURN_INS} burn-ins, psgld", row["drift"], most=0.05)
        for row in of_part(rows, "drift")
        if row["sampler"] == "psgld"
    ]


def plateau_targets(rows: list[Row]) -> list[Target]:
    """The sampler stays at the noise's level, descent goes below it."""
    found = []
    for row in of_part(rows, "plateau"):
        bounds = {"least": 0.9, "most": 1.1} if row["method"] == "psgld" else {"most": 0.5}
        what = f"MSE to the noisy picture over sigma^2, sigma {row['sigma']}, {row['method']}"
        found.append(Target(what, row["mse_over_sigma2"], **bounds))
    return found


def samplers_figure(rows: list[Row]) -> Figure:
    """The mean squared residual over a long run, and where it ends by noise level (Cheng et al. 2019, fig. 1a and b)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    by_time, by_noise = figure.subplots(1, 2)
    for row in of_part(rows, "drift"):
        ends = row["burn_in"] * np.arange(2, BURN_INS + 2)
        by_time.plot(ends, row["mse_over_sigma2"], "o-", label=row["sampler"])
    by_time.axhline(1, color="gray", linewidth=0.8)
    by_time.set(xlabel="steps", ylabel="MSE to the noisy picture / sigma²", ylim=(0, None))
    by_time.set_title(f"{BURN_INS} burn-ins after the burn-in, sigma 25")
    for method, label in (("psgld", "sampled, psgld"), ("adam", "Adam on the likelihood")):
        line = sorted(
            (row["sigma"], row["mse"]) for row in of_part(rows, "plateau") if row["method"] == method
        )
        if line:
            by_noise.plot(*zip(*[(s**2, mse) for s, mse in line], strict=True), "o-", label=label)
    levels = [row["sigma"] ** 2 for row in of_part(rows, "plateau")]
    if levels:
        by_noise.plot([0, max(levels)], [0, max(levels)], color="gray", linewidth=0.8, label="MSE = sigma²")
    by_noise.set(xlabel="sigma² (gray levels of 255)", ylabel="MSE to the noisy picture at the end")
    for axes in (by_time, by_noise):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    return figure
