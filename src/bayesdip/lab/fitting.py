"""One loop that fits a network to a case and compares it with the truth on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

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

    def row(self) -> Row:
        """The numbers that most claims use."""
        return {"best": self.best, "final": self.psnr[-1], "steps": self.steps, "psnr": self.psnr}


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
    optimiser = _optimiser(weights, recipe)
    average, samples = ExponentialAverage(), Moments()
    evaluations: dict[str, list[float]] = {
        name: [] for name in ("steps", "error", "psnr", "psnr_average", "held_out")
    }
    every = max(1, recipe.steps // EVALUATIONS)
    picture = torch.zeros_like(case.truth)
    for step in range(recipe.steps):
        noise = torch.randn(latent.shape, generator=generator) if recipe.input_noise else torch.zeros(())
        output = network(latent + recipe.input_noise * noise, case.grid)
        residual = case.forward(output) - recipe.peak * case.y
        loss = residual.square()[case.observed].mean()
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        optimiser.step()
        if recipe.weight_noise:
            adam_noise_step(weights, learning_rate=recipe.learning_rate, generator=generator)
        picture = output.detach() / recipe.peak
        average.add(picture)
        if step >= recipe.burn_in * recipe.steps:
            samples.add(picture)
        watch(step, picture)
        if (step + 1) % every == 0 or step == recipe.steps - 1:
            squared = (residual.detach() / recipe.peak).square()[case.held_out]
            evaluation = {
                "steps": step + 1,
                "error": _rounded(float(loss.detach()) / recipe.peak**2),
                "psnr": psnr(picture, case.truth),
                "psnr_average": psnr(_or(average.mean, picture), case.truth),
                "held_out": _rounded(float(squared.mean())) if len(squared) else 0.0,
            }
            for name, value in evaluation.items():
                evaluations[name].append(value)
    return Fit(
        picture=picture,
        average=_or(average.mean, picture),
        sampled=_or(samples.mean, picture),
        std=_or(samples.std, torch.zeros_like(picture)),
        **evaluations,
    )


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
