"""Steppers: an optimiser or sampler with its own state, one step at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from bayesdip.arch.network import Network
from bayesdip.networks.cuda import recorded
from bayesdip.networks.langevin import adam_noise_step
from bayesdip.problem import Problem


class Target(Protocol):
    """What a stepper moves: one network (``networks.energy.Energy``), or several (``networks.ensemble.EnsembleEnergy``).

    For K networks, weights and pictures have a leading axis of K, and ``negative_log_likelihood`` gives K numbers.
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
    """Moves the weights of a target one step at a time, and can go back to a snapshot.

    Parameters
    ----------
    target : Energy or EnsembleEnergy
    generator : torch.Generator
        On the device of the target.
    input_noise : float
        Standard deviation of fresh noise on the latent input at every step.
    """

    changes: ClassVar[bool] = True  # its attributes are its state: bayesdip.resuming.state_of

    def __init__(self, target: Target, generator: torch.Generator, *, input_noise: float = 0.0) -> None:
        self.target = target
        self.weights = target.weights
        self.generator = generator
        self.input_noise = input_noise
        self._evaluation = recorded(lambda: target.evaluate(self.input_noise, generator), generator)

    @abstractmethod
    def step(self) -> Tensor:
        """Take one step.

        Returns
        -------
        Tensor, shape (C, *grid) or (K, C, *grid)
            The picture from which the step started, detached.
        """

    @abstractmethod
    def reduce_step(self) -> None:
        """Make the steps smaller, after a divergence."""

    @abstractmethod
    def state(self) -> Any:
        """A copy of the stepper's own state, beside the weights.

        Returns
        -------
        object
            For :meth:`load_state` alone.
        """

    @abstractmethod
    def load_state(self, state: Any) -> None:
        """Restore a state.

        Parameters
        ----------
        state : object
            What :meth:`state` gave.
        """

    @torch.no_grad()
    def energy(self, picture: Tensor) -> float:
        """Minus the log posterior density, up to a constant; for K networks their sum.

        Parameters
        ----------
        picture : Tensor, shape (C, *grid) or (K, C, *grid)
            From which the last step started; the prior is that of the weights after it.

        Returns
        -------
        float
        """
        prior = sum(
            float((w / s).square().sum()) for w, s in zip(self.weights, self.target.stds, strict=True)
        )
        return float(self.target.negative_log_likelihood(picture).sum()) + prior / 2

    def snapshot(self) -> tuple[list[Tensor], Any]:
        """Copies of the weights and of the stepper's state.

        Returns
        -------
        list of Tensor
        object
        """
        return [w.detach().clone() for w in self.weights], self.state()

    @torch.no_grad()
    def rewind(self, snapshot: tuple[list[Tensor], Any]) -> None:
        """Go back to a snapshot, and take smaller steps after it.

        Parameters
        ----------
        snapshot : tuple
            What :meth:`snapshot` gave.
        """
        for w, kept in zip(self.weights, snapshot[0], strict=True):
            w.copy_(kept)
        self.load_state(snapshot[1])
        self.reduce_step()

    def _evaluate(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Picture, negative log-likelihood and the gradients of that at the weights, all detached.

        The next call may overwrite the gradients; see :func:`~bayesdip.networks.cuda.recorded`.
        """
        picture, negative_log_likelihood, *gradients = self._evaluation()
        return picture.clone(), negative_log_likelihood.clone(), gradients


class AdamStepper(Stepper):
    """Adam on the negative log-likelihood per observation, with a perturbed input; optionally the paper's noise on weights.

    Parameters
    ----------
    target : Energy or EnsembleEnergy
    generator : torch.Generator
        On the device of the target.
    learning_rate : float
    input_noise : float
        Standard deviation of fresh noise on the latent input at every step (1/30 in the code of Deep Image Prior,
        whose input is uniform in 0..0.1).
    weight_noise : bool
        Add the noise of :func:`~bayesdip.networks.langevin.adam_noise_step` after each step.
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
            w.grad = g.contiguous()  # fused Adam assumes that both have the same memory layout
        self.adam.step()
        if self.weight_noise:
            adam_noise_step(self.filters, learning_rate=self.learning_rate, generator=self.generator)
        return picture

    def reduce_step(self) -> None:
        self.learning_rate *= 0.7
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate

    def state(self) -> Any:
        state = self.adam.state_dict()["state"]
        return {i: {k: v.clone() for k, v in s.items()} for i, s in state.items()}

    def load_state(self, state: Any) -> None:
        self.adam.load_state_dict(self.adam.state_dict() | {"state": state})
