"""What an estimate misses of held-out data, besides their noise: by it the errors of a true and of a simulated picture are compared.

Where an operator mixes pixels from far apart (projections, Fourier columns, sums), data that were held out are a sample of what the others do
not tell. How much more or less an estimate misses of them than one of a simulated picture does, whose errors are known, says by how much
its errors are larger or smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from bayesdip.expected_errors import logarithm_of_size
from bayesdip.problem import Problem
from bayesdip.result import Posterior

# Fewer held-out data tell nothing.
FEWEST = 16
# Of the logarithm of the size of errors, by which what was missed of the held-out data is a measure of it; more where held-out data are no fair sample, as
# entries of Fourier columns that are seen, of which smooth pictures miss a hundredth of what they miss of other columns: by so much of the logarithm of that
# share. On 105 restorations (Fourier columns, projections, random sums; tuning pictures, ellipses, boxes, smooth ones, waves, textures; 24 to 48 pixels a side) the logarithm of
# size over true one has a root mean square of 0.46 by Fourier columns (24 pixels), which is 1.4 times as large as it is said to be, and by sums of 0.25, which is 0.7 times
# that; 0.50, 1.7 and 0.25 without the second part.
SCATTER, OF_UNFAIRNESS = 0.3, 0.5
LEAST_FAIR = 1e-3
# Squares count as so many times their median at most. The lowest frequencies, when one of them is held out, are missed by thousands of times what others are, in both pictures.
MOST_OF_MEDIAN = 20.0


@dataclass(frozen=True)
class Excess:
    """The mean square of what was missed of held-out data, less the variance of their noise, and its standard error; large squares count for less."""

    mean: float
    error: float


@dataclass(frozen=True)
class KnownExcess(Excess):
    """That of a picture whose truth is known.

    Attributes
    ----------
    size : float
        The root mean square error of the estimate.
    usual : float
        The mean that errors of this size had if they were white.
    """

    size: float
    usual: float


def excess(posterior: Posterior, problem: Problem) -> Excess | None:
    """Of an estimate that has not seen the held-out data.

    Parameters
    ----------
    posterior : Posterior
    problem : Problem
        With the held-out entries.

    Returns
    -------
    Excess or None
        In working units; None where too few data are held out.
    """
    here = problem.held_out_entries
    if int(here.sum()) < FEWEST:
        return None
    missed = problem.y[here] - problem.operator.forward(posterior.mean.double().cpu())[here]
    squares, noise = missed.square(), problem.noise_variance[here]
    beyond = squares.clamp(max=MOST_OF_MEDIAN * float(squares.median())) - noise
    # Squares that happen to be small scatter less than those of the noise do.
    scatter = max(float(beyond.std()), math.sqrt(2) * float(noise.mean()))
    return Excess(float(beyond.mean()), scatter / math.sqrt(beyond.numel()))


def usual_excess(size: float, problem: Problem, seed: int) -> float:
    """The mean excess of white errors of that size."""
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(problem.channels, *problem.grid, generator=generator, dtype=torch.float64)
    return size**2 * float(problem.operator.forward(white)[problem.held_out_entries].square().mean())


def size_by_excess(expected: float, doubt: float, true: Excess, its: KnownExcess) -> tuple[float, float]:
    """The size of the errors of an estimate by what is expected of it and by what it missed of held-out data.

    Parameters
    ----------
    expected, doubt : float
        Root mean square error to be expected, and the standard deviation of its logarithm.
    true : Excess
    its : KnownExcess
        Of the simulated picture.

    Returns
    -------
    size, doubt : float
        The posterior mean of the logarithm, as a size, and its standard deviation.

    Notes
    -----
    With t the size over the simulated one, ``true = t^2 its``, but for chance in both; and the size itself is this one but for a scatter: see `SCATTER`.
    """
    prior = math.log(expected / its.size)
    chance = math.hypot(true.error, math.exp(2 * prior) * its.error) + np.finfo(float).tiny
    fair = min(1.0, max(its.mean / its.usual, LEAST_FAIR)) if its.usual > 0 else LEAST_FAIR
    scatter = math.hypot(SCATTER, OF_UNFAIRNESS * math.log(fair))
    middle, spread = logarithm_of_size(max(its.mean, 0.0), true.mean, chance, prior, doubt, scatter)
    return its.size * math.exp(middle), spread
