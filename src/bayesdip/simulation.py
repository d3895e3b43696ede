"""Errors by simulation, where data are no pixels of the picture: a picture of known truth is restored from data made alike.

Held-out data of a small or blurred picture tell nothing of the detail that was lost. A parametric bootstrap does (Efron and
Tibshirani, *An Introduction to the Bootstrap*, 1993, ch. 6), if its truth has as much detail as the unknown one. The
restored picture has not: :mod:`bayesdip.simulated_truth` makes one of it. For a picture that is enlarged that is the small picture itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.calibration import Calibration, HeldOut, calibrate
from bayesdip.error_law import LEVEL, NORMAL, Values, covered, z_of
from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.interruption import Stopped, stoppable
from bayesdip.noise import Correlated, Gaussian
from bayesdip.noise.levels import with_levels
from bayesdip.noise.rounding import rounding_step
from bayesdip.operators import Identity, Mask
from bayesdip.operators.part import smaller
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior
from bayesdip.simulated_average import (
    Estimate,
    averaged,
    error_ratio,
    estimates_beside,
    judged_places,
    only_at,
    usual_weights,
    weights_by_errors,
)
from bayesdip.simulated_truth import factor_of, filling_grid, resolved_share, scaled_down
from bayesdip.snapshot import Snapshot

if TYPE_CHECKING:
    from bayesdip.methods import Method
    from bayesdip.simple_comparison import Average

# The simulated picture has about so many pixels where operator and picture can be cut, and at most so many where not.
PIXELS, MOST_PIXELS = 64**2, 256**2
# The work of one fit over that of both, without the held-out data and with them.
OF_ONE_FIT = 0.7
# Where a process was learnt from the data, its standard deviation tells the size of its errors, and the simulated picture only how much
# larger or smaller than those the result's are: by no more than this factor, for the process of a simulated picture may miss what it is
# made of. So the logarithm of the errors' size over the one expected scattered by 0.32 on 60 random problems of small blurred, enlarged
# and otherwise measured pictures; by 0.36 where the ratio of error to standard deviation was carried over from the simulated picture.
# Where the operator cannot be cut, the simulated picture is on the true one's scale and tells more: also by how much the process's errors differ
# from its standard deviation, by no more than the same factor. Bands that are sums of colours leave open what is in the simulated picture what
# the method put there, which finds it again: errors there are a tenth of the true ones. On 81 restorations of ellipses and tuning pictures
# (projections, Fourier columns, bands, random sums) the logarithm of the expected size over the true one was 0.0 in the mean and 0.44 in its root
# mean square; 0.5 and 0.69 where the process was taken at its word.
MOST_RATIO, SIZE_ERROR, SIZE_ERROR_UNCUT = 2.0, 0.32, 0.45
# A method may find a simulated picture again that is its own, nearly without error, and the process may find it twice as well as it says. On those
# 81 the method's errors were at least 0.19 of the process's; of a smooth picture by random sums, five draws, 0.3 of what the process said of its
# own, and 90% intervals held 56 to 69% by the product of both bounds, 0.1; so 86 to 91%.
LEAST_RELATIVE_ERROR = 0.2
# Of other methods, the logarithm of error over standard deviation: how it scatters from problem to problem, and, in one problem of ten,
# by judgement, where something is wrong; by how much it differs between the simulated and the true picture, by judgement: between the
# 0.3 once seen on parts of photographs and the 0.5 of small random problems; and the variance that one resolved frequency adds to it.
RATIO_SPREADS, RATIO_SHARES = (0.33, 1.5), (0.9, 0.1)
RATIO_ERROR, OF_A_FREQUENCY = 0.4, 8.0
# A simulated picture is not the true one: so much of the weights goes by the sizes of the errors alone; nothing for operators that
# cannot be cut, where this cost 2.2 dB on Fourier columns and 1.1 dB on sums along rays, and gained nothing on six small pictures.
PRIOR_SHARE = 0.4
# Where the simulated picture is the average of the method and the process, and on the true one's scale, the process finds its own half again:
# so much of the weights it gives is right. Of nine restorations of ellipses by projections with 5% noise, and nine of tuning pictures, the first
# came 0.6 dB higher in the mean than with all of the weights and 0.0 than with none, the others 0.2 lower and 0.4 higher. A network needs the
# patches beside it: a picture of ellipses and a tuning picture, 45 directions, came to 30.9 and 23.0 dB with all of the weights, 30.2 and 22.5 with half.
SHARE_OF_MIDDLE = 0.5
# Of that logarithm, at which the coverage to be expected is averaged.
QUANTILES = (np.arange(20) + 0.5) / 20
# Errors of pixels of one block of this side are alike: they stay together where halves judge each other.
BLOCK = 8


@dataclass(frozen=True)
class Simulation:
    """A problem whose truth is known.

    Attributes
    ----------
    truth : Tensor, float64, shape (C, *grid)
    problem : Problem
    resolved : float
        See :func:`resolved_share`.
    """

    truth: Tensor
    problem: Problem
    resolved: float

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
    seconds: float = 0.0,
    share: float = 1.0,
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
    seconds : float
        That one fit of the method took.
    share : float
        Of the weights that the simulated picture gives to other estimates, what these have: see `share_by_held_out`.

    Returns
    -------
    Posterior
        Averaged; as it was where nothing could be simulated.
    Calibration or None
        Its `floor` goes with the standard deviation of that posterior. None where the data are pixels of the picture, where
        there is no standard deviation or no time, and where the noise cannot be drawn.
    """
    if _held_out_data_tell(problem):
        return posterior, None
    beside = estimates_beside(posterior, problem)
    cuttable = smaller(problem.operator, problem.grid) is not None
    middle = averaged(posterior, beside, share * usual_weights(posterior, len(beside)))
    # The truth is the average of the method and the process, of which the process finds again its own half, what it took for the picture too.
    # Where data have little noise and the operator cannot be cut it is the method's alone: two parts of ellipses and of a photograph, a quarter
    # of whose Fourier columns were seen, came to 31.9, 40.6 and 32.6 dB for 29.6, 37.9 and 32.4. By projections with 5% noise ellipses gained
    # 0.7 and a photograph lost 0.5, whose intervals of 90% held 74% for 87%.
    own = not cuttable and problem.operator.is_linear and problem.is_precise
    simulation = simulated(posterior.mean if own else middle.mean, problem, method.seed)
    left = progress.time_left
    if simulation is None or progress.should_stop():
        return posterior, None
    part = simulation.truth.numel() / posterior.mean.numel()
    if left is not None and left < 2 * seconds * part:
        return posterior, None

    def tell(snapshot: Snapshot) -> bool:
        """How far the simulated restoration is, with the true picture so far."""
        if snapshot.estimate is None:
            steps, step, remaining = snapshot.steps, snapshot.step, snapshot.remaining
            progress.show("simulation", lambda: posterior.mean, steps, step=step, remaining=remaining)
        return progress.should_stop()

    its = Progress(tell, left)
    try:
        with stoppable(lambda: progress.should_stop() or its.should_stop()):
            found = average.of(method.fit(simulation.problem, its), simulation.problem)
            others = estimates_beside(found, simulation.problem)
    except (Stopped, NoResultError):
        return posterior, None
    if progress.should_stop() or its.should_stop():
        return posterior, None
    size = 1.0
    if found.process is None:  # else what stands beside the method tells the size of its errors
        size = max(1.0, _misfit(posterior, problem)) / max(1.0, _misfit(found, simulation.problem))
    found = only_at(found, simulation.places)
    others = tuple(other.only_at(simulation.places) for other in others)
    if beside and len(others) == len(beside):
        usual = usual_weights(found, len(others), error_ratio(others[0], found, simulation.judged_truth))
        weights = weights_by_errors(found, others, simulation.judged_truth, simulation.blocks)
        prior = PRIOR_SHARE if cuttable else 0.0
        weights = share * ((1 - prior) * weights + prior * usual)
        if not (cuttable or own or method.fits_networks):
            weights *= SHARE_OF_MIDDLE
        found, posterior = averaged(found, others, weights), averaged(posterior, beside, weights)
        posterior.info["weights"] = weights.tolist()
    if found.std is None or posterior.std is None:
        return posterior, None
    judged = only_at(posterior, judged_places(problem))
    return posterior, _calibrated(found, simulation, judged, cuttable, size, method.seed)


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
    return Simulation(truth, replace(part, y=torch.where(part.observed, y.double(), 0.0)), resolved)


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


def _calibrated(
    found: Posterior, simulation: Simulation, posterior: Posterior, cuttable: bool, size: float, seed: int
) -> Calibration | None:
    """From what the method found of the simulated picture, for the posterior of the true one, each where its errors count.

    Where the method has not come down to the noise, as a network that did not find the phases of the simulated picture, its errors
    are as much larger as what it misses of the data: those of the true picture by `size`, over the simulated one.
    """
    assert found.std is not None and posterior.std is not None
    mean, std = (part.double().numpy() for part in (found.mean, found.std))
    error = simulation.judged_truth.numpy() - mean
    if not (error.any() and std.any()):
        return None  # standard deviations of nothing, as of a picture without detail, cannot be scaled
    # The law is fitted to a standard deviation of about the right size: from far away it is not found.
    about = float(np.sqrt(np.mean(error**2) / np.mean(std**2)))
    values = Values(mean, about * std, error, error**2, np.zeros_like(error))
    law = calibrate(values, np.arange(error.shape[1]), seed, simulation.blocks)
    if law is None:
        return None
    uncalibrated, _ = covered(values, std**2, z_of(LEVEL) * std)
    law = replace(law, scale=about * law.scale, ratio=about * law.ratio, coverage_uncalibrated=uncalibrated)
    half = z_of(LEVEL) * law.std(std).astype(np.float64)
    own, beside = _size(posterior), _size(posterior.process)
    if not min(own, law.ratio) > 0:
        return None
    if found.process is None or not beside > 0:
        log_ratio, ratio_error = _drawn_to_none(
            math.log(size * law.ratio), simulation.problem.grid, simulation.resolved
        )
        factor = math.exp(log_ratio) / law.ratio
    elif cuttable:
        # A network's samples do not tell what no network says of the data; the patches beside it do.
        expected = beside
        if found.process.process is None:
            ratio = _relative_error(found, found.process, simulation.judged_truth)
            expected = math.sqrt(own * beside) * min(max(ratio, 1 / MOST_RATIO), MOST_RATIO)
        factor, ratio_error = expected / (law.ratio * own), SIZE_ERROR
    else:
        factor, ratio_error = (
            _by_the_process(found, posterior, simulation) / (law.ratio * own),
            SIZE_ERROR_UNCUT,
        )
    law = replace(law.widened(factor), ratio_error=ratio_error)
    # What is expected of the true picture, whose errors are larger or smaller than those here by a factor that is not known.
    factors = np.exp(law.ratio_error * np.array([NORMAL.inv_cdf(q) for q in QUANTILES]))
    found_inside = [covered(values, half**2, factor * half)[0] for factor in factors]
    coverage, error_of_it = float(np.mean(found_inside)), float(np.std(found_inside))
    relative = float(posterior.std.double().mean()) / float(std.mean())
    nothing = HeldOut(np.zeros(0, dtype=np.int64), *(np.zeros((len(mean), 0)) for _ in range(4)))
    return replace(
        law,
        floor=relative * law.floor,
        coverage=coverage,
        coverage_error=error_of_it,
        held_out=nothing,
        simulated=True,
    )


def _by_the_process(found: Posterior, posterior: Posterior, simulation: Simulation) -> float:
    """The root mean square error of a posterior: the process's standard deviation, by how much larger the process's errors of the simulated
    picture are than its standard deviation there, and by how much larger the method's errors of that picture are than the process's."""
    process, its = _innermost(found), _innermost(posterior)
    missed = float((simulation.judged_truth - process.mean.double()).square().mean().sqrt())
    truthful = missed / max(_size(process), np.finfo(float).tiny)
    ratio = min(max(truthful, 1 / MOST_RATIO), MOST_RATIO)
    ratio *= _relative_error(found, process, simulation.judged_truth)
    return _size(its) * max(ratio, LEAST_RELATIVE_ERROR)


def _innermost(posterior: Posterior) -> Posterior:
    """The process behind a method, behind patches too; the last that has a standard deviation."""
    while posterior.process is not None and posterior.process.std is not None:
        posterior = posterior.process
    return posterior


def _relative_error(found: Posterior, process: Posterior, truth: Tensor) -> float:
    """The error of a posterior's mean over that of the process's."""
    return 1 / error_ratio(Estimate(process.mean.double()), found, truth)


def _size(posterior: Posterior | None) -> float:
    """Root mean square of the standard deviation; 0 without one."""
    if posterior is None or posterior.std is None:
        return 0.0
    return float(posterior.std.double().square().mean().sqrt())


def _drawn_to_none(seen: float, grid: Sequence[int], resolved: float) -> tuple[float, float]:
    """The logarithm of error over standard deviation by what was seen of it on a simulated picture, and its standard error.

    Drawn towards 0 by as much as a simulated picture differs from the true one: the posterior mean, whose prior is a mixture
    of two normal ones, in these shares, and whose likelihood is normal.
    """
    doubt = RATIO_ERROR**2 + OF_A_FREQUENCY / math.prod(max(1.0, n * resolved) for n in grid)
    spreads = np.square(RATIO_SPREADS)
    density = np.array(RATIO_SHARES) * np.exp(-0.5 * seen**2 / (spreads + doubt)) / np.sqrt(spreads + doubt)
    weights = spreads / (spreads + doubt)
    density /= density.sum()
    weight = float(density @ weights)
    error = math.sqrt(float(density @ (weights * doubt + np.square((weights - weight) * seen))))
    return weight * seen, error
