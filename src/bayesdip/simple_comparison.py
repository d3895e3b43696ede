"""A method held against simple estimates on held-out data, and averaged with them or replaced where it loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.findings import Finding
from bayesdip.held_out_regions import NEAR, channel_distances, numbered
from bayesdip.held_out_weights import HeldOutErrors, fitted_weights, near_knots
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.result import Posterior
from bayesdip.simple import Simple, simple_estimates

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Average:
    """A method's estimate averaged with simple ones, by the distance from known pixels.

    Attributes
    ----------
    others : tuple of Simple
    weights : ndarray, shape (KNOTS, J)
        Of the others, at each knot of `held_out_weights.near_knots`; the method has what is left to 1.
    findings : tuple of Finding
    """

    others: tuple[Simple, ...] = ()
    weights: Array | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def takes_part(self) -> bool:
        """Whether any simple estimate has a share."""
        return self.weights is not None and bool(self.weights.any())

    def of(
        self, posterior: Posterior, problem: Problem, pictures: Sequence[Tensor] | None = None
    ) -> Posterior:
        """The average for what the problem's operator shows.

        The variance is that of the mixture: the method's own, and how far the estimates are from their average.
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
        own = posterior.mean.double().cpu()
        distance = _distance(problem)
        knots = near_knots(distance)
        mean, within, squares = own.clone(), torch.ones_like(own), torch.zeros_like(own)
        for j, (other, weight) in enumerate(zip(self.others, self.weights.T, strict=True)):
            if not weight.any():
                continue
            picture = other.estimate(problem) if pictures is None else pictures[j]
            if picture is None:
                continue
            share = torch.from_numpy(np.tensordot(weight, knots, 1) * ((distance > 0) | (not other.fills)))
            step = picture - own
            mean, within, squares = mean + share * step, within - share, squares + share * step.square()
        spread = (squares - (mean - own).square()).clamp(min=0)
        std, samples = posterior.std, posterior.samples
        if std is not None:
            before = std.double().cpu()
            std = (before.square() + spread).sqrt()
            if samples is not None:
                stretch = torch.where(before > 0, std / before, 1.0)
                samples = mean + (samples.double().cpu() - own) * stretch
        elif samples is not None:
            samples = samples.double().cpu() + (mean - own)
        return replace(posterior, mean=mean, std=std, samples=samples)


def compare(posterior: Posterior, problem: Problem, name: str, seed: int) -> tuple[Average, Posterior]:
    """Hold a posterior that did not see the held-out data against the simple estimates that did not either.

    Near known pixels the method stands unless it loses beyond chance. In holes, and where few data are held out, the
    estimates are averaged: there none of them is to be trusted alone, unless the evidence is for it.

    Parameters
    ----------
    posterior : Posterior
    problem : Problem
        With held-out entries.
    name : str
        The method's.
    seed : int

    Returns
    -------
    (Average, Posterior)
        How to average, and the posterior so averaged.
    """
    training = problem.training
    estimates = [(other, other.estimate(training)) for other in simple_estimates(training)]
    kept = [(other, picture) for other, picture in estimates if picture is not None]
    if not kept:
        return Average(), posterior
    others, pictures = tuple(other for other, _ in kept), [picture for _, picture in kept]
    errors = _errors(posterior, problem, pictures)
    far = errors.distance > NEAR
    holes = [other.fills for other in others]
    singles = int((~far).sum())
    few = problem.noise.is_exact and singles < FEW
    judged = singles >= FEWEST_TO_JUDGE
    loses = [(few and fills) or (judged and errors.loses(j, ~far, seed)) for j, fills in enumerate(holes)]
    certain = next((j for j, other in enumerate(others) if other.is_certain()), None)
    weights = fitted_weights(errors, holes, loses, certain)
    average = Average(others, weights, _findings(errors, others, weights, name, problem.units.scale))
    return average, average.of(posterior, training, pictures)


def _distance(problem: Problem) -> Array:
    """Of the picture's pixels from observed ones of their channel, (C, *grid); 1 everywhere where data are not pixels."""
    if not isinstance(problem.whole.operator, Identity | Mask):
        return np.ones((problem.channels, *problem.grid))
    return channel_distances(problem.observed.cpu().numpy())


def _errors(posterior: Posterior, problem: Problem, pictures: Sequence[Tensor]) -> HeldOutErrors:
    """Of all held-out entries, one after the other as one channel."""
    entries, operator = problem.held_out_entries, problem.whole.operator
    chosen = entries.cpu().numpy()

    def on_data(picture: Tensor) -> Array:
        found: Array = operator.forward(picture.double().cpu())[entries].numpy()
        return found

    own = on_data(posterior.mean)
    distance = np.ones(chosen.shape)
    if isinstance(operator, Identity | Mask):
        distance = _distance(problem.training)
    region = np.broadcast_to(numbered(np.asarray(chosen.any(0))), chosen.shape)
    wanted = problem.y.double().cpu()[entries].numpy() - own
    steps = np.stack([on_data(picture) - own for picture in pictures])
    return HeldOutErrors(wanted[None], steps[:, None], distance[chosen], region[chosen])


def _findings(
    errors: HeldOutErrors, others: tuple[Simple, ...], weights: Array, name: str, unit: float
) -> tuple[Finding, ...]:
    """What is averaged or replaced, near known pixels and in holes."""
    found = []
    knots = near_knots(errors.distance)
    far = errors.distance > NEAR
    for where, chosen in (("near", ~far), ("far", far)):
        if not chosen.any():
            continue
        share = np.tensordot(weights.T, knots[:, chosen], 1).mean(1)
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
    if where == "near":
        return (
            f"{other} was better than {name} on held-out data ({error:.3g} against {own:.3g}), and takes part in the "
            "result by as much as these say"
        )
    better = f"{other} has {error:.3g}, {name} {own:.3g}"
    return (
        f"in holes, more than {NEAR:.0f} pixels from known ones, {name} is averaged with simple filling by the errors on "
        f"held-out regions ({better})"
    )


# Where pixels of exact data are missing and fewer single ones are held out, they do not tell who loses: all are averaged.
FEW = 100
# With fewer noisy ones the method stands: a bootstrap of nine values calls chance a loss.
FEWEST_TO_JUDGE = 30
# A share of the simple estimates below this is not told.
LEAST_TOLD = 0.05
