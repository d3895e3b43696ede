"""One loop that fits a network to a case and looks at it on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from benchmarks.results import Row
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.lab.problems import Case
from bayesdip.networks.langevin import adam_noise_step
from bayesdip.networks.running_averages import ExponentialAverage, Moments

LOOKS = 40  # how often the pictures are compared with the truth, over a fit


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
        Standard deviation of fresh noise on the code at every step.
    weight_decay : float
        Adam's own.
    weight_noise : bool
        The noise on convolution weights of Cheng et al. 2019, as released; its samples are
        counted after ``burn_in``.
    burn_in : float
        Share of the steps before samples are counted.
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
    """The pictures of a fit, (B, C, *grid), and what was seen on the way.

    Attributes
    ----------
    picture : Tensor
        Of the last look.
    average : Tensor
        Exponential average of the pictures.
    sampled : Tensor
        Mean of the pictures after burn-in.
    std : Tensor
        Their standard deviation.
    steps, negative_log_likelihood, psnr, psnr_average, held_out : list of float
        At each look: the step, the mean squared error to what was seen, PSNR of the picture and
        of the average, and the mean squared error on the held-out values.
    """

    picture: Tensor
    average: Tensor
    sampled: Tensor
    std: Tensor
    steps: list[float]
    negative_log_likelihood: list[float]
    psnr: list[float]
    psnr_average: list[float]
    held_out: list[float]

    @property
    def best(self) -> float:
        """The highest PSNR on the way: stopped by an oracle."""
        return max(self.psnr)

    def row(self) -> Row:
        """The numbers that most claims keep."""
        return {"best": self.best, "final": self.psnr[-1], "steps": self.steps, "psnr": self.psnr}


def fit(
    arch: Architecture,
    case: Case,
    recipe: Recipe,
    generator: torch.Generator,
    *,
    watch: Callable[[int, Tensor], None] = lambda step, picture: None,
) -> Fit:
    """Fit one network to all pictures of the case, a code for each.

    Parameters
    ----------
    generator : torch.Generator
        Draws weights, codes, and what noise the recipe asks for.
    watch : callable
        Called with every step's number and pictures.
    """
    batch, channels = case.truth.shape[:2]
    grid = case.grid
    network = arch.build(channels, len(grid), generator=generator)
    code = torch.cat([network.new_input(grid, generator) for _ in range(batch)])
    weights = list(network.parameters())
    optimiser = _optimiser(weights, recipe)
    average, moments = ExponentialAverage(), Moments()
    trace: dict[str, list[float]] = {
        k: [] for k in ("steps", "negative_log_likelihood", "psnr", "psnr_average", "held_out")
    }
    every = max(1, recipe.steps // LOOKS)
    picture = torch.zeros_like(case.truth)
    for step in range(recipe.steps):
        noise = torch.randn(code.shape, generator=generator) if recipe.input_noise else torch.zeros(())
        made = network(code + recipe.input_noise * noise, grid)
        residual = case.forward(made) - recipe.peak * case.y
        loss = residual.square()[case.seen].mean()
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        optimiser.step()
        if recipe.weight_noise:
            adam_noise_step(weights, learning_rate=recipe.learning_rate, generator=generator)
        picture = made.detach() / recipe.peak
        average.add(picture)
        if step >= recipe.burn_in * recipe.steps:
            moments.add(picture)
        watch(step, picture)
        if (step + 1) % every == 0 or step == recipe.steps - 1:
            kept = _or(average.mean, picture)
            trace["steps"].append(step + 1)
            trace["negative_log_likelihood"].append(_rounded(float(loss.detach()) / recipe.peak**2))
            trace["psnr"].append(psnr(picture, case.truth))
            trace["psnr_average"].append(psnr(kept, case.truth))
            trace["held_out"].append(_held_out(residual.detach() / recipe.peak, case))
    still = torch.zeros_like(picture)
    return Fit(
        picture, _or(average.mean, picture), _or(moments.mean, picture), _or(moments.std, still), **trace
    )


def psnr(pictures: Tensor, truth: Tensor) -> float:
    """In dB for a peak of 1, values clipped to 0..1; the mean over the pictures of (B, C, *grid)."""
    error = (pictures.clamp(0, 1) - truth).square().flatten(1).mean(1).clamp_min(1e-10)
    return _rounded(float((-10 * error.log10()).mean()))


def _optimiser(weights: list[torch.nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimiser == "descent":
        return torch.optim.SGD(weights, lr=recipe.learning_rate, momentum=0.9)
    return torch.optim.Adam(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _held_out(residual: Tensor, case: Case) -> float:
    squared = residual.square()[case.held_out]
    return _rounded(float(squared.mean())) if len(squared) else 0.0


def _or(tensor: Tensor | None, otherwise: Tensor) -> Tensor:
    return otherwise if tensor is None else tensor


def _rounded(value: float) -> float:
    """Five significant digits: curves are kept as text."""
    return float(f"{value:.5g}") if math.isfinite(value) else value
