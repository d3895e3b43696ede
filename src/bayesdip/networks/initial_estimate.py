"""The picture to give before a network has learnt one: the posterior mean of its Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from bayesdip.arch.networks import FIGURE6
from bayesdip.errors import BayesDipError
from bayesdip.gp.inference import posterior
from bayesdip.networks.energy import Energy
from bayesdip.operators import Identity, Mask, Operator
from bayesdip.patches.inference import FEW_MISSING
from bayesdip.patches.nl_bayes import filled_from_neighbours
from bayesdip.problem import Problem
from bayesdip.progress import Progress

# Of the solve: a tighter one changes the picture by less than a gray level.
TOLERANCE, MOST_ITERATIONS = 1e-2, 50
# The network's average takes over when its negative_log_likelihood has come so near to the noise level. It errs by no less than
# ``fit^2 - 1`` noise variances, and by more as it swallows noise. It overtook the process at 1.00 to 1.03 on crops
# with noise of 10, 25 and 50 of 255.
GOOD_FIT = 1.02


@dataclass(frozen=True)
class InitialEstimate:
    """The picture of the process, until the network's own is better.

    Attributes
    ----------
    target : Energy
        Tells how well a picture fits the data.
    picture : Tensor or None, shape (C, *grid)
        None where there is none, and the network's own always stands.
    given : Problem
        The data, before the network's own limit on how exact they are. Those that are ``held_out`` from
        process and network alike judge both of them.
    """

    target: Energy
    picture: Tensor | None
    given: Problem

    @classmethod
    def of(cls, target: Energy, given: Problem, progress: Progress, steps: int) -> InitialEstimate:
        """Infer it from the data that the network sees, and tell the progress, before the first of ``steps``."""
        picture = initial_estimate(replace(given, y=target.problem.y), progress, steps)
        return cls(target, None if picture is None else picture.to(target.latent), given)

    def or_better(self, own: Tensor | None) -> Tensor | None:
        """``own``, the network's average so far, where the data say that it is better.

        Exact data: where it predicts the held-out pixels better. A fit says nothing of the missing ones.
        Else: where its fit has come to the noise level. Hidden data that are noisy are too few to tell,
        and a process errs less where it sees the data.
        """
        if self.picture is None:
            return own
        if own is None:
            return self.picture
        if self._judged_by_hidden:
            better = self._error(own) <= self._error(self.picture)
        else:
            better = self.target.fit(own.to(self.picture)) <= GOOD_FIT
        return own if better else self.picture

    @cached_property
    def _judged_by_hidden(self) -> bool:
        return (
            self.given.noise.is_exact
            and self.given.held_out is not None
            and isinstance(self.given.operator, Identity | Mask)
        )

    def _error(self, picture: Tensor) -> float:
        """Mean squared, over the held-out pixels."""
        assert self.given.held_out is not None
        return float((picture.to(self.given.y) - self.given.y)[:, self.given.held_out].square().mean())


def initial_estimate(problem: Problem, progress: Progress, steps: int = 0) -> Tensor | None:
    """The mean of the process, told as the best so far, and until it is there the data themselves.

    A run that was stopped meanwhile has it too: it is there in about a second.
    """
    operator, data = without_few_missing(problem)

    if isinstance(operator, Identity):
        progress.show("initial estimate", data, steps)
    picture = process_mean(problem)
    if picture is not None:
        progress.show("initial estimate", picture, steps)
    return picture


def process_mean(problem: Problem) -> Tensor | None:
    """Posterior mean of the stationary process of `FIGURE6`, (C, *grid); None where it cannot be had."""
    operator, y = without_few_missing(problem)
    kernel = FIGURE6.kernel(dims=len(problem.grid))
    try:
        return posterior(
            y, operator, kernel, problem.noise, tol=TOLERANCE, max_iterations=MOST_ITERATIONS
        ).mean
    except BayesDipError:  # a channel without data, say; the network may go on without a first picture
        return None


def without_few_missing(problem: Problem) -> tuple[Operator, Tensor]:
    """Operator and data; a few missing pixels among noise filled in, which makes the solve three times quicker."""
    y, operator = problem.y, problem.operator
    seen = operator.observed.to(y.device).expand(y.shape)
    missing = 1 - float(seen.double().mean())
    noisy = bool(problem.noise.variance(y, seen).any())
    if not isinstance(operator, Mask) or not (noisy and 0 < missing <= FEW_MISSING):
        return operator, y
    return Identity(operator.input_shape), filled_from_neighbours(y, ~seen)
