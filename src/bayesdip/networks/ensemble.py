"""An ensemble: several networks for one picture at once, each on its own CPU cores, or all in one call on a GPU."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bayesdip.arch.network import Network
from bayesdip.arch.padding import crop
from bayesdip.networks.cuda import all_at_once, computes_in_one_call, shared_body
from bayesdip.networks.energy import Energy, with_gradients
from bayesdip.networks.thread_pool import at_once, on_own_cores
from bayesdip.operators import Operator
from bayesdip.problem import Problem


def networks_at_once(networks: int, device: torch.device) -> int:
    """How many networks of an ensemble are computed at the same time.

    Parameters
    ----------
    networks : int
        Size of the ensemble.
    device : torch.device

    Returns
    -------
    int
    """
    return networks if computes_in_one_call(device) else at_once(networks)


@dataclass(frozen=True)
class EnsembleEnergy:
    """K networks with the same input and the same data: K independent copies of one posterior.

    It has the methods of :class:`~bayesdip.networks.energy.Energy`; weights, pictures and negative log-likelihoods
    have a leading axis of K.

    Attributes
    ----------
    target : Energy
        Of the first network, for all that they share.
    weights : list of Tensor, each (K, *shape)
    names : tuple of str
        Of the weights, in a network's body.
    bodies : list of nn.Module
        The networks' layers, whose own weights do not count: K, or one for all where one call computes them.
    """

    target: Energy
    weights: list[Tensor]
    names: tuple[str, ...]
    bodies: list[nn.Module]

    @classmethod
    def of(cls, target: Energy, chains: int, generator: torch.Generator) -> EnsembleEnergy:
        """An ensemble of a given network and fresh ones.

        Parameters
        ----------
        target : Energy
            Its network is the first.
        chains : int
            K, at least 1.
        generator : torch.Generator
            On the CPU; it draws the weights of the ``K - 1`` others.

        Returns
        -------
        EnsembleEnergy
        """
        arch, problem = target.network.arch, target.problem
        others = [
            arch.build(problem.channels, len(problem.grid), generator=generator) for _ in range(chains - 1)
        ]
        return cls.stack(target, [target.network, *(n.to(target.latent.device) for n in others)])

    @classmethod
    def stack(cls, target: Energy, networks: Sequence[Network]) -> EnsembleEnergy:
        """An ensemble of given networks.

        Parameters
        ----------
        target : Energy
        networks : sequence of Network
            Of one architecture; their weights are copied.

        Returns
        -------
        EnsembleEnergy
        """
        bodies = [network.body for network in networks]
        names = tuple(name for name, w in bodies[0].named_parameters() if w.requires_grad)
        parameters = [dict(body.named_parameters()) for body in bodies]
        weights = [torch.stack([p[name].detach() for p in parameters]).requires_grad_() for name in names]
        if computes_in_one_call(weights[0].device):
            return cls(target, weights, names, [shared_body(bodies[0])])
        # Copies of the first, so that all compute in its precision.
        return cls(target, weights, names, [copy.deepcopy(bodies[0]) for _ in bodies])

    @property
    def chains(self) -> int:
        """K, the number of networks."""
        return len(self.weights[0])

    @property
    def network(self) -> Network:
        """The first network; its own weights do not move."""
        return self.target.network

    @property
    def problem(self) -> Problem:
        """The data, which all share."""
        return self.target.problem

    @property
    def latent(self) -> Tensor:
        """The input, which all share: (1, D, *input grid)."""
        return self.target.latent

    @property
    def stds(self) -> list[float]:
        """Prior standard deviation of each trainable tensor."""
        return self.target.stds

    @property
    def observations(self) -> int:
        """Number of values that were observed, channels counted."""
        return self.target.observations

    @property
    def noise_level(self) -> float:
        """Root mean square of the noise on what was observed."""
        return self.target.noise_level

    def with_operator(self, operator: Operator) -> EnsembleEnergy:
        """The same networks, for the data that another operator shows.

        Parameters
        ----------
        operator : Operator

        Returns
        -------
        EnsembleEnergy
        """
        return replace(self, target=self.target.with_operator(operator))

    def latents(self) -> Tensor:
        """The networks' inputs.

        Returns
        -------
        Tensor, shape (K, 1, D, *input grid)
        """
        return self.latent.expand(self.chains, *self.latent.shape)

    def picture(self) -> Tensor:
        """The networks' pictures.

        Returns
        -------
        Tensor, shape (K, C, *grid)
        """
        return self._pictures(self.latents())

    def evaluate(self, input_noise: float, generator: torch.Generator) -> list[Tensor]:
        """As :meth:`Energy.evaluate`, each with a leading axis of K; each input has noise of its own."""
        latents = self.latents()
        if input_noise > 0:
            noise = latents.new_empty(latents.shape).normal_(generator=generator)
            latents = latents.add(noise, alpha=input_noise)
        if computes_in_one_call(latents.device):
            pictures = self._pictures(latents)
            return with_gradients(pictures, self.negative_log_likelihood(pictures), self.weights)

        def one_network(k: int) -> list[Tensor]:
            weights, latent = [w[k].detach().requires_grad_() for w in self.weights], latents[k]
            if latent.ndim == 4:
                latent = latent.contiguous(memory_format=torch.channels_last)  # as a single network has it
            picture = self._picture(self.bodies[k], weights, latent)
            return with_gradients(picture, self._negative_log_likelihood_of(k, picture), weights)

        results = on_own_cores(one_network, range(self.chains))
        return [torch.stack(each) for each in zip(*results, strict=True)]

    def _pictures(self, latents: Tensor) -> Tensor:
        if computes_in_one_call(latents.device):
            return all_at_once(
                lambda weights, latent: self._picture(self.bodies[0], weights, latent), self.weights, latents
            )
        each = zip(self.bodies, zip(*self.weights, strict=True), latents, strict=True)
        return torch.stack([self._picture(body, weights, latent) for body, weights, latent in each])

    def _picture(self, body: nn.Module, weights: Sequence[Tensor], latent: Tensor) -> Tensor:
        named = dict(zip(self.names, weights, strict=True))
        out: Tensor = torch.func.functional_call(body, named, (latent,))
        grid = self.problem.grid
        return crop(out, self.network.grid_rule.window(list(latent.shape[2:]), grid), grid)[0]

    def _negative_log_likelihood_of(self, k: int, picture: Tensor) -> Tensor:
        """``-log p(y | A x)`` of the picture of network k."""
        return self.target.negative_log_likelihood(picture)

    def negative_log_likelihood(self, picture: Tensor) -> Tensor:
        """``-log p(y | A x)`` of each network's picture, up to a constant.

        Parameters
        ----------
        picture : Tensor, shape (K, C, *grid)

        Returns
        -------
        Tensor, shape (K,)
        """
        return torch.stack([self._negative_log_likelihood_of(k, one) for k, one in enumerate(picture)])

    def fit(self, picture: Tensor) -> float:
        """As :meth:`Energy.fit`, over all networks: the root of the mean of their squares.

        Parameters
        ----------
        picture : Tensor, shape (K, C, *grid)

        Returns
        -------
        float
        """
        squares = [self.target.fit(one) ** 2 for one in picture]
        return float((sum(squares) / len(squares)) ** 0.5)
