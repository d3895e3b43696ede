"""``method="map"``: one fit by Adam, and the rule that ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.networks import Shuffle
from bayesdip.methods.method import Method, at_least, one_of
from bayesdip.methods.sgld import VOLUME
from bayesdip.networks.initial_estimate import InitialEstimate
from bayesdip.networks.optimisers import RECIPES, Optimisation
from bayesdip.networks.schedule import schedule_of
from bayesdip.networks.setup import PRECISIONS, seconds_to_load, set_up
from bayesdip.networks.stopping import RULES, default_rule
from bayesdip.networks.training_loop import TrainingLoop, picture_or_raise
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior


@dataclass(frozen=True, kw_only=True)
class MAP(Method):
    """One fit of one network, with a stopping rule: to compare with published deep image priors.

    Its mean is no posterior mean, and it has neither a standard deviation nor samples.

    Parameters
    ----------
    arch : Architecture, str or None
        The network; None takes one that works at half resolution, for volumes a small one in three dimensions.
    optimiser : {"sgd", "sgd+average", "sgd+weight-decay", "sgd+input", "sgd+input+average"}
        The variants that Cheng et al. 2019 compare; see ``networks.optimisers``.
    stop : {"never", "held-out", "windowed-variance", "discrepancy", "sure"} or None
        The rule that ends the fit, see ``networks.stopping``. None takes ``"held-out"``, of exact data ``"never"``.
    steps : int or None
        Instead of those of the effort.
    precision : {"auto", "single"}
        Of the convolutions.
    effort, seed, device
        As for :class:`~bayesdip.methods.Method`.

    Raises
    ------
    BayesDipError
        An option is out of its range, or a name is unknown.
    """

    arch: Architecture | str | None = None
    optimiser: str = "sgd+input+average"
    stop: str | None = None
    steps: int | None = None
    precision: str = "auto"

    name: ClassVar[str] = "map"
    summary: ClassVar[str] = "one fit of one network, with a stopping rule"
    has_std: ClassVar[bool] = False
    fits_networks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("optimiser", self.optimiser, tuple(RECIPES))
        if self.stop is not None:
            one_of("stop", self.stop, tuple(RULES))
        if self.steps is not None:
            at_least("steps", self.steps, 1)
        one_of("precision", self.precision, PRECISIONS)

    def resolved(self, problem: Problem) -> Self:
        network = arch.named(self.arch) if isinstance(self.arch, str) else self.arch
        own = VOLUME if len(problem.grid) > 2 else Shuffle()
        return replace(
            super().resolved(problem), arch=network or own, stop=self.stop or default_rule(problem)
        )

    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        """Fit one network, until its stopping rule ends it."""
        schedule, recipe = schedule_of(self.effort, self.steps, by_adam=True), RECIPES[self.optimiser]
        assert self.stop is not None
        rule = RULES[self.stop]()
        seen = rule.hold_out(problem, torch.Generator().manual_seed(self.seed))

        def begin(data: Problem) -> Optimisation:
            assert isinstance(self.arch, Architecture)
            made = set_up(data, self.arch, seed=self.seed, device=self.device, compute=self.precision)
            progress.memory += made.memory
            return Optimisation.begin(made.energy, made.generator, recipe, schedule)

        if not progress.ends_within(seconds_to_load()):
            picture_or_raise(None, progress.stop_reason)
        fit = begin(seen)
        rule.begin(fit.target, begin)
        first = InitialEstimate.of(fit.target, seen, progress, schedule.steps)

        def fitted() -> Tensor | None:
            return fit.result.mean if rule.picture is None else rule.picture

        def best() -> Tensor | None:
            return first.or_better(fitted())

        loop = TrainingLoop(fit.target, progress, schedule.steps, best, listeners=(fit, rule))

        def watch(fits: Sequence[float]) -> bool:
            return rule.ended(fit.evaluation(loop.step))

        loop.advance(fit.stepper, 1.0, "fit", fit.record, watch)
        mean = picture_or_raise(best() if progress.stop_reason else fitted(), progress.stop_reason)
        return Posterior(
            mean=mean,
            trace=loop.trace,
            stopped=progress.stop_reason or ("stopping rule" if loop.ended else "finished"),
            info={
                "steps": loop.step,
                "initial_estimate": mean is first.picture,
                "rollbacks": loop.rollbacks,
                "picture_of_step": loop.step if rule.picture is None else rule.step,
            },
        )
