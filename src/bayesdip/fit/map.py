"""``method="map"``: one fit by Adam, its input perturbed, its pictures averaged."""

from __future__ import annotations

import torch

from bayesdip.fit.chain import Chain, picture_or_raise
from bayesdip.fit.cost import step_memory
from bayesdip.fit.effort import PLANS
from bayesdip.fit.moments import ExponentialAverage
from bayesdip.fit.problem import Problem
from bayesdip.fit.steppers import AdamStepper
from bayesdip.measurement import Measurement
from bayesdip.memory import check_memory
from bayesdip.monitor import Monitor
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings


def run(measurement: Measurement, settings: Settings, monitor: Monitor) -> Posterior:
    """Fit one network; the mean is the exponential average of its pictures, not a posterior mean."""
    plan = PLANS[settings.effort]
    problem, generator = pose(measurement, settings)
    average = ExponentialAverage()
    stepper = AdamStepper(problem, generator, learning_rate=plan.learning_rate, input_noise=plan.input_noise)
    chain = Chain(problem, monitor, plan.steps, lambda: average.mean)
    chain.advance(stepper, 1.0, "fit", average.add)
    mean = picture_or_raise(average.mean, monitor.stop_reason)
    return Posterior(
        mean=mean,
        std=None,
        samples=mean.new_empty((0, *mean.shape)),
        trace=chain.trace,
        stopped=monitor.stop_reason or "finished",
        info={"steps": chain.step, "rollbacks": chain.rollbacks},
    )


def pose(measurement: Measurement, settings: Settings) -> tuple[Problem, torch.Generator]:
    """A fresh network for the data, and the generator that everything random in the run draws from.

    Raises
    ------
    ResourceError
        The fit would not fit in memory.
    """
    arch = settings.arch
    grid = measurement.grid
    rule = arch.grid_rule()
    needed = step_memory(arch, measurement.channels, tuple(rule.input_axis(n) for n in grid))
    what = f"fitting {arch.name!r} to {' x '.join(map(str, grid))} pixels"
    check_memory(needed, settings.device, what, "use method='gp', or a smaller picture")
    # Networks are drawn on the CPU, so that a seed means the same network on every device.
    weights = torch.Generator().manual_seed(settings.seed)
    problem = Problem.pose(measurement, arch, weights, settings.device)
    return problem, torch.Generator(settings.device).manual_seed(settings.seed)
