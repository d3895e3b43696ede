"""The picture to give before a network has learnt one: what its Gaussian process makes of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from bayesdip.arch.networks import FIGURE6
from bayesdip.errors import BayesDipError
from bayesdip.fit.problem import Problem
from bayesdip.gp.patch_noise import filled
from bayesdip.gp.patch_posterior import FEW_MISSING
from bayesdip.gp.posterior import posterior
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor, Progress
from bayesdip.operators import Identity, Mask, Operator

# Of the solve: a tighter one changes the picture by less than a gray level.
TOLERANCE, MOST_ITERATIONS = 1e-2, 50
# The network's average takes over when its misfit has come so near to the noise level. It errs by no less than
# ``fit^2 - 1`` noise variances, and by more as it swallows noise. It overtook the process at 1.00 to 1.03 on crops
# with noise of 10, 25 and 50 of 255.
GOOD_FIT = 1.02


@dataclass(frozen=True)
class First:
    """The picture of the process, until the network's own is better.

    Attributes
    ----------
    problem : Problem
        Tells how well a picture fits the data.
    picture : Tensor or None, shape (C, *grid)
        None where there is none, and the network's own always stands.
    given : Measurement
        The data, before the network's own limit on how exact they are. Those that are ``hidden`` from
        process and network alike judge both of them.
    """

    problem: Problem
    picture: Tensor | None
    given: Measurement

    @classmethod
    def of(cls, problem: Problem, given: Measurement, monitor: Monitor, steps: int) -> First:
        """Infer it from the data that the network sees, and tell the monitor, before the first of ``steps``."""
        picture = first_picture(replace(given, y=problem.measurement.y), monitor, steps)
        return cls(problem, None if picture is None else picture.to(problem.code), given)

    def or_better(self, own: Tensor | None) -> Tensor | None:
        """``own``, the network's average so far, where the data say that it is better.

        Exact data: where it predicts the hidden pixels better. A fit says nothing of the missing ones.
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
            better = self.problem.fit(own.to(self.picture)) <= GOOD_FIT
        return own if better else self.picture

    @cached_property
    def _judged_by_hidden(self) -> bool:
        return (
            self.given.noise.is_exact
            and self.given.hidden is not None
            and isinstance(self.given.operator, Identity | Mask)
        )

    def _error(self, picture: Tensor) -> float:
        """Mean squared, over the hidden pixels."""
        assert self.given.hidden is not None
        return float((picture.to(self.given.y) - self.given.y)[:, self.given.hidden].square().mean())


def first_picture(measurement: Measurement, monitor: Monitor, steps: int = 0) -> Tensor | None:
    """The mean of the process, told as the best so far, and until it is there the data themselves.

    A run that was stopped meanwhile has it too: it is there in about a second.
    """
    operator, data = without_few_missing(measurement)

    def tell(picture: Tensor) -> None:
        elapsed = monitor.elapsed
        monitor.report(Progress("first picture", 0, steps, elapsed, float("nan"), mean=lambda: picture))

    if isinstance(operator, Identity):
        tell(data)
    picture = process_mean(measurement)
    if picture is not None:
        tell(picture)
    return picture


def process_mean(measurement: Measurement) -> Tensor | None:
    """Posterior mean of the stationary process of `FIGURE6`, (C, *grid); None where it cannot be had."""
    operator, y = without_few_missing(measurement)
    kernel = FIGURE6.kernel(dims=len(measurement.grid))
    try:
        return posterior(
            y, operator, kernel, measurement.noise, tol=TOLERANCE, max_iterations=MOST_ITERATIONS
        ).mean
    except BayesDipError:  # a channel without data, say; the network may go on without a first picture
        return None


def without_few_missing(measurement: Measurement) -> tuple[Operator, Tensor]:
    """Operator and data; a few missing pixels among noise filled in, which makes the solve three times quicker."""
    y, operator = measurement.y, measurement.operator
    seen = operator.observed.to(y.device).expand(y.shape)
    missing = 1 - float(seen.double().mean())
    noisy = bool(measurement.noise.variance(y, seen).any())
    if not isinstance(operator, Mask) or not (noisy and 0 < missing <= FEW_MISSING):
        return operator, y
    return Identity(operator.input_shape), filled(y, ~seen)
