"""The initial estimate of a run: the posterior mean of a Gaussian process, until the network's own picture is better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from bayesdip.arch.networks import FIGURE6
from bayesdip.errors import BayesDipError
from bayesdip.gp.inference import posterior
from bayesdip.networks.energy import Energy
from bayesdip.networks.training_loop import picture_or_raise
from bayesdip.operators import Identity, Mask, Operator
from bayesdip.patches.nl_bayes import filled_from_neighbours
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

# Relative residual and iterations at which the solve ends: a tighter one changes the picture by less than 1/255.
TOLERANCE, MOST_ITERATIONS = 1e-2, 50
# The fit (`Energy.fit`, 1 at the noise level) at which the network's average replaces the initial estimate. Such an average
# errs by at least ``fit^2 - 1`` noise variances, and by more as it fits the noise. It became better than the process at a
# fit of 1.00 to 1.03, on crops with noise of 10, 25 and 50 of 255.
GOOD_FIT = 1.02
# With fewer held-out values a finished run stands; and the standard errors by which the initial estimate has to be ahead of it.
FEWEST_TO_JUDGE, CERTAIN = 30, 2.0
# Up to this share of missing pixels among noisy ones, they are filled in first and the solve is that of complete data.
FEW_MISSING = 0.1


@dataclass(frozen=True)
class InitialEstimate:
    """The process's posterior mean, and whether a network's picture is better.

    Attributes
    ----------
    target : Energy
        Measures how well a picture fits the data.
    picture : Tensor or None, shape (C, *grid)
        None where there is none: then the network's own is always taken.
    given : Problem
        The data with their own noise, which may be below what a network is given (`SMALLEST_SIGMA`). Entries that are
        ``held_out`` from both process and network judge the two.
    """

    target: Energy
    picture: Tensor | None
    given: Problem

    @classmethod
    def of(
        cls, target: Energy, given: Problem, progress: Progress, steps: int, picture: Tensor | None = None
    ) -> InitialEstimate:
        """Infer it from the data that the network sees, and show it to the callback.

        Parameters
        ----------
        target : Energy
        given : Problem
        progress : Progress
        steps : int
            That the run will have.
        picture : Tensor, optional
            A better one, which is taken.

        Returns
        -------
        InitialEstimate
        """
        if picture is None:
            picture = initial_estimate(replace(given, y=target.problem.y), progress, steps)
        return cls(target, None if picture is None else picture.to(target.latent), given)

    def or_better(self, own: Tensor | None) -> Tensor | None:
        """The network's average so far, if the data say that it is better; else the initial estimate.

        For noise-free data it is better if it predicts the held-out pixels better: the fit says nothing about the missing
        ones. Otherwise it is better once its fit has come to the noise level: noisy held-out data are too few to
        decide.

        Parameters
        ----------
        own : Tensor or None, shape (C, *grid)

        Returns
        -------
        Tensor or None, shape (C, *grid)
            None where there is neither.
        """
        if self.picture is None:
            return own
        if own is None:
            return self.picture
        if self._judged_by_held_out:
            better = self._error(own) <= self._error(self.picture)
        else:
            better = self.target.fit(own.to(self.picture)) <= GOOD_FIT
        return own if better else self.picture

    def mean_of_fit_or_samples(self, fit: Tensor | None, samples: Tensor | None) -> Tensor | None:
        """Of exact pixels, the mean of a fit's pictures, unless held-out pixels say beyond chance that the samples' is better.

        Parameters
        ----------
        fit, samples : Tensor or None, shape (C, *grid)

        Returns
        -------
        Tensor or None, shape (C, *grid)
            The samples' of other data, and where there is no other.
        """
        if fit is None or samples is None or not self._judged_by_held_out:
            return samples
        return samples if self._is_nearer(samples, fit) else fit

    def predicts_better(self, own: Tensor) -> bool:
        """Whether the initial estimate is nearer to the held-out pixels than a picture of the network, beyond chance.

        Parameters
        ----------
        own : Tensor, shape (C, *grid)

        Returns
        -------
        bool
            False where there are none.
        """
        return self.picture is not None and self._is_nearer(self.picture, own)

    def _is_nearer(self, picture: Tensor, other: Tensor) -> bool:
        """To the held-out entries, beyond chance; False where there are too few to say so."""
        given = self.given
        if given.held_out is None:
            return False
        entries, y, operator = given.held_out_entries, given.y, given.whole.operator
        its, mine = (operator.forward(x.to(y)) - y for x in (other, picture))
        behind = (its.square() - mine.square())[entries]
        if len(behind) < FEWEST_TO_JUDGE:
            return False
        chance = float(behind.std()) / float(len(behind)) ** 0.5
        return bool(float(behind.mean()) > CERTAIN * chance)

    def as_posterior(self, stopped: str) -> Posterior:
        """What a run gives that was stopped before its first step.

        Parameters
        ----------
        stopped : str
            Why.

        Returns
        -------
        Posterior

        Raises
        ------
        NoResultError
            There is no initial estimate.
        """
        picture = picture_or_raise(self.picture, stopped)
        return Posterior(picture, stopped=stopped, info={"steps": 0, "initial_estimate": True})

    @cached_property
    def _judged_by_held_out(self) -> bool:
        return (
            self.given.noise.is_exact
            and self.given.held_out is not None
            and isinstance(self.given.operator, Identity | Mask)
        )

    def _error(self, picture: Tensor) -> float:
        """Mean squared, over the held-out entries."""
        return float((picture.to(self.given.y) - self.given.y)[self.given.held_out_entries].square().mean())


def initial_estimate(problem: Problem, progress: Progress, steps: int = 0) -> Tensor | None:
    """The posterior mean of the process, shown to the callback.

    It takes about a second, and a run that is stopped in that time still gives it.

    Parameters
    ----------
    problem : Problem
    progress : Progress
    steps : int
        That the run will have.

    Returns
    -------
    Tensor or None, shape (C, *grid)
        None where the process has no answer.
    """
    picture = process_mean(problem)
    if picture is not None:
        progress.show("initial estimate", lambda: picture, steps)
    return picture


def process_mean(problem: Problem) -> Tensor | None:
    """Posterior mean of the stationary Gaussian process of the network `FIGURE6`.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    Tensor or None, shape (C, *grid)
        None where the solve is refused.
    """
    operator, y = without_few_missing(problem)
    kernel = FIGURE6.kernel(dims=len(problem.grid))
    try:
        return posterior(
            y, operator, kernel, problem.noise, tol=TOLERANCE, max_iterations=MOST_ITERATIONS
        ).mean
    except (
        BayesDipError
    ):  # for example a channel without data; the network can do without an initial estimate
        return None


def without_few_missing(problem: Problem) -> tuple[Operator, Tensor]:
    """Operator and data, where a few missing pixels among noise are filled in: the solve is three times faster then.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    Operator
    Tensor, shape of ``y``
    """
    y, operator = problem.y, problem.operator
    seen = operator.observed.to(y.device).expand(y.shape)
    missing = 1 - float(seen.double().mean())
    noisy = bool(problem.noise.variance(y, seen).any())
    if not isinstance(operator, Mask) or not (noisy and 0 < missing <= FEW_MISSING):
        return operator, y
    return Identity(operator.input_shape), filled_from_neighbours(y, ~seen)
