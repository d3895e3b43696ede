"""Langevin steps: from a position and a gradient to the next position. No loops, no printing.

Each step changes the weights in place and its own small state; randomness, step size and
temperature are arguments. Gradients are those of the energy ``U`` (minus log posterior).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = Sequence[Tensor]


@dataclass
class Momentum:
    """The momentum of every weight, in units in which its stationary distribution is N(0, temperature).

    Attributes
    ----------
    values : list of Tensor
        One for each weight tensor, in its shape.
    """

    values: list[Tensor]

    @classmethod
    def draw(cls, weights: Tensors, temperature: float, generator: torch.Generator | None) -> Momentum:
        """From the stationary distribution.

        Parameters
        ----------
        weights : sequence of Tensor
        temperature : float
        generator : torch.Generator or None

        Returns
        -------
        Momentum
        """
        return cls([normal_like(w, generator).mul_(temperature**0.5) for w in weights])


@torch.no_grad()
def psgld_step(
    weights: Tensors,
    gradients: Tensors,
    preconditioner: Tensors,
    momentum: Momentum,
    *,
    step_size: float,
    persistence: float = 0.9,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> None:
    """One step of preconditioned Langevin dynamics that targets ``exp(-U / temperature)``.

    With ``h = step_size``, ``R = preconditioner ** 0.5`` and ``c = persistence``:

        u <- u - h R grad U(w)                         (the gradient is taken at w)
        w <- w + (h/2) R u
        u <- c u + sqrt((1 - c^2) temperature) xi
        w <- w + (h/2) R u

    This is the splitting BAOAB of Leimkuhler and Matthews (Appl. Math. Res. Express 2013):
    one gradient per step as SGLD has, momentum that carries it through flat valleys, and for a quadratic ``U`` no
    discretisation error in the distribution of the weights at any stable step.
    With ``persistence=0`` it is first-order (overdamped) Langevin dynamics with a step of
    ``h^2 / 2``.

    Parameters
    ----------
    weights : sequence of Tensor
        Changed in place.
    gradients : sequence of Tensor
        ``grad U`` at the weights.
    preconditioner : sequence of Tensor
        Positive diagonal ``P``, one tensor a weight. It must not change while samples are
        taken: for a fixed one the correction term ``Gamma`` of Li et al. (AAAI 2016, arXiv
        1512.07666) is zero.
    momentum : Momentum
        Changed in place.
    step_size : float
        ``h``, in units of the preconditioned weights; stable below 2 where ``P`` is the inverse curvature.
    persistence : float
        ``c``: share of the momentum that a step keeps, 0 to 1 (exclusive).
    temperature : float
        At least 0; 1 samples the posterior.
    generator : torch.Generator, optional
    """
    kick = (1 - persistence**2) * temperature
    for w, g, p, u in zip(weights, gradients, preconditioner, momentum.values, strict=True):
        root = p.sqrt()
        u.addcmul_(root, g, value=-step_size)
        w.addcmul_(root, u, value=step_size / 2)
        u.mul_(persistence).add_(normal_like(u, generator), alpha=kick**0.5)
        w.addcmul_(root, u, value=step_size / 2)


@torch.no_grad()
def adam_noise_step(
    weights: Tensors, *, learning_rate: float, generator: torch.Generator | None = None
) -> None:
    """The noise that follows an Adam step in the paper's released code.

    Gaussian noise of standard deviation ``2 * learning_rate`` on convolution weights (tensors
    of three or more axes) alone. The step before it is Adam's on the mean squared error, so
    this is no sampler of a stated posterior: its temperature is not one (Cheng et al. 2019).

    Parameters
    ----------
    weights : sequence of Tensor
        Changed in place.
    learning_rate : float
        Adam's.
    generator : torch.Generator, optional
    """
    for w in weights:
        if w.ndim >= 3:
            w.add_(normal_like(w, generator), alpha=2 * learning_rate)


@torch.no_grad()
def relative_variance(
    negative_log_likelihood: Tensor, observations: int, generator: torch.Generator | None = None
) -> Tensor:
    """A Gibbs draw of the noise variance, over the variance that was assumed.

    Given the residuals, and with the improper prior ``p(v) = 1 / v``, the variance follows an inverse gamma
    distribution: ``v = l / Gamma(n / 2, 1)`` with ``l = sum (y - A x)^2 / (2 sigma^2)``. A gamma variable of n/2 is half
    the sum of the squares of n normal ones.

    Parameters
    ----------
    negative_log_likelihood : Tensor, shape () or (K,)
        ``l``, under Gaussian noise of the assumed variance.
    observations : int
        ``n``.
    generator : torch.Generator, optional

    Returns
    -------
    Tensor, shape of `negative_log_likelihood`
        One draw for each entry.
    """
    normal = negative_log_likelihood.new_empty((*negative_log_likelihood.shape, observations)).normal_(
        generator=generator
    )
    return negative_log_likelihood / (0.5 * normal.square().sum(-1))


def normal_like(tensor: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers in the shape, type and device of a tensor."""
    return torch.empty_like(tensor).normal_(generator=generator)
