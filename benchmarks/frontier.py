"""Networks in place of the paper's, by cost, kernel and restored picture; ``--pictures`` names candidates.

Each restores the same crop in the same time: as many steps as fit into it, by the time of its quickest
step, so that whatever else the machine does takes nothing from one of them. On a CPU that is time of one
processor, and one thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor

import bayesdip as bd
from bayesdip import arch
from bayesdip.arch import Architecture
from bayesdip.arch.combinators import Sequential
from bayesdip.arch.layers import BatchNorm, Conv, Layer
from bayesdip.arch.network import GridRule
from bayesdip.arch.networks import Shuffle
from bayesdip.arch.resampling import PixelShuffle
from bayesdip.errors import BayesDipError
from bayesdip.holdout import put_back_known
from bayesdip.lab.results import Row
from bayesdip.networks.energy import Energy
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.setup import set_up
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.threads import one_thread
from benchmarks.measurement import timed
from benchmarks.options import Options
from benchmarks.pictures import psnr
from benchmarks.results import Results
from benchmarks.roofline import TIMED_STEPS, WARMING_STEPS, layer_costs, seconds_per_step
from benchmarks.stopping import CORNER, SIGMA

SIDES = {"fast": 64, "balanced": 128, "best": 256}
SECONDS = {"fast": 8.0, "balanced": 60.0, "best": 600.0}
FEWEST_STEPS = 40
LAGS = 32  # over which kernels are compared, on one axis
TASKS = ("denoise", "inpaint")
MISSING = 0.5
PAPER = "skip"


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


def candidates() -> dict[str, Architecture]:
    """The paper's network first; `3x32` is 3 scales of 32 features."""
    return {
        PAPER: arch.skip(),
        "skip 5x32": arch.skip(width=32),
        "skip 3x128": arch.skip(scales=3),
        "skip 3x32": arch.skip(scales=3, width=32),
        "unet": arch.named("unet(width=8, pooling='average', upsample='bilinear', padding='reflection')"),
        "decoder": arch.decoder(width=64),
        "shuffle": arch.shuffle(),
        "shuffle 3x32": arch.shuffle(scales=3, width=32),
        "quarter": Quarter(width=96),
        "deep-decoder": arch.named("deep-decoder"),
        "flat": arch.named("flat(width=32)"),
    }


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


def run(results: Results, options: Options) -> None:
    """Every candidate on both tasks; who is on the frontier, and whether like kernels restore alike."""
    side, seconds = SIDES[options.effort], SECONDS[options.effort]
    chosen = {name: c for name, c in candidates().items() if name in (options.pictures or candidates())}
    clean, tasks = _tasks(side, options.seed)
    with one_thread():
        for (name, network), (task, problem) in product(chosen.items(), tasks.items()):
            if not results.has(candidate=name, task=task):
                row = restored(network, problem, clean, seconds, options.seed)
                results.add({"candidate": name, "task": task} | row)
    results.conclude(side=side, seconds=seconds, **conclusions(results.rows))


def _tasks(side: int, seed: int) -> tuple[Tensor, dict[str, Problem]]:
    """A crop of scikit-image's ``camera``, (1, side, side), and what is given in its place."""
    from skimage import data

    top, left = CORNER
    clean = torch.from_numpy(data.camera()[top : top + side, left : left + side] / 255)[None]
    generator = torch.Generator().manual_seed(seed)
    noise = SIGMA * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    missing = torch.rand(side, side, generator=generator) < MISSING
    return clean, {
        "denoise": Problem(clean + noise, Identity((side, side)), Gaussian(SIGMA)),
        "inpaint": Problem(clean, Mask(missing), Gaussian(0.0)),
    }


def restored(network: Architecture, problem: Problem, clean: Tensor, seconds: float, seed: int) -> Row:
    """What the network gives in so many seconds, and what a step of it costs."""
    method = bd.SGLD(arch=network, effort="fast", seed=seed, samples=0).resolved(problem)
    energy = set_up(problem, network, seed=seed, device=method.device).energy
    on_cpu = method.device == "cpu"
    step = _processor_seconds(energy) if on_cpu else seconds_per_step(energy, method.device)
    costs = layer_costs(energy.network, energy.latent, problem.grid)
    method = replace(method, steps=max(FEWEST_STEPS, round(seconds / step)))
    posterior = put_back_known(
        method.fit_by(problem, Progress(), method.schedule(problem), initial=False), problem
    )
    return {
        "arch": network.describe(),
        "kernel_distance": kernel_distance(network),
        "seconds_a_step": step,
        "operations": sum(cost.operations for cost in costs),
        "steps": method.steps,
        "psnr": psnr(posterior.mean.cpu(), clean),
    }


def _processor_seconds(energy: Energy) -> float:
    """Of the quickest of some steps, which other programs do not change."""
    stepper = MuonStepper(energy, torch.Generator().manual_seed(0), input_noise=1 / 30)
    taken = []
    for _ in range(WARMING_STEPS + TIMED_STEPS):
        with timed() as clock:
            stepper.step()
        taken.append(clock.cpu)
    return min(taken[WARMING_STEPS:])


def conclusions(rows: list[Row]) -> Row:
    """For each task: the frontier, the best, and the rank correlation of kernel distance and loss to the best."""
    from scipy.stats import spearmanr

    found: Row = {}
    for task in TASKS:
        here = [row for row in rows if row["task"] == task]
        if len(here) < 3:
            continue
        best = max(here, key=lambda row: row["psnr"])
        found[f"{task}_frontier"] = [row["candidate"] for row in here if _is_on_frontier(row, here)]
        found[f"{task}_best"] = best["candidate"]
        known = [row for row in here if row["kernel_distance"] is not None and not row.get("variant")]
        pairs = [(row["kernel_distance"], best["psnr"] - row["psnr"]) for row in known]
        rank = spearmanr([d for d, _ in pairs], [loss for _, loss in pairs])
        found[f"{task}_rank_correlation"] = float(rank.statistic)
        found[f"{task}_p"] = float(rank.pvalue)
        found[f"{task}_networks"] = len(pairs)
    return found


def _is_on_frontier(row: Row, rows: list[Row]) -> bool:
    """Whether no other has both a cheaper step and a better picture."""
    return not any(
        other["seconds_a_step"] < row["seconds_a_step"] and other["psnr"] > row["psnr"] for other in rows
    )
