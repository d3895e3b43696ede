"""The law of errors on held-out values: two numbers that correct a standard deviation, and the tails of its intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NORMAL = NormalDist()

# The level whose coverage is reported, and those at which the tails are kept.
LEVEL = 0.9
LEVELS = np.arange(1, 100) / 100
# Held-out values are summed up in so many groups of like std for the fit of the two numbers.
GROUPS = 64
# What the fit tries: the constant's share of v, and log sqrt(mean v / mean std^2). The latter has a
# prior, normal with this spread: where few pixels stand in strong noise, they tell little. Sampled networks, whose 90% intervals
# held 77 to 94% of nine noisy pictures, were off by -0.14 to 0.31.
SHARES = np.linspace(0.0, 1.0, 21)
STEP = 0.02
LOG_RATIOS = np.arange(-150, 151) * STEP
PRIOR_SPREAD = 0.35
# Errors under noise, whose single values it hides, have tails like Student's law of so many degrees of freedom: on 256x256 parts of twelve
# tuning pictures in noise of 15, 25 and 50, |error| over the standard deviation, of mean square one in each, was below 0.58, 1.02, 1.55,
# 1.93 for 50, 75, 90, 95% (this law 0.56, 1.01, 1.56, 1.99; the normal one 0.67, 1.15, 1.64, 1.96).
FREEDOM = 5
UNIT_SCALE = math.sqrt((FREEDOM - 2) / FREEDOM)
# Of values that were left out alone, those tell the size of errors whose estimate, with its own value, has a standard deviation of so many of the
# noise's; and so few tell nothing. Below, places are calm by the noise that they happen to have: their squares are up to 6% less than the
# noise's variance alone. Above, an estimate is hardly known without its value. On 256x256 parts of 24 tuning pictures gray (12 in colour),
# sigma 15 to 50, 90% intervals hold 90 to 92% at each level and effort (by all values, with a constant part, 88 to 94), of smooth halves 88 to
# 92% and of textured ones 89 to 93, and of 87% of the halves 85 to 95% (75); in noise of 1 to 5 91 to 92%. Up to 0.65 for 0.5 it is 85% of them.
TELLING, FEWEST_TELLING = (0.2, 0.5), 32
# Independent errors of a held-out region. With two, 90% intervals held 84% of the missing pixels on average over 12 crops of 128x128 pixels with
# holes of 8 to 48. With the second number where many replicas of the holes say how typical the regions are: on 36 crops of tuning pictures with
# four holes of 8 to 32 pixels they then held 91%, and 92% with the first.
ERRORS_OF_A_REGION, OF_A_TYPICAL_ONE = 2, 8
# Few errors tell little of their quantiles: Student's law counts as so many. In four volumes of 14 pixels a side, 8% of them known, 90% intervals
# held 71, 75, 77 and 94% of the missing ones by some twenty held-out ones, and 79, 77, 95 and 96 so; in 48 parts with holes of 8 and 16 pixels 92% both ways.
LIKE_ERRORS = 10


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
    spread : float
        Of the prior of the logarithm of the size of errors over what `std` says of it.
    doubt : float
        Standard deviation of that logarithm as the squares have it, besides chance.
    noise_doubt : float
        Standard error of the noise's variance, as a share of it.
    alone : bool
        Whether each value, noisy, was left out of an estimate of all, by its weight there (:func:`bayesdip.leave_one_out.each_left_out`).
    hides : bool
        Whether noise may hide texture from the method (:mod:`bayesdip.hidden_texture`).
    """

    mean: Array
    std: Array
    residual: Array
    squares: Array
    noise: Array
    spread: float = field(default=PRIOR_SPREAD, kw_only=True)
    doubt: float = field(default=0.0, kw_only=True)
    noise_doubt: float = field(default=0.0, kw_only=True)
    alone: bool = field(default=False, kw_only=True)
    hides: bool = field(default=False, kw_only=True)

    def of(self, chosen: NDArray[Any]) -> Values:
        """Those at some of the n pixels."""
        arrays = ("mean", "std", "residual", "squares", "noise")
        return replace(self, **{name: getattr(self, name)[:, chosen] for name in arrays})

    @property
    def exact(self) -> bool:
        return not self.noise.any()


@dataclass(frozen=True, eq=False)
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

    def summary(self) -> dict[str, float]:
        """Plain JSON values, without the tails."""
        return {name: float(getattr(self, name)) for name in ("scale", "floor", "ratio", "ratio_error")}


def fit_law(values: Values, regions: int | None = None) -> Law:
    """The two numbers by their quasi-likelihood on a grid, and the tails at every level.

    Parameters
    ----------
    values : Values
    regions : int, optional
        In how many regions they are, where those of one err alike.

    Returns
    -------
    Law

    Notes
    -----
    The squares ``q`` have expectation ``n + v``. Their quasi-log-likelihood
    ``-sum(log(n + v) + q / (n + v)) / (2 dispersion)`` is that of normal residuals, tempered by how
    much the squares scatter in fact (McCullagh and Nelder, *Generalized Linear Models*, ch. 9), and so that it is no surer
    than the `doubt` about what they are squares of. The two numbers are its means: where the data do not tell them, they
    stay in the middle.
    """
    from scipy.special import softmax

    if values.alone:
        return _law_of_alone(values)
    own = values.std**2
    level = float(own.mean())
    likelihood = _likelihood(values, own / level, level)
    share, log_ratio = np.unravel_index(int(likelihood.argmax()), likelihood.shape)
    best = math.exp(2 * LOG_RATIOS[log_ratio]) * (SHARES[share] * level + (1 - SHARES[share]) * own)
    likelihood /= _dispersion(values, best)
    prior = -0.5 * (LOG_RATIOS / values.spread) ** 2
    density = softmax(likelihood + prior)
    # About the ratio alone: which values have larger errors than others is told as well as before.
    if values.doubt:
        means, variances = _moments(softmax(likelihood, axis=1))
        doubted = prior - 0.5 * (LOG_RATIOS - means) ** 2 / (variances + values.doubt**2)
        density = density.sum(1, keepdims=True) * softmax(doubted, axis=1)
    constant = min(float((density * SHARES[:, None]).sum()), 1.0)
    middle, variance = (float(moment[0, 0]) for moment in _moments(density.sum(0, keepdims=True)))
    spread = math.sqrt(variance + STEP**2 / 12)
    ratio = math.exp(middle)
    scale = ratio * math.sqrt(1 - constant)
    floor = ratio * math.sqrt(constant * level)
    independent = values.residual.size if regions is None else regions * ERRORS_OF_A_REGION
    return Law(scale, floor, ratio, spread, _tails(values, floor**2 + scale**2 * own, independent))


def _law_of_alone(values: Values) -> Law:
    """Of values that were left out alone: the size of errors by the telling ones, and no constant part.

    With r the ratio of the mean squared error to what was said of it, its logarithm is normal a priori, and seen with the doubt about
    what the squares are of.
    """
    from scipy.special import softmax

    found, deviation = _telling_ratio(values, values.std**2)
    seen_spread = values.spread**2 + values.doubt**2
    logarithm = -0.5 * ((np.exp(2 * LOG_RATIOS) - found) / deviation) ** 2 - 0.5 * LOG_RATIOS**2 / seen_spread
    middle, variance = (float(moment[0, 0]) for moment in _moments(softmax(logarithm)[None]))
    drawn = values.spread**2 / seen_spread
    error = math.sqrt(drawn * values.doubt**2 + drawn**2 * variance + STEP**2 / 12)
    ratio = math.exp(drawn * middle)
    tails = np.array([_student_over_normal(level) for level in LEVELS]) / _student_over_normal(LEVEL)
    return Law(ratio, 0.0, ratio, error, tails)


def _telling_ratio(values: Values, variance: Array) -> tuple[float, float]:
    """How large squared errors are against a claim of them, and the standard error of that, on the telling values of `TELLING`."""
    here, noise = _telling(values), values.noise
    if int(here.sum()) < FEWEST_TELLING:
        return 1.0, math.inf
    claim = variance[here] / noise[here]
    squares = values.squares[here] / noise[here] - 1
    weight = 1 / (1 + values.std[here] ** 2 / noise[here]) ** 2
    total = float((weight * claim).sum())
    found = float((weight * squares).sum()) / total
    scatter = weight * (squares - max(found, 0.0) * claim)
    return found, math.hypot(np.linalg.norm(scatter), values.noise_doubt * weight.sum()) / total


def _telling(values: Values) -> NDArray[np.bool_]:
    seen = values.std**2 / (values.std**2 + values.noise)
    return np.asarray((seen > TELLING[0] ** 2) & (seen < TELLING[1] ** 2))


def _moments(density: Array) -> tuple[Array, Array]:
    """Mean and variance of the logarithm of the ratio in each row, (rows, 1)."""
    mean = (density * LOG_RATIOS).sum(1, keepdims=True)
    return mean, (density * (LOG_RATIOS - mean) ** 2).sum(1, keepdims=True)


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
    if values.alone:
        found, deviation = _telling_ratio(values, variance)
        here = _telling(values) if math.isfinite(deviation) else np.ones_like(half, dtype=bool)
        deviation = min(deviation, 2 * values.spread)
        reach = float(np.sqrt((half[here] ** 2 / variance[here]).mean())) * _student_over_normal(LEVEL)
        found = max(found, deviation / 10, 1e-6)
        inside = [2 * _cumulative(reach / math.sqrt(size)) - 1 for size in (found, found + deviation)]
        return inside[0], inside[0] - inside[1]
    # How large the squared error is against the claim; the noise is known, and taken off.
    error = (values.squares - values.noise).mean(0)
    claim = variance.mean(0)
    found = error.mean() / claim.mean()
    deviation = float((error - found * claim).std() / claim.mean() / math.sqrt(len(claim)))
    found = max(float(found), deviation / 10, 1e-6)
    reach = float(np.sqrt((half**2).mean() / claim.mean()))
    inside = [2 * _cumulative(reach / math.sqrt(size)) - 1 for size in (found, found + deviation)]
    return inside[0], inside[0] - inside[1]


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


def _tails(values: Values, variance: Array, independent: int) -> Array:
    """Half of the interval at each of `LEVELS`, over that of a normal variable.

    Of exact data the conformal quantile of the scores. In strong noise the scores tell of the
    noise's tails, not of the error's, and few independent ones tell little: there it is Student's law. In between, the geometric mean
    of the two, by the error's share of the residual's variance and by how many there are.
    """
    total = values.noise + variance
    scores = np.sort((np.abs(values.residual) / np.sqrt(total)).ravel())
    rank = np.minimum(np.ceil(LEVELS * (scores.size + 1)).astype(int), scores.size) - 1
    normal = np.array([z_of(level) for level in LEVELS])
    share = float((variance / total).mean()) * independent / (independent + LIKE_ERRORS)
    found: Array = (scores[rank] / normal) ** share * (_quantiles(LEVELS) / normal) ** (1 - share)
    return found


def _quantiles(levels: Array) -> Array:
    """Half of the central interval of each level, of Student's law with variance one."""
    from scipy.special import stdtrit

    return np.asarray(UNIT_SCALE * stdtrit(FREEDOM, 0.5 + levels / 2))


def _student_over_normal(level: float) -> float:
    """Half of the central interval by Student's law, over that by a normal one."""
    return float(_quantiles(np.array(level))) / z_of(level)


def _cumulative(value: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(FREEDOM, value / UNIT_SCALE))


def z_of(level: float) -> float:
    return NORMAL.inv_cdf(0.5 + level / 2)


def few_regions_factor(regions: int, typical: float | None = None) -> float:
    """By how much intervals in holes are wider than regions tell, for these are few.

    Parameters
    ----------
    regions : int
        How many there were.
    typical : float, optional
        By how much errors in holes are to be expected larger than on these regions, where that is known.

    Returns
    -------
    float
    """
    independent = regions * (ERRORS_OF_A_REGION if typical is None else OF_A_TYPICAL_ONE)
    return few_errors_factor(independent) * (1.0 if typical is None else typical)


def few_errors_factor(independent: int) -> float:
    """By how much a standard deviation is to be wider that so few independent errors have told: Student's law for the normal one."""
    from scipy.special import stdtrit

    return float(stdtrit(independent, 0.5 + LEVEL / 2)) / z_of(LEVEL)
