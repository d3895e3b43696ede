"""``method="map"``: one fit by Adam, and the rule that ends it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.memory import available_memory, check_memory
from bayesdip.networks import precision
from bayesdip.networks.checkpointing import recompute
from bayesdip.networks.energy import Energy
from bayesdip.networks.initial_estimate import InitialEstimate
from bayesdip.networks.memory import step_memory
from bayesdip.networks.optimisers import RECIPES, Fit
from bayesdip.networks.schedule import schedule_of
from bayesdip.networks.stopping import RULES, default_rule
from bayesdip.networks.training_loop import TrainingLoop, picture_or_raise
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.settings import Settings


def run(problem: Problem, settings: Settings, progress: Progress) -> Posterior:
    """Fit one network, until its stopping rule ends it; the mean is no posterior mean."""
    schedule, recipe = schedule_of(settings), RECIPES[settings.optimiser]
    rule = RULES[settings.stop or default_rule(problem)]()
    seen = rule.hide(problem, torch.Generator().manual_seed(settings.seed))
    target, generator = pose(seen, settings)
    fit = Fit.begin(target, generator, recipe, schedule)
    rule.begin(target, lambda other: Fit.begin(*pose(other, settings), recipe, schedule))

    first = InitialEstimate.of(target, seen, progress, schedule.steps)

    def fitted() -> Tensor | None:
        return fit.result.mean if rule.picture is None else rule.picture

    def best() -> Tensor | None:
        return first.or_better(fitted())

    chain = TrainingLoop(target, progress, schedule.steps, best)
    ended = False

    def watch(fits: Sequence[float]) -> bool:
        nonlocal ended
        ended = rule.ended(fit.look(chain.step))
        return ended

    chain.advance(fit.stepper, 1.0, "fit", fit.take, watch)
    mean = picture_or_raise(best() if progress.stop_reason else fitted(), progress.stop_reason)
    return Posterior(
        mean=mean,
        std=None,
        samples=mean.new_empty((0, *mean.shape)),
        trace=chain.trace,
        stopped=progress.stop_reason or ("stopping rule" if ended else "finished"),
        info={
            "steps": chain.step,
            "initial_estimate": mean is first.picture,
            "rollbacks": chain.rollbacks,
            "picture_of_step": chain.step if rule.picture is None else rule.step,
        },
    )


def pose(problem: Problem, settings: Settings) -> tuple[Energy, torch.Generator]:
    """A fresh network for the data, and the generator that everything random in the run draws from.

    It computes in the precision of the settings, and where memory would be short it keeps less for the
    way back and computes that again.

    Raises
    ------
    ResourceError
        The fit would not fit in memory.
    """
    arch = settings.arch
    grid = problem.grid
    rule = arch.grid_rule()
    device, sizes = settings.device, (problem.channels, tuple(rule.input_axis(n) for n in grid))
    dtype = precision.fastest(device) if settings.precision == "auto" else torch.float32
    # Several chains at once run in torch.func.vmap on a GPU, which cannot recompute.
    sparing = settings.chains == 1 and step_memory(arch, *sizes, dtype=dtype) > available_memory(device)
    needed = step_memory(arch, *sizes, dtype=dtype, sparing=sparing)
    what = f"fitting {arch.name!r} to {' x '.join(map(str, grid))} pixels"
    check_memory(needed, device, what, "use method='gp', or a smaller picture")
    # Networks are drawn on the CPU, so that a seed means the same network on every device.
    weights = torch.Generator().manual_seed(settings.seed)
    target = Energy.pose(problem, arch, weights, settings.device)
    precision.lower(target.network, dtype)
    if sparing:
        recompute(target.network)
    return target, torch.Generator(settings.device).manual_seed(settings.seed)
