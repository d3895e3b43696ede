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
    """How one network is fitted. What the paper calls SGD is Adam on the whole picture, here too.

    Attributes
    ----------
    average : bool
        The result is the exponential average of the pictures rather than the last one.
    input_noise : bool
        Add fresh noise to the latent input at every step.
    weight_decay : float
        Adam's own, for a loss that is the mean squared error: the paper's code has 5e-8.
    """

    average: bool = False
    input_noise: bool = False
    weight_decay: float = 0.0

    def stepper(self, target: Energy, generator: torch.Generator, schedule: Schedule) -> AdamStepper:
        """What takes the steps.

        Parameters
        ----------
        target : Energy
        generator : torch.Generator
            On the device of the target.
        schedule : Schedule

        Returns
        -------
        AdamStepper
        """
        # Adam is invariant to the scale of a loss, but not to that of a decay beside it. The loss here is the negative
        # log-likelihood per observation: under Gaussian noise, the squared error over twice its variance.
        mean_variance = float(target.variance.mean())
        return AdamStepper(
            target,
            generator,
            learning_rate=schedule.learning_rate,
            input_noise=schedule.input_noise if self.input_noise else 0.0,
            weight_decay=self.weight_decay / (2 * mean_variance),
        )

    def result(self) -> ExponentialAverage:
        """What takes the pictures one by one; its ``mean`` is the result so far.

        Returns
        -------
        ExponentialAverage
        """
        return ExponentialAverage() if self.average else ExponentialAverage(decay=0.0)


RECIPES = {
    "sgd": Recipe(),
    "sgd+average": Recipe(average=True),
    "sgd+weight-decay": Recipe(weight_decay=5e-8),
    "sgd+input": Recipe(input_noise=True),
    "sgd+input+average": Recipe(input_noise=True, average=True),
}


@dataclass(frozen=True)
class Evaluation:
    """A fit as it stands at one step.

    Attributes
    ----------
    step : int
    picture : Tensor, shape (C, *grid)
        The result if the run ended now.
    fit : float
        Of that picture, see :meth:`Energy.fit`.
    latest : Tensor, shape (C, *grid)
        The network's picture at this step, not averaged.
    """

    step: int
    picture: Tensor
    fit: float
    latest: Tensor


@dataclass
class Optimisation:
    """The optimisation of one network, and its result so far.

    Two that begin from the same seeds draw the same weights, latent inputs and input noise.

    Attributes
    ----------
    target : Energy
    stepper : AdamStepper
    result : ExponentialAverage
    steps : int
        That were recorded.
    latest : Tensor or None, shape (C, *grid)
        The network's picture at the last of them.
    """

    target: Energy
    stepper: AdamStepper
    result: ExponentialAverage
    steps: int = 0
    latest: Tensor | None = None

    @classmethod
    def begin(
        cls, target: Energy, generator: torch.Generator, recipe: Recipe, schedule: Schedule
    ) -> Optimisation:
        """Before the first step.

        Parameters
        ----------
        target : Energy
        generator : torch.Generator
            On the device of the target.
        recipe : Recipe
        schedule : Schedule

        Returns
        -------
        Optimisation
        """
        return cls(target, recipe.stepper(target, generator, schedule), recipe.result())

    def record(self, picture: Tensor) -> None:
        """Take a picture of the stepper into the result.

        Parameters
        ----------
        picture : Tensor, shape (C, *grid)
        """
        self.result.add(picture)
        self.latest = picture
        self.steps += 1

    def advance(self, step: int) -> None:
        """Take steps until so many are recorded.

        Parameters
        ----------
        step : int
        """
        while self.steps < step:
            self.record(self.stepper.step())

    def evaluation(self, step: int) -> Evaluation:
        """The fit as it stands.

        Parameters
        ----------
        step : int
            Number that the evaluation shall carry.

        Returns
        -------
        Evaluation

        Raises
        ------
        BayesDipError
            No step was recorded.
        """
        picture = self.result.mean
        if picture is None or self.latest is None:
            raise BayesDipError("the fit has not begun: expected one step at least; call advance")
        return Evaluation(step, picture, self.target.fit(picture), self.latest)
