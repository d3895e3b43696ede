"""Quality against time: the recipe of Cheng et al. 2019 and ours, taking turns on one picture, with figures.

Sigma 25, clipped to 8 bits. First the rooflines of both networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import bayesdip as bd
from bayesdip.holdout import split
from bayesdip.layout import Layout
from bayesdip.methods import EFFORTS, Method
from bayesdip.methods.method import pick_device
from bayesdip.noise import Gaussian, detect_clipping
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from benchmarks.interleaved_timing import OwnClock, Turns, take_turns
from benchmarks.options import Options
from benchmarks.pictures import Array, noisy_pairs, psnr
from benchmarks.results import Results
from benchmarks.roofline import SIDES, roofline, shares
from benchmarks.speed_curves import comparisons, curves_figure

SIGMA = 25.0
# The paper's recipe is given so many seconds; ours too, of which it needs the less.
BUDGETS = {"fast": 180.0, "balanced": 600.0, "best": 2400.0}
TURN = 5.0
# A picture is scored when the clock has gone on by this share since the last time.
SCORE_SHARE = 0.01
# The published noisy pictures of each side; of the smaller one for 128, its centre.
PUBLISHED = {128: "house", 256: "house", 512: "peppers"}


@dataclass
class Curve:
    """What a run would have given back at each moment that was scored.

    Attributes
    ----------
    psnr : list of float
        In dB, values clipped to 0..255.
    held_out : list of float
        Root mean squared error on the noisy pixels that the run does not see; no truth is needed for it.
    """

    seconds: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)

    def due(self, seconds: float) -> bool:
        """Whether the next picture is to be scored."""
        return not self.seconds or seconds >= (1 + SCORE_SHARE) * self.seconds[-1]


def run(results: Results, options: Options) -> None:
    """Curves for each side and run, and how much sooner ours has what the paper's recipe reaches.

    ``--time-budget``, or else the effort, says how long the paper's recipe runs. Ours runs
    at that effort and all below, each to the end of its own schedule or for as long: a sampled network, and
    at that effort the network stacked on the picture's own patches.
    """
    device, seed = pick_device("auto"), options.seed
    sides = options.sides or SIDES[device]
    budget = options.time_budget or BUDGETS[options.effort]
    methods: dict[str, Method] = {"paper": bd.SGLD.paper(seed=seed)}
    for effort in EFFORTS[: EFFORTS.index(options.effort) + 1]:
        methods[effort] = bd.SGLD(effort=effort, seed=seed)
    methods["stack"] = bd.Stack(effort=options.effort, seed=seed)
    roofline(results, sides, seed)
    for side in sides:
        if results.has(part="speed", side=side):
            continue
        name, clean, noisy = picture_of(side, options.data, seed)
        for each, curve in curves_of(clean, noisy, methods, budget).items():
            row = {"part": "speed", "side": side, "picture": name, "run": each, "device": device}
            rate = curve.steps[-1] / curve.seconds[-1] if curve.seconds else 0.0
            results.add(row | {"steps_per_second": rate, "curve": vars(curve)})
    found = comparisons(results.part("speed"))
    noise = "sigma 25, clipped to 8 bits"
    results.conclude(budget=budget, noise=noise, roofline_shares=shares(results.rows), **found)
    results.draw(curves_figure, "-curves")


def curves_of(clean: Array, noisy: Array, methods: dict[str, Method], limit: float) -> dict[str, Curve]:
    """Run all methods on one noisy picture of 8 bits, (M, N, C), each for at most ``limit`` of its own seconds."""
    layout = Layout.of(noisy, -1)
    data = layout.to_tensor(noisy)
    turns = Turns(tuple(methods), TURN)
    curves = {name: Curve() for name in methods}
    jobs: dict[str, Callable[[], Any]] = {}
    clocks: dict[str, OwnClock] = {}
    for name, method in methods.items():
        # The paper's recipe has squared errors, whatever was clipped.
        noise = Gaussian(SIGMA) if name == "paper" else Gaussian(SIGMA, detect_clipping(data))
        whole = Problem.from_data(data, Identity(tuple(data.shape[1:])), noise)
        problem = replace(whole, held_out=split(whole, method.seed))

        def score(
            seconds: float, snapshot: bd.Snapshot, curve: Curve = curves[name], p: Problem = problem
        ) -> None:
            if snapshot.mean is None or not curve.due(seconds):
                return
            try:
                found = p.units.to_own(snapshot.mean().cpu())
            except bd.errors.NoResultError:  # it would have given nothing back yet
                return
            curve.seconds.append(seconds)
            curve.steps.append(snapshot.step)
            curve.psnr.append(psnr(layout.to_array(found), clean))
            curve.held_out.append(float((found - data)[:, p.held_out].square().mean().sqrt()))

        clocks[name] = clock = OwnClock(turns, name, limit, score)

        def job(method: Method = method, p: Problem = problem, clock: OwnClock = clock) -> None:
            method.resolved(p).fit(p.training, Progress(clock))

        jobs[name] = job
    take_turns(jobs, clocks)
    return curves


def picture_of(side: int, data: Path | None, seed: int) -> tuple[str, Array, Array]:
    """A name, a clean colour picture of that side and a noisy one, both of 8 bits.

    The published input where there is one of that side, else scikit-image's ``astronaut`` (512x512) made
    smaller, or continued in the mirror, with noise of our own.
    """
    if data is not None and side in PUBLISHED:
        pair = next(iter(noisy_pairs(data, (PUBLISHED[side],), side)))
        return pair.name, pair.clean, pair.given
    clean = astronaut(side)
    noise = np.random.default_rng(seed).normal(0, SIGMA, clean.shape)
    return "astronaut", clean, np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def astronaut(side: int) -> Array:
    """scikit-image's picture, made smaller or continued in the mirror."""
    from skimage import data, transform

    whole: Array = data.astronaut()
    if side > len(whole):
        return np.pad(whole, [(0, side - len(whole))] * 2 + [(0, 0)], mode="symmetric")
    small = transform.resize(whole, (side, side), anti_aliasing=True, preserve_range=True)
    return np.rint(small).astype(np.uint8)
