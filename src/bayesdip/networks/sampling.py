"""Sampling a network's posterior: a fit by Muon, heating, burn-in, and Langevin dynamics whose pictures are summed up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bayesdip.networks.burn_in import has_settled
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.preconditioner import Basis
from bayesdip.networks.running_averages import ExponentialAverage, Moments, Thinned
from bayesdip.networks.samplers import LangevinStepper
from bayesdip.networks.schedule import PAPER, Schedule
from bayesdip.networks.steppers import AdamStepper, Target
from bayesdip.networks.training_loop import EVALUATE_EVERY, TrainingLoop

# Neighbouring pictures of a chain are nearly alike: counting every fifth loses nothing.
COUNT_EVERY = 5
# So many counted pictures of a chain average better than the best average of the way there, in 128x128 to 512x512 alike.
ENOUGH = 20
# The noise, in working units, at which the length of a step was chosen; and how much longer it may get.
USUAL_NOISE, LONGEST = 25 / 255, 1.3


@dataclass
class Summary:
    """What is kept of some chains: an average of the way there, and the moments of the samples.

    Pictures come as (K, C, *grid), one for each chain, or as (C, *grid) from a single chain.

    Attributes
    ----------
    shape : tuple of int
        Of one picture, (C, *grid).
    remembered : Tensor or None
        The average of the way there as it was when its fit came to the noise's level. What follows goes on into the noise
        before it is sampled.
    fitted : list of Tensor
        The weights at the end of Muon's phase, where the schedule comes back to them.
    """

    shape: tuple[int, ...]
    thinned: Thinned
    count_every: int = COUNT_EVERY
    average: ExponentialAverage = field(default_factory=ExponentialAverage)
    moments: Moments = field(default_factory=Moments)
    relative_sigma: Moments = field(default_factory=Moments)
    pictures: int = 0
    remembered: Tensor | None = None
    fitted: list[Tensor] = field(default_factory=list)

    def approach(self, pictures: Tensor) -> None:
        """Pictures from before the sampling phase."""
        self.average.add(pictures.reshape(-1, *self.shape).mean(0))

    def count(self, pictures: Tensor) -> None:
        """Pictures of the sampling phase."""
        if self.pictures % self.count_every == 0:
            stack = pictures.reshape(-1, *self.shape)
            self.moments.add(stack)
            self.thinned.add(stack)
        self.pictures += 1

    def remember(self, target: Target, chains: torch.Size) -> None:
        """Keep the average so far, once its own fit has come to the noise's level; `chains` is the shape of all their pictures."""
        if self.remembered is not None:
            return
        average = self.average.mean
        if average is not None and target.fit(average.expand(chains)) <= 1:
            self.remembered = average

    def mean(self) -> Tensor | None:
        """Posterior mean; as long as that is of few pictures, the average of the way there."""
        if self.remembered is not None and self.moments.count < ENOUGH:
            return self.remembered
        return self.average.mean if self.moments.mean is None else self.moments.mean.mean(0)

    def std(self) -> Tensor | None:
        """Standard deviation of all counted pictures of all chains; None with fewer than two."""
        m = self.moments
        if m.mean is None or m.squares is None or m.count * len(m.mean) < 2:
            return None
        between = m.count * (m.mean - m.mean.mean(0)).square().sum(0)
        return ((m.squares.sum(0) + between) / (m.count * len(m.mean) - 1)).sqrt()

    def samples(self, like: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """The kept pictures, (S, C, *grid), chain after chain, and the chain of each, (S,)."""
        if not self.thinned.pictures:
            return like.new_empty((0, *like.shape)), torch.zeros(0, dtype=torch.int64)
        kept = torch.stack(self.thinned.pictures, dim=1)  # (K, kept of each, C, *grid)
        chain = torch.arange(len(kept)).repeat_interleave(kept.shape[1])
        return kept.flatten(0, 1)[:most], chain[:most]


def sample_posterior(
    loop: TrainingLoop,
    schedule: Schedule,
    sampler: type[LangevinStepper],
    generator: torch.Generator,
    summary: Summary,
    *,
    temperature: float = 1.0,
    sample_sigma: bool = False,
) -> dict[str, Any]:
    """Start cold and heat up: Muon finds the posterior's bulk, Langevin dynamics explores it.

    The preconditioner comes from the mean squares of its gradients and then stays fixed. Muon ends a little
    below the noise's level, for it would go on into the noise, and burn-in when the fit has no trend any more; at the schedule's shares of the
    run at the latest.
    """
    scales = warmed_up(loop, schedule, generator, summary)
    if scales is None:
        return {}
    if schedule.sampled < 1:
        summary.fitted = [w.detach().clone() for w in loop.target.weights]
    curvature, bases = scales
    began = loop.share
    heated = began + schedule.heated - schedule.warm_up
    burnt_in = began + schedule.burnt_in - schedule.warm_up

    def course() -> float:
        left = schedule.sampled - heated  # none where a few slow steps took the time for it
        return min(1.0, (loop.share - heated) / left) if left > 0 else 1.0

    langevin = sampler(
        loop.target,
        generator,
        curvature,
        step_size=schedule.step_size * step_factor(loop.target.noise_level),
        bases=bases,
        sample_sigma=sample_sigma,
        input_noise=0.0 if sampler.needs_exact_energy else schedule.sampled_input_noise,
    )

    def heat(picture: Tensor) -> None:
        warm = (loop.share - began) / (heated - began)
        langevin.temperature = temperature * min(1.0, warm)
        summary.approach(picture)

    def burn_in(picture: Tensor) -> None:
        langevin.pace(course())
        summary.approach(picture)

    def count(picture: Tensor) -> None:
        langevin.pace(course())
        if langevin.counts:
            summary.count(picture)
            if sample_sigma:
                summary.relative_sigma.add(langevin.relative_variance.sqrt())

    loop.advance(langevin, heated, "burn-in", heat)
    langevin.temperature = temperature
    loop.advance(langevin, burnt_in, "burn-in", burn_in, has_settled)
    facts: dict[str, Any] = {"burn_in": loop.step / loop.steps}
    langevin.begin()
    loop.advance(langevin, schedule.sampled, "sampling", count)
    facts |= langevin.facts()
    if summary.relative_sigma.mean is not None:
        facts["relative_sigma"] = float(summary.relative_sigma.mean.mean())
    return facts


def warmed_up(
    loop: TrainingLoop, schedule: Schedule, generator: torch.Generator, summary: Summary
) -> tuple[list[Tensor], list[Basis | None]] | None:
    """Muon's phase: gives the curvature that it saw, and the bases that this is diagonal in; None if stopped."""
    muon = MuonStepper(loop.target, generator, input_noise=schedule.sampled_input_noise)
    goes_into_noise = schedule.fitted > 0

    def fit(picture: Tensor) -> None:
        if schedule.falls:
            muon.pace(loop.share / schedule.warm_up)
        summary.approach(picture)
        if goes_into_noise and loop.step % EVALUATE_EVERY == 0:
            summary.remember(loop.target, picture.shape)

    loop.advance(muon, schedule.warm_up, "warm-up", fit, lambda fits: fits[-1] <= schedule.fitted)
    return None if loop.progress.should_stop() else muon.curvature()


def step_factor(noise_level: float) -> float:
    """How much longer steps may be than at the noise at which they were chosen.

    The preconditioner takes the root mean square of gradients for a curvature. Around a fit such gradients go by the
    inverse of the noise's deviation and curvatures by its square, so that a step that is as stable goes by its root. Steps
    of one size raised the mean squared negative_log_likelihood at a noise of 5 of 255 by 37%, these by 4%.
    """
    factor: float = (noise_level / USUAL_NOISE) ** 0.5
    return min(factor, LONGEST)


def sample_by_adam_noise(loop: TrainingLoop, generator: torch.Generator, summary: Summary) -> dict[str, Any]:
    """The recipe of Cheng et al. 2019, as released: Adam, then noise on the convolution weights."""
    stepper = AdamStepper(
        loop.target,
        generator,
        learning_rate=PAPER.learning_rate,
        input_noise=PAPER.input_noise,
        weight_noise=True,
        weight_decay=PAPER.weight_decay,
    )
    loop.advance(stepper, PAPER.burn_in, "burn-in", summary.approach)
    burn_in = loop.step / loop.steps
    loop.advance(stepper, 1.0, "sampling", summary.count)
    return {"burn_in": burn_in}
