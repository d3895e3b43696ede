"""One loop that fits a network to a case and compares it with the truth on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.lab.cases import Case
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import Column
from bayesdip.networks.langevin import adam_noise_step
from bayesdip.networks.running_averages import ExponentialAverage, Moments

BEST = Column("best", "highest PSNR of the fit (dB)")
FINAL = Column("final", "PSNR at the end (dB)")
PSNR = Column("psnr", "PSNR (dB)")
EVALUATIONS = 40  # how often the pictures are compared with the truth, over a fit


@dataclass(frozen=True)
class Recipe:
    """How a network is fitted.

    Attributes
    ----------
    steps : int
    learning_rate : float
    optimiser : "adam" or "descent"
        The latter is plain gradient descent with momentum 0.9.
    input_noise : float
        Standard deviation of fresh noise on the latent input at every step.
    weight_decay : float
        Adam's own.
    weight_noise : bool
        The noise on convolution weights of Cheng et al. 2019, as released.
    burn_in : float
        Share of the steps before pictures count as samples: 7000 of 20000 in Cheng et al. 2019.
    peak : float
        White in the units of the loss: 255 fits 255 times the data.
    """

    steps: int
    learning_rate: float = 0.01
    optimiser: str = "adam"
    input_noise: float = 0.0
    weight_decay: float = 0.0
    weight_noise: bool = False
    burn_in: float = 0.35
    peak: float = 1.0


@dataclass(frozen=True)
class Fit:
    """The pictures of a fit, (B, C, *grid), and the evaluations on the way.

    Attributes
    ----------
    picture : Tensor
        Of the last step.
    average : Tensor
        Exponential average of the pictures.
    sampled, std : Tensor
        Mean of the pictures after burn-in, and their standard deviation.
    steps, error, psnr, psnr_average, held_out : list of float
        At each evaluation: the step, the mean squared error to the data, PSNR of the picture and
        of the average, and the mean squared error on the held-out values.
    """

    picture: Tensor
    average: Tensor
    sampled: Tensor
    std: Tensor
    steps: list[float]
    error: list[float]
    psnr: list[float]
    psnr_average: list[float]
    held_out: list[float]

    @property
    def best(self) -> float:
        """The highest PSNR on the way: stopped by an oracle."""
        return max(self.psnr)

    @property
    def stop(self) -> int:
        """The evaluation at which the held-out error, averaged over three evaluations, is smallest."""
        smoothed = np.convolve(np.pad(self.held_out, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
        return int(np.argmin(smoothed))

    def row(self) -> Row:
        """The numbers that most claims use."""
        return {"best": self.best, "final": self.psnr[-1], "steps": self.steps, "psnr": self.psnr}


class Record:
    """The pictures of a fit as they come, compared with the data and the truth ``EVALUATIONS`` times.

    Parameters
    ----------
    case : Case
    steps : int
        How many pictures will come.
    burn_in : float
        Share of them before pictures count as samples.
    """

    def __init__(self, case: Case, steps: int, burn_in: float = 0.0) -> None:
        self.case, self.steps, self.burn_in = case, steps, burn_in
        self.average, self.samples = ExponentialAverage(), Moments()
        self.picture = torch.zeros_like(case.truth)
        self.count = 0
        self.evaluations: dict[str, list[float]] = {
            name: [] for name in ("steps", "error", "psnr", "psnr_average", "held_out")
        }

    def add(self, picture: Tensor) -> None:
        """Take the pictures of one step."""
        self.picture = picture
        self.average.add(picture)
        if self.count >= self.burn_in * self.steps:
            self.samples.add(picture)
        self.count += 1
        if self.count % every(self.steps) == 0 or self.count == self.steps:
            self._evaluate()

    def fit(self) -> Fit:
        """What was recorded."""
        return Fit(
            picture=self.picture,
            average=_or(self.average.mean, self.picture),
            sampled=_or(self.samples.mean, self.picture),
            std=_or(self.samples.std, torch.zeros_like(self.picture)),
            **self.evaluations,
        )

    def _evaluate(self) -> None:
        case = self.case
        squared = (case.forward(self.picture) - case.y).square()
        held_out = squared[case.held_out]
        evaluation = {
            "steps": self.count,
            "error": _rounded(float(squared[case.observed].mean())),
            "psnr": psnr(self.picture, case.truth),
            "psnr_average": psnr(_or(self.average.mean, self.picture), case.truth),
            "held_out": _rounded(float(held_out.mean())) if len(held_out) else 0.0,
        }
        for name, value in evaluation.items():
            self.evaluations[name].append(value)


def every(steps: int) -> int:
    """Steps between two evaluations of a fit."""
    return max(1, steps // EVALUATIONS)


def descend(
    objective: Callable[[], tuple[Tensor, Tensor]],
    optimisers: Sequence[torch.optim.Optimizer],
    record: Record,
    after: Callable[[int, Tensor], None] = lambda step, picture: None,
) -> Fit:
    """Take the record's steps on an objective of any form.

    Parameters
    ----------
    objective : callable
        The loss of this step, and the pictures.
    optimisers : sequence of Optimizer
        Of what is fitted; each takes a step at every step.
    record : Record
    after : callable
        Called after every step with its number and pictures.

    Returns
    -------
    Fit
    """
    for step in range(record.steps):
        loss, output = objective()
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()
        picture = output.detach()
        record.add(picture)
        after(step, picture)
    return record.fit()


def fit(
    arch: Architecture,
    case: Case,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    watch: Callable[[int, Tensor], None] = lambda step, picture: None,
) -> Fit:
    """Fit one network to all pictures of the case, with a latent input for each.

    Parameters
    ----------
    arch : Architecture
    case : Case
    recipe : Recipe
    generator : torch.Generator
        Draws weights, latent inputs, and what noise the recipe asks for.
    watch : callable
        Called with every step's number and pictures.

    Returns
    -------
    Fit
    """
    batch, channels = case.truth.shape[:2]
    network = arch.build(channels, len(case.grid), generator=generator)
    latent = torch.cat([network.new_input(case.grid, generator) for _ in range(batch)])
    weights = list(network.parameters())

    def objective() -> tuple[Tensor, Tensor]:
        noise = torch.randn(latent.shape, generator=generator) if recipe.input_noise else torch.zeros(())
        output = network(latent + recipe.input_noise * noise, case.grid)
        residual = case.forward(output) - recipe.peak * case.y
        return residual.square()[case.observed].mean(), output / recipe.peak

    def after(step: int, picture: Tensor) -> None:
        if recipe.weight_noise:
            adam_noise_step(weights, learning_rate=recipe.learning_rate, generator=generator)
        watch(step, picture)

    record = Record(case, recipe.steps, recipe.burn_in)
    return descend(objective, [_optimiser(weights, recipe)], record, after)


def psnr(pictures: Tensor, truth: Tensor) -> float:
    """In dB for a peak of 1, values clipped to 0..1; the mean over the pictures of (B, C, *grid)."""
    error = (pictures.clamp(0, 1) - truth).square().flatten(1).mean(1).clamp_min(1e-10)
    return _rounded(float((-10 * error.log10()).mean()))


def _optimiser(weights: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimiser == "descent":
        return torch.optim.SGD(weights, lr=recipe.learning_rate, momentum=0.9)
    return torch.optim.Adam(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _or(tensor: Tensor | None, fallback: Tensor) -> Tensor:
    return fallback if tensor is None else tensor


def _rounded(value: float) -> float:
    """Five significant digits: curves are saved as text."""
    return float(f"{value:.5g}") if math.isfinite(value) else value
