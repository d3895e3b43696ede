"""Samplers of a network's posterior: each a stepper of a few lines around a pure step of ``networks.langevin``.

They work in coordinates in which their fixed preconditioner is diagonal, on the energy

    U(w) = -log p(y | A f_w(z)) + sum_i w_i^2 / (2 s_i^2),

and target ``exp(-U / temperature)``. A sampler of your own is a subclass of :class:`LangevinStepper`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from bayesdip.networks.langevin import Momentum, psgld_step, relative_variance
from bayesdip.networks.preconditioner import Basis
from bayesdip.networks.steppers import Stepper, Target


class LangevinStepper(Stepper):
    """Langevin dynamics on the full energy, with a fixed preconditioner

        P_i = 1 / (curvature_i + 1 / s_i^2),

    where the second term is the precision of the prior: directions that the data do not determine move as the prior
    allows. It is diagonal in the coordinates that `bases` give. They are orthogonal, so that the prior is the same in them.

    Parameters
    ----------
    target : Energy or EnsembleEnergy
    generator : torch.Generator
        On the device of the target.
    curvature : list of Tensor
        A diagonal estimate of the curvature of the negative log-likelihood, one for each weight tensor.
    step_size : float
        ``h`` of :func:`~bayesdip.networks.langevin.psgld_step`; a sampler's own step follows from it.
    bases : list of Basis or None, optional
        The coordinates in which it is diagonal, one for each weight tensor; None for the weights' own.
    sample_sigma : bool
        Draw the noise variance too, by a Gibbs step before every step; for Gaussian noise.
    input_noise : float
        Standard deviation of fresh noise on the latent input at every step: the energy is then its mean over such
        inputs, and its gradient is stochastic (Welling and Teh, ICML 2011).

    Attributes
    ----------
    temperature : float
        0 at first; the run raises it.
    relative_variance : Tensor, shape () or (K,)
        Noise variance over that of the target's noise model.
    """

    def __init__(
        self,
        target: Target,
        generator: torch.Generator,
        curvature: Sequence[Tensor],
        *,
        step_size: float,
        bases: Sequence[Basis | None] | None = None,
        sample_sigma: bool = False,
        input_noise: float = 0.0,
    ) -> None:
        super().__init__(target, generator, input_noise=input_noise)
        self.bases = [None] * len(self.weights) if bases is None else list(bases)
        self.coordinates = self._in_bases(self.weights)
        self.largest_step = step_size
        self.step_factor = 1.0
        self.temperature = 0.0
        self.sample_sigma = sample_sigma
        self.precisions = [1 / s**2 for s in target.stds]
        self.preconditioner = [1 / (c + p) for c, p in zip(curvature, self.precisions, strict=True)]
        self.momentum = Momentum.draw(self.weights, self.temperature, generator)
        self.relative_variance = torch.ones((), device=generator.device)

    @property
    def step_size(self) -> float:
        """``h`` at this place of the run."""
        return self.largest_step * self.step_factor

    # Whether the energy must be deterministic, as a Metropolis test needs it: then there is no input noise.
    needs_exact_energy: ClassVar[bool] = False

    def facts(self) -> dict[str, Any]:
        """What the result's ``info`` shall say about the sampler.

        Returns
        -------
        dict
        """
        return {}

    @property
    def counts(self) -> bool:
        """Whether the latest picture is a sample, once sampling has begun."""
        return True

    def pace(self, share: float) -> None:
        """Set the step size for a place of the run.

        Parameters
        ----------
        share : float
            From 0, where the full temperature is reached, to 1, the end.
        """

    def begin(self) -> None:
        """Called when burn-in is over: nothing may be adapted after it."""

    @abstractmethod
    def move(self, gradients: list[Tensor]) -> None:
        """Change the coordinates in place.

        Parameters
        ----------
        gradients : list of Tensor
            Of the energy, at the coordinates.
        """

    def step(self) -> Tensor:
        picture, negative_log_likelihood, gradients = self._evaluate()
        self._draw_sigma(negative_log_likelihood)
        self.move(self._full(self._in_bases(gradients)))
        self._write()
        return picture

    def reduce_step(self) -> None:
        self.largest_step *= 0.7

    def state(self) -> Any:
        return [u.clone() for u in self.momentum.values], self.relative_variance

    def load_state(self, state: Any) -> None:
        self.momentum.values = [u.clone() for u in state[0]]
        self.relative_variance = state[1]
        self.coordinates = self._in_bases(self.weights)

    @torch.no_grad()
    def _in_bases(self, tensors: list[Tensor]) -> list[Tensor]:
        """Tensors like the weights in the coordinates of the bases; without a basis, the same tensor."""
        return [t if b is None else b.into(t) for b, t in zip(self.bases, tensors, strict=True)]

    @torch.no_grad()
    def _write(self) -> None:
        """Set the network's weights to those at the coordinates."""
        for basis, w, own in zip(self.bases, self.weights, self.coordinates, strict=True):
            if basis is not None:
                w.copy_(basis.back(own))

    def _draw_sigma(self, negative_log_likelihood: Tensor) -> None:
        if self.sample_sigma and self.temperature > 0:
            self.relative_variance = relative_variance(
                negative_log_likelihood, self.target.observations, self.generator
            )

    @torch.no_grad()
    def _full(self, gradients: list[Tensor]) -> list[Tensor]:
        """Gradients of the energy, from those of the negative log-likelihood, at the present coordinates."""
        if self.sample_sigma:
            gradients = [g / spread(self.relative_variance, g) for g in gradients]
        return [
            g.add(w, alpha=precision)
            for g, w, precision in zip(gradients, self.coordinates, self.precisions, strict=True)
        ]


class Psgld(LangevinStepper):
    """Preconditioned Langevin dynamics with momentum, in the splitting BAOAB."""

    def move(self, gradients: list[Tensor]) -> None:
        psgld_step(
            self.coordinates,
            gradients,
            self.preconditioner,
            self.momentum,
            step_size=self.step_size,
            temperature=self.temperature,
            generator=self.generator,
        )


def spread(numbers: Tensor, like: Tensor) -> Tensor:
    """Numbers of shape () or (K,) in a shape that broadcasts to (K, ...)."""
    return numbers.reshape(numbers.shape + (1,) * (like.ndim - numbers.ndim))
