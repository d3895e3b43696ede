"""What a posterior says of entries without their own values, where its method knows that from one fit of all of them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.calibration import MOST_FROM_ITSELF
from bayesdip.problem import Problem, random_entries
from bayesdip.result import Posterior

# Each pixel is left out alone, so that all may be: of so many the mean squared noise is known to half a percent.
MOST = 100_000
# To compare with estimates that do not leave one out: at most so many, and this share of all.
MOST_BESIDE_OTHERS, SHARE_BESIDE_OTHERS = 10_000, 0.2
# Of the logarithm of the size of errors over what a method that leaves one out says of it, from picture to picture: what it was on
# the tuning pictures by which patches have it (:mod:`bayesdip.patches.error_spread`). Of few pixels in strong noise it says more than they do.
SPREAD = 0.15
# Of the same by the squares of values that were left out alone: a pixel's mean still depends on its own value, by the groups and pilots that it
# had part in. With 0.07 and 0.15 coverage scatters from picture to picture by as much as with 0.1, 2.7%.
DOUBT = 0.1
# Where the noise's level varies, by position, with brightness, or as it is clipped, what is taken for it is off by about so much of its variance, and
# squared errors are what is left of squares that are mostly noise. With nothing told, 90% intervals of 12 parts of 112x112 pixels of tuning pictures, in
# colour, hold 87 to 94% in photon noise (57 to 96 without this), and of nine where a level that grows from 5 to 40 across is recognised 82 to 95% (50 to 98).
NOISE_DOUBT, ALIKE = 0.1, 1.01


def each_left_out(posterior: Posterior, problem: Problem) -> Posterior:
    """The posterior with each held-out entry's mean and standard deviation as without its own value.

    Parameters
    ----------
    posterior : Posterior
        Of all entries, with `without_own`.
    problem : Problem
        Its data are pixels; with held-out entries.

    Returns
    -------
    Posterior
        By Bayes' rule for one Gaussian variable, ``1/std^2 = 1/unseen + 1/noise``.
    """
    assert posterior.without_own is not None and posterior.std is not None
    chosen = problem.held_out_entries
    mean, std = (part.double().cpu().clone() for part in (posterior.mean, posterior.std))
    noise = problem.noise.variance(problem.y, problem.operator.observed).expand(chosen.shape)[chosen]
    own = std[chosen]
    share = torch.where(noise > 0, own.square() / noise.double(), 0.0).clamp_max(MOST_FROM_ITSELF)
    mean[chosen] = posterior.without_own[chosen].double().cpu()
    std[chosen] = own / (1 - share).sqrt()
    return replace(posterior, mean=mean, std=std)


def many_left_out(problem: Problem, seed: int, *, beside_others: bool = False) -> Problem:
    """The problem with all pixels held out, or a random part of them, for entries that are left out one at a time.

    Parameters
    ----------
    problem : Problem
    seed : int
    beside_others : bool
        So few that estimates which have to do without all of them at once are not much worse for it.

    Returns
    -------
    Problem
    """
    seen = problem.observed.any(0)
    count = min(MOST_BESIDE_OTHERS, round(SHARE_BESIDE_OTHERS * int(seen.sum()))) if beside_others else MOST
    return replace(problem, held_out=random_entries(seen, count, torch.Generator().manual_seed(seed)))


def noise_doubt(noise: Tensor) -> float:
    """By how much of it the noise's variance on held-out values may be wrong, where it differs between those of a channel.

    Parameters
    ----------
    noise : Tensor, shape (C, n)
        Variance of the noise.

    Returns
    -------
    float
        Standard error, as a share of the variance.
    """
    varies = bool((noise.amax(1) > ALIKE * noise.amin(1)).any())
    return NOISE_DOUBT if varies else 0.0
