"""Muon: momentum whose step in each filter bank is made orthogonal, so that every direction learns at the same rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bayesdip.networks.preconditioner import Basis, as_matrix, eigenbasis
from bayesdip.networks.steppers import Stepper, Target

# Of Jordan et al. 2024: an odd polynomial that, repeated, sends all numbers between 0.001 and 1 to about one; how often it is
# repeated; and the share of the momentum that a step keeps.
QUINTIC = (3.4445, -4.7750, 2.0315)
REPETITIONS = 5
MOMENTUM = 0.95
# Learning rate of the filter banks, that of Jordan et al. for filters: a longer step makes the filters longer, and Langevin
# dynamics, whose steps go by the prior, then moves them too slowly.
RATE = 0.02
# Learning rate of everything else: the usual one of Adam on a deep image prior.
ADAM_RATE = 0.01
# Where the learning rates decay, the share of the phase up to which they stay. With a cosine over the whole phase, runs of 800
# steps on natural pictures were too short.
STEADY = 0.6
# Decay of the moving averages of the gradients' squares and products: Adam's usual one.
DECAY = 0.999


class MuonStepper(Stepper):
    """Muon on the negative log-likelihood per observation, with a perturbed input.

    Jordan et al., *Muon: an optimizer for hidden layers in neural networks*, 2024: the step of each filter bank, a
    matrix of output features by inputs of each, is the orthogonal matrix nearest to its momentum. A network that starts from
    noise learns in directions whose gradients differ by orders of magnitude; Adam equalises them weight by weight, Muon
    direction by direction. Gains, shifts, biases, and the single filter that makes a gray picture are moved by Adam.

    Parameters
    ----------
    target : Energy or EnsembleEnergy
    generator : torch.Generator
        On the device of the target.
    input_noise : float
        As for :class:`~bayesdip.networks.steppers.AdamStepper`.
    learning_rate : float
        Spectral norm of a step of a bank with no more features than inputs.
    adam_rate : float
        Adam's, for everything else.
    """

    def __init__(
        self,
        target: Target,
        generator: torch.Generator,
        *,
        input_noise: float,
        learning_rate: float = RATE,
        adam_rate: float = ADAM_RATE,
    ) -> None:
        super().__init__(target, generator, input_noise=input_noise)
        self.learning_rate, self.adam_rate = learning_rate, adam_rate
        self.rate_factor = 1.0
        named = [w for w in target.network.parameters() if w.requires_grad]
        self.leading = self.weights[0].ndim - named[0].ndim
        self.is_bank = [own.ndim >= 3 and len(own) > 1 for own in named]
        # A network may have no banks, or nothing else. Adam needs one group of parameters, which may be empty.
        self.adam = torch.optim.Adam([{"params": self._of_others(self.weights)}], lr=adam_rate, fused=True)
        self.squares = [torch.zeros_like(w) for w in self._of_others(self.weights)]
        self.velocity = [torch.zeros_like(w) for w in self._of_banks(self.weights)]
        matrices = [as_matrix(v, self.leading) for v in self.velocity]
        self.outer = [m @ m.mT for m in matrices]
        self.inner = [m.mT @ m for m in matrices]
        self.steps = 0

    def step(self) -> Tensor:
        picture, _, gradients = self._evaluate()
        torch._foreach_div_(gradients, self.target.observations)
        self._move(gradients)
        return picture

    @torch.no_grad()
    def _move(self, gradients: list[Tensor]) -> None:
        self.steps += 1
        banks, others = self._of_banks(gradients), self._of_others(gradients)
        if banks:
            torch._foreach_lerp_(self.velocity, banks, 1 - MOMENTUM)
        self._update_averages(banks, others)
        for w, g, velocity in zip(self._of_banks(self.weights), banks, self.velocity, strict=True):
            # Nesterov's: the momentum as the next gradient will find it.
            direction = orthogonal(as_matrix(g.lerp(velocity, MOMENTUM), self.leading))
            rows, columns = direction.shape[-2:]
            rate = self.rate_factor * self.learning_rate * max(1.0, rows / columns) ** 0.5
            w.add_(direction.view_as(w), alpha=-rate)
        for w, g in zip(self._of_others(self.weights), others, strict=True):
            w.grad = g.contiguous()
        for group in self.adam.param_groups:
            group["lr"] = self.rate_factor * self.adam_rate
        self.adam.step()

    def _update_averages(self, banks: list[Tensor], others: list[Tensor]) -> None:
        if others:
            torch._foreach_mul_(self.squares, DECAY)
            torch._foreach_addcmul_(self.squares, others, others, 1 - DECAY)
        for g, outer, inner in zip(banks, self.outer, self.inner, strict=True):
            matrix = as_matrix(g, self.leading)
            outer.lerp_(matrix @ matrix.mT, 1 - DECAY)
            inner.lerp_(matrix.mT @ matrix, 1 - DECAY)

    def _of_banks(self, tensors: list[Tensor]) -> list[Tensor]:
        return [t for t, bank in zip(tensors, self.is_bank, strict=True) if bank]

    def _of_others(self, tensors: list[Tensor]) -> list[Tensor]:
        return [t for t, bank in zip(tensors, self.is_bank, strict=True) if not bank]

    def pace(self, share: float) -> None:
        """Decay the learning rates: constant up to the share `STEADY` of the phase, then linear to a hundredth at its end.

        Parameters
        ----------
        share : float
            Of the phase that is done, 0 to 1.
        """
        self.rate_factor = min(1.0, max(0.01, (1 - share) / (1 - STEADY)))

    def reduce_step(self) -> None:
        self.learning_rate *= 0.7
        self.adam_rate *= 0.7

    def state(self) -> Any:
        state = self.adam.state_dict()["state"]
        others = {i: {k: v.clone() for k, v in s.items()} for i, s in state.items()}
        return others, [v.clone() for v in self.velocity]

    def load_state(self, state: Any) -> None:
        """Averages of squares and products stay: of the thousand steps that they hold, a divergence is only a few."""
        others, velocity = state
        self.adam.load_state_dict(self.adam.state_dict() | {"state": others})
        self.velocity = [v.clone() for v in velocity]

    def curvature(self) -> tuple[list[Tensor], list[Basis | None]]:
        """A diagonal estimate of the energy's curvature: the root mean square of its gradients.

        Returns
        -------
        list of Tensor
            One for each weight tensor, in its shape.
        list of Basis or None
            The coordinates in which it is diagonal (see :mod:`~bayesdip.networks.preconditioner`); None for those of
            the tensor itself.
        """
        seen = 1 - DECAY**self.steps
        found = zip(self.outer, self.inner, strict=True)
        plain = iter(self.squares)
        squares: list[Tensor] = []
        bases: list[Basis | None] = []
        for w, bank in zip(self.weights, self.is_bank, strict=True):
            basis = None
            if bank:
                outer, inner = next(found)
                basis, square = eigenbasis(outer / seen, inner / seen)
            else:
                square = next(plain) / seen
            squares.append(square.view_as(w))
            bases.append(basis)
        return [self.target.observations * s.sqrt() for s in squares], bases


def orthogonal(matrix: Tensor) -> Tensor:
    """About ``U V^T`` of the singular value decomposition ``U S V^T``, by iterations of Newton and Schulz.

    Parameters
    ----------
    matrix : Tensor, shape (..., M, N)

    Returns
    -------
    Tensor, shape (..., M, N)
        The same singular vectors, with values between 0.6 and 1.3 wherever they were at least a hundredth of
        the Frobenius norm.
    """
    wide = matrix.shape[-2] <= matrix.shape[-1]
    x = matrix if wide else matrix.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-30)
    a, b, c = QUINTIC
    for _ in range(REPETITIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = x if wide else x.mT
    return found
