"""What a linear estimate of all of a picture errs, by what it expects of itself and by what it leaves of the data (Stein's estimate)."""

from __future__ import annotations

import math

import numpy as np

from bayesdip.error_law import Array

# Of the logarithm of the root mean square error over what a stationary process expects of it: 0.9 to 2.0 on 20 tuning pictures in noise of more
# than five times their variance.
SPREAD = 0.25
LOGARITHMS = np.arange(-75, 76) * 0.02


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
    off = (expected * np.exp(2 * LOGARITHMS) - stein) / chance
    exponent = -0.5 * (off**2 + (LOGARITHMS / SPREAD) ** 2)
    density = np.exp(exponent - exponent.max())
    return expected * math.exp(2 * float(density @ LOGARITHMS) / float(density.sum()))
