"""Linearised Laplace: one fitted network, replaced by its tangent, which is a Gaussian linear model.

Barbano, Antorán, Leuschner, Hernández-Lobato, Jin, Kereta, *Uncertainty Estimation for Computed Tomography with a
Linearised Deep Image Prior* (arXiv 2203.00479). Around the fitted weights w*

    f_w  =  f_w* + J (w - w*),    w ~ N(0, a^2 S^2),

with ``S`` the prior's standard deviations and ``a`` found by the evidence of the data. In the space of the data the
posterior needs ``J S^2 J^T`` alone; here J S is known along random directions, ``G = J S R / sqrt(k)`` with R of k
standard normal columns, so that ``G G^T`` has that matrix as its mean and costs k passes in forward mode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.func import functional_call, jvp

from bayesdip.arch.architecture import Architecture
from bayesdip.lab.methods.one_network import OneNetwork
from bayesdip.networks.energy import Energy
from bayesdip.networks.running_averages import ExponentialAverage
from bayesdip.networks.schedule import schedule_of
from bayesdip.networks.setup import set_up
from bayesdip.networks.steppers import AdamStepper
from bayesdip.networks.training_loop import TrainingLoop, picture_or_raise
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

# Share of the steps that fit the network; the rest are directions, one each.
FITTED = 0.5
# The prior's factors that are compared by the evidence: three decades, eight to each.
FACTORS = tuple(10 ** (k / 8) for k in range(-16, 9))


@dataclass(frozen=True, kw_only=True)
class Linearised(OneNetwork):
    """Fit one network by Adam, and give the standard deviations of its tangent model.

    Parameters
    ----------
    arch : Architecture, str or None
        The network; None takes one that works at half resolution.
    steps : int or None
        Instead of those of the effort: steps of the fit and directions of the tangent together.
    effort, seed, device
        As for :class:`~bayesdip.methods.Method`.

    Raises
    ------
    BayesDipError
        An option is out of its range, or a name is unknown.
    """

    name: ClassVar[str] = "linearised"
    summary: ClassVar[str] = (
        "one fitted network, its standard deviations from the linear model of its tangent"
    )

    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        assert isinstance(self.arch, Architecture)
        schedule = schedule_of(self.effort, self.steps, by_adam=True)
        made = set_up(problem, self.arch, seed=self.seed, device=self.device, compute="single")
        progress.memory = max(progress.memory, made.memory)
        average = ExponentialAverage()
        loop = TrainingLoop(made.target, progress, schedule.steps, lambda: average.mean)
        adam = AdamStepper(made.target, made.generator, learning_rate=schedule.learning_rate, input_noise=0.0)
        loop.advance(adam, FITTED, "fit", average.add)
        mean = picture_or_raise(average.mean, progress.stop_reason)
        info: dict[str, float] = {"steps": loop.step}
        std = None
        if not progress.stop_reason:
            directions = max(2, schedule.steps - loop.step)
            std, factor = tangent_std(made.energy, directions, made.generator)
            info |= {"directions": directions, "factor": factor}
        return Posterior(
            mean=mean, std=std, trace=loop.trace, stopped=progress.stop_reason or "finished", info=info
        )


@torch.no_grad()
def tangent_std(energy: Energy, directions: int, generator: torch.Generator) -> tuple[Tensor, float]:
    """Posterior standard deviation of the picture in the linear model around the present weights.

    Parameters
    ----------
    energy : Energy
        Under a linear operator.
    directions : int
        Random directions in the space of weights, at least 2.
    generator : torch.Generator

    Returns
    -------
    std : Tensor, shape (C, *grid)
    factor : float
        That the evidence chose for the prior's standard deviations.
    """
    problem, seen = energy.problem, energy.observed
    names = [name for name, w in energy.network.named_parameters() if w.requires_grad]
    weights = tuple(w.detach() for w in energy.weights)
    noise = energy.variance.sqrt()

    def picture(*values: Tensor) -> Tensor:
        named = dict(zip(names, values, strict=True))
        made: Tensor = functional_call(energy.network, named, (energy.latent, problem.grid))[0]
        return made

    def along(direction: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        value, tangent = jvp(picture, weights, direction)[:2]
        return value, tangent

    def measured(change: Tensor) -> Tensor:
        return (problem.operator.forward(change) / noise)[seen].double()

    value, own = along(weights)
    # What the linear model must explain: the data, less what it says at weights of zero.
    rest = (problem.y / noise)[seen].double() - measured(value - own)
    pictures = []
    for _ in range(directions):
        drawn = tuple(
            s * torch.randn(w.shape, generator=generator, device=w.device)
            for w, s in zip(weights, energy.stds, strict=True)
        )
        pictures.append(along(drawn)[1] / math.sqrt(directions))
    G = torch.stack([p.flatten() for p in pictures], 1).double()
    Z = torch.stack([measured(p) for p in pictures], 1)
    squares, V = torch.linalg.eigh(Z.T @ Z)  # Z = U squares^(1/2) V^T
    squares = squares.clamp_min(0)
    shown = (V.T @ (Z.T @ rest)).square() / squares.clamp_min(1e-12)  # the squares of U^T rest
    factor = min(FACTORS, key=lambda a: _negative_log_evidence(squares, shown, a))
    shrunk = factor / (1 + factor**2 * squares).sqrt()
    std = ((G @ V) * shrunk).square().sum(1).sqrt()
    return std.to(problem.y.dtype).reshape(value.shape), factor


def _negative_log_evidence(squares: Tensor, shown: Tensor, factor: float) -> float:
    """Of data ~ N(0, 1 + factor^2 Z Z^T), but for terms in which the factor is not."""
    scaled = 1 + factor**2 * squares
    return float((scaled.log() + shown / scaled).sum()) / 2
