"""What the methods share that fit one network and then draw pictures from it independently."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.lab.methods.one_network import OneNetwork
from bayesdip.methods.method import at_least, one_of
from bayesdip.networks.running_averages import ExponentialAverage, Moments, Thinned
from bayesdip.networks.schedule import Schedule, schedule_of
from bayesdip.networks.setup import PRECISIONS, set_up
from bayesdip.networks.steppers import Stepper, Target
from bayesdip.networks.training_loop import TrainingLoop, picture_or_raise
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

# Share of the steps at which the fit ends; the rest are draws, 80 of the 800 of a fast run.
FITTED = 0.9


@dataclass(frozen=True, kw_only=True)
class FitThenDraw(OneNetwork):
    """Fit one network, then draw pictures from it independently.

    Parameters
    ----------
    arch : Architecture, str or None
        The network; None takes one that works at half resolution.
    steps : int or None
        Instead of those of the effort: fit and draws together.
    samples : int
        Draws to keep, at most.
    precision : {"auto", "single"}
        Of the convolutions.
    effort, seed, device
        As for :class:`~bayesdip.methods.Method`.

    Raises
    ------
    BayesDipError
        An option is out of its range, or a name is unknown.
    """

    samples: int = 16
    precision: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("precision", self.precision, PRECISIONS)
        at_least("samples", self.samples, 0)

    @abstractmethod
    def train(
        self, loop: TrainingLoop, schedule: Schedule, generator: torch.Generator, average: ExponentialAverage
    ) -> Callable[[], None]:
        """Fit the loop's network up to the share ``FITTED``, and give what draws its weights or features anew."""

    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        """Fit, then draw; stopped before the draws, the exponential average of the fit."""
        assert isinstance(self.arch, Architecture)
        schedule = schedule_of(self.effort, self.steps, by_adam=True)
        made = set_up(
            problem,
            self.arch,
            seed=self.seed,
            device=self.device,
            compute=self.precision,
            samples=self.samples,
        )
        progress.memory = max(progress.memory, made.memory)
        average, moments, kept = ExponentialAverage(), Moments(), Thinned(self.samples)

        def best() -> Tensor | None:
            return average.mean if moments.mean is None else moments.mean

        def count(picture: Tensor) -> None:
            moments.add(picture)
            kept.add(picture)

        loop = TrainingLoop(made.target, progress, schedule.steps, best)
        draw = self.train(loop, schedule, made.generator, average)
        loop.advance(DrawStepper(made.target, made.generator, draw), 1.0, "sampling", count)
        mean = picture_or_raise(best(), progress.stop_reason)
        return Posterior(
            mean=mean,
            std=moments.std,
            samples=kept.stack(mean),
            trace=loop.trace,
            stopped=progress.stop_reason or "finished",
            info={"steps": loop.step, "rollbacks": loop.rollbacks, "draws": moments.count},
        )


class DrawStepper(Stepper):
    """Every step is a picture of the network as ``draw`` leaves it; nothing is learnt."""

    def __init__(self, target: Target, generator: torch.Generator, draw: Callable[[], None]) -> None:
        super().__init__(target, generator)
        self.draw = draw

    @torch.no_grad()
    def step(self) -> Tensor:
        self.draw()
        return self.target.picture()

    def reduce_step(self) -> None:
        """Draws have no step to make smaller."""

    def state(self) -> None:
        """There is no state."""

    def load_state(self, state: Any) -> None:
        """There is no state."""
