"""The optimisation variants that Cheng et al. 2019 compare with sampling, in their table 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.networks.energy import Energy
from bayesdip.networks.running_averages import ExponentialAverage
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.steppers import AdamStepper


@dataclass(frozen=True)
class Recipe:
    """How one network is fitted. What the paper calls SGD is Adam on the whole picture; so it is here.

    Attributes
    ----------
    average : bool
        Give the exponential average of the pictures rather than the last one.
    input_noise : bool
        Perturb the input afresh at every step.
    weight_decay : float
        Adam's own, for a loss that is the mean squared error: the paper's code has 5e-8.
    """

    average: bool = False
    input_noise: bool = False
    weight_decay: float = 0.0

    def stepper(self, target: Energy, generator: torch.Generator, schedule: Schedule) -> AdamStepper:
        # Adam does not feel the scale of a loss, but a decay beside it does. Ours is the negative_log_likelihood for each
        # datum, under Gaussian noise the squared error over twice its variance.
        mean_variance = float(target.variance.mean())
        return AdamStepper(
            target,
            generator,
            learning_rate=schedule.learning_rate,
            input_noise=schedule.input_noise if self.input_noise else 0.0,
            weight_decay=self.weight_decay / (2 * mean_variance),
        )

    def result(self) -> ExponentialAverage:
        """What takes the pictures, one by one, and gives the result so far as its ``mean``."""
        return ExponentialAverage() if self.average else ExponentialAverage(decay=0.0)


RECIPES = {
    "sgd": Recipe(),
    "sgd+average": Recipe(average=True),
    "sgd+weight-decay": Recipe(weight_decay=5e-8),
    "sgd+input": Recipe(input_noise=True),
    "sgd+input+average": Recipe(input_noise=True, average=True),
}


@dataclass(frozen=True)
class Look:
    """A fit at one step.

    Attributes
    ----------
    step : int
    picture : Tensor, shape (C, *grid)
        What the run would give if it ended now.
    fit : float
        See ``Energy.fit``, of that picture.
    latest : Tensor, shape (C, *grid)
        The network's picture at this step, not averaged.
    """

    step: int
    picture: Tensor
    fit: float
    latest: Tensor


@dataclass
class Fit:
    """A network, what moves it, and the result so far.

    Two of them that begin from the same seeds draw the same weights, inputs and perturbations.
    """

    target: Energy
    stepper: AdamStepper
    result: ExponentialAverage
    steps: int = 0
    latest: Tensor | None = None

    @classmethod
    def begin(cls, target: Energy, generator: torch.Generator, recipe: Recipe, schedule: Schedule) -> Fit:
        return cls(target, recipe.stepper(target, generator, schedule), recipe.result())

    def take(self, picture: Tensor) -> None:
        """Count a picture that the stepper gave."""
        self.result.add(picture)
        self.latest = picture
        self.steps += 1

    def advance(self, step: int) -> None:
        """Go on until that step."""
        while self.steps < step:
            self.take(self.stepper.step())

    def look(self, step: int) -> Look:
        """The fit as it stands, called by that number."""
        picture = self.result.mean
        if picture is None or self.latest is None:
            raise BayesDipError("the fit has not begun: expected one step at least; call advance")
        return Look(step, picture, self.target.fit(picture), self.latest)
