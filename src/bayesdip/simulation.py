"""Errors by simulation, where data are no pixels of the picture: a picture of known truth is restored from data made alike.

Held-out data of a small or blurred picture tell nothing of the detail that was lost. A parametric bootstrap does (Efron and
Tibshirani, *An Introduction to the Bootstrap*, 1993, ch. 6), if its truth has as much detail as the unknown one. The
restored picture has not: :mod:`bayesdip.simulated_truth` makes one of it. For a picture that is enlarged that is the small picture itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.calibration import Calibration
from bayesdip.error_places import following_slopes
from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.held_out_excess import KnownExcess, excess, usual_excess
from bayesdip.interruption import Stopped, stoppable
from bayesdip.noise import Correlated, Gaussian
from bayesdip.noise.levels import with_levels
from bayesdip.noise.rounding import rounding_step
from bayesdip.operators import Identity, Mask
from bayesdip.operators.part import smaller
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior
from bayesdip.simulated_average import Estimate, averaged, estimates_beside, judged_places, only_at
from bayesdip.simulated_calibration import calibrated
from bayesdip.simulated_truth import factor_of, filling_grid, resolved_share, scaled_down
from bayesdip.simulated_weights import Weighing
from bayesdip.snapshot import Snapshot

if TYPE_CHECKING:
    from bayesdip.methods import Method
    from bayesdip.simple_comparison import Average

# The simulated picture has about so many pixels where operator and picture can be cut, and at most so many where not.
PIXELS, MOST_PIXELS = 64**2, 256**2
# The work of one fit over that of both, without the held-out data and with them.
OF_ONE_FIT = 0.7
# Errors of pixels of one block of this side are alike: they stay together where halves judge each other.
BLOCK = 8


@dataclass(frozen=True)
class FirstFit:
    """What a fit without the held-out data has shown.

    Attributes
    ----------
    seconds : float
        That it took.
    share : float
        Of the weights that the simulated picture gives to other estimates, what these have: see `share_by_held_out`.
    without : Posterior or None
        Its posterior.
    """

    seconds: float = 0.0
    share: float = 1.0
    without: Posterior | None = None


@dataclass(frozen=True)
class Simulation:
    """A problem whose truth is known.

    Attributes
    ----------
    truth : Tensor, float64, shape (C, *grid)
    problem : Problem
    resolved : float
        See :func:`resolved_share`.
    smaller : bool
        Whether its grid may be smaller than the picture's, for the operator can be cut; if not, the same data are held out.
    """

    truth: Tensor
    problem: Problem
    resolved: float
    smaller: bool = True

    @cached_property
    def places(self) -> Tensor:
        """The n pixels whose errors count."""
        return judged_places(self.problem)

    @cached_property
    def judged_truth(self) -> Tensor:
        """The truth there, (C, n)."""
        return self.truth[:, self.places]

    @cached_property
    def blocks(self) -> NDArray[np.int64]:
        """The number of the block of each of these pixels, (n,): those of one block err alike."""
        numbers = np.zeros(self.problem.grid, dtype=np.int64)
        for at, n in zip(np.indices(numbers.shape) // BLOCK, numbers.shape, strict=True):
            numbers = numbers * (n // BLOCK + 1) + at
        judged: NDArray[np.int64] = numbers[self.places.numpy()]
        return judged


def judged_by_simulation(
    method: Method,
    average: Average,
    posterior: Posterior,
    problem: Problem,
    progress: Progress,
    first: FirstFit = FirstFit(),
) -> tuple[Posterior, Calibration | None]:
    """Average a posterior with other estimates, and calibrate its standard deviation, by the errors of a simulated restoration.

    Parameters
    ----------
    method : Method
        It restores the simulated data.
    average : Average
        What follows the method.
    posterior : Posterior
    problem : Problem
        Whole: of all that was observed.
    progress : Progress
        No simulation is begun that would not end in time.
    first : FirstFit
        Of the method.

    Returns
    -------
    Posterior
        Averaged; as it was where nothing could be simulated.
    Calibration or None
        Its `floor` goes with the standard deviation of that posterior as `following_slopes` has it. None where the data are pixels of the picture, where
        there is no standard deviation or no time, and where the noise cannot be drawn.
    """
    if _held_out_data_tell(problem):
        return posterior, None
    beside = estimates_beside(posterior, problem)
    weighing = Weighing.of(method, posterior, problem, first.share)
    usual = averaged(posterior, beside, weighing.without_simulation(len(beside)))
    simulation = simulated(weighing.truth(beside, usual), problem, method.seed)
    left = progress.time_left
    if simulation is None or progress.should_stop():
        return usual, None
    part = simulation.truth.numel() / posterior.mean.numel()
    if left is not None and left < 2 * first.seconds * part:
        return usual, None
    fits = _Fits.shown_by(progress, method, average, usual)
    both = fits.of(simulation.problem)
    if both is None:
        return usual, None
    found, others = both
    size = 1.0
    if found.process is None:  # else what stands beside the method tells the size of its errors
        size = max(1.0, _misfit(posterior, problem)) / max(1.0, _misfit(found, simulation.problem))
    weights = np.zeros(len(others))
    if beside and len(others) == len(beside):
        weights = weighing.by(simulation, found, others)
        found, posterior = averaged(found, others, weights), averaged(posterior, beside, weights)
        posterior.info["weights"] = weights.tolist()
    if found.std is None or posterior.std is None:
        return posterior, None
    missed, its_missed = None, None
    if not (simulation.smaller or method.fits_networks or first.without is None):
        missed = excess(_averaged_alike(first.without, problem.training, weights), problem)
    if missed is not None:
        its_missed = _missed_by(fits, weights, simulation, method.seed)
    there, here = simulation.places, judged_places(problem)
    raw = found.std[:, there]
    found = only_at(replace(found, std=following_slopes(found.mean, found.std, there)), there)
    judged = only_at(replace(posterior, std=following_slopes(posterior.mean, posterior.std, here)), here)
    return posterior, calibrated(found, simulation, judged, raw, size, (missed, its_missed), method.seed)


@dataclass(frozen=True)
class _Fits:
    """Fits of simulated data as those of the true picture, in the time that its run has left."""

    method: Method
    average: Average
    should_stop: Callable[[], bool]
    its: Progress

    @classmethod
    def shown_by(cls, progress: Progress, method: Method, average: Average, posterior: Posterior) -> _Fits:
        """How far they are is shown with the true picture as an interrupt would leave it."""

        def tell(snapshot: Snapshot) -> bool:
            if snapshot.estimate is None:
                steps, step, remaining = snapshot.steps, snapshot.step, snapshot.remaining
                progress.show("simulation", lambda: posterior.mean, steps, step=step, remaining=remaining)
            return progress.should_stop()

        its = Progress(tell, progress.time_left)
        return cls(method, average, lambda: progress.should_stop() or its.should_stop(), its)

    def of(self, problem: Problem) -> tuple[Posterior, list[Estimate]] | None:
        """The posterior, and what stands beside it; None where the time ended."""
        try:
            with stoppable(self.should_stop):
                found = self.average.of(self.method.fit(problem, self.its), problem)
                beside = list(estimates_beside(found, problem))
        except (Stopped, NoResultError):
            return None
        return None if self.should_stop() else (found, beside)


def _missed_by(
    fits: _Fits, weights: NDArray[np.float64], simulation: Simulation, seed: int
) -> KnownExcess | None:
    """Of the held-out data of a simulated picture, by a fit without them, and what that fit errs; None where there is no time.

    That fit is for this alone: where it lacks the lowest frequency, it says nothing of the weights of the true picture.
    """
    both = fits.of(simulation.problem.training)
    if both is None:
        return None
    found, beside = both
    if len(beside) == len(weights):
        found = averaged(found, beside, weights)
    missed = excess(found, simulation.problem)
    if missed is None:
        return None
    wrong = found.mean.double().cpu()[:, simulation.places] - simulation.judged_truth
    size = float(wrong.square().mean().sqrt())
    usual = usual_excess(size, simulation.problem, seed)
    return KnownExcess(missed.mean, missed.error, size, usual)


def _averaged_alike(posterior: Posterior, problem: Problem, weights: NDArray[np.float64]) -> Posterior:
    """With what stands beside it, where that is as much."""
    beside = estimates_beside(posterior, problem)
    return averaged(posterior, beside, weights) if len(beside) == len(weights) else posterior


def simulated(picture: Tensor, problem: Problem, seed: int) -> Simulation | None:
    """A problem as this one, whose truth has the detail that this restored picture lacks.

    Parameters
    ----------
    picture : Tensor, shape (C, *grid)
        Restored.
    problem : Problem
    seed : int
        Of the noise.

    Returns
    -------
    Simulation or None
        None where the operator cannot be cut and the picture is large, and where the noise cannot be drawn.
    """
    side = round(PIXELS ** (1 / len(problem.grid)))
    part = cut(problem, [min(n, side) for n in problem.grid])
    if part is None:
        return None
    picture = picture.double().cpu()
    resolved = resolved_share(picture, problem)
    small = scaled_down(picture, factor_of(picture, resolved))
    truth = filling_grid(small, part.grid)
    if not isinstance(part.noise, Gaussian):  # counts are not below zero
        truth = truth.clamp(float(small.min()), float(small.max()))
    try:
        y = part.noise.sample(part.operator.forward(truth), torch.Generator().manual_seed(seed + 1))
    except BayesDipError:  # a likelihood without draws
        return None
    if part.noise.is_exact:
        y = _rounded_alike(y.double(), problem)
    whole = replace(part, y=torch.where(part.observed, y.double(), 0.0))
    return Simulation(truth, whole, resolved, smaller(problem.operator, problem.grid) is not None)


def _misfit(posterior: Posterior, problem: Problem) -> float:
    """Root mean square of what a picture misses of its data, in standard deviations of their noise; 1 where they have none."""
    if problem.noise.is_exact:
        return 1.0
    missed = (problem.y - problem.operator.forward(posterior.mean.double().cpu())).square()
    return float((missed / problem.noise_variance)[problem.observed].mean().sqrt())


def _rounded_alike(y: Tensor, problem: Problem) -> Tensor:
    """Values on the lattice on which the data are."""
    values = problem.y[problem.observed].double()
    step, first = rounding_step(values), values[0]
    return first + step * ((y - first) / step).round() if step > 0 else y


def expected_work(problem: Problem) -> float:
    """Of a simulation, over the work of a method: 0 where there is none."""
    if _held_out_data_tell(problem):
        return 0.0
    pixels = math.prod(problem.grid)
    if smaller(problem.operator, problem.grid) is not None:
        return OF_ONE_FIT * min(1.0, PIXELS / pixels)
    return OF_ONE_FIT if pixels <= MOST_PIXELS else 0.0


def _held_out_data_tell(problem: Problem) -> bool:
    """Whether data are pixels of the picture, whose noise their neighbours do not share."""
    return isinstance(problem.operator, Identity | Mask) and not isinstance(problem.noise, Correlated)


def cut(problem: Problem, grid: Sequence[int]) -> Problem | None:
    """The same measurement of a picture on a smaller grid, where the operator knows no place; else the problem, unless it is large."""
    operator = smaller(problem.operator, grid)
    if operator is None:
        return problem if math.prod(problem.grid) <= MOST_PIXELS else None
    here = (slice(None), *(slice(n) for n in operator.output_shape))
    noise = with_levels(problem.noise, problem.y.shape, lambda levels: levels[here])
    return replace(problem, y=problem.y[here], operator=operator, noise=noise, held_out=None)
