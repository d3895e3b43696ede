"""Three calibrations under a blur: a simulated picture, the equivariant bootstrap, and Stein's estimate.

Small random pictures (smooth, with edges, textured, parts of photographs), blurred, with white noise of a known level, restored by
`patches`. Each calibration gives the size of the errors one scale; told are the logarithm of that size over the true one, and
whether 90% intervals then hold 80 to 97%. ``--seeds`` says how many pictures, ``--seed`` which is the first.

- simulated: what the package does (`bayesdip.simulation`).
- bootstrap: the restored picture, mirrored at random, is measured and restored again (Tachella and Pereyra, arXiv 2310.11838).
- Stein: the simulated errors times the ratio of the errors of the predicted data by Stein's unbiased risk estimate (in
  conformal form: Everink, Tamo Amougou and Pereyra, arXiv 2502.05127) to those of the simulated data; also with a noise level 5% too low.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bayesdip.holdout import calibrated_std
from bayesdip.lab.results import Row
from bayesdip.methods import Patches
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior
from bayesdip.simple_comparison import Average
from bayesdip.simulated_average import averaged, estimates_beside
from bayesdip.simulation import judged_by_simulation, simulated
from bayesdip.threads import one_thread
from benchmarks.options import Options
from benchmarks.pictures import gaussian_psf
from benchmarks.results import Results
from benchmarks.sweep import Seeded
from benchmarks.sweep.truths import random_truth

COUNT, FIRST, REPLICAS = 10, 1000, 3
SIGMAS, TOO_LOW = (0.005, 0.02, 0.05), 0.95
# Step of the finite difference that gives the divergence, in standard deviations of the noise.
STEP = 0.3
Z, HELD = 1.645, (0.80, 0.97)


def run(results: Results, options: Options) -> None:
    """A row for each picture, and the table."""
    first = options.seed or FIRST
    for seed in range(first, first + (options.seeds or COUNT)):
        if not results.has(seed=seed):
            with one_thread():
                results.add(measured(seed, options.effort))
    results.conclude([], pictures=len(results.rows))
    results.log(table(results.rows))


@dataclass(frozen=True)
class Restorer:
    """`patches`, averaged with other estimates in fixed shares, so that it restores all data alike."""

    effort: str
    weights: tuple[float, ...] = ()

    def fit(self, problem: Problem) -> Posterior:
        found = Patches(effort=self.effort, device="cpu").fit(problem, Progress())
        beside = estimates_beside(found, problem)
        return averaged(found, beside, np.array(self.weights)) if self.weights else found

    def mean(self, problem: Problem) -> Tensor:
        return self.fit(problem).mean.double().cpu()


def measured(seed: int, effort: str) -> Row:
    """Restore a random picture and calibrate it in each way.

    Returns
    -------
    dict
        ``seed``, ``words``; for each way the logarithm of the expected over the true size of the errors, and ``..._held``.
    """
    choices = Seeded(seed)
    made = random_truth(choices, ("picture",))
    width, sigma = choices.number(0.8, 2.0), choices.one_of(SIGMAS)
    truth = torch.from_numpy(made.unit[None])
    operator = Blur(truth.shape[1:], gaussian_psf(width))
    problem = observed(Problem(operator.forward(truth), operator, Gaussian(sigma)), truth, seed)
    method = Patches(effort=effort, device="cpu")
    posterior, calibration = judged_by_simulation(
        method, Average(), method.fit(problem, Progress()), problem, Progress()
    )
    std = calibrated_std(posterior, problem, calibration)
    assert calibration is not None and std is not None
    mean, std = posterior.mean.double().cpu(), std.double().cpu()
    restorer = Restorer(effort, tuple(posterior.info.get("weights", ())))
    sizes = {"simulated": rms(std), "bootstrap": bootstrapped(restorer, problem, mean, seed)}
    sizes |= by_stein(restorer, problem, mean, seed)
    row: Row = {"seed": seed, "words": f"{made.words}, blur {width:.1f}, noise {sigma:g}"}
    error = (mean - truth).abs()
    for name, size in sizes.items():
        inside = float((error <= Z * size / rms(std) * std).double().mean())
        row |= {name: round(math.log(size / rms(error)), 3), f"{name}_held": round(inside, 3)}
    return row


def observed(problem: Problem, picture: Tensor, seed: int) -> Problem:
    """The same with data of another picture."""
    y = problem.noise.sample(problem.operator.forward(picture), torch.Generator().manual_seed(seed))
    return replace(problem, y=y.double())


def bootstrapped(restorer: Restorer, problem: Problem, mean: Tensor, seed: int) -> float:
    """Root mean square difference of a restored picture from itself, mirrored, measured and restored again."""
    rng, squares = np.random.default_rng(seed), []
    for replica in range(REPLICAS):
        axes = [axis + 1 for axis in range(mean.ndim - 1) if rng.integers(2)]
        turned = mean.flip(axes)
        again = restorer.mean(observed(problem, turned, seed + 1 + replica))
        squares.append(rms(again - turned) ** 2)
    return math.sqrt(sum(squares) / len(squares))


def by_stein(restorer: Restorer, problem: Problem, mean: Tensor, seed: int) -> dict[str, float]:
    """The simulated errors, so many times as large as Stein's estimate is larger than the simulated errors of the data."""
    simulation = simulated(mean, problem, 0)
    assert simulation is not None and isinstance(problem.noise, Gaussian)
    forward, again = problem.operator.forward, restorer.mean(simulation.problem)
    simulated_error = rms(simulation.truth - again)
    of_data = rms(simulation.problem.operator.forward(simulation.truth - again))
    sigma = float(problem.noise.sigma)
    step = torch.randn(problem.y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moved = restorer.mean(replace(problem, y=problem.y + STEP * sigma * step))
    here = restorer.mean(problem)
    divergence = float((step * (forward(moved) - forward(here))).mean()) / (STEP * sigma)
    residual = rms(forward(here) - problem.y) ** 2
    found = {}
    for name, level in (("Stein", sigma), ("Stein, noise 5% too low", TOO_LOW * sigma)):
        risk = max(residual - level**2 + 2 * level**2 * divergence, 1e-4 * level**2)
        found[name] = simulated_error * math.sqrt(risk) / of_data
    return found


def rms(values: Tensor) -> float:
    """Root mean square."""
    return float(values.double().square().mean().sqrt())


def table(rows: Iterable[Row]) -> str:
    """Markdown: mean and standard deviation of the logarithms, and how many intervals hold 80 to 97%."""
    rows = list(rows)
    lines = [
        "| calibration | log of expected over true size: mean | standard deviation | 80 to 97% hold in |",
        "|---|---|---|---|",
    ]
    for name in ("simulated", "bootstrap", "Stein", "Stein, noise 5% too low"):
        logs = [row[name] for row in rows]
        inside = sum(HELD[0] <= row[f"{name}_held"] <= HELD[1] for row in rows)
        lines.append(f"| {name} | {np.mean(logs):+.2f} | {np.std(logs):.2f} | {inside} of {len(rows)} |")
    return "\n".join(lines)
