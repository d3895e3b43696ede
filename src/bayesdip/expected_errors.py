"""What a linear estimate of all of a picture errs, by what it expects of itself and by what it leaves of the data (Stein's estimate)."""

from __future__ import annotations

import math

import numpy as np

from bayesdip.error_law import Array

# Of the logarithm of the root mean square error over what a stationary process expects of it: 0.9 to 2.0 on 20 tuning pictures in noise of more
# than five times their variance, and 0.3 on one.
SPREAD = 0.25
# The logarithms of sizes that are weighed.
STEP = 0.02
LOGARITHMS = np.arange(-200, 201) * STEP


def mean_square(expected: float, missed: Array, noise: Array) -> float:
    """The mean squared error of the estimate of a picture.

    Parameters
    ----------
    expected : float
        What it expects, where it is linear in the data: so large its mean weight of a pixel's own value is, times the noise's variance.
    missed : ndarray, shape (n,)
        Data less estimate.
    noise : ndarray, shape (n,)
        Variance of the noise.

    Returns
    -------
    float
        The posterior mean of its logarithm, as a mean square.

    Notes
    -----
    Stein's unbiased estimate of it is ``mean(missed^2 - noise) + 2 expected`` (Stein, Ann. Statist. 1981), whose chance is that of the squares.
    """
    squares = missed**2 - noise
    chance = float(squares.std()) / math.sqrt(squares.size)
    if not (expected > 0 and chance > 0):
        return expected
    stein = float(squares.mean()) + 2 * expected
    middle, _ = logarithm_of_size(expected, stein, chance, 0.0, SPREAD)
    return expected * math.exp(2 * middle)


def logarithm_of_size(
    unit: float, seen: float, chance: float, prior: float, doubt: float, scatter: float = 0.0
) -> tuple[float, float]:
    """The logarithm of a size t of which ``unit t^2`` was seen.

    Parameters
    ----------
    unit, seen, chance : float
        The mean square of a size of one, what was seen of it, and the standard error of that.
    prior, doubt : float
        Mean and standard deviation of the logarithm a priori.
    scatter : float
        By how much the size itself differs from the one that was seen, in its logarithm.

    Returns
    -------
    (float, float)
        Mean and standard deviation a posteriori.
    """
    from scipy.ndimage import gaussian_filter1d

    off = (unit * np.exp(2 * LOGARITHMS) - seen) / chance
    likelihood = np.exp(-0.5 * (off**2 - (off**2).min()))
    if scatter:
        likelihood = gaussian_filter1d(likelihood, scatter / STEP, mode="nearest")
    exponent = np.log(np.maximum(likelihood, np.finfo(float).tiny))
    exponent -= 0.5 * ((LOGARITHMS - prior) / doubt) ** 2
    density = np.exp(exponent - exponent.max())
    density /= density.sum()
    middle = float(density @ LOGARITHMS)
    return middle, math.sqrt(float(density @ (LOGARITHMS - middle) ** 2))
