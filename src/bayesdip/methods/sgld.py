"""``method="sgld"``: samples of the posterior over a network's weights, and so over pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.networks import Shuffle, Skip
from bayesdip.errors import BayesDipError
from bayesdip.methods.hole_filling import beside_networks, fill_holes, plain
from bayesdip.methods.method import Method, at_least, one_of
from bayesdip.methods.patches import Patches
from bayesdip.networks.coarse_grid import BestInHoles, coarseness
from bayesdip.networks.initial_estimate import InitialEstimate
from bayesdip.networks.prefit import prefit
from bayesdip.networks.refit import refit, with_mean
from bayesdip.networks.running_averages import Thinned
from bayesdip.networks.samplers import LangevinStepper, Psgld
from bayesdip.networks.sampling import COUNT_EVERY, Summary, sample_by_adam_noise, sample_posterior
from bayesdip.networks.schedule import PAPER, Schedule, schedule_of
from bayesdip.networks.setup import PRECISIONS, SetUp, seconds_to_load, set_up
from bayesdip.networks.training_loop import TrainingLoop, picture_or_raise
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

# Of volumes, whose layers have 27 taps for 9: a step on 24x24x24 voxels takes a tenth of a second of one core.
VOLUME = Skip(scales=2, width=16)
# Sampled in the same time, on a part of `f16` with noise the first of these came to 31.3 dB, the second to 31.0 and
# `Shuffle` to 30.9; on half of the pixels of `montage` the second to 33.4 and the first to 32.4.
NARROW, DEEP = Skip(scales=3, width=32), Skip(scales=5, width=32)
# Pixels above which steps at full resolution are too few in the time that a picture is given: in 60 s half of the pixels of
# 512x512 came to 23 dB with the deep network.
LARGE = 2**17
# A stopped run whose mean misses the data by more than this many times the noise has not been fitted: with 30 steps in
# its time, a network on 256x256 pixels with noise stood at 5.8 and had 9.6 dB, the initial estimate 30.3 dB.
UNFITTED = 2.0
# For holes: as good as `DEEP` on a crop of 256x256 at a quarter of its resolution (28.5 and 28.1 dB in 400 steps), and quicker.
HOLES = Skip(scales=4, width=32)
# In a hole they differ more than their pictures do while sampled: on a tuning crop of 112x112 the mean of four had 21.6 dB, of two
# 21.2 dB.
CHAINS_OF_HOLES = 4
# Share of a time budget that patches may take to give the first picture where data are no pixels.
FIRST_SHARE = 0.3
ADAM_NOISE = "adam-noise"
SAMPLERS = ("psgld", ADAM_NOISE)
# Cheng et al. 2019, section 5, as their released code runs it: the network of Deep Image Prior with
# 5 scales of 128 features, 4 in each skip, on 32 features of uniform noise in 0..0.1.
PAPER_NETWORK = Skip(
    scales=5,
    width=128,
    skip=4,
    slope=0.2,
    filter_size=3,
    norm=True,
    padding="reflection",
    upsample="bilinear",
    downsample="stride",
    mixing=True,
    input_depth=32,
    input="uniform",
    input_scale=0.1,
    input_smoothness=0.0,
    output="sigmoid",
)


@dataclass(frozen=True, kw_only=True)
class SGLD(Method):
    """The network's posterior, sampled by Langevin dynamics.

    Parameters
    ----------
    arch : Architecture, str or None
        The network. None takes a narrow one, deep where the data are exact, for large pictures one that works at
        half resolution, and for volumes a small one in three dimensions.
    sampler : {"psgld", "adam-noise"} or a LangevinStepper class
        Preconditioned Langevin dynamics with momentum, or the recipe of the code of Cheng et al. 2019, which samples no
        stated posterior; ``bayesdip.lab.methods`` has more to compare with.
    temperature : float
        At least 0; 1 samples the posterior itself. Not for ``"adam-noise"``.
    chains : int or None
        At least 1: how many networks are sampled at once. They share the steps of the effort. None takes four where an exact
        picture has holes, and else one.
    sample_sigma : bool
        Draw the size of Gaussian noise along with the weights, starting from the noise's own.
    steps : int or None
        Instead of those of the effort.
    samples : int
        Posterior samples to keep.
    precision : {"auto", "single"}
        Of the convolutions: the fastest that the device has and that fits as well, or single.
    refit : bool
        Let the held-out pixels of exact data join the training set for the last quarter of the steps. Not in holes.
    effort, seed, device
        As for :class:`~bayesdip.methods.Method`.

    Raises
    ------
    BayesDipError
        An option is out of its range, or a name is unknown.
    """

    arch: Architecture | str | None = None
    sampler: str | type[LangevinStepper] = "psgld"
    temperature: float = 1.0
    chains: int | None = None
    sample_sigma: bool = False
    steps: int | None = None
    samples: int = 16
    precision: str = "auto"
    refit: bool = False

    name: ClassVar[str] = "sgld"
    fills_time: ClassVar[bool] = True
    fits_networks: ClassVar[bool] = True
    summary: ClassVar[str] = "a network's posterior, sampled by Langevin dynamics"

    @classmethod
    def paper(cls, **options: Any) -> Self:
        """The network and the recipe of Cheng et al. 2019, as their code runs it: 20,000 steps, hours on a CPU.

        Parameters
        ----------
        **options
            Fields of :class:`SGLD` that differ from the recipe.

        Returns
        -------
        SGLD
        """
        recipe: dict[str, Any] = {
            "arch": PAPER_NETWORK,
            "sampler": ADAM_NOISE,
            "steps": PAPER.steps,
            "precision": "single",
        }
        return cls(**(recipe | options))

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.sampler, str):
            one_of("sampler", self.sampler, SAMPLERS)
        one_of("precision", self.precision, PRECISIONS)
        at_least("temperature", self.temperature, 0)
        if self.chains is not None:
            at_least("chains", self.chains, 1)
        at_least("samples", self.samples, 0)
        if self.steps is not None:
            at_least("steps", self.steps, 1)
        if self.sampler == ADAM_NOISE and (self.sample_sigma or self.temperature != 1.0):
            raise BayesDipError(
                "sample_sigma or a temperature was given for sampler 'adam-noise', which has no noise model and no "
                "temperature: expected another sampler; use 'psgld'"
            )

    def check(self, problem: Problem) -> None:
        """The noise's size can be sampled where it is Gaussian."""
        if self.sample_sigma and not isinstance(problem.noise, Gaussian):
            raise BayesDipError(
                f"sample_sigma was asked for with {problem.noise.describe()}: expected Gaussian noise; "
                "leave sample_sigma out"
            )

    def resolved(self, problem: Problem) -> Self:
        holes = bool(self._coarseness(problem))
        large = math.prod(problem.grid) > LARGE and not holes
        chains = self.chains or (CHAINS_OF_HOLES if holes else 1)
        network = HOLES if self.arch is None and holes else self._network(problem, large)
        return replace(super().resolved(problem), arch=network, chains=chains)

    def resolved_for_tiles(self, problem: Problem) -> Self:
        """As :meth:`resolved`, for a large picture that is cut into tiles.

        Parameters
        ----------
        problem : Problem

        Returns
        -------
        SGLD
        """
        return replace(super().resolved(problem), arch=self._network(problem, False), chains=self.networks)

    @property
    def networks(self) -> int:
        """How many are sampled at once."""
        return self.chains or 1

    def by_parts(self) -> bool:
        return self.sampler != ADAM_NOISE

    def _coarseness(self, problem: Problem) -> int:
        """By how much the grid for holes is coarser than the picture; 0 where there are none."""
        return 0 if self.sampler == ADAM_NOISE else coarseness(problem, self.effort)

    def _network(self, problem: Problem, large: bool) -> Architecture:
        if self.arch is not None:
            return arch.named(self.arch) if isinstance(self.arch, str) else self.arch
        if len(problem.grid) > 2:
            return VOLUME
        if large:
            return Shuffle()
        return DEEP if problem.noise.is_exact else NARROW

    def schedule(self, problem: Problem) -> Schedule:
        """How the steps are shared out for such data.

        Parameters
        ----------
        problem : Problem

        Returns
        -------
        Schedule
        """
        schedule = schedule_of(self.effort, self.steps, self.networks)
        if problem.noise.is_exact:
            schedule = schedule.of_exact()
        return schedule.with_refit() if self.refits(problem) else schedule

    def refits(self, problem: Problem) -> bool:
        """Whether held-out pixels join in the end: exact ones. Among noise a few more say next to nothing.

        Parameters
        ----------
        problem : Problem

        Returns
        -------
        bool
        """
        return self.refit and problem.noise.is_exact and problem.held_out is not None

    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        coarser, schedule = self._coarseness(problem), self.schedule(problem)
        if coarser:
            fine = replace(self, arch=Shuffle() if self.arch == HOLES else self.arch, chains=1)
            return fill_holes(problem, progress, coarser, schedule, self._patches(), self.fit_by, fine.fit_by)
        first = self._first(problem, progress)
        if first is None:
            return self.fit_by(problem, progress, schedule)
        return replace(self.fit_by(problem, progress, schedule, first=first.mean), process=first)

    def _patches(self) -> Patches:
        return Patches(effort=self.effort, seed=self.seed, device=self.device)

    def _first(self, problem: Problem, progress: Progress) -> Posterior | None:
        """What patches make of data that are no pixels: the network begins there, and is averaged with it by a simulated picture."""
        pixels = isinstance(problem.whole.operator, Identity | Mask)
        if self.sampler == ADAM_NOISE or pixels or len(problem.grid) > 2:
            return None
        found = beside_networks(
            self._patches(), problem, progress.part(later=math.nan, time_share=FIRST_SHARE)
        )
        return None if found is None else plain(found)

    def fit_by(
        self,
        problem: Problem,
        progress: Progress,
        schedule: Schedule,
        *,
        initial: bool = True,
        judge: BestInHoles | None = None,
        first: Tensor | None = None,
    ) -> Posterior:
        """Sample by a schedule.

        Stopped before its burn-in ends, it gives the average so far; before that is good, the initial estimate. So it
        does after burn-in where a time budget was too short for the network to come near the data.

        Parameters
        ----------
        problem, progress
            As of :meth:`fit`.
        schedule : Schedule
        initial : bool
            False where the caller has a better picture to begin with. The paper's recipe never has one.
        judge : BestInHoles, optional
            Is offered the average of the pictures before sampling, at even distances.
        first : Tensor, optional
            A picture, (C, *grid), that the networks are fitted to before the data.

        Returns
        -------
        Posterior
        """
        paper = self.sampler == ADAM_NOISE
        made = self.made(problem)
        progress.memory = max(progress.memory, made.memory)
        shape = (problem.channels, *problem.grid)
        each = -(-self.samples // self.networks)
        summary = Summary(shape, Thinned(each), PAPER.count_every if paper else COUNT_EVERY)
        if judge is not None:
            summary.average.decay, summary.judge = judge.decay, judge.offer
        begun = InitialEstimate(made.energy, None, problem)
        if initial and not paper:
            begun = InitialEstimate.of(made.energy, problem, progress, schedule.steps, first)

        if not progress.ends_within(seconds_to_load()):
            return begun.as_posterior(progress.stop_reason)

        def best() -> Tensor | None:
            own = begun.mean_of_fit_or_samples(summary.mean_of_fit(), summary.mean())
            if own is None or not summary.moments.count:
                return begun.or_better(own)
            too_short = progress.stop_reason and made.energy.fit(own) > UNFITTED
            return begun.or_better(own) if too_short or begun.predicts_better(own) else own

        loop = TrainingLoop(
            made.target,
            progress,
            schedule.steps,
            best,
            span=(0.0, schedule.sampled),
            listeners=(summary,) if judge is None else (summary, judge),
            spread=summary.std,
        )
        if first is not None:
            prefit(loop, first, schedule, made.generator)
        if paper:
            facts = sample_by_adam_noise(loop, made.generator, summary)
        else:
            facts = sample_posterior(
                loop,
                schedule,
                Psgld if isinstance(self.sampler, str) else self.sampler,
                made.generator,
                summary,
                temperature=self.temperature,
                sample_sigma=self.sample_sigma,
            )
        mean = picture_or_raise(best(), progress.stop_reason)
        falls_back = mean is begun.picture
        has_spread = not (falls_back and progress.stop_reason)
        samples, index = summary.samples(mean, self.samples if has_spread else 0)
        std, own = summary.std() if has_spread else None, summary.mean()
        if std is not None and own is not None and bool((mean != own).any()):
            std, samples = (std.square() + (mean - own).square()).sqrt(), samples + (mean - own).to(samples)
        return Posterior(
            mean=mean,
            std=std,
            samples=samples,
            trace=loop.trace,
            stopped=progress.stop_reason or "finished",
            chain=index,
            info={
                "steps": loop.step,
                "initial_estimate": falls_back,
                "rollbacks": loop.rollbacks,
                "sampler": self.sampler if isinstance(self.sampler, str) else self.sampler.__name__,
                "chains": self.networks,
                "counted": summary.moments.count,
                **facts,
            },
            state=(loop, schedule, made.generator, summary.fitted) if self.refits(problem) else None,
        )

    def update(self, problem: Problem, posterior: Posterior, progress: Progress) -> Posterior | None:
        if posterior.state is None or progress.should_stop():
            return None
        loop, schedule, generator, fitted = posterior.state
        if not fitted:
            return None  # stopped before there was a fit
        loop.progress, loop.span = progress, (schedule.sampled, 1.0)
        mean = refit(loop, problem, schedule, generator, fitted)
        return None if mean is None else with_mean(replace(posterior, state=None), mean)

    def made(self, problem: Problem) -> SetUp:
        """Fresh networks for the data.

        Parameters
        ----------
        problem : Problem

        Returns
        -------
        SetUp
        """
        assert isinstance(self.arch, Architecture)
        return set_up(
            problem,
            self.arch,
            seed=self.seed,
            device=self.device,
            networks=self.networks,
            compute=self.precision,
            samples=self.samples,
        )
