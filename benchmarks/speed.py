"""Quality against time: the paper's recipe and ours, on one picture, in one process, taking turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.holdout import choose_held_out
from bayesdip.methods import registry as methods
from bayesdip.noise import Gaussian, detect_clipping
from bayesdip.operators import Identity
from bayesdip.pipeline import Options, settings_of, working_units
from bayesdip.problem import Problem
from bayesdip.progress import Snapshot
from bayesdip.settings import EFFORTS, pick_device
from bayesdip.units import Layout
from benchmarks.interleaved_timing import OwnClock, Turns, take_turns
from benchmarks.pictures import Array, noisy_pairs, psnr
from benchmarks.results import Results
from benchmarks.roofline import roofline, shares
from benchmarks.speed_curves import compare, plot

SIGMA = 25.0
# The paper's recipe is given so many seconds; ours too, of which it needs the less.
BUDGETS = {"fast": 180.0, "balanced": 600.0, "best": 2400.0}
SIDES = {"cpu": (128, 256, 512), "cuda": (128, 256, 512, 1024)}
TURN = 5.0
# A picture is scored when the clock has gone on by this share since the last time.
LOOK_SHARE = 0.01
# The published noisy pictures of each side; of the smaller one for 128, its middle.
PUBLISHED = {128: "house", 256: "house", 512: "peppers"}


@dataclass
class Curve:
    """What a run would have given back at each moment that was looked at.

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
        return not self.seconds or seconds >= (1 + LOOK_SHARE) * self.seconds[-1]


def bench_speed(results: Results, data: Path | None, options: Options, sides: tuple[int, ...] = ()) -> None:
    """Rooflines, then curves, at each side; conclusions and a plot of all rows."""
    sides = sides or default_sides()
    roofline(results, sides, options.get("seed", 0))
    speed(results, data, options, sides)


def default_sides() -> tuple[int, ...]:
    """The sides for this machine's device."""
    return SIDES.get(pick_device("auto"), SIDES["cpu"])


def speed(
    results: Results,
    data: Path | None,
    options: Options,
    sides: tuple[int, ...],
) -> None:
    """Curves for each side and run, and how much sooner ours has what the paper's recipe reaches.

    ``time_budget`` of the options, or else the effort, says how long the paper's recipe runs. Ours runs
    at that effort and all below, each to the end of its own plan or for as long: a sampled network, and
    at that effort the network stacked on the picture's own patches.
    """
    effort = options.get("effort", "fast")
    budget = options.get("time_budget") or BUDGETS[effort]
    efforts = EFFORTS[: EFFORTS.index(effort) + 1]
    seed = options.get("seed", 0)
    device = pick_device("auto")
    for side in sides:
        if results.has(part="speed", side=side):
            continue
        name, clean, noisy = picture_of(side, data, seed)
        runs: dict[str, Options] = {"paper": {"preset": "paper", "seed": seed}}
        runs |= {e: {"method": "sgld", "effort": e, "seed": seed} for e in efforts}
        runs |= {"stack": {"method": "stack", "effort": effort, "seed": seed}}
        for run, curve in race(clean, noisy, runs, budget, TURN).items():
            row = {"part": "speed", "side": side, "picture": name, "run": run, "device": device}
            rate = curve.steps[-1] / curve.seconds[-1] if curve.seconds else 0.0
            results.add(row | {"steps_per_second": rate, "curve": vars(curve)})
    results.conclude(
        budget=budget,
        noise="sigma 25, clipped to 8 bits",
        roofline_shares=shares(results.rows),
        **compare(results.rows),
    )
    plot(results)


def race(clean: Array, noisy: Array, runs: dict[str, Options], limit: float, turn: float) -> dict[str, Curve]:
    """Run all of them on one noisy picture of 8 bits, (M, N, C), each for at most ``limit`` of its own seconds."""
    layout = Layout.of(noisy, -1)
    picture = layout.to_tensor(noisy)
    operator = Identity(tuple(picture.shape[1:]))
    units = working_units(picture, operator)
    turns = Turns(tuple(runs), turn)
    curves = {run: Curve() for run in runs}
    jobs: dict[str, Callable[[OwnClock], Any]] = {}
    clocks: dict[str, OwnClock] = {}
    for run, options in runs.items():
        settings = settings_of(options, operator)
        # The paper's recipe has squared errors, whatever was clipped.
        noise = Gaussian(SIGMA) if settings.preset else Gaussian(SIGMA, detect_clipping(picture))
        problem = Problem(units.to_working(picture), operator, noise.rescaled(units.shift, units.scale))
        held_out = choose_held_out(problem, settings.seed)
        if held_out is None:
            raise BayesDipError(
                f"the picture has shape {clean.shape}: expected more pixels, to hide some of them"
            )
        seen = replace(problem, operator=operator.with_held_out(held_out), held_out=held_out)

        def job(clock: OwnClock, settings: Any = settings, seen: Problem = seen) -> None:
            methods.named(settings.method)(seen, settings, clock)

        def look(
            seconds: float, snapshot: Snapshot, curve: Curve = curves[run], held_out: torch.Tensor = held_out
        ) -> None:
            if snapshot.mean is None or not curve.due(seconds):
                return
            try:
                found = units.to_own(snapshot.mean().double().cpu())
            except NoResultError:  # it would have given nothing back yet
                return
            curve.seconds.append(seconds)
            curve.steps.append(snapshot.step)
            curve.psnr.append(psnr(layout.to_array(found), clean))
            curve.held_out.append(float((found - picture)[:, held_out].square().mean().sqrt()))

        jobs[run] = job
        clocks[run] = OwnClock(turns=turns, run=run, limit=limit, look=look)
    take_turns(jobs, clocks)
    return curves


def picture_of(side: int, data: Path | None, seed: int) -> tuple[str, Array, Array]:
    """A name, a clean colour picture of that side and a noisy one, both of 8 bits.

    The published input where there is one of that side, else scikit-image's ``astronaut`` (512x512) made
    smaller, or continued in the mirror, with noise of our own.
    """
    if data is not None and side in PUBLISHED:
        pair = next(iter(noisy_pairs(data, (PUBLISHED[side],))))
        assert pair.noisy is not None
        first = [(n - side) // 2 for n in pair.clean.shape[:2]]
        window = tuple(slice(i, i + side) for i in first)
        return pair.name, pair.clean[window], pair.noisy[window]
    clean = astronaut(side)
    noise = np.random.default_rng(seed).normal(0, SIGMA, clean.shape)
    return "astronaut", clean, np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def astronaut(side: int) -> Array:
    from skimage import data, transform

    whole: Array = data.astronaut()  # type: ignore[no-untyped-call]
    again = -(-side // len(whole))
    if again > 1:
        return np.pad(whole, [(0, (again - 1) * len(whole))] * 2 + [(0, 0)], mode="symmetric")[:side, :side]
    small: Array = transform.resize(  # type: ignore[no-untyped-call]
        whole, (side, side), anti_aliasing=True, preserve_range=True
    )
    rounded: Array = np.rint(small).astype(np.uint8)
    return rounded
