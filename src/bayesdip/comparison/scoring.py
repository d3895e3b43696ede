"""From squared errors by pixel to estimates with confidence intervals, paired between methods."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

# Errors of neighbouring pixels are correlated: squares of this side (pixels) are resampled as a whole (block
# bootstrap). It is longer than the correlation of the residuals of the methods here, and leaves enough blocks.
BLOCK = 8
# Bootstrap samples, and the confidence of the intervals.
RESAMPLES, LEVEL = 1000, 0.95
# The least squared error in decibels: for exact data (the range is 1), and as a share of the noise's variance.
LEAST, LEAST_OF_NOISE = 1e-12, 0.01


@dataclass
class Score:
    """Squared errors of one method, summed by block: one row a round.

    Attributes
    ----------
    sums, counts : list of arrays, shape (blocks,)
    noise : float
        The noise's variance, which is already subtracted from the squared errors.
    noise_error : float
        Relative standard error of that variance. It moves all methods alike: the order stays, the distances do not.
    """

    sums: list[Floats] = field(default_factory=list)
    counts: list[Floats] = field(default_factory=list)
    noise: float = 0.0
    noise_error: float = 0.0

    def add(self, total: Tensor, count: Tensor) -> None:
        """Add one round: squared errors and how many, both (M, N)."""
        self.sums.append(by_block(total.numpy()))
        self.counts.append(by_block(count.numpy()))

    @property
    def rounds(self) -> int:
        """How many rounds were added."""
        return len(self.sums)

    @property
    def least(self) -> float:
        """No squared error counts for less in decibels: an estimate below it is chance."""
        return max(LEAST, LEAST_OF_NOISE * self.noise)

    def mean(self, rounds: int | None = None) -> float:
        """Mean squared error over the first ``rounds``."""
        return float(np.sum(self.sums[:rounds]) / np.sum(self.counts[:rounds]))

    def resampled(self, weights: Floats, rounds: int | None = None) -> Floats:
        """The mean squared error of each bootstrap sample; weights (samples, blocks)."""
        sums, counts = np.sum(self.sums[:rounds], axis=0), np.sum(self.counts[:rounds], axis=0)
        # The same draws for every method, because the noise's variance is the same.
        shift = self.noise * self.noise_error * np.random.default_rng(0).standard_normal(len(weights))
        return np.asarray((weights @ sums) / (weights @ counts) + shift)


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% confidence interval.

    Attributes
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float


def by_block(picture: NDArray[np.floating]) -> Floats:
    """Sums over squares of `BLOCK` pixels, (M, N) to (blocks,); those at the border may be smaller."""
    rows, columns = (range(0, n, BLOCK) for n in picture.shape)
    return np.asarray(
        np.add.reduceat(np.add.reduceat(picture.astype(np.float64), rows, axis=0), columns, axis=1).ravel()
    )


def bootstrap_weights(blocks: int, seed: int) -> Floats:
    """How often each block is drawn in each bootstrap sample, (samples, blocks)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=RESAMPLES).astype(np.float64)


def mean_error(score: Score, weights: Floats) -> Interval:
    """The mean squared error."""
    return _interval(score.mean(), score.resampled(weights))


def decibels_behind(score: Score, best: Score, weights: Floats) -> Interval:
    """By how many dB a method's squared error is above that of another, over the rounds both did.

    Both are resampled alike, so that what is hard for both does not count as uncertainty.
    """
    rounds = min(score.rounds, best.rounds)
    return _interval(
        _decibels(score.mean(rounds), best.mean(rounds), best.least),
        _decibels(score.resampled(weights, rounds), best.resampled(weights, rounds), best.least),
    )


def clearly_behind(score: Score, best: Score, weights: Floats) -> bool:
    """Whether the 95% interval of the difference in squared error lies above zero."""
    rounds = min(score.rounds, best.rounds)
    sums = np.sum(score.sums[:rounds], axis=0) - np.sum(best.sums[:rounds], axis=0)
    return bool(np.quantile(weights @ sums, (1 - LEVEL) / 2) > 0)


def _decibels(a: Floats | float, b: Floats | float, least: float) -> Floats:
    """``10 log10(a / b)`` where the smaller one is at least ``least``; else it is raised, and a - b kept."""
    difference = np.asarray(a) - b
    smaller = np.maximum(np.minimum(a, b), least)
    return np.asarray(np.sign(difference) * 10 * np.log10(1 + np.abs(difference) / smaller))


def _interval(value: float | Floats, samples: Floats) -> Interval:
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))
