"""Independent draws of pictures at the end of a fit, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bayesdip.networks.running_averages import ExponentialAverage, Moments, Thinned
from bayesdip.networks.steppers import Stepper, Target
from bayesdip.networks.training_loop import TrainingLoop, picture_or_raise
from bayesdip.posterior import Posterior


@dataclass
class Drawn:
    """An average of the way there, and the moments of the draws.

    Attributes
    ----------
    capacity : int
        Draws to keep.
    """

    capacity: int
    average: ExponentialAverage = field(default_factory=ExponentialAverage)
    moments: Moments = field(default_factory=Moments)
    thinned: Thinned = field(init=False)

    def __post_init__(self) -> None:
        self.thinned = Thinned(self.capacity)

    def count(self, picture: Tensor) -> None:
        self.moments.add(picture)
        self.thinned.add(picture)

    def mean(self) -> Tensor | None:
        return self.average.mean if self.moments.mean is None else self.moments.mean


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

    def memory(self) -> None:
        """Nothing is carried."""

    def recall(self, memory: Any) -> None:
        """Nothing is carried."""


def posterior_of(drawn: Drawn, chain: TrainingLoop, facts: dict[str, Any]) -> Posterior:
    """The summary of the draws; of a run stopped before them, the average so far."""
    mean = picture_or_raise(drawn.mean(), chain.progress.stop_reason)
    return Posterior(
        mean=mean,
        std=drawn.moments.std,
        samples=drawn.thinned.stack(mean),
        trace=chain.trace,
        stopped=chain.progress.stop_reason or "finished",
        info={"steps": chain.step, "rollbacks": chain.rollbacks, "draws": drawn.moments.count, **facts},
    )
