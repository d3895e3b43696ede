"""A level of noise by position or by brightness, as cells of a picture show it.

A picture is cut into cells, and the noise of each is the power of the high frequencies of its smooth windows. A quadratic of its logarithm, with a
level for each channel, is the model if it predicts cells that were left out much better than one level does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bayesdip.noise.spectrum import Windows

Array = NDArray[np.float64]
# Channel, powers of windows, and place of a cell.
Group = tuple[int, Array, Array]

# Windows of a cell, most cells of an axis, bins of brightness, and fewest cells of a channel.
PER_CELL, CELLS_PER_AXIS, BINS, FEWEST_CELLS = 30, {1: 24, 2: 6, 3: 4}, 12, 8
# The constants below were set on 24 pictures of BSDS500 and on scikit-image's, clean and with noise of one level
# and of varying ones. The smooth third of a cell's windows shows noise, not texture, if the next third has as much to this
# factor, and the middle frequencies as much as the high ones.
STEADY, WHITE = 1.5, 1.5
# Least share of the cells that must show it, and least number for each of the model's coefficients.
MOST_CELLS, PER_COEFFICIENT = 0.3, 2.5
# The model's error on a cell left out, root mean square of the logarithm of the variance: at most, and as a share of that of one level.
OFF, BETTER = 0.35, 0.6
# Error of one level from which on it is worth while: 8% of the standard deviation.
ONE_LEVEL_OFF = 0.15
# Cells farther from the model than this are texture: they count less (Huber's weights).
HUBER = 0.2
# What stands for no channel of a model: the mean of all.
MEAN = -1
# Ratios of mean to standard deviation of clipped noise, and the variance left, from the least that tells, where 7 of 10 values are
# clipped, to where none is.
_A = np.linspace(-0.5, 5.0, 56)
_MEANS = _A * ndtr(_A) + np.exp(-0.5 * _A**2) / (2 * np.pi) ** 0.5
VARIANCES_LEFT = (1 + _A**2) * ndtr(_A) + _A * np.exp(-0.5 * _A**2) / (2 * np.pi) ** 0.5 - _MEANS**2
RATIOS = _MEANS / VARIANCES_LEFT**0.5


@dataclass(frozen=True)
class NoisyCells:
    """Cells that show noise: their channels, (n,), places or brightnesses from -1 to 1, (n, axes), and log variances, (n,)."""

    channel: NDArray[np.int64]
    place: Array
    log_variance: Array


def from_span(values: Array, span: tuple[float, float]) -> Array:
    """From -1 to 1 over the span."""
    low, high = span
    found: Array = 2 * (values - low) / (high - low) - 1
    return found


def cells_by_position(windows: list[Windows | None], clipped: tuple[float, float]) -> list[Group]:
    """Cells side by side on the grid; their power without the clipping."""
    groups = []
    for channel, found in enumerate(windows):
        if found is None:
            continue
        dims = found.places.shape[1]
        per_axis = min(CELLS_PER_AXIS[dims], int((len(found.means) / PER_CELL) ** (1 / dims)))
        index = np.minimum((found.places * per_axis).astype(int), per_axis - 1)
        number = np.ravel_multi_index(tuple(index.T), (per_axis,) * dims)
        for cell in np.unique(number):
            chosen = np.flatnonzero(number == cell)
            power = _unclipped(found.power[chosen, 0], found.means[chosen, 0], clipped)
            groups.append((channel, power, 2 * found.places[chosen].mean(0) - 1))
    return groups


def cells_by_brightness(
    windows: list[Windows | None], span: tuple[float, float], clipped: tuple[float, float]
) -> list[Group]:
    """Of about the same brightness, channel by channel; their power without the clipping."""
    groups = []
    for channel, found in enumerate(windows):
        if found is None or not span[1] > span[0]:
            continue
        means = found.means[:, 0]
        for chosen in np.array_split(
            np.argsort(means, kind="stable"), max(1, min(BINS, len(means) // PER_CELL))
        ):
            power = _unclipped(found.power[chosen, 0], means[chosen], clipped)
            groups.append((channel, power, from_span(means[chosen].mean(keepdims=True), span)))
    return groups


def _unclipped(power: Array, means: Array, clipped: tuple[float, float]) -> Array:
    """The power that windows of one cell, (n, 3), would have without the clipping."""
    deviation = float(np.median(power[:, 2])) ** 0.5
    return power * _without_clipping(float(means.mean()), deviation, clipped)


def _without_clipping(mean: float, deviation: float, clipped: tuple[float, float]) -> float:
    """The variance of normal noise over what is left of it by clipping; 0 where too little is left to tell.

    Of a variable of standard deviation 1 around a, clipped at 0, the mean is ``a P(a) + p(a)`` and the mean square
    ``(1 + a^2) P(a) + a p(a)``, with the density p and the distribution function P of a standard normal variable (Tobin,
    Econometrica 1958). The ratio of mean to standard deviation tells a.
    """
    factor = 1.0
    for level, sign in zip(clipped, (1.0, -1.0), strict=True):
        if not np.isfinite(level) or deviation == 0:
            continue
        ratio = sign * (mean - level) / deviation
        if ratio < RATIOS[0]:
            return 0.0
        factor /= float(np.interp(ratio, RATIOS, VARIANCES_LEFT))
    return factor


def noisy_cells(groups: list[Group], least: float) -> NoisyCells | None:
    """Of channels, powers of windows, and places, those whose smooth third shows noise; None where they are too few."""
    found = []
    for channel, power, place in groups:
        power = power[np.argsort(power[:, 0], kind="stable")]
        third = len(power) // 3
        if third < PER_CELL // 6:
            continue
        smooth, later = power[:third].mean(0), power[third : 2 * third].mean(0)
        if smooth[2] > least**2 and later[2] < STEADY * smooth[2] and smooth[1] < WHITE * smooth[2]:
            found.append((channel, place, float(np.log(smooth[2]))))
    if len(found) < max(FEWEST_CELLS, MOST_CELLS * len(groups)):
        return None
    channels, places, variances = zip(*found, strict=True)
    return NoisyCells(np.array(channels), np.stack(places), np.array(variances))


@dataclass(frozen=True)
class LevelModel:
    """A polynomial of the log variance, and its error on cells left out."""

    cells: NoisyCells
    degree: int
    weights: Array
    off: float
    share: float = 1.0  # of that error of one level

    @classmethod
    def of(cls, cells: NoisyCells | None) -> LevelModel | None:
        """The better of a linear and a quadratic one; None where neither is much better than one level."""
        if cells is None:
            return None
        level, *models = (_fitted(cells, degree) for degree in (0, 1, 2))
        models = [model for model in models if len(cells.channel) >= PER_COEFFICIENT * len(model.weights)]
        if not models:
            return None
        best = min(models, key=lambda model: model.off)
        best = replace(best, share=best.off / max(level.off, 1e-12))
        return best if best.off < OFF and best.share < BETTER and level.off > ONE_LEVEL_OFF else None

    def sigma(self, channel: int, places: Array) -> Array:
        """The level at places from -1 to 1, (n, axes), within that of the cells."""
        rows = _design(np.full(len(places), channel), places, self.degree, self.cells)
        fit = _design(self.cells.channel, self.cells.place, self.degree, self.cells) @ self.weights
        mine = fit[self.cells.channel == channel] if (self.cells.channel == channel).any() else fit
        level: Array = np.exp(0.5 * (rows @ self.weights).clip(mine.min() - HUBER, mine.max() + HUBER))
        return level


def _fitted(cells: NoisyCells, degree: int) -> LevelModel:
    """By least squares with Huber's weights."""
    design, weight = _design(cells.channel, cells.place, degree, cells), np.ones(len(cells.channel))
    for _ in range(10):
        rows = design * weight[:, None] ** 0.5
        inverse = np.linalg.pinv(rows.T @ rows)
        solution = inverse @ (design.T @ (weight * cells.log_variance))
        residual = cells.log_variance - design @ solution
        weight = np.minimum(1, HUBER / np.maximum(abs(residual), 1e-12))
    leverage = (rows @ inverse * rows).sum(1).clip(0, 0.9)
    left_out = residual / (1 - leverage)
    return LevelModel(cells, degree, solution, float(np.sqrt(np.average(left_out**2, weights=weight))))


def _design(channel: NDArray[np.int64], places: Array, degree: int, cells: NoisyCells) -> Array:
    """A level for each channel (the mean of all for one without cells) and, for all, the powers of the places up to `degree`."""
    known = np.unique(cells.channel)
    columns = [np.where(np.isin(channel, known), channel == c, 1 / len(known)) for c in known]
    axes = places.T
    if degree >= 1:
        columns += list(axes)
    if degree >= 2:
        columns += [a * b for i, a in enumerate(axes) for b in axes[i:]]
    return np.stack(columns, 1)
