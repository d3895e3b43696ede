"""``method="gp"``: the posterior of the infinitely wide network, in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypedDict

import torch
from torch import Tensor

from bayesdip.gp import patch_method
from bayesdip.gp.blocks import posterior_in_blocks
from bayesdip.gp.learn import choose
from bayesdip.gp.posterior import posterior
from bayesdip.gp.system import without_masks
from bayesdip.kernels.kernel import Kernel
from bayesdip.kernels.patches import PatchKernel
from bayesdip.measurement import Measurement
from bayesdip.memory import available_memory, check_memory
from bayesdip.monitor import Estimate, Monitor, Progress
from bayesdip.noise import Noise
from bayesdip.posterior import Posterior, Trace
from bayesdip.settings import Settings

# By effort: draws from which the standard deviation is estimated, and the relative residual of a solve.
DRAWS = {"fast": 16, "balanced": 32, "best": 128}
TOLERANCE = {"fast": 1e-3, "balanced": 1e-3, "best": 1e-5}
MOST_ITERATIONS = 2000
# Iterations after which the cost of a run is told, and how many a solve takes as a rule.
MEASURED_ITERATIONS = 3
USUAL_ITERATIONS = 12
# Double-precision pictures that a run holds besides its draws; measured as resident memory at
# 256x256 and 512x512.
PICTURES_HELD = 280
# Side of the blocks of a picture that does not fit in memory whole.
BLOCK = 512


def run(measurement: Measurement, settings: Settings, monitor: Monitor) -> Posterior:
    """Mean by one solve, standard deviation and samples by solves for draws (Matheron's rule)."""
    if isinstance(settings.kernel, PatchKernel):
        return patch_method.run(measurement, settings.kernel, settings, monitor)
    model = _model(measurement, settings)
    draws = max(DRAWS[settings.effort] if settings.draws is None else settings.draws, settings.samples)
    in_blocks, memory = _room(measurement, draws, settings.device)
    trace: Trace = {"step": [], "seconds": [], "residual": []}

    def watch(iteration: int, residual: float) -> bool:
        step = len(trace["step"]) + 1
        for key, value in (("step", step), ("seconds", monitor.elapsed), ("residual", residual)):
            trace[key].append(value)
        if step == MEASURED_ITERATIONS:
            _tell_cost(memory, monitor, draws, trace)
        monitor.report(Progress("solve", step, 0, monitor.elapsed, float("nan")))
        return monitor.should_stop()

    y, operator = measurement.y.to(settings.device), measurement.operator
    limits: _Limits = {
        "samples": draws,
        "generator": torch.Generator(settings.device).manual_seed(settings.seed),
        "tol": TOLERANCE[settings.effort],
        "max_iterations": MOST_ITERATIONS,
        "monitor": watch,
    }
    facts = dict(model.facts)
    if in_blocks:
        parts = posterior_in_blocks(y, operator, model.kernel, model.noise, block=BLOCK, **limits)
        found = parts.posterior
        facts |= {"blocks": parts.blocks, "error_at_seams": parts.error}
    else:
        found = posterior(y, operator, model.kernel, model.noise, colour=model.colour, **limits)
    return Posterior(
        mean=found.mean,
        std=found.std,
        samples=found.samples[: settings.samples],
        trace=trace,
        stopped=monitor.stop_reason or ("finished" if found.converged else "not converged"),
        info={
            **facts,
            "iterations": found.iterations,
            "residual": found.residual,
            "draws": draws,
            "std_error": found.std_error,
            "amplitude": found.amplitude.tolist(),
            "offset": found.offset.tolist(),
        },
    )


class _Limits(TypedDict):
    """What `posterior` and `posterior_in_blocks` both take."""

    samples: int
    generator: torch.Generator
    tol: float
    max_iterations: int
    monitor: Callable[[int, float], bool]


def _room(measurement: Measurement, draws: int, device: str) -> tuple[bool, int]:
    """Whether to work in blocks, and the bytes that the work needs.

    Raises
    ------
    ResourceError
        It fits in memory neither whole nor in blocks.
    """
    per_pixel = 8 * (PICTURES_HELD + 2 * draws) * measurement.channels
    whole = per_pixel * prod(measurement.grid)
    if whole <= available_memory(device) or without_masks(measurement.operator) is not None:
        in_blocks, needed = False, whole
    else:
        block = prod(min(n, 2 * BLOCK) for n in measurement.grid)  # with its margin
        in_blocks, needed = True, per_pixel * block + 8 * 8 * measurement.channels * prod(measurement.grid)
    what = f"the Gaussian process on {' x '.join(map(str, measurement.grid))} pixels"
    check_memory(needed, device, what, "use effort='fast' and fewer samples, or a smaller picture")
    return in_blocks, needed


@dataclass(frozen=True)
class _Model:
    """The prior and the noise to infer with, and what to say of them."""

    kernel: Kernel
    noise: Noise
    colour: bool | Tensor = True
    facts: dict[str, Any] = field(default_factory=dict)


def _model(measurement: Measurement, settings: Settings) -> _Model:
    """The kernel that was asked for: the architecture's own, a given one, or with ``"auto"`` the likeliest."""
    if settings.kernel == "auto":
        choice = choose(measurement.y, measurement.operator, measurement.noise)
        best = choice.best
        facts = {"kernel": best.name, "parameters": dict(best.parameters), "why": choice.why}
        return _Model(best.kernel, best.noise, best.colour.to(settings.device), facts)
    if isinstance(settings.kernel, Kernel):
        return _Model(settings.kernel, measurement.noise)
    return _Model(settings.arch.kernel(dims=len(measurement.grid)), measurement.noise)


def _tell_cost(memory: int, monitor: Monitor, draws: int, trace: Trace) -> None:
    """Show what the run will cost, from its first iterations."""
    first, *_, last = trace["seconds"]
    steps = USUAL_ITERATIONS * (1 + draws)
    seconds = first + (last - first) / (MEASURED_ITERATIONS - 1) * steps
    estimate = Estimate(seconds, memory, steps)
    monitor.report(Progress("estimate", MEASURED_ITERATIONS, steps, last, seconds - last, estimate=estimate))
