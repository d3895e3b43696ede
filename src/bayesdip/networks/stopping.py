"""Rules that stop a fit before it fits the noise, without knowing the truth.

Every rule sees a run at even distances and keeps the picture that it would give. The run need not end when a rule says
so: several can watch one run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.networks.energy import Energy
from bayesdip.networks.optimisers import Evaluation, Optimisation
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem

# Share of the observed pixels that the rule "held-out" keeps from the fit; and how many have to be observed for it, so that it
# has three at least.
HELD_OUT = 0.05
FEWEST_FOR_HOLDING_OUT = 64
# Steps without a better picture after which the best one is taken. The default network at its learning rate takes some hundred
# steps from its best picture to a bad one.
PATIENCE = 250
# Largest number of entries of a picture whose variance over the window is computed: enough for its mean.
FOLLOWED = 20_000


BeginFit = Callable[[Problem], Optimisation]
"""Begins the same fit, from the same seeds, of other data."""


@dataclass
class Rule(ABC):
    """When a run ends, and which of its pictures it gives.

    Attributes
    ----------
    step : int
        Of the picture that the rule would give now.
    picture : Tensor or None, shape (C, *grid)
        That picture; None where the rule has none, and the run's own result is taken.
    """

    step: int = field(default=0, init=False)
    picture: Tensor | None = field(default=None, init=False)

    def hold_out(self, problem: Problem, generator: torch.Generator) -> Problem:
        """The data that the fit may see.

        Parameters
        ----------
        problem : Problem
        generator : torch.Generator
            On the CPU.

        Returns
        -------
        Problem
        """
        return problem

    def begin(self, target: Energy, begin_fit: BeginFit) -> None:  # noqa: B027
        """Called before the first step.

        Parameters
        ----------
        target : Energy
        begin_fit : callable
            Begins the same fit of other data.
        """

    @abstractmethod
    def ended(self, evaluation: Evaluation) -> bool:
        """Whether the run may end now. Called every few steps.

        Parameters
        ----------
        evaluation : Evaluation

        Returns
        -------
        bool
        """

    def keep(self, evaluation: Evaluation) -> None:
        """Take the picture of an evaluation as the one that the rule would give."""
        self.step, self.picture = evaluation.step, evaluation.picture.clone()


@dataclass
class Never(Rule):
    """The whole run, and its last picture."""

    def ended(self, evaluation: Evaluation) -> bool:
        return False


@dataclass
class Discrepancy(Rule):
    """The first picture whose mean squared residual is at most the noise's variance (Morozov 1966)."""

    def ended(self, evaluation: Evaluation) -> bool:
        self.keep(evaluation)
        return evaluation.fit <= 1.0


@dataclass
class Lowest(Rule):
    """The picture at which some figure is lowest, once there was no lower one for `patience` steps."""

    patience: int = PATIENCE
    least: float = field(default=float("inf"), init=False)

    @abstractmethod
    def figure(self, evaluation: Evaluation) -> float | None:
        """The figure that shall be low; None where it is too early to say.

        Parameters
        ----------
        evaluation : Evaluation

        Returns
        -------
        float or None
        """

    def ended(self, evaluation: Evaluation) -> bool:
        figure = self.figure(evaluation)
        if figure is None:
            return False
        if figure < self.least:
            self.least = figure
            self.keep(evaluation)
        return evaluation.step - self.step >= self.patience


@dataclass
class HeldOut(Lowest):
    """Lowest squared error on observed pixels that the fit does not see."""

    share: float = HELD_OUT
    held_out: Tensor | None = field(default=None, init=False)
    whole: Problem | None = field(default=None, init=False)

    def hold_out(self, problem: Problem, generator: torch.Generator) -> Problem:
        seen = problem.operator.observed.expand(problem.y.shape).any(0)
        places = seen.flatten().nonzero().squeeze(1)
        if len(places) < 2:
            raise BayesDipError(
                f"stop='held-out' was given {len(places)} observed pixels: expected 2 at least; use stop='never'"
            )
        count = min(len(places) - 1, max(1, round(self.share * len(places))))
        chosen = places[torch.randperm(len(places), generator=generator)[:count]]
        held_out = torch.zeros(seen.numel(), dtype=torch.bool)
        held_out[chosen] = True
        self.held_out, self.whole = held_out.reshape(seen.shape), problem
        return replace(problem, operator=problem.operator.with_held_out(self.held_out))

    def figure(self, evaluation: Evaluation) -> float:
        if self.held_out is None or self.whole is None:
            raise BayesDipError("no pixel was held out: expected hold_out to be called before the fit")
        predicted = self.whole.operator.forward(evaluation.picture)
        error = self.whole.y.to(predicted) - predicted
        entries = self.whole.observed & self.held_out
        return float(error[entries.to(error.device)].square().mean())


@dataclass
class WindowedVariance(Lowest):
    """Lowest variance of the pictures over a window of steps: the fit has found the picture, not yet the noise.

    ES-WMV of Wang et al., *Early stopping for deep image prior*, TMLR 2023 (arXiv 2112.06074): the
    sum over pixels of the variance among the pictures of the last `window` steps, not averaged ones. Theirs waits 1000
    steps for a lower one. A network that overfits faster fits the noise in that time, and then its pictures change
    little again: the first minimum counts. Pictures before step `start`, when the fit has not found anything, do not.
    """

    window: int = 100
    start: int = 100
    recent: deque[tuple[int, Tensor]] = field(default_factory=deque, init=False)

    def figure(self, evaluation: Evaluation) -> float | None:
        if evaluation.step < self.start:
            return None
        values = evaluation.latest.flatten()
        self.recent.append((evaluation.step, values[:: max(1, values.numel() // FOLLOWED)].clone()))
        while evaluation.step - self.recent[0][0] > self.window:
            self.recent.popleft()
        if evaluation.step < self.start + self.window:
            return None
        return float(torch.stack([values for _, values in self.recent]).var(0, correction=0).sum())


@dataclass
class Sure(Lowest):
    """Lowest estimate of the true mean squared error, by Stein (Ann. Stat. 1981).

        ||y - f(y)||^2 / n - sigma^2 + 2 sigma^2 div f(y) / n,

    where f is all that happens up to this step. The divergence is that of Ramani, Blu, Unser (IEEE TIP
    2008): ``b' (f(y + e b) - f(y)) / e`` for one random b, from a second fit of other data that
    takes the same steps. It doubles the cost, and holds for Gaussian noise on pixels alone. Pixels at which the noise was
    clipped are left out.

    Parameters
    ----------
    probe : float
        ``e``, in standard deviations of the noise. Two fits also differ by chance, which adds an error of
        ``difference / (e sqrt(n))`` to the estimate: it is large where the probe is small.
    """

    probe: float = 0.3
    other: Optimisation | None = field(default=None, init=False)
    y: Tensor = field(init=False)
    seen: Tensor = field(init=False)
    variance: Tensor = field(init=False)
    direction: Tensor = field(init=False)

    def begin(self, target: Energy, begin_fit: BeginFit) -> None:
        problem = target.problem
        noise, y = problem.noise, problem.y
        if not isinstance(noise, Gaussian) or not isinstance(problem.operator, Identity | Mask):
            raise BayesDipError(
                f"stop='sure' was given {noise.describe()} and {problem.operator!r}: expected Gaussian "
                "noise on the pixels themselves; use stop='held-out'"
            )
        generator = torch.Generator().manual_seed(0)
        signs = (torch.empty(y.shape).bernoulli_(0.5, generator=generator) * 2 - 1).to(y)
        self.seen = target.observed & ~noise.censored(y)
        self.direction = torch.where(self.seen, signs, 0.0)
        self.y, self.variance = y, target.variance
        self.other = begin_fit(replace(problem, y=y + self.probe * self.variance.sqrt() * self.direction))

    def figure(self, evaluation: Evaluation) -> float:
        if self.other is None:
            raise BayesDipError("there is no second fit: expected begin to be called before the fit")
        self.other.advance(evaluation.step)
        change = (self.other.evaluation(evaluation.step).picture - evaluation.picture) / (
            self.probe * self.variance.sqrt()
        )
        residual = (self.y - evaluation.picture).square()
        each = residual - self.variance + 2 * self.variance * self.direction * change
        return float(torch.where(self.seen, each, 0).sum() / self.seen.sum())


RULES: dict[str, type[Rule]] = {
    "never": Never,
    "held-out": HeldOut,
    "windowed-variance": WindowedVariance,
    "discrepancy": Discrepancy,
    "sure": Sure,
}


def default_rule(problem: Problem) -> str:
    """The rule that lost least in the benchmark ``stopping``.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    str
        ``"never"`` for noise-free data, whose fit is never too good; else ``"held-out"`` where there are enough
        observed pixels for it, or ``"discrepancy"``.
    """
    noise = problem.noise
    if isinstance(noise, Gaussian) and not bool(torch.as_tensor(noise.sigma).any()):
        return "never"
    seen = int(problem.operator.observed.expand(problem.y.shape).all(0).sum())
    return "held-out" if seen >= FEWEST_FOR_HOLDING_OUT else "discrepancy"
