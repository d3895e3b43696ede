"""Several networks for one picture at once: their weights stacked, their steps batched on the device."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bayesdip.arch.network import Network
from bayesdip.arch.padding import crop
from bayesdip.fit.problem import Problem
from bayesdip.measurement import Measurement


def batched(device: torch.device) -> bool:
    """Whether one call for all networks pays. On a CPU it does not: a grouped convolution takes twice the time of its groups."""
    return device.type != "cpu"


@dataclass(frozen=True)
class StackedProblem:
    """K networks with the same input and the same data: K independent copies of one posterior.

    Attributes
    ----------
    problem : Problem
        The first of them, for all that they share.
    weights : list of Tensor, each (K, *shape)
    """

    problem: Problem
    weights: list[Tensor]
    names: tuple[str, ...]
    template: nn.Module

    @classmethod
    def of(cls, problem: Problem, chains: int, generator: torch.Generator) -> StackedProblem:
        """``problem``'s network first, and ``chains - 1`` fresh ones whose weights ``generator`` draws."""
        arch, measurement = problem.network.arch, problem.measurement
        others = [
            arch.build(measurement.channels, len(measurement.grid), generator=generator)
            for _ in range(chains - 1)
        ]
        return cls.stack(problem, [problem.network, *(n.to(problem.code.device) for n in others)])

    @classmethod
    def stack(cls, problem: Problem, networks: Sequence[Network]) -> StackedProblem:
        """Networks of one architecture; their weights are copied."""
        bodies = [network.body for network in networks]
        names = tuple(name for name, w in bodies[0].named_parameters() if w.requires_grad)
        parameters = [dict(body.named_parameters()) for body in bodies]
        weights = [torch.stack([p[name].detach() for p in parameters]).requires_grad_() for name in names]
        template = copy.deepcopy(bodies[0])
        for module in template.modules():
            if isinstance(module, nn.LeakyReLU) and batched(weights[0].device):
                module.inplace = False  # vmap allows no writing into a tensor that the networks share
        return cls(problem, weights, names, template)

    @property
    def chains(self) -> int:
        return len(self.weights[0])

    @property
    def network(self) -> Network:
        return self.problem.network

    @property
    def measurement(self) -> Measurement:
        return self.problem.measurement

    @property
    def code(self) -> Tensor:
        return self.problem.code

    @property
    def stds(self) -> list[float]:
        return self.problem.stds

    @property
    def observations(self) -> int:
        return self.problem.observations

    @property
    def noise_level(self) -> float:
        return self.problem.noise_level

    def codes(self) -> Tensor:
        """The networks' inputs, (K, 1, D, *grid)."""
        return self.code.expand(self.chains, *self.code.shape)

    def picture(self, input_noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """The networks' pictures, (K, C, *grid); each input is perturbed by noise of its own."""
        codes, grid = self.codes(), self.measurement.grid
        if input_noise > 0:
            noise = codes.new_empty(codes.shape).normal_(generator=generator)
            codes = codes.add(noise, alpha=input_noise)

        def run(weights: dict[str, Tensor], one: Tensor) -> Tensor:
            out: Tensor = torch.func.functional_call(self.template, weights, (one,))
            return out[0]

        weights = dict(zip(self.names, self.weights, strict=True))
        if batched(codes.device):
            pictures: Tensor = torch.func.vmap(run)(weights, codes)
        else:
            each = zip(*(w.unbind() for w in self.weights), strict=True)
            pictures = torch.stack(
                [run(dict(zip(self.names, own, strict=True)), c) for own, c in zip(each, codes, strict=True)]
            )
        return crop(pictures, self.network.grid_rule.window(list(codes.shape[3:]), grid), grid)

    def misfit(self, picture: Tensor) -> Tensor:
        """``-log p(y | A x)`` of each network's picture, shape (K,)."""
        return torch.stack([self.problem.misfit(one) for one in picture])

    def fit(self, picture: Tensor) -> float:
        """As :meth:`Problem.fit`, over all networks: the root of the mean of their squares."""
        squares = [self.problem.fit(one) ** 2 for one in picture]
        return float((sum(squares) / len(squares)) ** 0.5)
