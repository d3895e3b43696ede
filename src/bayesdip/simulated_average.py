"""A method, the stationary process and simple estimates, averaged by their errors on a simulated picture.

Where data are no pixels of the picture, held-out data say little of who finds the detail that was lost. Of a simulated
picture, whose truth is known, it can be seen. Patches lead where a picture repeats itself and has edges, the process
where it is smooth or a random texture, above all on few pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.held_out_weights import HeldOutErrors, fitted_weights
from bayesdip.operators.part import is_small_picture
from bayesdip.problem import Problem
from bayesdip.result import Posterior
from bayesdip.simple import simple_estimates

Array = NDArray[np.float64]

# The shares on held-out pixels go by this power of the inverse mean squared errors; with 1 the random problems of `share_by_held_out` gain
# 0.04 dB less, and 3 is as good as 2 within 0.02 dB.
POWER_ON_HELD_OUT = 2
# Of 78 pictures of 24x24 to 32x32 pixels (parts of tuning pictures, ellipses, boxes, smooth ones, waves) by Fourier columns, projections and
# random sums the average came to 0.2 dB below that by the best weights, with 1 too, and to 1.2 by the weights of a simulated picture. Of 72 such that were
# blurred or made smaller to 0.45 in place of 0.93: those without edges alone gain.
SHARE_WITHOUT_EDGES = 0.9


@dataclass(frozen=True)
class Estimate:
    """A picture and its standard deviation, (C, *grid); None for one that has none of its own."""

    mean: Tensor
    std: Tensor | None = None

    def only_at(self, places: Tensor) -> Estimate:
        """At n places, bool (*grid): (C, n)."""
        return Estimate(self.mean[:, places], None if self.std is None else self.std[:, places])


def estimates_beside(posterior: Posterior, problem: Problem) -> tuple[Estimate, ...]:
    """What stands beside a method: patches beside a network, the process, where there is one, and the simple estimates.

    Parameters
    ----------
    posterior : Posterior
    problem : Problem

    Returns
    -------
    tuple of Estimate
        As many for all data of one kind.
    """
    beside, process = [], posterior.process
    while process is not None:
        beside.append(Estimate(process.mean.double().cpu(), _double(process.std)))
        process = process.process
    simple = (other.estimate(problem) for other in simple_estimates(problem))
    return (*beside, *(Estimate(picture.double().cpu()) for picture in simple if picture is not None))


def judged_places(problem: Problem) -> Tensor:
    """The pixels, bool (*grid), whose errors count: of a blurred picture those where there are data.

    The others, as the scene beyond the border, are hardly known, and their large errors say nothing about the picture.
    """
    seen = problem.seen_pixels
    return torch.ones(problem.grid, dtype=torch.bool) if seen is None else seen.cpu()


def only_at(posterior: Posterior, places: Tensor) -> Posterior:
    """Mean and standard deviation, (C, n), of a posterior and its process at n places, bool (*grid)."""
    mean, std = posterior.mean.cpu()[:, places], posterior.std
    process = None if posterior.process is None else only_at(posterior.process, places)
    return Posterior(
        mean, None if std is None else std.cpu()[:, places], info=posterior.info, process=process
    )


def usual_weights(posterior: Posterior, count: int, ratio: float = 1.0) -> Array:
    """The process, where there is one, and the method by their precisions, and nothing for the simple estimates.

    Parameters
    ----------
    posterior : Posterior
    count : int
        Of the estimates beside it.
    ratio : float
        The process's error over the method's.

    Returns
    -------
    ndarray, shape (count,)
    """
    weights = np.zeros(count)
    if posterior.process is not None:
        weights[0] = 1 / (1 + ratio**2)
    return weights


def is_told_of_edges(posterior: Posterior) -> bool:
    """Whether the evidence of a process beside it tells if the picture has edges."""
    return _edgeless(posterior) is not None


def with_evidence(weights: Array, posterior: Posterior, share: float = 1.0) -> Array:
    """Nearly all for the process by the probability that the picture has no edges, and of what is left these weights.

    A picture without edges is a draw of the process, and patches bring nothing.

    Parameters
    ----------
    weights : ndarray, shape (number of the estimates beside it,)
    posterior : Posterior
    share : float
        See :func:`share_by_held_out`: below a half the process is behind there, and gets less.

    Returns
    -------
    ndarray of the same shape
        As they were where no process was learnt.
    """
    known = _edgeless(posterior)
    if known is None:
        return weights
    at, edgeless = known
    share = SHARE_WITHOUT_EDGES * edgeless * min(1.0, 2 * share)
    weights = (1 - share) * weights
    weights[at] += share
    return weights


def _edgeless(posterior: Posterior) -> tuple[int, float] | None:
    """The place of the process that was learnt among the estimates beside a method, and the probability that there are no edges."""
    process, at = posterior.process, 0
    while process is not None:
        if "edgeless" in process.info:
            return at, process.info["edgeless"]
        process, at = process.process, at + 1
    return None


def error_ratio(other: Estimate, posterior: Posterior, truth: Tensor) -> float:
    """The error of an estimate over that of a posterior's mean."""
    own, its = (
        float((picture.double().cpu() - truth).square().mean()) for picture in (posterior.mean, other.mean)
    )
    return float((its / max(own, 1e-12 * its, np.finfo(float).tiny)) ** 0.5)


def averaged(posterior: Posterior, beside: Sequence[Estimate], weights: Array) -> Posterior:
    """The weighted average of a posterior and others.

    Their errors are much alike, so that variances are averaged as they are. One that has none of its own differs from the
    truth by as much as from the method, besides the method's error.

    Parameters
    ----------
    posterior : Posterior
    beside : sequence of Estimate
    weights : ndarray, shape (len(beside),)
        The posterior's is what is left to 1.

    Returns
    -------
    Posterior
        Samples are moved and stretched to the new mean and standard deviation.
    """
    if not weights.any():
        return posterior
    own = posterior.mean.double().cpu()
    mean = own.clone()
    variance = None if posterior.std is None else posterior.std.double().cpu().square()
    new = None if variance is None else (1 - weights.sum()) * variance
    for other, weight in zip(beside, weights, strict=True):
        step = other.mean - own
        mean += weight * step
        if new is not None and variance is not None:
            new = new + weight * (variance + step.square() if other.std is None else other.std.square())
    std, samples = None if new is None else new.sqrt(), posterior.samples
    if samples is not None:
        samples = samples.double().cpu() - own
        if std is not None and variance is not None:
            samples = samples * torch.where(variance > 0, std / variance.sqrt(), 1.0)
        samples = mean + samples
    return replace(posterior, mean=mean, std=std, samples=samples)


def weights_by_errors(
    posterior: Posterior, beside: Sequence[Estimate], truth: Tensor, blocks: NDArray[np.int64]
) -> Array:
    """The weights of the others that come closest to the truth of a simulated picture.

    Parameters
    ----------
    posterior : Posterior
    beside : sequence of Estimate
    truth : Tensor, shape (C, *grid)
    blocks : ndarray of int, shape (number of pixels,)
        Pixels of one block err alike, and count together.

    Returns
    -------
    ndarray, shape (len(beside),)
        Each at least 0, their sum at most 1.
    """
    if not beside:
        return np.zeros(0)
    own = posterior.mean.double().cpu()
    wanted = (truth - own).flatten(1).numpy()
    steps = np.stack([(other.mean - own).flatten(1).numpy() for other in beside])
    count = wanted.shape[1]
    nowhere = np.zeros(count, dtype=bool)
    errors = HeldOutErrors(wanted, steps, np.ones(count), nowhere, blocks, np.zeros(count))
    everyone = [True] * len(beside)
    found: Array = fitted_weights(errors, everyone, everyone, behind=True)[0, 0]
    return found


def share_by_held_out(posterior: Posterior, problem: Problem) -> float:
    """How much of the others' weights held-out pixels of a small picture leave them: the process's share by its errors there.

    A picture that a simulated one does not resemble, of long sharp edges, is told by these: patches predict its pixels. On 24 crops
    of 128x128 of tuning pictures, enlarged four times, the average lost 0.12 dB against patches alone without this factor, 0.83 at
    worst, and 0.00 and 0.12 with it; on 18 random problems it gains 0.34 dB in place of 0.26.

    Parameters
    ----------
    posterior : Posterior
        That has not seen the held-out data.
    problem : Problem

    Returns
    -------
    float
        1 for data of other kinds, of which held-out ones say nothing about the detail that was lost.
    """
    if posterior.process is None or not is_small_picture(problem.operator):
        return 1.0
    here = problem.held_out_entries
    data = problem.y.double().cpu()[here]
    variance = float(problem.noise_variance.cpu()[here].mean())
    own, its = (
        float((problem.operator.forward(mean.double().cpu())[here] - data).square().mean())
        for mean in (posterior.mean, posterior.process.mean)
    )
    # The mean square of the noise is known but for chance.
    least = max(variance * (2 / len(data)) ** 0.5, 1e-12 * max(own, its), np.finfo(float).tiny)
    ratio = max(its - variance, least) / max(own - variance, least)
    return float(1 / (1 + ratio**POWER_ON_HELD_OUT))


def _double(std: Tensor | None) -> Tensor | None:
    return None if std is None else std.double().cpu()
