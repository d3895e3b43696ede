"""``method="map"``: one fit by Adam, and the rule that ends it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.fit import precision
from bayesdip.fit.chain import Chain, picture_or_raise
from bayesdip.fit.cost import step_memory
from bayesdip.fit.effort import plan_of
from bayesdip.fit.first import First
from bayesdip.fit.optimise import RECIPES, Fit
from bayesdip.fit.problem import Problem
from bayesdip.fit.recompute import recompute
from bayesdip.fit.stopping import RULES, default_rule
from bayesdip.measurement import Measurement
from bayesdip.memory import available_memory, check_memory
from bayesdip.monitor import Monitor
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings


def run(measurement: Measurement, settings: Settings, monitor: Monitor) -> Posterior:
    """Fit one network, until its stopping rule ends it; the mean is no posterior mean."""
    plan, recipe = plan_of(settings), RECIPES[settings.optimiser]
    rule = RULES[settings.stop or default_rule(measurement)]()
    seen = rule.hide(measurement, torch.Generator().manual_seed(settings.seed))
    problem, generator = pose(seen, settings)
    fit = Fit.begin(problem, generator, recipe, plan)
    rule.begin(problem, lambda other: Fit.begin(*pose(other, settings), recipe, plan))

    first = First.of(problem, seen, monitor, plan.steps)

    def fitted() -> Tensor | None:
        return fit.result.mean if rule.picture is None else rule.picture

    def best() -> Tensor | None:
        return first.or_better(fitted())

    chain = Chain(problem, monitor, plan.steps, best)
    ended = False

    def watch(fits: Sequence[float]) -> bool:
        nonlocal ended
        ended = rule.ended(fit.look(chain.step))
        return ended

    chain.advance(fit.stepper, 1.0, "fit", fit.take, watch)
    mean = picture_or_raise(best() if monitor.stop_reason else fitted(), monitor.stop_reason)
    return Posterior(
        mean=mean,
        std=None,
        samples=mean.new_empty((0, *mean.shape)),
        trace=chain.trace,
        stopped=monitor.stop_reason or ("stopping rule" if ended else "finished"),
        info={
            "steps": chain.step,
            "first_picture": mean is first.picture,
            "rollbacks": chain.rollbacks,
            "picture_of_step": chain.step if rule.picture is None else rule.step,
        },
    )


def pose(measurement: Measurement, settings: Settings) -> tuple[Problem, torch.Generator]:
    """A fresh network for the data, and the generator that everything random in the run draws from.

    It computes in the precision of the settings, and where memory would be short it keeps less for the
    way back and computes that again.

    Raises
    ------
    ResourceError
        The fit would not fit in memory.
    """
    arch = settings.arch
    grid = measurement.grid
    rule = arch.grid_rule()
    device, sizes = settings.device, (measurement.channels, tuple(rule.input_axis(n) for n in grid))
    dtype = precision.fastest(device) if settings.precision == "auto" else torch.float32
    # Several chains at once run in torch.func.vmap on a GPU, which cannot recompute.
    sparing = settings.chains == 1 and step_memory(arch, *sizes, dtype=dtype) > available_memory(device)
    needed = step_memory(arch, *sizes, dtype=dtype, sparing=sparing)
    what = f"fitting {arch.name!r} to {' x '.join(map(str, grid))} pixels"
    check_memory(needed, device, what, "use method='gp', or a smaller picture")
    # Networks are drawn on the CPU, so that a seed means the same network on every device.
    weights = torch.Generator().manual_seed(settings.seed)
    problem = Problem.pose(measurement, arch, weights, settings.device)
    precision.lower(problem.network, dtype)
    if sparing:
        recompute(problem.network)
    return problem, torch.Generator(settings.device).manual_seed(settings.seed)
