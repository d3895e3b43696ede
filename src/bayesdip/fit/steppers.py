"""Ways to take one step: what an optimiser or sampler carries from one step to the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from bayesdip.fit.langevin import Momentum, adam_noise_step, psgld_step
from bayesdip.fit.problem import Problem


class Stepper(ABC):
    """Moves the weights of a problem by one step at a time, and can go back to a snapshot."""

    def __init__(self, problem: Problem, generator: torch.Generator) -> None:
        self.problem = problem
        self.weights = problem.weights
        self.generator = generator

    @abstractmethod
    def step(self) -> Tensor:
        """Take one step; gives the picture (C, *grid) from which it started, detached."""

    @abstractmethod
    def calm(self) -> None:
        """Make the steps smaller, after a divergence."""

    @abstractmethod
    def memory(self) -> Any:
        """A copy of what is carried besides the weights."""

    @abstractmethod
    def recall(self, memory: Any) -> None:
        """Put back what :meth:`memory` gave."""

    def snapshot(self) -> tuple[list[Tensor], Any]:
        return [w.detach().clone() for w in self.weights], self.memory()

    @torch.no_grad()
    def rewind(self, snapshot: tuple[list[Tensor], Any]) -> None:
        """Back to a snapshot, with smaller steps from there."""
        for w, kept in zip(self.weights, snapshot[0], strict=True):
            w.copy_(kept)
        self.recall(snapshot[1])
        self.calm()

    def _gradients(self, energy: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(energy, self.weights))


class AdamStepper(Stepper):
    """Adam on the misfit per observation, with a perturbed input; optionally the paper's noise on weights.

    Parameters
    ----------
    input_noise : float
        Standard deviation of fresh noise on the network's input at every step (1/30 in the
        code of Deep Image Prior, whose input is uniform in 0..0.1).
    weight_noise : bool
        Add the noise of ``fit.langevin.adam_noise_step`` after each step.
    weight_decay : float
        Adam's own (5e-8 in the paper's released code).
    """

    def __init__(
        self,
        problem: Problem,
        generator: torch.Generator,
        *,
        learning_rate: float,
        input_noise: float,
        weight_noise: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(problem, generator)
        self.learning_rate = learning_rate
        self.input_noise = input_noise
        self.weight_noise = weight_noise
        self.adam = torch.optim.Adam(self.weights, lr=learning_rate, weight_decay=weight_decay)

    def step(self) -> Tensor:
        picture = self.problem.picture(self.input_noise, self.generator)
        energy = self.problem.misfit(picture) / self.problem.observations
        for w, g in zip(self.weights, self._gradients(energy), strict=True):
            w.grad = g
        self.adam.step()
        if self.weight_noise:
            adam_noise_step(self.weights, learning_rate=self.learning_rate, generator=self.generator)
        return picture.detach()

    def calm(self) -> None:
        self.learning_rate *= 0.7
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate

    def memory(self) -> Any:
        state = self.adam.state_dict()["state"]
        return {i: {k: v.clone() for k, v in s.items()} for i, s in state.items()}

    def recall(self, memory: Any) -> None:
        self.adam.load_state_dict(self.adam.state_dict() | {"state": memory})

    def curvature(self) -> list[Tensor]:
        """Root mean square of the energy's gradient, per weight: a diagonal stand-in for its curvature."""
        decay = self.adam.param_groups[0]["betas"][1]
        found = []
        for w in self.weights:
            state = self.adam.state[w]
            squared = state["exp_avg_sq"] / (1 - decay ** float(state["step"]))
            found.append(self.problem.observations * squared.sqrt())
        return found


class LangevinStepper(Stepper):
    """Preconditioned Langevin dynamics on the full energy, with a fixed preconditioner.

        P_i = 1 / (curvature_i + 1 / s_i^2),

    where the second term is the prior's own precision: directions that the data do not see
    move as the prior allows.
    """

    def __init__(
        self, problem: Problem, generator: torch.Generator, curvature: list[Tensor], *, step_size: float
    ) -> None:
        super().__init__(problem, generator)
        self.step_size = step_size
        self.temperature = 0.0
        self.precisions = [1 / s**2 for s in problem.stds]
        self.preconditioner = [1 / (c + p) for c, p in zip(curvature, self.precisions, strict=True)]
        self.momentum = Momentum.draw(self.weights, self.temperature, generator)

    def step(self) -> Tensor:
        picture = self.problem.picture()
        gradients = self._gradients(self.problem.misfit(picture))
        for g, w, precision in zip(gradients, self.weights, self.precisions, strict=True):
            g.add_(w.detach(), alpha=precision)
        psgld_step(
            self.weights,
            gradients,
            self.preconditioner,
            self.momentum,
            step_size=self.step_size,
            temperature=self.temperature,
            generator=self.generator,
        )
        return picture.detach()

    def calm(self) -> None:
        self.step_size *= 0.7

    def memory(self) -> Any:
        return [u.clone() for u in self.momentum.values]

    def recall(self, memory: Any) -> None:
        self.momentum.values = [u.clone() for u in memory]
