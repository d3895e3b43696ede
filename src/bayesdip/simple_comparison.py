"""A method held against simple estimates on held-out data, and averaged with them or replaced where it loses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.findings import Finding
from bayesdip.held_out_regions import channel_distances, channels_in_holes, in_regions, numbered
from bayesdip.held_out_weights import KNOTS, LEAST, HeldOutErrors, fitted_weights, near_knots
from bayesdip.leave_one_out import each_left_out, many_left_out
from bayesdip.noise_check import coverage_is_testable, error_ratio
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.result import Posterior
from bayesdip.simple import Simple, simple_estimates
from bayesdip.simple_process import is_strong
from bayesdip.threads import one_for_each_operation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Average:
    """A method's estimate averaged with simple ones, by the distance from known pixels.

    Attributes
    ----------
    others : tuple of Simple
    weights : ndarray, shape (2, KNOTS, J)
        Of the others, for pixels alone and in holes, at each knot of `held_out_weights.near_knots`; the method has what is
        left to 1.
    findings : tuple of Finding
    noise : Tensor or None, shape (C,)
        Variance of white noise on data that were taken for exact, by the evidence for a process with such noise.
    """

    others: tuple[Simple, ...] = ()
    weights: Array | None = None
    findings: tuple[Finding, ...] = ()
    noise: Tensor | None = None

    @property
    def takes_part(self) -> bool:
        """Whether any simple estimate has a share."""
        return self.weights is not None and bool(self.weights.any())

    def of(
        self, posterior: Posterior, problem: Problem, pictures: Sequence[Tensor] | None = None
    ) -> Posterior:
        """The average for what the problem's operator shows.

        The variance is that of the mixture: those of the estimates (the method's for those that have none), and how far they
        are from their average.
        Samples are moved and stretched to the new mean and standard deviation.

        Parameters
        ----------
        posterior : Posterior
            The method's, from the same data.
        problem : Problem
        pictures : sequence of Tensor, optional
            What the others make of these data, where it is at hand.

        Returns
        -------
        Posterior
        """
        if self.weights is None or not self.takes_part:
            return posterior
        full = posterior.mean.double().cpu()
        taking_part = [
            (j, other, weight)
            for j, (other, weight) in enumerate(
                zip(self.others, np.moveaxis(self.weights, -1, 0), strict=True)
            )
            if weight.any()
        ]
        distance = _distance(problem)
        where = np.ones(distance.shape, dtype=bool)
        if all(other.fills for _, other, _ in taking_part):
            where = (
                distance > 0
            )  # observed pixels, the most of a picture with little damage, are left as they are
        here, distance, hole = torch.from_numpy(where), distance[where], hole_pixels(problem)[where]
        knots = near_knots(distance)
        own = full[here]
        std = None if posterior.std is None else posterior.std.double().cpu()
        before = None if std is None else std[here]
        mean, within, squares = own.clone(), torch.zeros_like(own), torch.zeros_like(own)
        beside = {other.name: other for other in _beside(posterior)}
        for j, other, weight in taking_part:
            other = beside.get(other.name, other)
            picture = other.estimate(problem) if pictures is None else pictures[j]
            if picture is None:
                continue
            alone, together = np.tensordot(weight, knots, 1)
            share = torch.from_numpy(np.where(hole, together, alone) * ((distance > 0) | (not other.fills)))
            step = picture[here] - own
            mean, squares = mean + share * step, squares + share * step.square()
            its_own = other.std(problem) if bool((share >= LEAST_TOLD).any()) else None
            if its_own is not None and before is not None:
                within = within + share * (its_own[here].square() - before.square())
        spread = (squares - (mean - own).square()).clamp(min=0)
        samples, stretch = posterior.samples, torch.ones_like(own)
        if std is not None and before is not None:
            averaged = (before.square() + within + spread).clamp(min=0).sqrt()
            std = std.masked_scatter(here, averaged)
            stretch = torch.where(before > 0, averaged / before, 1.0)
        if samples is not None:
            samples = samples.double().cpu().clone()
            moved = (samples[:, here] - own) * stretch
            samples[:, here] = mean + moved
        mean = full.masked_scatter(here, mean)
        return replace(posterior, mean=mean, std=std, samples=samples)


@one_for_each_operation()
def held_against_simple(
    without: Posterior, problem: Problem, name: str, seed: int, leaving_out: Posterior | None = None
) -> tuple[Average, Posterior]:
    """How a posterior is averaged with simple estimates, and the average as it is without the held-out data.

    Parameters
    ----------
    without : Posterior
        Without the held-out data.
    problem : Problem
        With held-out entries.
    name : str
        The method's.
    seed : int
    leaving_out : Posterior, optional
        That of all data, of a method that knows each pixel's mean without its own value: more pixels are then compared.

    Returns
    -------
    (Average, Posterior)
    """
    # Where neighbours share their noise, the estimate that follows it most would win.
    if not (coverage_is_testable(error_ratio(without, problem)) or is_strong(problem)):
        average = undecided(problem.training, "the noise of held-out values tells nothing of the error")
        return average, average.of(without, problem.training)
    if leaving_out is None:
        return compare(without, problem, name, seed)
    many = many_left_out(problem, seed, beside_others=True)
    average, _ = compare(each_left_out(leaving_out, many), many, name, seed, many=True)
    return average, average.of(without, problem.training)


def compare(
    posterior: Posterior, problem: Problem, name: str, seed: int, many: bool = False
) -> tuple[Average, Posterior]:
    """Hold a posterior that did not see the held-out data against the simple estimates that did not either.

    Missing pixels are averaged: none of the estimates is to be trusted alone, unless the evidence is for it. Elsewhere the
    method stands unless it loses beyond chance.

    Parameters
    ----------
    posterior : Posterior
    problem : Problem
        With held-out entries.
    name : str
        The method's.
    seed : int
    many : bool
        Whether so many pixels are held out that an estimate takes part by its evidence unless they speak against it.

    Returns
    -------
    (Average, Posterior)
        How to average, and the posterior so averaged.
    """
    training = problem.training
    every = (*simple_estimates(training), *_beside(posterior))
    estimates = [(other, other.estimate(training)) for other in every]
    kept = [(other, picture) for other, picture in estimates if picture is not None]
    if not kept:
        return Average(), posterior
    others, pictures = tuple(other for other, _ in kept), [picture for _, picture in kept]
    expected = others[0].expected_square(training, pictures[0])
    if expected is not None and posterior.std is not None:
        average = _by_expected_errors(posterior, others, expected, name, problem.units.scale)
        return average, average.of(posterior, training, pictures)
    errors = _errors(posterior, problem, pictures)
    alone, fills = ~errors.hole, [other.fills for other in others]
    judged = int(alone.sum()) >= FEWEST_TO_JUDGE
    certain = next(
        (j for j, other in enumerate(others) if other.is_certain() and (other.fills or many)), None
    )

    def is_better(j: int) -> bool:
        """Than the method, beyond chance; one that the evidence is for already, but for chance."""
        return not errors.wins(j, alone, seed) if j == certain else errors.loses(j, alone, seed)

    takes_part = [fill or (judged and is_better(j)) for j, fill in enumerate(fills)]
    behind = any(part and errors.loses(j, alone, seed) for j, part in enumerate(takes_part))
    weights = fitted_weights(errors, fills, takes_part, certain, behind)
    findings = _findings(errors, others, weights, name, problem.units.scale)
    certain_one = certain is not None and weights[..., certain].max() > 0.5
    noise = _noise_on_exact_data(
        others, problem, math.inf if certain_one else errors.error(alone | errors.hole)
    )
    average = Average(others, weights, findings, noise)
    return average, average.of(posterior, training, pictures)


def _by_expected_errors(
    posterior: Posterior, others: tuple[Simple, ...], expected: float, name: str, unit: float
) -> Average:
    """A method against strong noise, which hides the errors on held-out values, and one other, by the errors that each expects."""
    assert posterior.std is not None
    own = float(posterior.std.double().square().mean())
    share = 1 / (1 + (expected / max(own, np.finfo(float).tiny)) ** POWER_EXPECTED)
    weights = np.zeros((2, KNOTS, len(others)))
    weights[..., 0] = share if share >= LEAST else 0.0
    if share < LEAST_TOLD:
        return Average(others, weights)
    method_error, error = unit * own**0.5, unit * expected**0.5
    text = (
        f"the noise is much stronger than the picture and hides the errors: {name} is averaged with {others[0].name} by the "
        f"errors that each expects ({method_error:.3g} and {error:.3g})"
    )
    facts: dict[str, Any] = {"where": "near", "method": name, "method_error": method_error}
    facts |= {"errors": {others[0].name: error}, "weights": {others[0].name: share}}
    return Average(others, weights, (Finding("simple estimate", text, facts),))


def _beside(posterior: Posterior) -> tuple[Simple, ...]:
    """What a method had besides its own estimate, from the same data: networks on another grid, and patches."""
    beside = posterior.beside
    if beside is None:
        return ()
    coarser = beside.info.get("coarser")
    name = "patches" if coarser is None else "a network" if coarser == 1 else "networks on a coarser grid"
    mean, std = beside.mean.double().cpu(), None if beside.std is None else beside.std.double().cpu()
    own = Simple(name, lambda problem: mean, fills=True, std=lambda problem: std)
    return (own, *_beside(beside))


def _noise_on_exact_data(others: Sequence[Simple], problem: Problem, error: float) -> Tensor | None:
    """The variance of white noise that one of the others finds on data that were taken for exact, (C,).

    Held-out values hold it, and the error of the noise-free picture is smaller than theirs: `error`, by which it is limited.
    """
    if not problem.noise.is_exact:
        return None
    found = (other.noise(problem.training) for other in others)
    noise = next((noise for noise in found if noise is not None), None)
    return None if noise is None else noise.clamp(max=MOST_NOISE * error**2)


def undecided(problem: Problem, why: str) -> Average:
    """The average where no held-out values tell which estimate is right: all alike, and more of one that the evidence is for.

    Parameters
    ----------
    problem : Problem
    why : str
        The reason, for people.

    Returns
    -------
    Average
        Of missing pixels alone.
    """
    others = tuple(other for other in simple_estimates(problem) if other.fills)
    if not others:
        return Average()
    found = [other.estimate(problem) is not None and other.is_certain() for other in others]
    each = np.full(len(others), 1 / (1 + len(others)))
    names = ", ".join(other.name for other in others)
    text = f"{why}: missing pixels are the average of the method, {names}"
    if any(found):
        each = 0.5 * (each + np.array(found, float))
        text += f", with more weight on {others[found.index(True)].name}, by its evidence"
    finding = Finding(
        "simple estimate",
        text,
        {"where": "far", "weights": dict(zip((o.name for o in others), each.tolist(), strict=True))},
    )
    return Average(others, np.broadcast_to(each, (2, KNOTS, len(others))).copy(), (finding,))


def _distance(problem: Problem) -> Array:
    """Of the picture's pixels from observed ones of their channel, (C, *grid); 1 everywhere where data are not pixels."""
    if not isinstance(problem.whole.operator, Identity | Mask):
        return np.ones((problem.channels, *problem.grid))
    return channel_distances(problem.observed.cpu().numpy())


def hole_pixels(problem: Problem) -> NDArray[np.bool_]:
    """Which pixels are missing where missing pixels hang together, or are held out in regions, (C, *grid)."""
    if not isinstance(problem.whole.operator, Mask):
        return np.zeros((problem.channels, *problem.grid), dtype=bool)
    found = channels_in_holes(problem.whole.observed.cpu().numpy())
    if problem.whole is problem or problem.held_out is None or not found.any():
        return found
    return found | in_regions(problem.held_out.cpu().numpy())


def untested_holes(problem: Problem) -> tuple[Finding, ...]:
    """A finding where pixels are missing in holes and no pixel could be held out as far from known ones."""
    held_out = problem.held_out
    if held_out is None or not isinstance(problem.operator, Mask):
        return ()
    holes = hole_pixels(problem)
    if not holes.any() or hole_pixels(problem.training)[problem.held_out_entries.numpy()].any():
        return ()
    share = float(holes.sum() / (~problem.observed).sum())
    text = (
        f"{100 * share:.0f}% of the missing pixels are in holes, and no region of their shapes could be held out beside "
        "them: errors and intervals there are not tested"
    )
    return (Finding("untested holes", text, {"share": share}),)


def _errors(posterior: Posterior, problem: Problem, pictures: Sequence[Tensor]) -> HeldOutErrors:
    """Of all held-out entries, one after the other as one channel."""
    entries, operator = problem.held_out_entries, problem.whole.operator
    chosen = entries.cpu().numpy()

    def on_data(picture: Tensor) -> Array:
        found: Array = operator.forward(picture.double().cpu())[entries].numpy()
        return found

    own = on_data(posterior.mean)
    distance, hole = np.ones(chosen.shape), np.zeros(chosen.shape, dtype=bool)
    if isinstance(operator, Identity | Mask):
        distance, hole = _distance(problem.training), hole_pixels(problem.training)
    region = np.broadcast_to(numbered(np.asarray(chosen.any(0))), chosen.shape)
    wanted = problem.y.double().cpu()[entries].numpy() - own
    steps = np.stack([on_data(picture) - own for picture in pictures])
    noise = problem.noise_variance.cpu()[entries].numpy()
    return HeldOutErrors(wanted[None], steps[:, None], distance[chosen], hole[chosen], region[chosen], noise)


def _findings(
    errors: HeldOutErrors, others: tuple[Simple, ...], weights: Array, name: str, unit: float
) -> tuple[Finding, ...]:
    """What is averaged or replaced, near known pixels and in holes."""
    found = []
    knots = near_knots(errors.distance)
    for (where, chosen), weight in zip((("near", ~errors.hole), ("far", errors.hole)), weights, strict=True):
        if not chosen.any():
            continue
        share = np.tensordot(weight.T, knots[:, chosen], 1).mean(1)
        if share.sum() < LEAST_TOLD:
            continue
        sizes = [unit * errors.error(chosen, j) for j in range(len(others))]
        own = unit * errors.error(chosen)
        best = int(np.argmin(sizes))
        facts: dict[str, Any] = {"where": where, "method": name, "method_error": own}
        facts |= {"errors": {o.name: s for o, s in zip(others, sizes, strict=True)}}
        facts |= {"weights": {o.name: float(s) for o, s in zip(others, share, strict=True)}}
        found.append(
            Finding("simple estimate", _text(where, name, own, others[best].name, sizes[best]), facts)
        )
    return tuple(found)


def _text(where: str, name: str, own: float, other: str, error: float) -> str:
    if where == "near" and error < own:
        return (
            f"{other} was better than {name} on held-out data ({error:.3g} against {own:.3g}), and takes part in the "
            "result by as much as these say"
        )
    missing = "pixels are missing alone" if where == "near" else "missing pixels hang together"
    data = "held-out data" if where == "near" else "held-out regions"
    return (
        f"where {missing}, {name} is averaged with simple filling by the errors on {data} "
        f"({other} has {error:.3g}, {name} {own:.3g})"
    )


# With fewer single held-out values the method stands: a bootstrap of nine values calls chance a loss.
FEWEST_TO_JUDGE = 30
# Noise that was not seen before is at most this share of the squared error on held-out values, unless the picture is clearly smooth:
# fine texture looks like noise. On 18 random pictures of filling in whose noise had not been seen, or which had none, intervals
# held 93% in place of 99.9% where noise was most of the error, and 1 to 8% less in eight others.
MOST_NOISE = 0.7
# Shares go by this power of the inverse squared errors that are expected. On three tuning pictures in noise of 200 and 400 of 255, and in
# counts with means of 0.05 to 1.5, the average erred at most 9% more than the better of the two, and 4% less at best.
POWER_EXPECTED = 2
# A share of the simple estimates below this is not told, nor their standard deviation asked for.
LEAST_TOLD = 0.05
