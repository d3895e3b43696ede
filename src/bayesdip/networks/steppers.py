"""Ways to take one step: what an optimiser or sampler carries from one step to the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor

from bayesdip.arch.network import Network
from bayesdip.networks.cuda_graph import captured
from bayesdip.networks.langevin import adam_noise_step
from bayesdip.problem import Problem


class Target(Protocol):
    """What a stepper moves: one network (``fit.target.Energy``), or several at once (``fit.stacked``).

    With K networks at once, weights and pictures have a leading axis of K and ``negative_log_likelihood`` gives K numbers.
    """

    @property
    def network(self) -> Network: ...
    @property
    def problem(self) -> Problem: ...
    @property
    def latent(self) -> Tensor: ...
    @property
    def stds(self) -> list[float]: ...
    @property
    def weights(self) -> list[Tensor]: ...
    @property
    def observations(self) -> int: ...
    @property
    def noise_level(self) -> float: ...
    def picture(self) -> Tensor: ...
    def evaluate(self, input_noise: float, generator: torch.Generator) -> list[Tensor]: ...
    def negative_log_likelihood(self, picture: Tensor) -> Tensor: ...
    def fit(self, picture: Tensor) -> float: ...


class Stepper(ABC):
    """Moves the weights of a target by one step at a time, and can go back to a snapshot."""

    def __init__(self, target: Target, generator: torch.Generator, *, input_noise: float = 0.0) -> None:
        self.target = target
        self.weights = target.weights
        self.generator = generator
        self.input_noise = input_noise
        self._play = captured(lambda: target.evaluate(self.input_noise, generator), generator)

    @abstractmethod
    def step(self) -> Tensor:
        """Take one step; gives the picture (C, *grid) from which it started, detached.

        With K networks at once: (K, C, *grid).
        """

    @abstractmethod
    def reduce_step(self) -> None:
        """Make the steps smaller, after a divergence."""

    @abstractmethod
    def memory(self) -> Any:
        """A copy of what is carried besides the weights."""

    @abstractmethod
    def recall(self, memory: Any) -> None:
        """Put back what :meth:`memory` gave."""

    @torch.no_grad()
    def energy(self, picture: Tensor) -> float:
        """Minus the log posterior density, up to a constant; of K networks their sum.

        The negative_log_likelihood of a step's picture, and the prior on the weights to which that step led.
        """
        prior = sum(
            float((w / s).square().sum()) for w, s in zip(self.weights, self.target.stds, strict=True)
        )
        return float(self.target.negative_log_likelihood(picture).sum()) + prior / 2

    def snapshot(self) -> tuple[list[Tensor], Any]:
        return [w.detach().clone() for w in self.weights], self.memory()

    @torch.no_grad()
    def rewind(self, snapshot: tuple[list[Tensor], Any]) -> None:
        """Back to a snapshot, with smaller steps from there."""
        for w, kept in zip(self.weights, snapshot[0], strict=True):
            w.copy_(kept)
        self.recall(snapshot[1])
        self.reduce_step()

    def _evaluate(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Picture, negative_log_likelihood and the negative_log_likelihood's gradients at the weights, all detached.

        The next call may overwrite the gradients; see :func:`captured`.
        """
        picture, negative_log_likelihood, *gradients = self._play()
        return picture.clone(), negative_log_likelihood.clone(), gradients


class AdamStepper(Stepper):
    """Adam on the negative_log_likelihood per observation, with a perturbed input; optionally the paper's noise on weights.

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
        target: Target,
        generator: torch.Generator,
        *,
        learning_rate: float,
        input_noise: float,
        weight_noise: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(target, generator, input_noise=input_noise)
        self.learning_rate = learning_rate
        self.weight_noise = weight_noise
        named = (w for w in target.network.parameters() if w.requires_grad)
        self.filters = [w for w, own in zip(self.weights, named, strict=True) if own.ndim >= 3]
        self.adam = torch.optim.Adam(self.weights, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def step(self) -> Tensor:
        picture, _, gradients = self._evaluate()
        torch._foreach_div_(gradients, self.target.observations)
        for w, g in zip(self.weights, gradients, strict=True):
            w.grad = g.contiguous()  # fused Adam takes it for granted that both lie alike in memory
        self.adam.step()
        if self.weight_noise:
            adam_noise_step(self.filters, learning_rate=self.learning_rate, generator=self.generator)
        return picture

    def reduce_step(self) -> None:
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
            found.append(self.target.observations * squared.sqrt())
        return found
