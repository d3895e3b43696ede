"""Hamiltonian Monte Carlo: the sampler without a discretisation error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bayesdip.networks.langevin import Momentum, accepted, drift, kick
from bayesdip.networks.samplers import LangevinStepper, spread

# Leapfrog steps of a trajectory; a step costs one gradient, as in the other samplers.
LEAPS = 10
# Neal, MCMC using Hamiltonian dynamics (2011), section 4.4: the best step has 65% of the moves accepted;
# a little more is safer where the curvature varies.
GOOD_ACCEPTANCE = 0.8
ADAPTATION = 0.5


@dataclass
class State:
    """Where a chain stands between two trajectories; ``gradients`` are those of the negative_log_likelihood, in its coordinates."""

    coordinates: list[Tensor]
    picture: Tensor
    negative_log_likelihood: Tensor
    gradients: list[Tensor]

    def where(self, take: Tensor, other: State) -> State:
        """``other`` in the chains where ``take`` is True."""

        def pick(mine: Tensor, new: Tensor) -> Tensor:
            return torch.where(spread(take, mine), new, mine)

        return State(
            [pick(a, b) for a, b in zip(self.coordinates, other.coordinates, strict=True)],
            pick(self.picture, other.picture),
            pick(self.negative_log_likelihood, other.negative_log_likelihood),
            [pick(a, b) for a, b in zip(self.gradients, other.gradients, strict=True)],
        )


class Hmc(LangevinStepper):
    """Trajectories of leapfrog steps, each taken or refused by Metropolis' test.

    The step size is adapted to ``GOOD_ACCEPTANCE`` until sampling begins. Each of the stacked
    chains is tested by itself; they share the step size.

    Attributes
    ----------
    acceptance : float
        Mean probability of acceptance since sampling began (before that, since the start).
    """

    needs_exact_energy = True
    adapting = True
    _tests, _chances = 0, 0.0
    _home: State | None = None
    _leaps = 0

    def facts(self) -> dict[str, Any]:
        return {"acceptance": self.acceptance}

    @property
    def acceptance(self) -> float:
        return self._chances / self._tests if self._tests else float("nan")

    def begin(self) -> None:
        self.adapting, self._tests, self._chances = False, 0, 0.0

    @torch.no_grad()
    def step(self) -> Tensor:
        with torch.enable_grad():
            picture, negative_log_likelihood, gradients = self._evaluate()
        gradients = self._in_bases(gradients)
        self._leaps += 1
        if self._home is not None and self._leaps < LEAPS:
            self.move(self._full(gradients))
            self._write()
            return self._home.picture
        here = State([w.clone() for w in self.coordinates], picture, negative_log_likelihood, gradients)
        self._home = here if self._home is None else self._test(self._home, here)
        self._set_out(self._home)
        return self._home.picture

    def move(self, gradients: list[Tensor]) -> None:
        kick(self.momentum, gradients, self.preconditioner, step_size=self.step_size)
        drift(self.coordinates, self.preconditioner, self.momentum, step_size=self.step_size)

    def recall(self, memory: Any) -> None:
        super().recall(memory)
        self._home = None

    def _test(self, home: State, here: State) -> State:
        kick(self.momentum, self._full(here.gradients), self.preconditioner, step_size=self.step_size / 2)
        end = self._energy(here)
        if self.temperature > 0:
            drop = ((self._start - end) / self.temperature).nan_to_num(nan=-torch.inf)
            chance = float(drop.clamp(max=0).exp().mean())
            self._tests, self._chances = self._tests + 1, self._chances + chance
            if self.adapting:
                self.largest_step *= 2.0 ** (ADAPTATION * (chance - GOOD_ACCEPTANCE))
        return home.where(accepted(self._start, end, self.temperature, self.generator), here)

    def _set_out(self, home: State) -> None:
        """A fresh momentum at ``home``, and the first half kick and drift of a trajectory."""
        for own, kept in zip(self.coordinates, home.coordinates, strict=True):
            own.copy_(kept)
        self._draw_sigma(home.negative_log_likelihood)
        self.momentum = Momentum.draw(self.weights, self.temperature, self.generator)
        self._start, self._leaps = self._energy(home), 0
        kick(self.momentum, self._full(home.gradients), self.preconditioner, step_size=self.step_size / 2)
        drift(self.coordinates, self.preconditioner, self.momentum, step_size=self.step_size)
        self._write()

    def _energy(self, state: State) -> Tensor:
        """Of the state and the momentum: negative_log_likelihood, prior and kinetic energy, in double precision where there is one."""
        lead = state.negative_log_likelihood.ndim
        kind = torch.float32 if state.negative_log_likelihood.device.type == "mps" else torch.float64
        total = state.negative_log_likelihood.to(kind) / self.relative_variance
        terms = zip(state.coordinates, self.precisions, self.momentum.values, strict=True)
        for w, precision, u in terms:
            own = precision * w.to(kind).square() + u.to(kind).square()
            total = total + 0.5 * own.sum(dim=tuple(range(lead, w.ndim)))
        return total
