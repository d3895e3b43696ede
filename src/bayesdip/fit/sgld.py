"""``method="sgld"``: samples of the posterior over a network's weights, and so over pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.fit import told
from bayesdip.fit.basis import Basis
from bayesdip.fit.burn_in import has_settled
from bayesdip.fit.chain import LOOK_EVERY, Chain, picture_or_raise
from bayesdip.fit.cost import network_memory
from bayesdip.fit.effort import PAPER, Plan, plan_of
from bayesdip.fit.first import First
from bayesdip.fit.map import pose
from bayesdip.fit.moments import ExponentialAverage, Moments, Thinned
from bayesdip.fit.muon import MuonStepper
from bayesdip.fit.problem import Problem
from bayesdip.fit.samplers import Cyclical, LangevinStepper, Psgld, Sghmc, Sgld
from bayesdip.fit.samplers_metropolis import Hmc
from bayesdip.fit.stacked import StackedProblem
from bayesdip.fit.steppers import AdamStepper, Target
from bayesdip.measurement import Measurement
from bayesdip.memory import check_memory
from bayesdip.monitor import Monitor
from bayesdip.noise import Gaussian
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings

SAMPLERS: dict[str, type[LangevinStepper]] = {
    "psgld": Psgld,
    "sgld": Sgld,
    "sghmc": Sghmc,
    "cyclical": Cyclical,
    "hmc": Hmc,
}
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
        The weights at the end of Muon's phase, where the plan comes back to them.
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

    def remember(self, problem: Target, chains: torch.Size) -> None:
        """Keep the average so far, once its own fit has come to the noise's level; `chains` is the shape of all their pictures."""
        if self.remembered is not None:
            return
        average = self.average.mean
        if average is not None and problem.fit(average.expand(chains)) <= 1:
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


def run(
    measurement: Measurement,
    settings: Settings,
    monitor: Monitor,
    plan: Plan | None = None,
    first_picture: bool = True,
) -> Posterior:
    """Sample with the sampler of the settings.

    Stopped before its burn-in ends, it gives the average so far; before that is good, the first picture. Of exact data, hidden
    entries that the operator shows are told to the networks in the end, and the posterior before is :attr:`Posterior.without`.

    Parameters
    ----------
    plan : Plan, optional
        In place of that of the settings' effort.
    first_picture : bool
        False where the caller has a better one. The paper's recipe never has one.
    """
    _check_sigma(measurement, settings)
    plan = plan_for(measurement, settings) if plan is None else plan
    paper = settings.sampler == "adam-noise"
    tells = told.tells(measurement) and not paper
    seen = told.blind(measurement) if tells else measurement
    problem, target, generator = posed(seen, settings)
    each = -(-settings.samples // settings.chains)
    shape = (measurement.channels, *measurement.grid)
    summary = Summary(shape, Thinned(each), PAPER.count_every if paper else COUNT_EVERY)
    first = First(problem, None, seen)
    if first_picture and not paper:
        first = First.of(problem, seen, monitor, plan.steps)

    def best() -> Tensor | None:
        own = summary.mean()
        return own if summary.moments.count else first.or_better(own)

    chain = Chain(target, monitor, plan.steps, best, samples=settings.samples)
    if paper:
        facts = sample_by_adam_noise(chain, generator, summary)
    else:
        facts = sample_posterior(chain, plan, settings, generator, summary)
    last = told.tell(chain, measurement, plan, generator, summary.fitted) if tells else None
    mean = picture_or_raise(best(), monitor.stop_reason)
    samples, index = summary.samples(mean, settings.samples)
    found = Posterior(
        mean=mean,
        std=summary.std(),
        samples=samples,
        trace=chain.trace,
        stopped=monitor.stop_reason or "finished",
        chain=index,
        info={
            "steps": chain.step,
            "first_picture": mean is first.picture,
            "rollbacks": chain.rollbacks,
            "sampler": settings.sampler,
            "chains": settings.chains,
            "counted": summary.moments.count,
            **facts,
        },
    )
    return found if not tells or last is None else told.moved(found, last)


def plan_for(measurement: Measurement, settings: Settings) -> Plan:
    """That of the settings' effort for such data."""
    plan = plan_of(settings).of_exact() if measurement.noise.is_exact else plan_of(settings)
    return plan.of_told() if told.tells(measurement) else plan


def posed(measurement: Measurement, settings: Settings) -> tuple[Problem, Target, torch.Generator]:
    """A fresh network, all fresh networks of the chains with this as the first, and the run's generator."""
    problem, generator = pose(measurement, settings)
    if settings.chains == 1:
        return problem, problem, generator
    _check_memory(problem, settings)
    weights = torch.Generator().manual_seed(settings.seed + 1)
    return problem, StackedProblem.of(problem, settings.chains, weights), generator


def sample_posterior(
    chain: Chain, plan: Plan, settings: Settings, generator: torch.Generator, summary: Summary
) -> dict[str, float]:
    """Start cold and heat up: Muon finds the posterior's bulk, Langevin dynamics explores it.

    The preconditioner comes from the mean squares of its gradients and then stays fixed. Muon ends a little
    below the noise's level, for it would go on into the noise, and burn-in when the fit has no trend any more; at the plan's shares of the
    run at the latest.
    """
    scales = warmed_up(chain, plan, generator, summary)
    if scales is None:
        return {}
    if plan.sampled < 1:
        summary.fitted = [w.detach().clone() for w in chain.problem.weights]
    curvature, bases = scales
    began = chain.share
    heated = began + plan.heated - plan.warm_up
    burnt_in = began + plan.burnt_in - plan.warm_up

    def course() -> float:
        left = plan.sampled - heated  # none where a few slow steps took the time for it
        return min(1.0, (chain.share - heated) / left) if left > 0 else 1.0

    langevin = SAMPLERS[settings.sampler](
        chain.problem,
        generator,
        curvature,
        step_size=plan.step_size * step_factor(chain.problem.noise_level),
        bases=bases,
        sample_sigma=settings.sample_sigma,
        # Metropolis' test needs an energy without noise.
        input_noise=0.0 if settings.sampler == "hmc" else plan.sampled_input_noise,
    )

    def heat(picture: Tensor) -> None:
        warm = (chain.share - began) / (heated - began)
        langevin.temperature = settings.temperature * min(1.0, warm)
        summary.approach(picture)

    def burn_in(picture: Tensor) -> None:
        langevin.pace(course())
        summary.approach(picture)

    def count(picture: Tensor) -> None:
        langevin.pace(course())
        if langevin.counts:
            summary.count(picture)
            if settings.sample_sigma:
                summary.relative_sigma.add(langevin.relative_variance.sqrt())

    chain.advance(langevin, heated, "burn-in", heat)
    langevin.temperature = settings.temperature
    chain.advance(langevin, burnt_in, "burn-in", burn_in, has_settled)
    facts = {"burn_in": chain.step / chain.steps}
    langevin.begin()
    chain.advance(langevin, plan.sampled, "sampling", count)
    if isinstance(langevin, Hmc):
        facts["acceptance"] = langevin.acceptance
    if summary.relative_sigma.mean is not None:
        facts["relative_sigma"] = float(summary.relative_sigma.mean.mean())
    return facts


def warmed_up(
    chain: Chain, plan: Plan, generator: torch.Generator, summary: Summary
) -> tuple[list[Tensor], list[Basis | None]] | None:
    """Muon's phase: gives the curvature that it saw, and the bases that this is diagonal in; None if stopped."""
    muon = MuonStepper(chain.problem, generator, input_noise=plan.sampled_input_noise)
    goes_into_noise = plan.fitted > 0

    def fit(picture: Tensor) -> None:
        if plan.falls:
            muon.pace(chain.share / plan.warm_up)
        summary.approach(picture)
        if goes_into_noise and chain.step % LOOK_EVERY == 0:
            summary.remember(chain.problem, picture.shape)

    chain.advance(muon, plan.warm_up, "warm-up", fit, lambda fits: fits[-1] <= plan.fitted)
    return None if chain.monitor.should_stop() else muon.curvature()


def step_factor(noise_level: float) -> float:
    """How much longer steps may be than at the noise at which they were chosen.

    The preconditioner takes the root mean square of gradients for a curvature. Around a fit such gradients go by the
    inverse of the noise's deviation and curvatures by its square, so that a step that is as stable goes by its root. Steps
    of one size raised the mean squared misfit at a noise of 5 of 255 by 37%, these by 4%.
    """
    factor: float = (noise_level / USUAL_NOISE) ** 0.5
    return min(factor, LONGEST)


def sample_by_adam_noise(chain: Chain, generator: torch.Generator, summary: Summary) -> dict[str, float]:
    """The recipe of Cheng et al. 2019, as released: Adam, then noise on the convolution weights."""
    stepper = AdamStepper(
        chain.problem,
        generator,
        learning_rate=PAPER.learning_rate,
        input_noise=PAPER.input_noise,
        weight_noise=True,
        weight_decay=PAPER.weight_decay,
    )
    chain.advance(stepper, PAPER.burn_in, "burn-in", summary.approach)
    burn_in = chain.step / chain.steps
    chain.advance(stepper, 1.0, "sampling", summary.count)
    return {"burn_in": burn_in}


def _check_memory(problem: Problem, settings: Settings) -> None:
    needed = network_memory(problem.network, tuple(problem.code.shape[2:]), settings.chains)
    what = f"sampling {settings.chains} chains at once"
    check_memory(needed, settings.device, what, "take fewer chains")


def _check_sigma(measurement: Measurement, settings: Settings) -> None:
    if settings.sample_sigma and not isinstance(measurement.noise, Gaussian):
        raise BayesDipError(
            f"sample_sigma was asked for with {measurement.noise.describe()}: expected Gaussian noise; "
            "leave sample_sigma out"
        )
