"""Sampling a network's posterior: a fit by Muon, heating, burn-in, and Langevin dynamics whose pictures are averaged."""

from __future__ import annotations

from collections.abc import Callable
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

# Steps between two counted pictures of a chain: neighbours are nearly alike, and counting every fifth loses nothing.
COUNT_EVERY = 5
# Counted pictures of a chain from which on their mean is better than the best average of the pictures before sampling: found on
# pictures of 128x128 to 512x512.
ENOUGH_SAMPLES = 20
# Share of the fit's steps from which on its pictures are averaged where data are exact, and how many are enough. Half of the pixels of three tuning
# crops of 128x128 missing, the average came to 32.4, 31.9 and 20.6 dB; from half of the steps on to 32.3, 31.9 and 20.5; the samples' mean to
# 32.2, 31.7 and 20.4. On two of 256x256 34.64 and 31.58, the samples' 34.59 and 31.61.
FIT_AVERAGED_FROM, ENOUGH_OF_FIT = 0.25, 100
# Standard deviation of the noise, in working units, at which `Schedule.step_size` was found; and the largest factor on it.
USUAL_NOISE, LARGEST_STEP_FACTOR = 25 / 255, 1.3


@dataclass
class Summary:
    """What is kept of some chains: an average of the pictures before sampling, and the moments of the samples.

    Pictures come as (K, C, *grid), one for each chain, or as (C, *grid) from a single chain.

    Attributes
    ----------
    shape : tuple of int
        Of one picture, (C, *grid).
    thinned : Thinned
        The samples that are kept, of all chains.
    count_every : int
        Steps between two counted pictures.
    average : ExponentialAverage
        Of the pictures before sampling.
    fit : Moments
        Of the pictures of Muon's phase from `FIT_AVERAGED_FROM` on, where data are exact and no `judge` looks for the best of them.
    moments : Moments
        Of the counted pictures, for each chain.
    relative_sigma : Moments
        Of the drawn noise level over the assumed one, where it is sampled.
    pictures : int
        Of the sampling phase, counted or not.
    average_at_noise_level : Tensor or None
        The average before sampling, as it was when its fit came to the noise level. Muon goes on below that level
        before sampling begins.
    fitted : list of Tensor
        The weights at the end of Muon's phase, where the schedule has a refit, which starts from them.
    judge : callable or None
        Is given the average of the pictures before sampling, (C, *grid), at even distances.
    """

    shape: tuple[int, ...]
    thinned: Thinned
    count_every: int = COUNT_EVERY
    average: ExponentialAverage = field(default_factory=ExponentialAverage)
    fit: Moments = field(default_factory=Moments)
    moments: Moments = field(default_factory=Moments)
    relative_sigma: Moments = field(default_factory=Moments)
    pictures: int = 0
    average_at_noise_level: Tensor | None = None
    fitted: list[Tensor] = field(default_factory=list)
    judge: Callable[[Tensor], object] | None = None
    _before_sampling: int = 0

    def add_before_sampling(self, pictures: Tensor) -> None:
        """Count pictures from before the sampling phase.

        Parameters
        ----------
        pictures : Tensor, shape (C, *grid) or (K, C, *grid)
        """
        self.average.add(pictures.reshape(-1, *self.shape).mean(0))
        self._before_sampling += 1
        average = self.average.mean
        if self.judge is not None and average is not None and self._before_sampling % EVALUATE_EVERY == 0:
            self.judge(average)

    def add_sample(self, pictures: Tensor) -> None:
        """Count pictures of the sampling phase, every `count_every`-th.

        Parameters
        ----------
        pictures : Tensor, shape (C, *grid) or (K, C, *grid)
        """
        if self.pictures % self.count_every == 0:
            stack = pictures.reshape(-1, *self.shape)
            self.moments.add(stack)
            self.thinned.add(stack)
        self.pictures += 1

    def keep_average_at_noise_level(self, target: Target, shape: torch.Size) -> None:
        """Keep the average so far, the first time that its own fit is at the noise level.

        Parameters
        ----------
        target : Energy or EnsembleEnergy
        shape : torch.Size
            Of the pictures of `target`.
        """
        if self.average_at_noise_level is not None:
            return
        average = self.average.mean
        if average is not None and target.fit(average.expand(shape)) <= 1:
            self.average_at_noise_level = average

    def mean_of_fit(self) -> Tensor | None:
        """Mean of the fit's pictures where data are exact.

        Returns
        -------
        Tensor or None, shape (C, *grid)
            None with fewer than `ENOUGH_OF_FIT`.
        """
        return self.fit.mean if self.fit.count >= ENOUGH_OF_FIT else None

    def mean(self) -> Tensor | None:
        """Posterior mean; with fewer than `ENOUGH_SAMPLES`, the average before sampling.

        Returns
        -------
        Tensor or None, shape (C, *grid)
            None before the first picture.
        """
        if self.average_at_noise_level is not None and self.moments.count < ENOUGH_SAMPLES:
            return self.average_at_noise_level
        return self.average.mean if self.moments.mean is None else self.moments.mean.mean(0)

    def std(self) -> Tensor | None:
        """Standard deviation of all counted pictures of all chains.

        Returns
        -------
        Tensor or None, shape (C, *grid)
            None with fewer than two.
        """
        m = self.moments
        if m.mean is None or m.squares is None or m.count * len(m.mean) < 2:
            return None
        between = m.count * (m.mean - m.mean.mean(0)).square().sum(0)
        return ((m.squares.sum(0) + between) / (m.count * len(m.mean) - 1)).sqrt()

    def samples(self, like: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """The kept pictures, chain after chain.

        Parameters
        ----------
        like : Tensor, shape (C, *grid)
            For type and device where none is kept.
        most : int
            Largest S.

        Returns
        -------
        Tensor, shape (S, C, *grid)
        Tensor of int, shape (S,)
            The chain of each.
        """
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
    """Fit by Muon, heat up to the full temperature, burn in, and sample by Langevin dynamics.

    The preconditioner comes from the mean squares of Muon's gradients and then stays fixed. Muon ends a little below the
    noise level, since it would go on to fit the noise; burn-in ends when the fit has no trend any more. Both end at
    the schedule's shares of the run at the latest.

    Parameters
    ----------
    loop : TrainingLoop
    schedule : Schedule
    sampler : LangevinStepper class
    generator : torch.Generator
        On the device of the loop's target.
    summary : Summary
        Takes the pictures.
    temperature : float
        At least 0; 1 samples the posterior.
    sample_sigma : bool
        Draw the size of Gaussian noise too.

    Returns
    -------
    dict
        ``burn_in``, the share of the steps at which sampling began; ``relative_sigma``, the mean of the drawn noise
        level over the assumed one; and the sampler's own facts. Empty where the run was stopped before the heating.
    """
    estimate = warm_up(loop, schedule, generator, summary)
    if estimate is None:
        return {}
    if schedule.sampled < 1:
        summary.fitted = [w.detach().clone() for w in loop.target.weights]
    curvature, bases = estimate
    began = loop.share
    heated = began + schedule.heated - schedule.warm_up
    burnt_in = began + schedule.burnt_in - schedule.warm_up

    def share() -> float:
        left = (
            schedule.sampled - heated
        )  # not above zero where a few slow steps took more than the time budget
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
        summary.add_before_sampling(picture)

    def burn_in(picture: Tensor) -> None:
        langevin.pace(share())
        summary.add_before_sampling(picture)

    def count(picture: Tensor) -> None:
        langevin.pace(share())
        if langevin.counts:
            summary.add_sample(picture)
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


def warm_up(
    loop: TrainingLoop, schedule: Schedule, generator: torch.Generator, summary: Summary
) -> tuple[list[Tensor], list[Basis | None]] | None:
    """The first phase: a fit by Muon, which also estimates the curvature.

    Parameters
    ----------
    loop, schedule, generator, summary
        As of :func:`sample_posterior`.

    Returns
    -------
    tuple or None
        As of :meth:`MuonStepper.curvature`; None if the run was stopped.
    """
    muon = MuonStepper(loop.target, generator, input_noise=schedule.sampled_input_noise)
    fits_noise = schedule.fitted > 0

    def fit(picture: Tensor) -> None:
        if schedule.decays:
            muon.pace(loop.share / schedule.warm_up)
        summary.add_before_sampling(picture)
        if not fits_noise:
            if summary.judge is None and loop.share >= FIT_AVERAGED_FROM * schedule.warm_up:
                summary.fit.add(picture.reshape(-1, *summary.shape).mean(0))
        elif loop.step % EVALUATE_EVERY == 0:
            summary.keep_average_at_noise_level(loop.target, picture.shape)

    loop.advance(muon, schedule.warm_up, "warm-up", fit, lambda fits: fits[-1] <= schedule.fitted)
    if loop.progress.should_stop():
        return None
    if not muon.steps:  # a time budget may leave no step between the fit to a first picture and sampling
        muon.step()
    return muon.curvature()


def step_factor(noise_level: float) -> float:
    """The factor on the schedule's step size at some noise level.

    The preconditioner takes the root mean square of gradients for a curvature. Around a fit such gradients are
    proportional to 1 / sigma and curvatures to 1 / sigma^2, so that an equally stable step is proportional to the root
    of sigma. At a noise of 5 of 255, a step of fixed size raised the mean squared residual by 37%, this one by 4%.

    Parameters
    ----------
    noise_level : float
        Standard deviation sigma, in working units.

    Returns
    -------
    float
    """
    factor: float = (noise_level / USUAL_NOISE) ** 0.5
    return min(factor, LARGEST_STEP_FACTOR)


def sample_by_adam_noise(loop: TrainingLoop, generator: torch.Generator, summary: Summary) -> dict[str, Any]:
    """The recipe of Cheng et al. 2019, as released: Adam, with noise on the convolution weights after each step.

    Parameters
    ----------
    loop, generator, summary
        As of :func:`sample_posterior`.

    Returns
    -------
    dict
        ``burn_in``, the share of the steps at which sampling began.
    """
    stepper = AdamStepper(
        loop.target,
        generator,
        learning_rate=PAPER.learning_rate,
        input_noise=PAPER.input_noise,
        weight_noise=True,
        weight_decay=PAPER.weight_decay,
    )
    loop.advance(stepper, PAPER.burn_in, "burn-in", summary.add_before_sampling)
    burn_in = loop.step / loop.steps
    loop.advance(stepper, 1.0, "sampling", summary.add_sample)
    return {"burn_in": burn_in}
