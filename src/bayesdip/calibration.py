"""Intervals that hold what they say: a method's standard deviation, corrected by held-out pixels.

What is wanted is the error of the noise-free picture ``x``; what is seen on a held-out pixel is
``r = y - mean``, the error plus that pixel's noise, whose size is known. A held-out pixel was
held_out from the method, so its noise and the method's error are independent, and

    E r^2 = n + v,    n the noise's variance,    v = floor^2 + scale^2 std^2,

with two numbers to be found. Where the data are exact, n is 0 and the rest is split conformal
prediction (Lei et al., J. Am. Stat. Assoc. 2018) of the score ``|r| / sqrt(v)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError

Array = NDArray[np.float64]
NORMAL = NormalDist()

# The level whose coverage is reported, and those at which the tails are kept.
LEVEL = 0.9
LEVELS = np.arange(1, 100) / 100
FEWEST_PIXELS = 32
# A posterior variance near or above the noise's would mean that nothing but the pixel's own value
# is known; Monte-Carlo error brings it there. It counts as at most this share of the noise's.
MOST_FROM_ITSELF = 0.95
# Held-out values are summed up in so many groups of like std for the fit of the two numbers.
GROUPS = 64
# What the fit tries: the constant's share of v, and log sqrt(mean v / mean std^2). The latter has a
# prior, normal with this spread: where few pixels stand in strong noise, they tell little. Sampled networks, whose 90% intervals
# held 77 to 94% of nine noisy pictures, were off by -0.14 to 0.31.
SHARES = np.linspace(0.0, 1.0, 21)
STEP = 0.02
LOG_RATIOS = np.arange(-150, 151) * STEP
PRIOR_SPREAD = 0.35


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a method said of pixels that it did not see.

    Attributes
    ----------
    places : ndarray of int, shape (n,)
        Flat positions on the picture's grid.
    mean, std : ndarray, shape (C, n)
        The method's own.
    low, high : ndarray, shape (C, n)
        Calibrated 90% interval of the noise-free value. Each half of the pixels has the
        calibration that the other half gave.
    """

    places: NDArray[np.int64]
    mean: Array
    std: Array
    low: Array
    high: Array

    def rescaled(self, shift: float, scale: float) -> HeldOut:
        """From working units to ``shift + scale * value``."""
        moved = {name: shift + scale * getattr(self, name) for name in ("mean", "low", "high")}
        return replace(self, std=scale * self.std, **moved)


@dataclass(frozen=True, eq=False)
class Calibration:
    """How a method's standard deviation becomes one whose intervals cover what they say.

    Attributes
    ----------
    scale, floor : float
        The calibrated standard deviation of an unseen pixel is ``sqrt(floor^2 + (scale std)^2)``.
    ratio, ratio_error : float
        Root mean square of the calibrated over that of the method's own, on the held-out
        pixels, and its relative standard error.
    tails : ndarray, shape (99,)
        Half of the central interval at the levels 1% to 99%, over that of a normal variable of the
        calibrated standard deviation.
    coverage, coverage_error : float
        Share of held-out noise-free values inside 90% intervals, each half of them judged with
        the calibration of the other half; and its standard error. Counted where the data are
        exact. With noise it cannot be counted: it follows from the mean squared error, less
        the noise, of values taken as normal.
    coverage_uncalibrated : float
        The same of ``mean -+ 1.645 std``.
    count : int
        Held-out values, channels counted.
    beyond : float
        Share of the missing pixels that are farther from any known pixel than every held-out
        pixel was: of these the held-out ones tell nothing.
    held_out : HeldOut
    """

    scale: float
    floor: float
    ratio: float
    ratio_error: float
    tails: Array
    coverage: float
    coverage_error: float
    coverage_uncalibrated: float
    count: int
    held_out: HeldOut
    beyond: float = 0.0

    def variance(self, own: NDArray[Any]) -> Array:
        """The calibrated variance of an unseen pixel, from the method's own standard deviation; 0 stays 0."""
        found: Array = np.where(own > 0, self.floor**2 + (self.scale * own.astype(np.float64)) ** 2, 0.0)
        return found

    def std(self, own: NDArray[Any], noise: NDArray[Any] | float = math.inf) -> NDArray[np.float32]:
        """The calibrated standard deviation, from the method's own; what is certain stays so.

        Its normal 90% interval is the calibrated one: where the errors' tails are longer or shorter than a
        normal law's at that level, it is by as much larger or smaller than the root mean square error.

        Parameters
        ----------
        own : ndarray
        noise : ndarray, broadcastable to ``own``
            Variance of the noise on the pixel's value that the method saw; infinite where it saw none.
            There the calibration, which comes from unseen pixels, holds as it is. For a seen pixel
            it is applied to the variance h that the pixel would have unseen, ``1/own^2 = 1/h + 1/noise``,
            and the pixel's own value is learnt again: both by Bayes' rule for one Gaussian variable.
        """
        squared = own.astype(np.float64) ** 2
        unseen = squared / (1 - np.minimum(squared / noise, MOST_FROM_ITSELF))
        variance = self.floor**2 + self.scale**2 * unseen
        found: NDArray[np.float32] = np.where(own > 0, np.sqrt(variance / (1 + variance / noise)), 0.0)
        return (self._tail(LEVEL) * found).astype(np.float32)

    def reach(self, level: float) -> float:
        """Half of the central interval of that level, in calibrated standard deviations."""
        return self.tail(level) * _z(level)

    def tail(self, level: float) -> float:
        """The same over that of a normal variable: 1 at the level of 90%."""
        return self._tail(level) / self._tail(LEVEL)

    def _tail(self, level: float) -> float:
        return float(np.interp(level, LEVELS, self.tails))

    def summary(self) -> dict[str, Any]:
        """Plain JSON values, without the single pixels."""
        names = ("scale", "floor", "ratio", "ratio_error", "coverage", "coverage_error")
        found: dict[str, Any] = {name: float(getattr(self, name)) for name in names}
        return found | {
            "coverage_uncalibrated": float(self.coverage_uncalibrated),
            "level": LEVEL,
            "count": self.count,
            "beyond": self.beyond,
        }

    def rescaled(self, shift: float, scale: float) -> Calibration:
        """From working units to ``shift + scale * value``."""
        return replace(self, floor=scale * self.floor, held_out=self.held_out.rescaled(shift, scale))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What :meth:`summary` leaves out, by name."""
        held = self.held_out
        parts = {name: getattr(held, name) for name in ("places", "mean", "std", "low", "high")}
        return {"tails": self.tails, **{f"held_out_{name}": part for name, part in parts.items()}}

    @classmethod
    def of(cls, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Calibration:
        """From what :meth:`summary` and :meth:`to_arrays` gave."""
        held = {n.removeprefix("held_out_"): a for n, a in arrays.items() if n.startswith("held_out_")}
        plain = {name: value for name, value in facts.items() if name != "level"}
        return cls(**plain, tails=arrays["tails"], held_out=HeldOut(**held))


@dataclass(frozen=True)
class Values:
    """Held-out values, each array of shape (C, n).

    Attributes
    ----------
    mean, std : ndarray
        What the method said.
    residual : ndarray
        ``y - mean``.
    squares : ndarray
        Of the same expectation as ``residual^2``, with less noise (``control_variate.reduced_squares``).
    noise : ndarray
        Variance of the noise, 0 for exact data.
    """

    mean: Array
    std: Array
    residual: Array
    squares: Array
    noise: Array

    def of(self, chosen: NDArray[Any]) -> Values:
        """Those at some of the n pixels."""
        return Values(*(getattr(self, name)[:, chosen] for name in self.__dataclass_fields__))

    @property
    def exact(self) -> bool:
        return not self.noise.any()


@dataclass(frozen=True)
class Law:
    """A fitted ``v = floor^2 + scale^2 std^2`` and the tails of its intervals."""

    scale: float
    floor: float
    ratio: float
    ratio_error: float
    tails: Array

    def variance(self, std: Array) -> Array:
        found: Array = self.floor**2 + (self.scale * std) ** 2
        return found


def calibrate(values: Values, places: NDArray[np.int64], seed: int) -> Calibration | None:
    """Calibrate on held-out pixels, and tell what coverage that reaches on pixels not used for it.

    Two halves, drawn at random, judge each other; the calibration that is given comes from all.

    Returns
    -------
    Calibration or None
        None with fewer than 32 pixels, or where the method is certain of every one of them.
    """
    count = values.mean.shape[1]
    if count < FEWEST_PIXELS or not values.std.any():
        return None
    order = np.random.default_rng(seed).permutation(count)
    halves = (order[: count // 2], order[count // 2 :])
    variance, reach = np.empty_like(values.std), np.empty_like(values.std)
    for mine, other in (halves, halves[::-1]):
        law = fit_law(values.of(other))
        variance[:, mine] = law.variance(values.std[:, mine])
        reach[:, mine] = _z(LEVEL) * np.interp(LEVEL, LEVELS, law.tails)
    half = reach * np.sqrt(variance)
    coverage, error = covered(values, variance, half)
    own = values.std**2
    uncalibrated, _ = covered(values, own, _z(LEVEL) * values.std)
    law = fit_law(values)
    return Calibration(
        scale=law.scale,
        floor=law.floor,
        ratio=law.ratio,
        ratio_error=law.ratio_error,
        tails=law.tails,
        coverage=coverage,
        coverage_error=error,
        coverage_uncalibrated=uncalibrated,
        count=values.mean.size,
        held_out=HeldOut(places, values.mean, values.std, values.mean - half, values.mean + half),
    )


def fit_law(values: Values) -> Law:
    """The two numbers by their quasi-likelihood on a grid, and the tails at every level.

    The squares ``q`` have expectation ``n + v``. Their quasi-log-likelihood
    ``-sum(log(n + v) + q / (n + v)) / (2 dispersion)`` is that of normal residuals, tempered by how
    much the squares scatter in fact (McCullagh and Nelder, *Generalized Linear Models*, ch. 9). The
    two numbers are its means: where the data do not tell them, they stay in the middle.
    """
    own = values.std**2
    level = float(own.mean())
    likelihood = _likelihood(values, own / level, level)
    share, log_ratio = np.unravel_index(int(likelihood.argmax()), likelihood.shape)
    best = math.exp(2 * LOG_RATIOS[log_ratio]) * (SHARES[share] * level + (1 - SHARES[share]) * own)
    density = likelihood / _dispersion(values, best) - 0.5 * (LOG_RATIOS / PRIOR_SPREAD) ** 2
    density = np.exp(density - density.max())
    density /= density.sum()
    constant = float((density * SHARES[:, None]).sum())
    middle = float((density * LOG_RATIOS).sum())
    spread = math.sqrt(float((density * (LOG_RATIOS - middle) ** 2).sum()) + STEP**2 / 12)
    ratio = math.exp(middle)
    scale = ratio * math.sqrt(1 - constant)
    floor = ratio * math.sqrt(constant * level)
    return Law(scale, floor, ratio, spread, _tails(values, floor**2 + scale**2 * own))


def covered(values: Values, variance: Array, half: Array) -> tuple[float, float]:
    """Share of noise-free values within ``mean -+ half``, and its standard error.

    Parameters
    ----------
    variance : ndarray, shape (C, n)
        What is claimed of the squared error.
    half : ndarray, shape (C, n)
        Half of the claimed 90% interval.
    """
    if values.exact:
        inside = (np.abs(values.residual) <= half).mean(0)
        return float(inside.mean()), float(inside.std() / math.sqrt(len(inside)))
    # How large the squared error is against the claim; the noise is known, and taken off.
    error = (values.squares - values.noise).mean(0)
    claim = variance.mean(0)
    found = error.mean() / claim.mean()
    deviation = float((error - found * claim).std() / claim.mean() / math.sqrt(len(claim)))
    found = max(float(found), deviation / 10, 1e-6)
    z = _z(LEVEL)
    slope = z * NORMAL.pdf(z / math.sqrt(found)) * found**-1.5
    return 2 * NORMAL.cdf(z / math.sqrt(found)) - 1, slope * deviation


def _likelihood(values: Values, relative: Array, level: float) -> Array:
    """Quasi-log-likelihood of every share and ratio of the grid, not tempered, (shares, ratios)."""
    n, s, q, weight = _grouped(values.noise, relative, values.squares)
    share, log_ratio = SHARES[:, None, None], LOG_RATIOS[None, :, None]
    v = np.exp(2 * log_ratio) * level * (share + (1 - share) * s)
    expected = n + np.maximum(v, np.finfo(float).tiny)
    found: Array = -(weight * (np.log(expected) + q / expected)).sum(-1) / 2
    return found


def _dispersion(values: Values, variance: Array) -> float:
    """Scatter of the squares over that of squared normal residuals, channels of a pixel taken together."""
    expected = values.noise + np.maximum(variance, 1e-6 * variance.mean())
    scatter = ((values.squares - expected) / expected).mean(0)
    return max(len(values.std) * float((scatter**2).mean()) / 2, 0.01)


def _grouped(noise: Array, relative: Array, squares: Array) -> tuple[Array, Array, Array, Array]:
    """Means of like values, in groups by std; and how many each group holds."""
    order = np.argsort(relative, axis=None)
    groups = np.array_split(order, min(GROUPS, len(order)))
    found = [[part.ravel()[group].mean() for group in groups] for part in (noise, relative, squares)]
    n, s, q = (np.array(part) for part in found)
    return n, s, q, np.array([float(len(group)) for group in groups])


def _tails(values: Values, variance: Array) -> Array:
    """Half of the interval at each of `LEVELS`, over that of a normal variable.

    Of exact data the conformal quantile of the scores. In strong noise the scores tell of the
    noise's tails, not of the error's: there it is the normal law. In between, the geometric mean
    of the two, by the error's share of the residual's variance.
    """
    total = values.noise + variance
    scores = np.sort((np.abs(values.residual) / np.sqrt(total)).ravel())
    rank = np.minimum(np.ceil(LEVELS * (scores.size + 1)).astype(int), scores.size) - 1
    normal = np.array([_z(level) for level in LEVELS])
    share = float((variance / total).mean())
    found: Array = (scores[rank] / normal) ** share
    return found


def _z(level: float) -> float:
    return NORMAL.inv_cdf(0.5 + level / 2)


def check_level(level: float) -> float:
    """``level`` if it is a probability.

    Raises
    ------
    BayesDipError
        It is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise BayesDipError(f"level is {level}: expected a probability between 0 and 1, such as 0.9")
    return level
