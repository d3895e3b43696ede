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
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.error_law import LEVEL, LEVELS, Array, Law, Values, covered, fit_law, z_of
from bayesdip.errors import BayesDipError
from bayesdip.hidden_texture import HiddenTexture, averaged_hidden, hidden_texture
from bayesdip.seen_pixels import seen_variance

FEWEST_PIXELS = 32
# Pixels of regions: what single pixels tell is no help there, so that a few are better than none.
FEWEST_OF_REGIONS = 8
# A posterior variance near or above the noise's would mean that nothing but the pixel's own value
# is known; Monte-Carlo error brings it there. It counts as at most this share of the noise's.
MOST_FROM_ITSELF = 0.95


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
    far : Law or None
        The same two numbers and tails in holes, far from known pixels, where regions were held out.
    simulated : bool
        Whether the values were not held out but are those of a simulated restoration, whose truth is known
        (:mod:`bayesdip.simulation`); `held_out` is then empty.
    hidden : HiddenTexture or None
        What makes intervals wider in textured places of a noisy picture, and narrower in smooth ones.
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
    far: Law | None = None
    simulated: bool = False
    hidden: HiddenTexture | None = None

    def variance(self, own: NDArray[Any], hole: NDArray[Any] | float = 0.0) -> Array:
        """The calibrated variance of an unseen pixel, from the method's own standard deviation; 0 stays 0.

        Parameters
        ----------
        own : ndarray
        hole : ndarray, broadcastable to ``own``
            How far the pixel is in a hole, from 0 (near known pixels) to 1: the share of `far` in its variance.
        """
        squared = own.astype(np.float64) ** 2
        return np.asarray(np.where(own > 0, self._unseen(squared, hole), 0.0))

    def _unseen(self, squared: Array, hole: NDArray[Any] | float) -> Array:
        found: Array = self.floor**2 + self.scale**2 * squared
        if self.far is None:
            return found
        return np.asarray((1 - hole) * found + hole * (self.far.floor**2 + self.far.scale**2 * squared))

    def std(
        self,
        own: NDArray[Any],
        noise: NDArray[Any] | float = math.inf,
        hole: NDArray[Any] | float = 0.0,
    ) -> NDArray[np.float32]:
        """The calibrated standard deviation, from the method's own; what is certain stays so.

        Its normal 90% interval is the calibrated one: where the errors' tails are longer or shorter than a
        normal law's at that level, it is by as much larger or smaller than the root mean square error.

        An estimate of posterior variance ``own^2`` gives the pixel's own value the weight ``w = own^2 / noise``, and the others'
        estimate of it the rest. The one errs by the pixel's noise, the other as the calibration says of unseen pixels:
        ``w^2 noise + (1 - w)^2 (floor^2 + scale^2 h)``, with ``1 / own^2 = 1 / h + 1 / noise``. The tails are those of unseen
        pixels in the second part alone, for the noise is normal.

        Parameters
        ----------
        own : ndarray
        noise : ndarray, broadcastable to ``own``
            Variance of the noise on the pixel's value that the method saw; infinite where it saw none.
            There the calibration, which comes from unseen pixels, holds as it is.
        hole : ndarray, broadcastable to ``own``
            As :meth:`variance` takes it.
        """
        squared = own.astype(np.float64) ** 2
        unseen = squared / (1 - np.minimum(squared / noise, MOST_FROM_ITSELF))
        variance = self._unseen(unseen, hole)
        tail: NDArray[Any] | float = self._tail(LEVEL)
        if self.far is not None:
            tail = (1 - hole) * tail + hole * float(np.interp(LEVEL, LEVELS, self.far.tails))
        found = seen_variance(unseen, np.square(tail) * variance, noise)
        if self.hidden is not None:
            found *= self.hidden.factor(squared / noise)
        return np.where(own > 0, np.sqrt(found), 0.0).astype(np.float32)

    def widened(self, factor: float) -> Calibration:
        """With all intervals so many times as wide; the coverage that was counted stays."""
        parts = {name: factor * getattr(self, name) for name in ("scale", "floor", "ratio")}
        return replace(self, **parts)

    def with_far(self, far: Calibration, share: float) -> Calibration:
        """Of pixels near known ones, with that of pixels in holes.

        Parameters
        ----------
        far : Calibration
            From held-out regions.
        share : float
            Of the missing pixels, those in holes: by it the two coverages are averaged.

        Returns
        -------
        Calibration
        """
        law = Law(far.scale, far.floor, far.ratio, far.ratio_error, far.tails)
        held = {
            f.name: np.concatenate([getattr(self.held_out, f.name), getattr(far.held_out, f.name)], -1)
            for f in fields(HeldOut)
        }
        return replace(
            self,
            coverage=(1 - share) * self.coverage + share * far.coverage,
            coverage_error=math.hypot((1 - share) * self.coverage_error, share * far.coverage_error),
            coverage_uncalibrated=(1 - share) * self.coverage_uncalibrated
            + share * far.coverage_uncalibrated,
            count=self.count + far.count,
            held_out=HeldOut(**held),
            far=law,
        )

    def keeping(self, chosen: NDArray[np.bool_]) -> Calibration:
        """The same with those of its held-out pixels alone that are among some on the grid, a flat array."""
        here = chosen[self.held_out.places]
        parts = {f.name: getattr(self.held_out, f.name)[..., here] for f in fields(HeldOut)}
        return replace(self, held_out=HeldOut(**parts))

    def reach(self, level: float) -> float:
        """Half of the central interval of that level, in calibrated standard deviations."""
        return self.tail(level) * z_of(level)

    def tail(self, level: float) -> float:
        """The same over that of a normal variable: 1 at the level of 90%."""
        return self._tail(level) / self._tail(LEVEL)

    def _tail(self, level: float) -> float:
        return float(np.interp(level, LEVELS, self.tails))

    def summary(self) -> dict[str, Any]:
        """Plain JSON values, without the single pixels."""
        names = ("scale", "floor", "ratio", "ratio_error", "coverage", "coverage_error")
        found: dict[str, Any] = {name: float(getattr(self, name)) for name in names}
        return (
            found
            | {
                "coverage_uncalibrated": float(self.coverage_uncalibrated),
                "level": LEVEL,
                "count": self.count,
                "beyond": self.beyond,
                "simulated": self.simulated,
            }
            | ({} if self.far is None else {"far": self.far.summary()})
            | ({} if self.hidden is None else self.hidden.summary())
        )

    def rescaled(self, shift: float, scale: float) -> Calibration:
        """From working units to ``shift + scale * value``."""
        far = None if self.far is None else replace(self.far, floor=scale * self.far.floor)
        return replace(self, floor=scale * self.floor, far=far, held_out=self.held_out.rescaled(shift, scale))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What :meth:`summary` leaves out, by name."""
        held = self.held_out
        parts = {name: getattr(held, name) for name in ("places", "mean", "std", "low", "high")}
        far = {} if self.far is None else {"far_tails": self.far.tails}
        return {"tails": self.tails, **far, **{f"held_out_{name}": part for name, part in parts.items()}}

    @classmethod
    def of(cls, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Calibration:
        """From what :meth:`summary` and :meth:`to_arrays` gave."""
        held = {n.removeprefix("held_out_"): a for n, a in arrays.items() if n.startswith("held_out_")}
        numbers = {f.name for f in fields(cls)} - {"far", "hidden"}
        plain = {name: value for name, value in facts.items() if name in numbers}
        far = Law(**facts["far"], tails=arrays["far_tails"]) if "far" in facts else None
        held_out, hidden = HeldOut(**held), HiddenTexture.of(facts)
        return cls(**plain, tails=arrays["tails"], held_out=held_out, far=far, hidden=hidden)


def calibrate(
    values: Values, places: NDArray[np.int64], seed: int, regions: NDArray[np.int64] | None = None
) -> Calibration | None:
    """Calibrate on held-out pixels, and tell what coverage that reaches on pixels not used for it.

    Two halves, drawn at random, judge each other; the calibration that is given comes from all.

    Parameters
    ----------
    values : Values
    places : ndarray of int, shape (n,)
        Flat positions on the picture's grid.
    seed : int
    regions : ndarray of int, shape (n,), optional
        Pixels of one region err alike, and stay in one half.

    Returns
    -------
    Calibration or None
        None with fewer than 32 pixels (8 in regions), or where the method is certain of every one of them.
    """
    count = values.mean.shape[1]
    if count < (FEWEST_PIXELS if regions is None else FEWEST_OF_REGIONS) or not values.std.any():
        return None

    def fitted(chosen: NDArray[np.int64]) -> Law:
        return fit_law(values.of(chosen), None if regions is None else len(np.unique(regions[chosen])))

    halves = _halves(np.arange(count) if regions is None else regions, seed)
    variance, reach = np.empty_like(values.std), np.empty_like(values.std)
    for mine, other in (halves, halves[::-1]):
        law = fitted(other)
        variance[:, mine] = law.variance(values.std[:, mine])
        reach[:, mine] = z_of(LEVEL) * np.interp(LEVEL, LEVELS, law.tails)
    half = reach * np.sqrt(variance)
    coverage, error = covered(values, variance, half)
    own = values.std**2
    uncalibrated, _ = covered(values, own, z_of(LEVEL) * values.std)
    law = fitted(np.arange(count))
    hidden = hidden_texture(own / (own + values.noise)) if values.hides else None
    half *= 1.0 if hidden is None else np.sqrt(hidden.factor(own / (own + values.noise)))
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
        hidden=hidden,
    )


def averaged(weighted: Sequence[tuple[float, Calibration]], held_out: HeldOut) -> Calibration:
    """Calibrations of parts of a picture as one.

    Parameters
    ----------
    weighted : sequence of (float, Calibration)
        With weights of any sum.
    held_out : HeldOut
        Of all parts.

    Returns
    -------
    Calibration
    """
    weights = np.array([weight for weight, _ in weighted])
    weights /= weights.sum()

    def mean(name: str) -> float:
        return float(weights @ [getattr(one, name) for _, one in weighted])

    def error(name: str) -> float:
        return float(np.linalg.norm(weights * [getattr(one, name) for _, one in weighted]))

    return Calibration(
        scale=mean("scale"),
        floor=mean("floor"),
        ratio=mean("ratio"),
        ratio_error=error("ratio_error"),
        coverage=mean("coverage"),
        coverage_error=error("coverage_error"),
        coverage_uncalibrated=mean("coverage_uncalibrated"),
        tails=np.asarray(weights @ [one.tails for _, one in weighted]),
        count=sum(one.count for _, one in weighted),
        held_out=held_out,
        beyond=mean("beyond"),
        far=_averaged_law([(weight, one.far) for weight, one in weighted if one.far is not None]),
        hidden=averaged_hidden([(weight, one.hidden) for weight, one in weighted]),
    )


def _averaged_law(laws: Sequence[tuple[float, Law]]) -> Law | None:
    """Their average by these weights."""
    if not laws:
        return None
    weights = np.array([weight for weight, _ in laws])
    weights /= weights.sum()
    numbers = {
        name: float(weights @ [getattr(law, name) for _, law in laws])
        for name in ("scale", "floor", "ratio", "ratio_error")
    }
    return Law(**numbers, tails=np.asarray(weights @ [law.tails for _, law in laws]))


def _halves(regions: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in two halves, regions drawn at random; single pixels where there is one region alone."""
    names, number = np.unique(regions, return_inverse=True)
    if len(names) < 2:
        number = np.arange(len(regions))
    order = np.random.default_rng(seed).permutation(number.max() + 1)
    first = np.isin(number, order[: len(order) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)


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
