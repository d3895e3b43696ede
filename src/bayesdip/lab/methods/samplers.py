"""More samplers of a network's posterior, for ``SGLD(sampler=...)``: they target what ``Psgld`` does.

All take the preconditioner, the temperature and the coordinates of
:class:`~bayesdip.networks.samplers.LangevinStepper`. In the formulas ``U`` is the energy (minus log posterior),
``P`` the diagonal preconditioner, ``R = P ** 0.5``, ``h`` the step size and ``xi`` standard normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from bayesdip.networks.langevin import Momentum, Tensors, normal_like, psgld_step
from bayesdip.networks.samplers import LangevinStepper, Psgld, spread

# Welling and Teh (ICML 2011), section 5.1: steps a (b + t)^-0.55; the exponent must lie in (0.5, 1]. The offset b is a
# share of the run, for a time budget sets the count of steps: the first steps are nearly alike, the last a quarter of them.
DECAY, OFFSET = 0.55, 0.1
# Chen, Fox, Guestrin (ICML 2014), eq. 15: one minus the momentum, which is usually 0.9.
FRICTION = 0.1
# Zhang et al. (ICLR 2020): some cycles in a run; the first part of each is without noise, to explore. Pictures count from
# half of a cycle on, for the noise comes back at a quarter and needs time.
CYCLES, EXPLORING, COUNTED_FROM = 4, 0.25, 0.5
# Leapfrog steps of a trajectory; a step costs one gradient, as in the other samplers.
LEAPS = 10
# Neal, MCMC using Hamiltonian dynamics (2011), section 4.4: the best step has 65% of the moves accepted; a little more is
# safer where the curvature varies. A trajectory multiplies the step by 2 to the power ADAPTATION times the excess.
GOOD_ACCEPTANCE, ADAPTATION = 0.8, 0.5


@torch.no_grad()
def sgld_step(
    weights: Tensors,
    gradients: Tensors,
    preconditioner: Tensors,
    *,
    step_size: float,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> None:
    """One step of Langevin dynamics without momentum, by Euler and Maruyama.

        w <- w - (e/2) P grad U(w) + sqrt(e P temperature) xi,    e = step_size

    Welling and Teh (ICML 2011), eq. 4, with the whole data and a fixed diagonal ``P``. Its law is
    wrong by O(e): for a quadratic ``U`` a direction of curvature k has its variance multiplied
    by ``1 / (1 - e P k / 4)``. With a step that decreases to zero the error does too.

    Parameters
    ----------
    weights : sequence of Tensor
        Changed in place.
    gradients, preconditioner : sequence of Tensor
        ``grad U`` at the weights, and ``P``.
    step_size, temperature : float
    generator : torch.Generator or None
    """
    for w, g, p in zip(weights, gradients, preconditioner, strict=True):
        noise = normal_like(w, generator).mul_(p.sqrt())
        w.addcmul_(p, g, value=-step_size / 2)
        w.add_(noise, alpha=(step_size * temperature) ** 0.5)


class Sgld(LangevinStepper):
    """Welling and Teh (ICML 2011): no momentum, a step that decreases by a power of time.

    Its step is the square of ``h``: that is what both mean by a stable one.
    """

    def pace(self, share: float) -> None:
        """The step over the first one is ``(1 + share / b)^-0.55``."""
        self.step_factor = (1 + share / OFFSET) ** (-DECAY / 2)

    def move(self, gradients: list[Tensor]) -> None:
        sgld_step(
            self.coordinates,
            gradients,
            self.preconditioner,
            step_size=self.step_size**2,
            temperature=self.temperature,
            generator=self.generator,
        )


class Sghmc(LangevinStepper):
    """Stochastic-gradient Hamiltonian Monte Carlo (Chen, Fox, Guestrin, ICML 2014), with the full gradient.

    With ``a`` the friction:

        u <- (1 - a) u - h R grad U(w) + sqrt(2 a temperature) xi
        w <- w + h R u

    Their eq. 15, whose learning rate is ``h^2`` and whose velocity is ``h R u``; the full gradient carries no noise to
    be subtracted. The gradient given is that at ``w`` before the step, so the lines are taken in this order.
    """

    @torch.no_grad()
    def move(self, gradients: list[Tensor]) -> None:
        noise = (2 * FRICTION * self.temperature) ** 0.5
        for u in self.momentum.values:
            u.mul_(1 - FRICTION).add_(normal_like(u, self.generator), alpha=noise)
        kick(self.momentum, gradients, self.preconditioner, self.step_size)
        drift(self.coordinates, self.preconditioner, self.momentum, self.step_size)


class Cyclical(LangevinStepper):
    """Zhang et al. (ICLR 2020): large steps to leave a mode, small ones to sample it, again and again.

    Each cycle begins without noise, its step falls along a cosine, and only its later part counts.
    The steps are those of ``Psgld``, with ``h^2`` on the cosine.

    Attributes
    ----------
    place : float
        Where in its cycle the run stands, 0 to 1.
    """

    place = 0.0

    @property
    def counts(self) -> bool:
        return self.place >= COUNTED_FROM

    def pace(self, share: float) -> None:
        """The squared step over the first one of the cycle is ``(cos(pi place) + 1) / 2`` (their eq. 1)."""
        self.place = (share * CYCLES) % 1.0 if share < 1 else 1.0
        self.step_factor = (0.5 * (math.cos(math.pi * self.place) + 1)) ** 0.5

    def move(self, gradients: list[Tensor]) -> None:
        psgld_step(
            self.coordinates,
            gradients,
            self.preconditioner,
            self.momentum,
            step_size=self.step_size,
            temperature=0.0 if self.place < EXPLORING else self.temperature,
            generator=self.generator,
        )


@torch.no_grad()
def kick(momentum: Momentum, gradients: Tensors, preconditioner: Tensors, step_size: float) -> None:
    """``u <- u - h R grad U``: half of it before and half after a :func:`drift` is a leapfrog step."""
    for u, g, p in zip(momentum.values, gradients, preconditioner, strict=True):
        u.addcmul_(p.sqrt(), g, value=-step_size)


@torch.no_grad()
def drift(weights: Tensors, preconditioner: Tensors, momentum: Momentum, step_size: float) -> None:
    """``w <- w + h R u``."""
    for w, p, u in zip(weights, preconditioner, momentum.values, strict=True):
        w.addcmul_(p.sqrt(), u, value=step_size)


@dataclass
class State:
    """Where a chain stands between two trajectories.

    Attributes
    ----------
    coordinates, gradients : list of Tensor
        The gradients are those of the negative log-likelihood, in its coordinates.
    picture, negative_log_likelihood : Tensor
    """

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
    """Hamiltonian Monte Carlo: trajectories of leapfrog steps, each accepted or rejected by Metropolis' test.

    It has no discretisation error. The step size is adapted to ``GOOD_ACCEPTANCE`` until sampling begins. Each
    chain of a batch is tested by itself; they share the step size.

    Attributes
    ----------
    acceptance : float
        Mean probability of acceptance since sampling began (before that, since the start).
    """

    needs_exact_energy: ClassVar[bool] = True
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
        kick(self.momentum, gradients, self.preconditioner, self.step_size)
        drift(self.coordinates, self.preconditioner, self.momentum, self.step_size)

    def load_state(self, state: Any) -> None:
        super().load_state(state)
        self._home = None

    def _test(self, home: State, here: State) -> State:
        kick(self.momentum, self._full(here.gradients), self.preconditioner, self.step_size / 2)
        end = self._energy(here)
        if self.temperature > 0:
            drop = ((self._start - end) / self.temperature).nan_to_num(nan=-torch.inf)
            chance = float(drop.clamp(max=0).exp().mean())
            self._tests, self._chances = self._tests + 1, self._chances + chance
            if self.adapting:
                self.largest_step *= 2.0 ** (ADAPTATION * (chance - GOOD_ACCEPTANCE))
        uniform = torch.empty_like(end).uniform_(generator=self.generator)
        return home.where(uniform.log() * self.temperature < self._start - end, here)

    def _set_out(self, home: State) -> None:
        """A fresh momentum at ``home``, and the first half kick and drift of a trajectory."""
        for own, kept in zip(self.coordinates, home.coordinates, strict=True):
            own.copy_(kept)
        self._draw_sigma(home.negative_log_likelihood)
        self.momentum = Momentum.draw(self.weights, self.temperature, self.generator)
        self._start, self._leaps = self._energy(home), 0
        kick(self.momentum, self._full(home.gradients), self.preconditioner, self.step_size / 2)
        drift(self.coordinates, self.preconditioner, self.momentum, self.step_size)
        self._write()

    def _energy(self, state: State) -> Tensor:
        """Negative log-likelihood, prior and kinetic energy, one number a chain; in double precision where there is one."""
        lead = state.negative_log_likelihood.ndim
        kind = torch.float32 if state.negative_log_likelihood.device.type == "mps" else torch.float64
        total = state.negative_log_likelihood.to(kind) / self.relative_variance
        terms = zip(state.coordinates, self.precisions, self.momentum.values, strict=True)
        for w, precision, u in terms:
            own = precision * w.to(kind).square() + u.to(kind).square()
            total = total + 0.5 * own.sum(dim=tuple(range(lead, w.ndim)))
        return total


# All that sample a stated posterior, by the names that tables show.
SAMPLERS: dict[str, type[LangevinStepper]] = {
    kind.__name__.lower(): kind for kind in (Psgld, Sgld, Sghmc, Cyclical, Hmc)
}
