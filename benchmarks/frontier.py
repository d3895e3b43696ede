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
from bayesdip.arch.combinators import Sequential
from bayesdip.arch.layers import BatchNorm, Conv, Depthwise, Layer
from bayesdip.arch.network import GridRule
from bayesdip.arch.networks import Shuffle, Skip
from bayesdip.arch.resampling import PixelShuffle
from bayesdip.errors import BayesDipError
from bayesdip.methods.map import pose
from bayesdip.networks.energy import Energy
from bayesdip.networks.muon import MuonStepper
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.settings import Settings, pick_device
from bayesdip.units import Layout
from benchmarks.problems import one_thread, timed
from benchmarks.results import Results, Row
from benchmarks.roofline import TIMED_STEPS, WARMING_STEPS, layer_costs, seconds_a_step
from benchmarks.stopping import CORNER, SIGMA, psnr
from benchmarks.variants import VARIANTS, restore

SIDES = {"fast": 64, "balanced": 128, "best": 256}
SECONDS = {"fast": 8.0, "balanced": 60.0, "best": 600.0}
FEWEST_STEPS = 40
LAGS = 32  # over which kernels are compared, on one axis
TASKS = ("denoise", "inpaint")
MISSING = 0.5
PAPER = "skip"
VARIED = "skip 3x32"  # the default network of noisy data


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


@dataclass(frozen=True, kw_only=True)
class Separable(Skip):
    """As ``Skip``, its larger convolutions separable: each feature by itself, then all of them pixel by pixel."""

    name: ClassVar[str] = "separable"

    def _conv(self, features: int, size: int, stride: int = 1) -> Layer:
        if size == 1:
            return super()._conv(features, size, stride)
        return Sequential((Depthwise(size, stride, self.padding), Conv(features, 1)))


@dataclass(frozen=True)
class Candidate:
    """A network, and what is done to it: one of ``bench.variants``."""

    name: str
    network: Architecture
    variant: str = ""


def candidates() -> list[Candidate]:
    """The paper's network first; `3x32` is 3 scales of 32 features."""
    networks: dict[str, Architecture] = {
        PAPER: arch.skip(),
        "skip 5x32": arch.skip(width=32),
        "skip 5x32 with wide skips": arch.skip(width=32, skip=32),
        "skip 3x128": arch.skip(scales=3),
        VARIED: arch.skip(scales=3, width=32),
        "skip 3x32 with wide skips": arch.skip(scales=3, width=32, skip=32),
        "unet": arch.named("unet(width=8, pooling='average', upsample='bilinear', padding='reflection')"),
        "decoder": arch.decoder(width=64),
        "shuffle": arch.shuffle(),
        "shuffle 3x32": arch.shuffle(scales=3, width=32),
        "shuffle with few skips": arch.shuffle(skip=4),
        "shuffle of the nearest kernel": nearest_shuffle(),
        "quarter": Quarter(width=96),
        "deep-decoder": arch.named("deep-decoder"),
        "flat": arch.named("flat(width=32)"),
        "separable 3x32": Separable(scales=3, width=32),
        "separable 3x64": Separable(scales=3, width=64),
    }
    found = [Candidate(name, network) for name, network in networks.items()]
    changed = [Candidate(f"{VARIED} {variant}", networks[VARIED], variant) for variant in VARIANTS if variant]
    return found + changed


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


def _tasks(side: int, seed: int) -> tuple[Tensor, dict[str, Problem]]:
    """A crop of scikit-image's ``camera``, (1, side, side), and what is given in its place."""
    from skimage import data

    top, left = CORNER
    pixels = data.camera()[top : top + side, left : left + side]  # type: ignore[no-untyped-call]
    clean = Layout.of(pixels, None).to_tensor(pixels) / 255
    generator = torch.Generator().manual_seed(seed)
    noise = SIGMA * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    missing = torch.rand(side, side, generator=generator) < MISSING
    return clean, {
        "denoise": Problem(clean + noise, Identity((side, side)), Gaussian(SIGMA)),
        "inpaint": Problem(clean, Mask(missing), Gaussian(0.0)),
    }


def _row(candidate: Candidate, task: str, given: Problem, clean: Tensor, seconds: float, seed: int) -> Row:
    settings = Settings(arch=candidate.network, effort="fast", device=pick_device("auto"), seed=seed)
    target, _ = pose(given, settings)
    pace = seconds_a_step(target, settings.device) if settings.device != "cpu" else _processor_seconds(target)
    steps = max(FEWEST_STEPS, round(seconds / pace))
    costs = layer_costs(target.network, target.code, given.grid)
    mean = restore(candidate.variant, given, settings, steps)
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


def _processor_seconds(target: Energy) -> float:
    """Of the quickest of some steps, which other programs do not change."""
    stepper = MuonStepper(target, torch.Generator().manual_seed(0), input_noise=1 / 30)
    taken = []
    for _ in range(WARMING_STEPS + TIMED_STEPS):
        with timed() as clock:
            stepper.step()
        taken.append(clock.cpu)
    return min(taken[WARMING_STEPS:])


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
