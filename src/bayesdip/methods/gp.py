"""``method="gp"``: the posterior of the infinitely wide network, in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypedDict

import torch
from torch import Tensor

from bayesdip.gp.data_covariance import without_masks
from bayesdip.gp.held_out import bare, twice
from bayesdip.gp.inference import LOOSER, GPPosterior, posterior
from bayesdip.gp.learning import choose
from bayesdip.gp.memory import process_memory
from bayesdip.gp.tiled import posterior_in_blocks
from bayesdip.kernels.kernel import Kernel
from bayesdip.memory import available_memory, check_memory
from bayesdip.methods import patches as patch_method
from bayesdip.noise import Noise
from bayesdip.patches.pilot import PatchKernel
from bayesdip.posterior import Posterior, Trace
from bayesdip.problem import Problem
from bayesdip.progress import Estimate, Progress, Snapshot
from bayesdip.settings import Settings

# By effort: draws from which the standard deviation is estimated, and the relative residual of a solve.
DRAWS = {"fast": 8, "balanced": 12, "best": 128}
TOLERANCE = {"fast": 1e-3, "balanced": 1e-3, "best": 1e-5}
MOST_ITERATIONS = 2000
# Iterations after which the cost of a run is told.
MEASURED_ITERATIONS = 5
# What a draw costs besides its solve, and the solve with all pixels after the one without the held-out
# ones, in iterations and in solves.
STEPS_OF_A_DRAW, SECOND_PASS = 3, 0.8
# Side of the blocks of a picture that does not fit in memory whole.
BLOCK = 512


def run(problem: Problem, settings: Settings, progress: Progress) -> Posterior:
    """Mean by one solve, standard deviation and samples by solves for draws (Matheron's rule)."""
    if isinstance(settings.kernel, PatchKernel):
        return patch_method.run(problem, settings.kernel, settings, progress)
    model = _model(problem, settings)
    draws = DRAWS[settings.effort] if settings.draws is None else settings.draws
    plan = _plan(problem, draws, settings)
    trace: Trace = {"step": [], "seconds": [], "residual": []}

    def watch(iteration: int, residual: float) -> bool:
        step = len(trace["step"]) + 1
        for key, value in (("step", step), ("seconds", progress.elapsed), ("residual", residual)):
            trace[key].append(value)
        if step == MEASURED_ITERATIONS:
            _tell_cost(plan, progress, trace, TOLERANCE[settings.effort])
        progress.report(Snapshot("solve", step, 0, progress.elapsed, float("nan")))
        return progress.should_stop()

    limits: _Limits = {
        "draws": draws,
        "generator": torch.Generator(settings.device).manual_seed(settings.seed),
        "tol": TOLERANCE[settings.effort],
        "max_iterations": MOST_ITERATIONS,
        "progress": watch,
    }

    def whole() -> tuple[GPPosterior, dict[str, Any]]:
        found = posterior(
            problem.y.to(settings.device),
            problem.operator,
            model.kernel,
            model.noise,
            colour=model.colour,
            samples=settings.samples,
            held_out=problem.held_out,
            **limits,
        )
        return found, {}

    def in_blocks(part: Problem) -> tuple[GPPosterior, dict[str, Any]]:
        y = part.y.to(settings.device)
        found = posterior_in_blocks(y, part.operator, model.kernel, model.noise, block=BLOCK, **limits)
        return found.posterior, {"blocks": found.blocks, "error_at_seams": found.error}

    def told(found: GPPosterior, facts: dict[str, Any]) -> Posterior:
        return Posterior(
            mean=found.mean,
            std=found.std,
            samples=found.samples,
            trace=trace,
            stopped=progress.stop_reason or ("finished" if found.converged else "not converged"),
            without=None if found.mean_without is None else bare(found.mean_without, found.std_without),
            info={
                **model.facts,
                **facts,
                "iterations": found.iterations,
                "residual": found.residual,
                "draws": draws,
                "std_error": found.std_error,
                "amplitude": found.amplitude.tolist(),
                "offset": found.offset.tolist(),
            },
        )

    if plan.blocks > 1:
        return twice(problem, progress, lambda part: told(*in_blocks(part)))
    return told(*whole())


class _Limits(TypedDict):
    """What `posterior` and `posterior_in_blocks` both take."""

    draws: int
    generator: torch.Generator
    tol: float
    max_iterations: int
    progress: Callable[[int, float], bool]


@dataclass(frozen=True)
class _Plan:
    """The size of a run: blocks, bytes, and how many pictures are solved for tightly and loosely."""

    blocks: int
    memory: int
    tight: float
    loose: int


def _plan(problem: Problem, draws: int, settings: Settings) -> _Plan:
    shared = _alike(problem)
    blocks, memory = _room(problem, settings.samples, settings.device, shared)
    pictures = -(-draws // problem.channels) if shared else draws
    passes = 1 if problem.held_out is None else 2
    if blocks > 1:
        return _Plan(blocks, memory, passes, passes * draws)
    tight = (SECOND_PASS if passes == 2 else 0.0) + 1 + settings.samples
    loose = pictures if passes == 2 else max(0, pictures - settings.samples)
    return _Plan(1, memory, tight, loose)


def _alike(problem: Problem) -> bool:
    """Whether the channels' uncertainty differs by nothing but its scale, so that they share draws."""
    seen = problem.operator.observed.expand(problem.y.shape)
    variance = problem.noise.variance(torch.where(seen, problem.y, 0), seen)
    return bool((seen == seen[:1]).all()) and not bool((variance * seen).any())


def _room(problem: Problem, samples: int, device: str, shared: bool) -> tuple[int, int]:
    """In how many blocks to work, and the bytes that the work needs.

    Raises
    ------
    ResourceError
        It fits in memory neither whole nor in blocks.
    """
    whole = process_memory(problem.grid, problem.channels, shared, samples)
    if whole <= available_memory(device) or without_masks(problem.operator) is not None:
        blocks, needed = 1, whole
    else:
        blocks = prod(-(-n // BLOCK) for n in problem.grid)
        with_margin = tuple(min(n, 2 * BLOCK) for n in problem.grid)
        needed = process_memory(with_margin, problem.channels, shared)
        needed += 64 * problem.channels * prod(problem.grid)
    what = f"the Gaussian process on {' x '.join(map(str, problem.grid))} pixels"
    check_memory(needed, device, what, "use effort='fast' and fewer samples, or a smaller picture")
    return blocks, needed


@dataclass(frozen=True)
class _Model:
    """The prior and the noise to infer with, and what to say of them."""

    kernel: Kernel
    noise: Noise
    colour: bool | Tensor = True
    facts: dict[str, Any] = field(default_factory=dict)


def _model(problem: Problem, settings: Settings) -> _Model:
    """The kernel that was asked for: the architecture's own, a given one, or with ``"auto"`` the likeliest."""
    if settings.kernel == "auto":
        choice = choose(problem.y, problem.operator, problem.noise)
        best = choice.best
        facts = {"kernel": best.name, "parameters": dict(best.parameters), "why": choice.why}
        return _Model(best.kernel, best.noise, best.colour.to(settings.device), facts)
    if isinstance(settings.kernel, Kernel):
        return _Model(settings.kernel, problem.noise)
    return _Model(settings.arch.kernel(dims=len(problem.grid)), problem.noise)


def _tell_cost(plan: _Plan, progress: Progress, trace: Trace, tol: float) -> None:
    """Show what the run will cost, from the pace and the residuals of its first iterations."""
    first, *_, last = trace["seconds"]
    pace = (last - first) / (MEASURED_ITERATIONS - 1)
    # Conjugate gradients lose about the same factor at every step.
    factor = min(0.9, trace["residual"][-1] ** (1 / MEASURED_ITERATIONS))
    tight, loose = (math.log(t) / math.log(factor) for t in (tol, LOOSER * tol))
    steps = plan.blocks * (plan.tight * tight + plan.loose * (loose + STEPS_OF_A_DRAW))
    seconds = first + pace * steps
    estimate = Estimate(seconds, plan.memory, round(steps))
    progress.report(
        Snapshot("estimate", MEASURED_ITERATIONS, round(steps), last, seconds - last, estimate=estimate)
    )
