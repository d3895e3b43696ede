"""The energy of a network's weights: minus the log likelihood of the data, plus the prior on the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.arch.network import Network
from bayesdip.gp.data_covariance import is_nearly_stationary
from bayesdip.networks.weight_prior import weight_stds
from bayesdip.noise import Gaussian
from bayesdip.operators import Operator
from bayesdip.problem import Problem

# The standard deviation that noise-free data are given, in working units (a picture's range is 1). They have no
# likelihood of their own, and a network does not reproduce them exactly in minutes. Found on `montage` with half of its
# pixels missing: the mean of the samples lost 0.4 dB at 4/255.
SMALLEST_SIGMA = 2 / 255


@dataclass(frozen=True)
class Energy:
    """One picture to be fitted by one network.

    The posterior density of the weights is ``exp(-U)`` with

        U(w) = -log p(y | A f_w(z)) + sum_i w_i^2 / (2 s_i^2),

    as in Cheng et al. 2019, eq. 5, with the prior of :mod:`bayesdip.networks.weight_prior`.

    Attributes
    ----------
    network : Network
        ``f``: from an input (1, D, *input grid) to a picture (1, C, *grid).
    problem : Problem
        ``y``, ``A`` and the noise, in single precision on the network's device.
    latent : Tensor, shape (1, D, *input grid)
        The network's fixed random input ``z``.
    stds : list of float
        Prior standard deviation ``s`` of each trainable tensor.
    observed : Tensor of bool, shape of ``y``
    variance : Tensor, broadcastable to ``y``
        Noise variance, from the data alone; a fit is compared with it.
    """

    network: Network
    problem: Problem
    latent: Tensor
    stds: list[float]
    observed: Tensor
    variance: Tensor

    @classmethod
    def of(cls, problem: Problem, arch: Architecture, generator: torch.Generator, device: str) -> Energy:
        """A fresh network for some data.

        Parameters
        ----------
        problem : Problem
        arch : Architecture
        generator : torch.Generator
            On the CPU; it draws the weights and the latent input.
        device : str

        Returns
        -------
        Energy
            In single precision on `device`.
        """
        noise = problem.noise
        if isinstance(noise, Gaussian):
            noise = with_smallest_sigma(noise, gain(problem.operator))
        y = problem.y.to(device, torch.float32)
        problem = replace(problem, y=y, noise=noise)
        grid = problem.grid
        network = arch.build(problem.channels, len(grid), generator=generator).to(device)
        latent = network.new_input(grid, generator, device)
        observed = problem.operator.observed.to(device).expand(y.shape)
        return cls(network, problem, latent, weight_stds(network), observed, noise.variance(y, observed))

    @property
    def weights(self) -> list[Tensor]:
        """The network's trainable tensors."""
        return [w for w in self.network.parameters() if w.requires_grad]

    @cached_property
    def observations(self) -> int:
        """Number of values that were observed, channels counted."""
        return int(self.observed.sum())

    @cached_property
    def noise_level(self) -> float:
        """Root mean square of the noise on what was observed, in working units, as an error of the picture (see :func:`gain`)."""
        variance = self.variance.expand(self.problem.y.shape)
        return float(variance[self.observed].double().mean().sqrt()) / gain(self.problem.operator)

    def with_operator(self, operator: Operator) -> Energy:
        """The same network, for the data that another operator shows.

        Parameters
        ----------
        operator : Operator

        Returns
        -------
        Energy
        """
        y = self.problem.y
        problem = replace(self.problem, operator=operator)
        observed = operator.observed.to(y.device).expand(y.shape)
        variance = problem.noise.variance(y, observed)
        return replace(self, problem=problem, observed=observed, variance=variance)

    def picture(self, input_noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """The network's picture.

        Parameters
        ----------
        input_noise : float
            Standard deviation of fresh white noise on the latent input.
        generator : torch.Generator, optional
            Draws that noise.

        Returns
        -------
        Tensor, shape (C, *grid)
        """
        latent = self.latent
        if input_noise > 0:
            noise = torch.empty_like(latent).normal_(generator=generator)
            latent = latent.add(noise, alpha=input_noise)
        picture: Tensor = self.network(latent, self.problem.grid)[0]
        return picture

    def negative_log_likelihood(self, picture: Tensor) -> Tensor:
        """``-log p(y | A x)`` up to a constant.

        Parameters
        ----------
        picture : Tensor, shape (C, *grid)

        Returns
        -------
        Tensor, shape ()
        """
        m = self.problem
        return m.noise.negative_log_likelihood(m.operator.forward(picture), m.y, self.observed)

    def evaluate(self, input_noise: float, generator: torch.Generator) -> list[Tensor]:
        """A picture, its negative log-likelihood, and the gradient of that at the weights.

        Parameters
        ----------
        input_noise : float
            Standard deviation of fresh white noise on the latent input.
        generator : torch.Generator

        Returns
        -------
        list of Tensor
            The picture, the number, and one gradient for each of `weights`, all detached.
        """
        picture = self.picture(input_noise, generator)
        return with_gradients(picture, self.negative_log_likelihood(picture), self.weights)

    @torch.no_grad()
    def fit(self, picture: Tensor) -> float:
        """Root mean square of ``(y - A x) / sigma`` over the data.

        Sigma is what the noise model expects there: less than the noise's where clipping cut it.

        Parameters
        ----------
        picture : Tensor, shape (C, *grid)

        Returns
        -------
        float
            1 at the noise level, 0 where the picture reproduces the data.
        """
        m = self.problem
        prediction = m.operator.forward(picture)
        squared = (m.y - prediction) ** 2 / m.noise.mean_square(prediction, self.variance)
        return float(torch.where(self.observed, squared, 0).sum().div(self.observed.sum()).sqrt())


def with_gradients(picture: Tensor, likelihood: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """A picture, its negative log-likelihood (of each network), and the gradients of that (summed) at the weights; all detached."""
    return [picture.detach(), likelihood.detach(), *torch.autograd.grad(likelihood.sum(), weights)]


def gain(operator: Operator) -> float:
    """How much larger an error of the data is than that of the picture from which it comes: 1 where the data are averages.

    Parameters
    ----------
    operator : Operator

    Returns
    -------
    float
        For any other linear operator the root mean square of ``A r`` for white noise r of unit variance.
    """
    if not operator.is_linear or is_nearly_stationary(operator):
        return 1.0
    shape = (operator.input_channels or 1, *operator.input_shape)
    white = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = operator.forward(white)
    return float(found[operator.observed.expand(found.shape)].square().mean().sqrt()) or 1.0


def with_smallest_sigma(noise: Gaussian, gain: float = 1.0) -> Gaussian:
    """The same noise, nowhere below what `SMALLEST_SIGMA` in the picture is in the data.

    Parameters
    ----------
    noise : Gaussian
        In working units.
    gain : float
        See :func:`gain`.

    Returns
    -------
    Gaussian
    """
    least = SMALLEST_SIGMA * gain
    if isinstance(noise.sigma, Tensor):
        return replace(noise, sigma=noise.sigma.clamp(min=least))
    if isinstance(noise.sigma, tuple):
        return replace(noise, sigma=tuple(max(s, least) for s in noise.sigma))
    return replace(noise, sigma=max(noise.sigma, least))
