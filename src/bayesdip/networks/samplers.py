"""Samplers of a network's posterior: a stepper each, a few lines around a pure step of ``networks.langevin``.

They work in the coordinates of one fixed preconditioner, which is diagonal in a basis of its own, on the energy

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

    where the second term is the prior's own precision: directions that the data do not see
    move as the prior allows. It is diagonal in the coordinates of the weights that `bases` give: the prior is the same in
    all of them, for they are orthogonal.

    Parameters
    ----------
    curvature : list of Tensor
        A diagonal stand-in for the curvature of the negative_log_likelihood, one tensor a weight.
    bases : list of Basis or None, optional
        The coordinates that it is diagonal in, one a weight; None for the weights' own.
    step_size : float
        ``h`` of ``psgld_step``; the samplers' own steps come from it.
    sample_sigma : bool
        Draw the noise variance along, by a Gibbs step before every step; for Gaussian noise.
    input_noise : float
        Standard deviation of fresh noise on the network's input at every step: the likelihood's energy is then
        its mean over such inputs, and its gradient has noise of its own (Welling and Teh, ICML 2011).

    Attributes
    ----------
    temperature : float
        0 at the start: the run heats up.
    relative_variance : Tensor, shape () or (K,)
        Noise variance over the one that the target states.
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
        self.share_of_step = 1.0
        self.temperature = 0.0
        self.sample_sigma = sample_sigma
        self.precisions = [1 / s**2 for s in target.stds]
        self.preconditioner = [1 / (c + p) for c, p in zip(curvature, self.precisions, strict=True)]
        self.momentum = Momentum.draw(self.weights, self.temperature, generator)
        self.relative_variance = torch.ones((), device=generator.device)

    @property
    def step_size(self) -> float:
        return self.largest_step * self.share_of_step

    # Metropolis' test needs an energy without noise of its own.
    needs_exact_energy: ClassVar[bool] = False

    def facts(self) -> dict[str, Any]:
        """What a run shall say of the sampler in the end."""
        return {}

    @property
    def counts(self) -> bool:
        """Whether the present picture is a sample, when sampling has begun."""
        return True

    def pace(self, course: float) -> None:
        """Set the step for this place of the run, from 0 (the noise is on) to 1 (the end)."""

    def begin(self) -> None:
        """Burn-in is over: nothing may be adapted from here on."""

    @abstractmethod
    def move(self, gradients: list[Tensor]) -> None:
        """Change the coordinates, given the energy's gradients at them."""

    def step(self) -> Tensor:
        picture, negative_log_likelihood, gradients = self._evaluate()
        self._draw_sigma(negative_log_likelihood)
        self.move(self._full(self._in_bases(gradients)))
        self._write()
        return picture

    def reduce_step(self) -> None:
        self.largest_step *= 0.7

    def memory(self) -> Any:
        return [u.clone() for u in self.momentum.values], self.relative_variance

    def recall(self, memory: Any) -> None:
        self.momentum.values = [u.clone() for u in memory[0]]
        self.relative_variance = memory[1]
        self.coordinates = self._in_bases(self.weights)

    @torch.no_grad()
    def _in_bases(self, tensors: list[Tensor]) -> list[Tensor]:
        """Tensors like the weights in the coordinates of the bases; where there is none, the very same."""
        return [t if b is None else b.into(t) for b, t in zip(self.bases, tensors, strict=True)]

    @torch.no_grad()
    def _write(self) -> None:
        """Give the network the weights that belong to the coordinates."""
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
        """Gradients of the energy, from those of the negative_log_likelihood, at the present coordinates."""
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
    """Numbers of shape () or (K,) such that they broadcast to a batch (K, ...)."""
    return numbers.reshape(numbers.shape + (1,) * (like.ndim - numbers.ndim))
