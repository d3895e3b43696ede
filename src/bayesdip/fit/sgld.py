"""``method="sgld"``: samples of the posterior over a network's weights, and so over pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bayesdip.fit.chain import Chain, picture_or_raise
from bayesdip.fit.effort import PLANS, Plan
from bayesdip.fit.map import pose
from bayesdip.fit.moments import ExponentialAverage, Moments, Thinned
from bayesdip.fit.problem import Problem
from bayesdip.fit.steppers import AdamStepper, LangevinStepper
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings

# Neighbouring pictures of a chain are nearly alike: counting every fifth loses nothing.
COUNT_EVERY = 5
# Cheng et al. 2019, section 5: burn-in 7000 of 20000 steps; weight decay of their released code.
PAPER_BURN_IN = 7000 / 20000
PAPER_WEIGHT_DECAY = 5e-8


@dataclass
class Summary:
    """What is kept of a chain: an average of the way there, and the moments of the samples."""

    thinned: Thinned
    average: ExponentialAverage = field(default_factory=ExponentialAverage)
    moments: Moments = field(default_factory=Moments)
    pictures: int = 0

    def count(self, picture: Tensor) -> None:
        """A picture of the sampling phase."""
        if self.pictures % COUNT_EVERY == 0:
            self.moments.add(picture)
            self.thinned.add(picture)
        self.pictures += 1

    def mean(self) -> Tensor | None:
        return self.average.mean if self.moments.mean is None else self.moments.mean


def run(measurement: Measurement, settings: Settings, monitor: Monitor) -> Posterior:
    """Sample with the sampler of the settings; stopped before its burn-in ends, it gives the average so far."""
    plan = PLANS[settings.effort]
    problem, generator = pose(measurement, settings)
    summary = Summary(Thinned(settings.samples))
    chain = Chain(problem, monitor, plan.steps, summary.mean)
    if settings.sampler == "psgld":
        sample_posterior(chain, plan, settings.temperature, generator, summary)
    else:
        sample_by_adam_noise(chain, plan, generator, summary)
    mean = picture_or_raise(summary.mean(), monitor.stop_reason)
    return Posterior(
        mean=mean,
        std=summary.moments.std,
        samples=summary.thinned.stack(mean),
        trace=chain.trace,
        stopped=monitor.stop_reason or "finished",
        info={
            "steps": chain.step,
            "rollbacks": chain.rollbacks,
            "sampler": settings.sampler,
            "counted": summary.moments.count,
        },
    )


def sample_posterior(
    chain: Chain, plan: Plan, temperature: float, generator: torch.Generator, summary: Summary
) -> None:
    """Start cold and heat up: Adam finds the posterior's bulk, Langevin dynamics explores it.

    The preconditioner comes from Adam's second moments and then stays fixed.
    """
    adam = _adam(chain.problem, plan, generator)
    chain.advance(adam, plan.warm_up, "warm-up", summary.average.add)
    if chain.monitor.should_stop():
        return
    langevin = LangevinStepper(chain.problem, generator, adam.curvature(), step_size=plan.step_size)

    def heat(picture: Tensor) -> None:
        langevin.temperature = temperature * min(
            1.0, (chain.share - plan.warm_up) / (plan.heated - plan.warm_up)
        )
        summary.average.add(picture)

    chain.advance(langevin, plan.heated, "burn-in", heat)
    langevin.temperature = temperature
    chain.advance(langevin, plan.burnt_in, "burn-in", summary.average.add)
    chain.advance(langevin, 1.0, "sampling", summary.count)


def sample_by_adam_noise(chain: Chain, plan: Plan, generator: torch.Generator, summary: Summary) -> None:
    """The recipe of Cheng et al. 2019, as released: Adam, then noise on the convolution weights."""
    stepper = _adam(chain.problem, plan, generator, weight_noise=True, weight_decay=PAPER_WEIGHT_DECAY)
    chain.advance(stepper, PAPER_BURN_IN, "burn-in", summary.average.add)
    chain.advance(stepper, 1.0, "sampling", summary.count)


def _adam(
    problem: Problem,
    plan: Plan,
    generator: torch.Generator,
    weight_noise: bool = False,
    weight_decay: float = 0.0,
) -> AdamStepper:
    return AdamStepper(
        problem,
        generator,
        learning_rate=plan.learning_rate,
        input_noise=plan.input_noise,
        weight_noise=weight_noise,
        weight_decay=weight_decay,
    )
