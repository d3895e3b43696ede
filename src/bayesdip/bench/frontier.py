"""``bayesdip bench frontier``: networks that could stand in for the paper's, by cost, kernel and picture.

Each restores the same crop in the same time: as many steps as fit into it at the pace of its quickest
step, so that whatever else the machine does takes nothing from one of them. On a CPU that is time of one
processor, and one thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar

import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.arch import Architecture
from bayesdip.arch.combine import Sequential
from bayesdip.arch.layers import BatchNorm, Conv, Convolution, Layer
from bayesdip.arch.network import GridRule
from bayesdip.arch.networks import Shuffle
from bayesdip.arch.resampling import PixelShuffle
from bayesdip.bench.problems import one_thread, timed
from bayesdip.bench.results import Results, Row
from bayesdip.bench.roofline import TIMED_STEPS, WARMING_STEPS, layer_costs, seconds_a_step
from bayesdip.bench.stopping import CORNER, SIGMA, psnr
from bayesdip.errors import BayesDipError
from bayesdip.fit.chain import Chain
from bayesdip.fit.effort import PLANS, Plan
from bayesdip.fit.first import process_mean
from bayesdip.fit.map import pose
from bayesdip.fit.moments import Thinned
from bayesdip.fit.muon import MuonStepper
from bayesdip.fit.prior import weight_stds
from bayesdip.fit.problem import Problem
from bayesdip.fit.sgld import Summary, sample_posterior
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.pipeline import put_back_known
from bayesdip.posterior import Posterior
from bayesdip.scale import Layout
from bayesdip.settings import Settings, pick_device

SIDES = {"fast": 64, "balanced": 128, "best": 256}
SECONDS = {"fast": 8.0, "balanced": 60.0, "best": 600.0}
FEWEST_STEPS = 40
LAGS = 32  # over which kernels are compared, on one axis
TASKS = ("denoise", "inpaint")
MISSING = 0.5
PAPER = "skip"
WARM_STEPS = 0.15  # share of the steps that a warm start spends on the process's picture


@dataclass(frozen=True, kw_only=True)
class Quarter(Shuffle):
    """As ``Shuffle``, at a quarter of the resolution: shuffled into pixels twice as far."""

    name: ClassVar[str] = "quarter"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        finest = (*self._unit(self.shuffled, self.filter_size), Conv(channels, 1))
        fine = Conv(self.shuffled * 4**dims, 1)
        return Sequential((*self._core(), fine, PixelShuffle(4), BatchNorm(), *finest))

    def grid_rule(self) -> GridRule:
        return replace(super().grid_rule(), magnification=4)


@dataclass(frozen=True)
class Candidate:
    """A network, and what is done to it before it is sampled: ``""``, ``"frozen"`` or ``"warm"``."""

    name: str
    network: Architecture
    variant: str = ""


def candidates() -> list[Candidate]:
    """The paper's network first."""
    networks: dict[str, Architecture] = {
        PAPER: arch.skip(),
        "skip, width 32": arch.skip(width=32),
        "skip, 3 scales": arch.skip(scales=3),
        "skip, 3 scales, width 32": arch.skip(scales=3, width=32),
        "unet": arch.named("unet(width=8, pooling='average', upsample='bilinear', padding='reflection')"),
        "decoder": arch.decoder(width=64),
        "shuffle": arch.shuffle(),
        "shuffle, 3 scales, width 32": arch.shuffle(scales=3, width=32),
        "shuffle, skip 4": arch.shuffle(skip=4),
        "shuffle of the nearest kernel": nearest_shuffle(),
        "quarter": Quarter(width=96),
        "deep-decoder": arch.named("deep-decoder"),
        "flat": arch.named("flat(width=32)"),
    }
    found = [Candidate(name, network) for name, network in networks.items()]
    shuffle = networks["shuffle"]
    return [
        *found,
        Candidate("shuffle, frozen", shuffle, "frozen"),
        Candidate("shuffle, warm", shuffle, "warm"),
    ]


def nearest_shuffle() -> Architecture:
    """Of 64 settings of the default network, the one whose kernel is nearest to that of the paper's."""
    choices = product((2, 3, 4, 5), (4, 8, 16, 32), (0.0, 0.1, 0.2, 0.4))
    networks = [arch.shuffle(scales=scales, skip=skip, slope=slope) for scales, skip, slope in choices]
    paper = correlation(arch.skip())
    return min(networks, key=lambda network: float((correlation(network) - paper).square().mean()))


def correlation(network: Architecture) -> Tensor:
    """Of two pixels at the lags 0..31 of one axis, a picture's mean taken off, in closed form."""
    kernel = network.kernel()
    values = kernel.quadrant((LAGS, 1))[:, 0] - kernel.limit
    return values / values[0]


def kernel_distance(network: Architecture) -> float | None:
    """Root mean square of the difference of correlations to the paper's network; None without a closed form."""
    try:
        return float((correlation(network) - correlation(arch.skip())).square().mean().sqrt())
    except BayesDipError:
        return None


def bench_frontier(results: Results, effort: str, seed: int, only: Iterable[str] = ()) -> None:
    """Every candidate on both tasks; who is on the frontier, and whether like kernels restore alike."""
    chosen = [c for c in candidates() if not only or c.name in only]
    clean, tasks = _tasks(SIDES[effort], seed)
    with one_thread():
        for candidate, (task, given) in product(chosen, tasks.items()):
            if not results.has(candidate=candidate.name, task=task):
                results.add(_row(candidate, task, given, clean, SECONDS[effort], seed))
    results.conclude(side=SIDES[effort], seconds=SECONDS[effort], **conclusions(results.rows))


def _tasks(side: int, seed: int) -> tuple[Tensor, dict[str, Measurement]]:
    """A crop of scikit-image's ``camera``, (1, side, side), and what is given in its place."""
    from skimage import data

    top, left = CORNER
    pixels = data.camera()[top : top + side, left : left + side]  # type: ignore[no-untyped-call]
    clean = Layout.of(pixels, None).to_tensor(pixels) / 255
    generator = torch.Generator().manual_seed(seed)
    noise = SIGMA * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    missing = torch.rand(side, side, generator=generator) < MISSING
    return clean, {
        "denoise": Measurement(clean + noise, Identity((side, side)), Gaussian(SIGMA)),
        "inpaint": Measurement(clean, Mask(missing), Gaussian(0.0)),
    }


def _row(
    candidate: Candidate, task: str, given: Measurement, clean: Tensor, seconds: float, seed: int
) -> Row:
    settings = Settings(arch=candidate.network, effort="fast", device=pick_device("auto"), seed=seed)
    problem, _ = pose(given, settings)
    pace = (
        seconds_a_step(problem, settings.device) if settings.device != "cpu" else _processor_seconds(problem)
    )
    steps = max(FEWEST_STEPS, round(seconds / pace))
    costs = layer_costs(problem.network, problem.code, given.grid)
    mean = restore(candidate, given, settings, replace(PLANS["fast"], steps=steps))
    return {
        "candidate": candidate.name,
        "task": task,
        "variant": candidate.variant,
        "arch": candidate.network.describe(),
        "kernel_distance": kernel_distance(candidate.network),
        "seconds_a_step": pace,
        "operations": sum(cost.operations for cost in costs),
        "steps": steps,
        "psnr": psnr(mean, clean),
    }


def _processor_seconds(problem: Problem) -> float:
    """Of the quickest of some steps, which other programs do not change."""
    stepper = MuonStepper(problem, torch.Generator().manual_seed(0), input_noise=1 / 30)
    taken = []
    for _ in range(WARMING_STEPS + TIMED_STEPS):
        with timed() as clock:
            stepper.step()
        taken.append(clock.cpu)
    return min(taken[WARMING_STEPS:])


def restore(candidate: Candidate, given: Measurement, settings: Settings, plan: Plan) -> Tensor:
    """The posterior mean of the sampled network, (C, *grid), known pixels put back."""
    problem, generator = pose(given, settings)
    taken = 0
    if candidate.variant == "frozen":
        problem = frozen(problem)
    elif candidate.variant == "warm":
        taken = round(WARM_STEPS * plan.steps)
        warm_up(problem, given, generator, plan, taken)
    summary = Summary((given.channels, *given.grid), Thinned(0))
    chain = Chain(problem, Monitor(), plan.steps - taken, summary.mean)
    sample_posterior(chain, plan, settings, generator, summary)
    mean = summary.mean()
    assert mean is not None
    found = Posterior(mean, None, mean.new_zeros((0, *mean.shape)), {})
    return put_back_known(found, given).mean.cpu()


def frozen(problem: Problem) -> Problem:
    """The strided convolutions of the way down stay as they were drawn."""
    for module in problem.network.modules():
        if isinstance(module, Convolution) and module.record.stride > 1:
            module.requires_grad_(False)
    return replace(problem, stds=weight_stds(problem.network))


def warm_up(problem: Problem, given: Measurement, generator: torch.Generator, plan: Plan, steps: int) -> None:
    """Fit the network to the mean of the process first."""
    target = process_mean(given)
    assert target is not None
    target = target.to(problem.code)
    whole = Measurement(target, Identity(given.grid), Gaussian(SIGMA))
    other = replace(problem, measurement=whole, observed=torch.ones_like(target, dtype=torch.bool))
    stepper = MuonStepper(other, generator, input_noise=plan.input_noise)
    for _ in range(steps):
        stepper.step()


def conclusions(rows: list[Row]) -> dict[str, Any]:
    """For each task: the frontier, the best, and the rank correlation of kernel distance and loss to the best."""
    from scipy.stats import spearmanr

    told: dict[str, Any] = {}
    for task in TASKS:
        here = [row for row in rows if row["task"] == task]
        if len(here) < 3:
            continue
        best = max(here, key=lambda row: row["psnr"])
        told[f"{task}_frontier"] = [row["candidate"] for row in here if _is_on_frontier(row, here)]
        told[f"{task}_best"] = best["candidate"]
        known = [row for row in here if row["kernel_distance"] is not None and not row["variant"]]
        pairs = [(row["kernel_distance"], best["psnr"] - row["psnr"]) for row in known]
        found = spearmanr([d for d, _ in pairs], [loss for _, loss in pairs])
        told[f"{task}_rank_correlation"] = float(found.statistic)
        told[f"{task}_p"] = float(found.pvalue)
        told[f"{task}_networks"] = len(pairs)
    return told


def _is_on_frontier(row: Row, rows: list[Row]) -> bool:
    """Whether no other has both a cheaper step and a better picture."""
    return not any(
        other["seconds_a_step"] < row["seconds_a_step"] and other["psnr"] > row["psnr"] for other in rows
    )
