"""Held-out entries, once for all methods: split, fit without them, compare, measure the error, calibrate, update with all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from bayesdip.calibration import Calibration, calibrate
from bayesdip.control_variate import reduced_squares
from bayesdip.error_law import PRIOR_SPREAD, Values, few_regions_factor
from bayesdip.error_places import following_slopes
from bayesdip.errors import BayesDipError, NoResultError, one_line
from bayesdip.findings import Finding
from bayesdip.held_out_regions import numbered, share_beyond
from bayesdip.held_out_split import WANTED, channels_with_missing, split
from bayesdip.hole_replicas import typical_ratio
from bayesdip.interruption import Stopped, look, stoppable
from bayesdip.leave_one_out import DOUBT, SPREAD, each_left_out, many_left_out, noise_doubt
from bayesdip.noise import Correlated
from bayesdip.noise.rounding import rounding_step
from bayesdip.noise_check import coverage_is_testable, doubts, error_ratio, far_beyond_data
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.quick_picture import quick_picture
from bayesdip.result import Posterior
from bayesdip.simple_comparison import Average, held_against_simple, hole_pixels, undecided, untested_holes
from bayesdip.simulated_average import judged_places, share_by_held_out
from bayesdip.simulation import FirstFit, expected_work, judged_by_simulation

if TYPE_CHECKING:
    from bayesdip.methods import Method
    from bayesdip.progress import Progress

T = TypeVar("T")
# Values of a picture whose standard deviations are calibrated at a time: all that this takes would be most of a run's memory.
AT_ONCE = 2**20
LIKE_SIZES = "expected data and noise of like sizes; look for extreme values, give sigma= a larger value, or use another method="


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    Attributes
    ----------
    posterior : Posterior
        Of all that was observed; its `std` is the method's own.
    std : Tensor or None, shape (C, *grid)
        Calibrated, where `calibration` is there.
    error : float or None
        Root mean square error of the posterior without the held-out entries on them, in working units.
    count : int
        How many values were held out, channels counted.
    calibration : Calibration or None
    findings : tuple of Finding
        What the held-out entries say that the user has to know.
    """

    posterior: Posterior
    std: Tensor | None
    error: float | None
    count: int
    calibration: Calibration | None
    findings: tuple[Finding, ...] = ()


def run(method: Method, problem: Problem, progress: Progress, wanted: int = WANTED) -> Outcome:
    """Infer the picture by a method, judged and calibrated by entries that it did not see at first.

    Parameters
    ----------
    method : Method
        Resolved for the problem (:meth:`Method.resolved`).
    problem : Problem
    progress : Progress
    wanted : int
        Pixels to hold out, where few are missing.

    Returns
    -------
    Outcome

    Raises
    ------
    BayesDipError
        A system of equations could not be solved, or numbers became too large.
    """
    try:
        found = _run(method, problem, progress, wanted)
    except (torch.linalg.LinAlgError, np.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
        raise BayesDipError(
            f"method {method.name!r} met a system of equations that it cannot solve ({one_line(error)[:120]}): {LIKE_SIZES}"
        ) from error
    if not all(bool(part.isfinite().all()) for part in (found.posterior.mean, found.std) if part is not None):
        raise BayesDipError(f"method {method.name!r} gave values that are not finite: {LIKE_SIZES}")
    return found


def _run(method: Method, problem: Problem, progress: Progress, wanted: int) -> Outcome:
    quick = None if progress.time_budget is None else in_half_the_time(problem, progress)
    # What follows the method goes over the picture about as often as what came before it.
    progress.keep_time(progress.elapsed)
    try:
        return judged(method, problem, progress, wanted)
    except (Stopped, NoResultError):
        if not progress.stop_reason:
            raise
        picture = quick_picture(problem) if quick is None else quick
        posterior = put_back_known(Posterior(picture, stopped=progress.stop_reason), problem)
        return Outcome(posterior, None, None, 0, None, (no_picture_yet(method, progress),))


def in_half_the_time(problem: Problem, progress: Progress) -> Tensor:
    """The quick picture, stopped at half of the time budget."""
    with stoppable(lambda: progress.budget_spent() > 0.5):
        return quick_picture(problem)


def no_picture_yet(method: Method, progress: Progress) -> Finding:
    """What to say of a run that was stopped before its method had a picture."""
    why = (
        f"the time budget of {progress.time_budget:g} s"
        if progress.stop_reason == "time budget"
        else "the interruption"
    )
    return Finding(
        "no picture yet",
        f"{why} came before method {method.name!r} had a picture: that of a simple filter is given instead; give it "
        "more time",
        {"stopped": progress.stop_reason},
    )


def judged(method: Method, problem: Problem, progress: Progress, wanted: int = WANTED) -> Outcome:
    """What the method finds, with its error and calibration by the held-out entries."""
    progress.expect(expected_work(problem))
    problem = replace(problem, held_out_channels=channels_with_missing(problem))
    held_out = split(
        problem, method.seed, in_regions=problem.noise.is_exact or method.updates(problem), wanted=wanted
    )
    if held_out is None:
        with stoppable(progress.should_stop):
            posterior = method.fit(problem, progress)
        why = "too few pixels are known to hold any out"
        if isinstance(problem.noise, Correlated):
            why = "held-out pixels share their noise with their neighbours"
        average = undecided(problem, why)
        posterior = put_back_known(average.of(posterior, problem), problem)
        posterior, calibration = judged_by_simulation(method, average, posterior, problem, progress)
        return Outcome(
            posterior, calibrated_std(posterior, problem, calibration), None, 0, calibration, average.findings
        )
    problem = replace(problem, held_out=held_out)
    began = progress.elapsed
    with stoppable(progress.should_stop):
        look()
        once = method.leaves_one_out(problem, progress)
        look()
        first = method.fit(problem if once else problem.training, progress)
    seconds = progress.elapsed - began
    average, without = Average(), each_left_out(first, problem) if once else first
    share = share_by_held_out(without, problem)
    found = if_in_time(
        progress,
        partial(held_against_simple, without, problem, method.name, method.seed, first if once else None),
    )
    average, without = found or (average, without)
    error = root_mean_square_error(without, problem)
    known = FirstFit(seconds, share, without)
    ratio = error_ratio(without, problem)
    testable = coverage_is_testable(ratio) and not problem.shares_noise
    calibration = None
    if testable and once and not average.takes_part:
        calibration = calibrated_on_many(first, problem, method.seed)
    elif testable:
        typical = if_in_time(progress, partial(typical_ratio, problem, method.seed))
        calibration = calibrated_on(
            without, problem, method.seed, alone=once, found=average.noise, typical=typical
        )
    fitted = first if once else if_in_time(progress, partial(method.update, problem, first, progress))
    updated = None if fitted is None else if_in_time(progress, partial(average.of, fitted, problem))
    if updated is None and calibration is not None:
        updated = with_own_values(without, problem, calibration, method.seed)
    elif updated is None:
        updated = without
    posterior = put_back_known(replace(updated, state=None, without_own=None, beside=None), problem)
    if calibration is None:
        posterior, calibration = judged_by_simulation(method, average, posterior, problem, progress, known)
    std = calibrated_std(posterior, problem, calibration)
    count = int(problem.held_out_entries.sum())
    findings = (
        *average.findings,
        *untested_holes(problem),
        *doubts(ratio),
        *far_beyond_data(posterior, problem),
    )
    return Outcome(posterior, std, error, count, calibration, findings)


def if_in_time(progress: Progress, work: Callable[[], T]) -> T | None:
    """What the work gives; None where the run ends before."""
    try:
        with stoppable(progress.should_stop, progress.has_time):
            return work()
    except Stopped:
        return None


def root_mean_square_error(posterior: Posterior, problem: Problem) -> float:
    """Of the posterior mean on the held-out data, in working units."""
    here = problem.held_out_entries
    residual = problem.y[here] - problem.operator.forward(posterior.mean.double().cpu())[here]
    return float(residual.square().mean().sqrt())


def calibrated_on_many(posterior: Posterior, problem: Problem, seed: int) -> Calibration | None:
    """`calibrated_on` as many entries as are needed, each left out alone; the result keeps the held-out ones."""
    assert problem.held_out is not None
    many = many_left_out(problem, seed)
    found = calibrated_on(each_left_out(posterior, many), many, seed, alone=True, spread=SPREAD)
    return None if found is None else found.keeping(problem.held_out.flatten().numpy())


def calibrated_on(
    posterior: Posterior,
    problem: Problem,
    seed: int,
    *,
    alone: bool = False,
    found: Tensor | None = None,
    typical: float | None = None,
    spread: float = PRIOR_SPREAD,
) -> Calibration | None:
    """Calibrate the standard deviation of a posterior that has not seen the held-out entries, in working units.

    Parameters
    ----------
    posterior : Posterior
    problem : Problem
    seed : int
    alone : bool
        Whether each of them was left out alone, with all others seen.
    found : Tensor, optional, shape (C,)
        Variance of noise on data that were taken for exact.
    typical : float, optional
        By how much errors in holes are to be expected larger than on the held-out regions.
    spread : float
        Of the prior, as :class:`bayesdip.error_law.Values` has it.

    Returns
    -------
    Calibration or None
        None where the data are not pixels of the picture (of a blurred or downsampled one, held-out
        data tell nothing of the detail that was lost), and where `calibrate` gives none.
    """
    held_out = problem.held_out
    if posterior.std is None or held_out is None or not isinstance(problem.operator, Identity | Mask):
        return None
    # Of the held-out entries alone: whole pictures of all that follows would be most of the memory of a run.
    picture, observed = posterior.mean.cpu(), problem.observed
    mean, std = (part[:, held_out].double() for part in (picture, posterior.std.cpu()))
    residual = problem.y[:, held_out] - mean
    variance = problem.noise_variance
    noise = problem.noise.mean_square(mean, variance[:, held_out]).expand_as(mean)
    squares = residual.square()
    if bool(noise.any()):
        sigma = float(variance[observed].mean().sqrt())
        squares = reduced_squares(residual, problem.y, observed, held_out, picture.double(), sigma).double()
    elif found is not None:
        # The restored picture is rounded as the data are.
        noise = noise + (found - rounding_step(problem.y[observed]) ** 2 / 12).clamp(min=0)[:, None]
    parts: tuple[Tensor, ...] = (mean, std, residual, squares, noise)
    places = held_out.flatten().nonzero().squeeze(1).numpy()
    planes = observed[:1] if bool((observed == observed[:1]).all()) else observed
    known, chosen = planes.numpy(), held_out.numpy()
    hole = hole_pixels(problem if alone else problem.training)[: len(planes), chosen].astype(float)
    region = numbered(chosen)[chosen]
    seen = problem.held_out_entries[:, held_out]
    if len(planes) > 1:  # each seen channel of a pixel stands for itself
        parts = tuple(part[seen][None] for part in parts)
        at = seen.nonzero()[:, 1].numpy()
        places, region, hole = places[at], region[at], hole[seen.numpy()][None]
    noisy = alone and bool(noise.all())
    values = Values(
        *(part.numpy() for part in parts),
        spread=spread,
        doubt=DOUBT if alone else 0.0,
        noise_doubt=noise_doubt(noise) if alone else 0.0,
        alone=noisy,
        hides=noisy and problem.y.ndim == 3,  # the slices of a stack show each other's texture
    )
    near, deep = np.flatnonzero(hole[0] == 0), np.flatnonzero(hole[0] > 0)
    law = calibrate(values.of(near), places[near], seed)
    far = calibrate(values.of(deep), places[deep], seed, region[deep])
    far = None if far is None else far.widened(few_regions_factor(len(np.unique(region[deep])), typical))
    if law is not None and far is not None:
        share = float(hole_pixels(problem)[: len(planes)][~known].mean())
        law = law.with_far(far, share)
    law = law or far
    if law is None or alone:
        return law
    return replace(law, beyond=share_beyond(known, known & chosen))


def with_own_values(posterior: Posterior, problem: Problem, calibration: Calibration, seed: int) -> Posterior:
    """Give every held-out pixel its own noisy value, which the method did not see.

    By Bayes' rule for one Gaussian variable of the calibrated variance v and noise of variance n:
    the mean moves by ``v / (v + n)`` towards the value, and samples likewise, each towards the
    value with noise of its own (Matheron's rule). The standard deviation stays the method's own,
    uncalibrated: what it would be had the method seen the pixel; calibrated, it is that of a method that gives the value its own
    weight in place of the best one, and so a little too large. What the pixel would tell of its neighbours is left out.
    """
    held_out = problem.held_out
    assert posterior.std is not None and held_out is not None
    mean, std = posterior.mean.double().cpu(), posterior.std.double().cpu()
    n, seen = problem.noise_variance[:, held_out], problem.held_out_entries[:, held_out]
    own = std[:, held_out].square()
    hole = hole_pixels(problem.training)[:, held_out.numpy()].astype(float)
    v = torch.from_numpy(calibration.variance(std[:, held_out].numpy(), hole))
    gain = torch.where((v > 0) & seen, v / (v + n), 0.0)
    y = problem.y[:, held_out]
    samples = posterior.samples
    if samples is not None:
        samples = samples.double().cpu()
        generator = torch.Generator().manual_seed(seed)
        drawn = y + n.sqrt() * torch.randn(len(samples), *y.shape, generator=generator, dtype=torch.float64)
        samples[..., held_out] += gain * (drawn - samples[..., held_out])
    mean[:, held_out] += gain * (y - mean[:, held_out])
    std[:, held_out] = torch.where((own > 0) & seen, own * n / (own + n), own).sqrt()
    return replace(posterior, mean=mean, std=std, samples=samples)


def recalibrated(outcome: Outcome, problem: Problem, calibration: Calibration) -> Outcome:
    """The same with another calibration, in working units, in place of its own."""
    std = calibrated_std(outcome.posterior, problem, calibration)
    return replace(outcome, std=std, calibration=calibration)


def calibrated_std(posterior: Posterior, problem: Problem, calibration: Calibration | None) -> Tensor | None:
    """The calibrated standard deviation of every pixel, (C, *grid), all observed ones having been seen; shared errors included."""
    std, shared = _own_std(posterior, problem, calibration), problem.shared_variance
    return std if std is None or shared is None else (std.double().cpu().square() + shared).sqrt()


def _own_std(posterior: Posterior, problem: Problem, calibration: Calibration | None) -> Tensor | None:
    """That of each pixel by itself."""
    if posterior.std is None or calibration is None:
        return posterior.std
    if calibration.simulated:  # the errors were those of data that were seen
        std = following_slopes(posterior.mean, posterior.std, judged_places(problem))
        return torch.from_numpy(calibration.std(std.double().numpy()))
    variance, observed = problem.noise_variance, problem.observed
    holes = hole_pixels(problem) if calibration.far is not None else None
    found = torch.empty(posterior.std.shape)
    step = max(1, AT_ONCE // found[:, 0].numel())
    for rows in (slice(first, first + step) for first in range(0, found.shape[1], step)):
        noise = torch.where(observed[:, rows], variance[:, rows], torch.inf)
        exact = noise == 0  # known, and put back
        std = torch.where(exact, 0.0, posterior.std[:, rows].double().cpu())
        hole = 0.0 if holes is None else holes[:, rows].astype(float)
        part = torch.from_numpy(calibration.std(std.numpy(), torch.where(exact, 1.0, noise).numpy(), hole))
        kept = problem.keeps_known
        found[:, rows] = torch.where(noise.isfinite(), noise.sqrt().to(part), part) if kept else part
    return found


def put_back_known(posterior: Posterior, problem: Problem) -> Posterior:
    """Where a pixel was seen without noise, that is its value, and nothing is uncertain; what the data rule out is put right.

    Where noisy pixels are to come back as they are, the noise is what is uncertain of them.
    """
    if isinstance(problem.operator, Identity):
        noise, y, std = problem.noise, problem.y, posterior.std
        std = None if std is None else noise.std_left(std, y)
        posterior = replace(posterior, mean=noise.consistent(posterior.mean, y), std=std)
    kept = problem.noise.is_exact or problem.keeps_known
    if not (kept and isinstance(problem.operator, Identity | Mask)):
        return posterior
    known, y = problem.observed, problem.y
    spread = problem.noise_variance.sqrt()

    def fill(picture: Tensor) -> Tensor:
        return torch.where(known, y, picture.double().cpu())

    std = None if posterior.std is None else torch.where(known, spread, posterior.std.double().cpu())
    samples = None if posterior.samples is None else fill(posterior.samples)
    return replace(posterior, mean=fill(posterior.mean), std=std, samples=samples)


def with_known(picture: Tensor, problem: Problem) -> Tensor:
    """A picture, (C, *grid), as a run would give it back: see :func:`put_back_known`."""
    return put_back_known(Posterior(picture), problem).mean
