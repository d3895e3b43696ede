"""The energy of a network's weights: how badly its picture explains the data, plus the prior on weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.arch.network import Network
from bayesdip.networks.weight_prior import weight_stds
from bayesdip.noise import Gaussian
from bayesdip.operators import Operator
from bayesdip.problem import Problem

# Exact data have no likelihood, and a network does not reproduce them in minutes. Asked to come within two gray levels
# of 255 it keeps near what it found when it is sampled: with four, the mean of `montage` lost 0.4 dB.
SMALLEST_SIGMA = 2 / 255


@dataclass(frozen=True)
class Energy:
    """One picture to be fitted by one network.

    The posterior density of the weights is ``exp(-U)`` with

        U(w) = -log p(y | A f_w(z)) + sum_i w_i^2 / (2 s_i^2),

    as in Cheng et al. 2019, eq. 5, with the prior of ``fit.prior``.

    Attributes
    ----------
    network : Network
        ``f``: from an input (1, D, *grid) to a picture (1, C, *grid).
    problem : Problem
        ``y``, ``A`` and the noise, on the network's device.
    latent : Tensor, shape (1, D, *grid)
        The network's fixed random input ``z``.
    stds : list of float
        Prior standard deviation of each trainable tensor.
    observed : Tensor of bool, shape of ``y``
    variance : Tensor, broadcastable to ``y``
        Noise variance, from the data alone; to compare a fit with.
    """

    network: Network
    problem: Problem
    latent: Tensor
    stds: list[float]
    observed: Tensor
    variance: Tensor

    @classmethod
    def of(cls, problem: Problem, arch: Architecture, generator: torch.Generator, device: str) -> Energy:
        """A fresh network for these data, in single precision on ``device``."""
        noise = problem.noise
        if isinstance(noise, Gaussian):
            noise = with_smallest_sigma(noise)
        y = problem.y.to(device, torch.float32)
        problem = replace(problem, y=y, noise=noise)
        grid = problem.grid
        network = arch.build(problem.channels, len(grid), generator=generator).to(device)
        latent = network.new_input(grid, generator, device)
        observed = problem.operator.observed.to(device).expand(y.shape)
        return cls(network, problem, latent, weight_stds(network), observed, noise.variance(y, observed))

    @property
    def weights(self) -> list[Tensor]:
        return [w for w in self.network.parameters() if w.requires_grad]

    @cached_property
    def observations(self) -> int:
        """Number of values that were seen, channels counted."""
        return int(self.observed.sum())

    @cached_property
    def noise_level(self) -> float:
        """Root mean square of the noise on what was seen."""
        variance = self.variance.expand(self.problem.y.shape)
        return float(variance[self.observed].double().mean().sqrt())

    def with_operator(self, operator: Operator) -> Energy:
        """The same network, for data that this operator shows."""
        y = self.problem.y
        problem = replace(self.problem, operator=operator)
        observed = operator.observed.to(y.device).expand(y.shape)
        variance = problem.noise.variance(y, observed)
        return replace(self, problem=problem, observed=observed, variance=variance)

    def picture(self, input_noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """The network's picture, shape (C, *grid), its input perturbed by white noise of that size."""
        latent = self.latent
        if input_noise > 0:
            noise = torch.empty_like(latent).normal_(generator=generator)
            latent = latent.add(noise, alpha=input_noise)
        picture: Tensor = self.network(latent, self.problem.grid)[0]
        return picture

    def negative_log_likelihood(self, picture: Tensor) -> Tensor:
        """``-log p(y | A x)`` up to a constant."""
        m = self.problem
        return m.noise.negative_log_likelihood(m.operator.forward(picture), m.y, self.observed)

    def evaluate(self, input_noise: float, generator: torch.Generator) -> list[Tensor]:
        """A picture, its negative_log_likelihood and the negative_log_likelihood's gradients at the weights, all detached."""
        picture = self.picture(input_noise, generator)
        negative_log_likelihood = self.negative_log_likelihood(picture)
        return [
            picture.detach(),
            negative_log_likelihood.detach(),
            *torch.autograd.grad(negative_log_likelihood, self.weights),
        ]

    @torch.no_grad()
    def fit(self, picture: Tensor) -> float:
        """Root mean square of ``(y - A x) / sigma`` over the data: 1 at the noise level, 0 at a perfect fit.

        Sigma is what the noise model expects there: less than the noise's where clipping cut it.
        """
        m = self.problem
        prediction = m.operator.forward(picture)
        squared = (m.y - prediction) ** 2 / m.noise.mean_square(prediction, self.variance)
        return float(torch.where(self.observed, squared, 0).sum().div(self.observed.sum()).sqrt())


def with_smallest_sigma(noise: Gaussian) -> Gaussian:
    """The same noise, nowhere below what a network can be asked for."""
    if isinstance(noise.sigma, Tensor):
        return replace(noise, sigma=noise.sigma.clamp(min=SMALLEST_SIGMA))
    if isinstance(noise.sigma, tuple):
        return replace(noise, sigma=tuple(max(s, SMALLEST_SIGMA) for s in noise.sigma))
    return replace(noise, sigma=max(noise.sigma, SMALLEST_SIGMA))
