"""Several networks for one picture at once: their weights stacked, their steps batched on the device or each on its own cores."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bayesdip.arch.network import Network
from bayesdip.arch.padding import crop
from bayesdip.networks.energy import Energy
from bayesdip.networks.thread_pool import at_once, on_own_cores
from bayesdip.operators import Operator
from bayesdip.problem import Problem


def batched(device: torch.device) -> bool:
    """Whether one call for all networks pays. On a CPU it does not: a grouped convolution takes twice the time of its groups."""
    return device.type != "cpu"


def networks_at_once(networks: int, device: torch.device) -> int:
    """How many of so many are computed at a time."""
    return networks if batched(device) else at_once(networks)


@dataclass(frozen=True)
class EnsembleEnergy:
    """K networks with the same input and the same data: K independent copies of one posterior.

    Attributes
    ----------
    target : Energy
        The first of them, for all that they share.
    weights : list of Tensor, each (K, *shape)
    bodies : list of nn.Module
        The networks' layers, whose own weights do not count: K, or one for all where they are batched.
    """

    target: Energy
    weights: list[Tensor]
    names: tuple[str, ...]
    bodies: list[nn.Module]

    @classmethod
    def of(cls, target: Energy, chains: int, generator: torch.Generator) -> EnsembleEnergy:
        """``target``'s network first, and ``chains - 1`` fresh ones whose weights ``generator`` draws."""
        arch, problem = target.network.arch, target.problem
        others = [
            arch.build(problem.channels, len(problem.grid), generator=generator) for _ in range(chains - 1)
        ]
        return cls.stack(target, [target.network, *(n.to(target.latent.device) for n in others)])

    @classmethod
    def stack(cls, target: Energy, networks: Sequence[Network]) -> EnsembleEnergy:
        """Networks of one architecture; their weights are copied."""
        bodies = [network.body for network in networks]
        names = tuple(name for name, w in bodies[0].named_parameters() if w.requires_grad)
        parameters = [dict(body.named_parameters()) for body in bodies]
        weights = [torch.stack([p[name].detach() for p in parameters]).requires_grad_() for name in names]
        if not batched(weights[0].device):  # all as the first is set up, in its precision
            return cls(target, weights, names, [copy.deepcopy(bodies[0]) for _ in bodies])
        template = copy.deepcopy(bodies[0])
        for module in template.modules():
            if getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment]  # vmap allows no writing into a shared tensor
        return cls(target, weights, names, [template])

    @property
    def chains(self) -> int:
        return len(self.weights[0])

    @property
    def network(self) -> Network:
        return self.target.network

    @property
    def problem(self) -> Problem:
        return self.target.problem

    @property
    def latent(self) -> Tensor:
        return self.target.latent

    @property
    def stds(self) -> list[float]:
        return self.target.stds

    @property
    def observations(self) -> int:
        return self.target.observations

    @property
    def noise_level(self) -> float:
        return self.target.noise_level

    def with_operator(self, operator: Operator) -> EnsembleEnergy:
        """The same networks, for data that this operator shows."""
        return replace(self, target=self.target.with_operator(operator))

    def latents(self) -> Tensor:
        """The networks' inputs, (K, 1, D, *grid)."""
        return self.latent.expand(self.chains, *self.latent.shape)

    def picture(self) -> Tensor:
        """The networks' pictures, (K, C, *grid)."""
        return self._pictures(self.latents())

    def evaluate(self, input_noise: float, generator: torch.Generator) -> list[Tensor]:
        """As :meth:`Energy.evaluate`, each with a leading axis of K; each input has noise of its own."""
        latents = self.latents()
        if input_noise > 0:
            noise = latents.new_empty(latents.shape).normal_(generator=generator)
            latents = latents.add(noise, alpha=input_noise)
        if batched(latents.device):
            pictures = self._pictures(latents)
            negative_log_likelihood = self.negative_log_likelihood(pictures)
            return [
                pictures.detach(),
                negative_log_likelihood.detach(),
                *torch.autograd.grad(negative_log_likelihood.sum(), self.weights),
            ]

        def alone(k: int) -> list[Tensor]:
            weights, latent = [w[k].detach().requires_grad_() for w in self.weights], latents[k]
            if latent.ndim == 4:
                latent = latent.contiguous(memory_format=torch.channels_last)  # as one network alone has it
            picture = self._picture(self.bodies[k], weights, latent)
            negative_log_likelihood = self._negative_log_likelihood_of(k, picture)
            return [
                picture.detach(),
                negative_log_likelihood.detach(),
                *torch.autograd.grad(negative_log_likelihood, weights),
            ]

        return [torch.stack(parts) for parts in zip(*on_own_cores(alone, range(self.chains)), strict=True)]

    def _pictures(self, latents: Tensor) -> Tensor:
        if batched(latents.device):
            run = torch.func.vmap(lambda weights, latent: self._picture(self.bodies[0], weights, latent))
            pictures: Tensor = run(self.weights, latents)
            return pictures
        each = zip(self.bodies, zip(*self.weights, strict=True), latents, strict=True)
        return torch.stack([self._picture(body, weights, latent) for body, weights, latent in each])

    def _picture(self, body: nn.Module, weights: Sequence[Tensor], latent: Tensor) -> Tensor:
        named = dict(zip(self.names, weights, strict=True))
        out: Tensor = torch.func.functional_call(body, named, (latent,))
        grid = self.problem.grid
        return crop(out, self.network.grid_rule.window(list(latent.shape[2:]), grid), grid)[0]

    def _negative_log_likelihood_of(self, k: int, picture: Tensor) -> Tensor:
        """``-log p(y | A x)`` of one network's picture."""
        return self.target.negative_log_likelihood(picture)

    def negative_log_likelihood(self, picture: Tensor) -> Tensor:
        """``-log p(y | A x)`` of each network's picture, shape (K,)."""
        return torch.stack([self._negative_log_likelihood_of(k, one) for k, one in enumerate(picture)])

    def fit(self, picture: Tensor) -> float:
        """As :meth:`Energy.fit`, over all networks: the root of the mean of their squares."""
        squares = [self.target.fit(one) ** 2 for one in picture]
        return float((sum(squares) / len(squares)) ** 0.5)
