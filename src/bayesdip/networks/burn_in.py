"""When a chain has forgotten its start: a test for a trend of the fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Evaluations of the fit that a verdict needs, one every `training_loop.EVALUATE_EVERY` steps.
FEWEST_EVALUATIONS = 12
# A fit whose trend over the window is below this share of its level has settled.
TOLERANCE = 0.01
# Distance from the median, in standard deviations (1.4826 times the median absolute deviation), beyond which a value is a spike.
SPIKE = 3.0


def has_settled(fits: Sequence[float], tolerance: float = TOLERANCE) -> bool:
    """Whether the trend of a trace is gone.

    The window is the later half of the trace, so that it grows with the run and leaves the
    start behind (as in Geweke's test, Bayesian Statistics 4, 1992). In it the trend is the least-squares
    line. It is gone when the line's rise from end to end is below ``tolerance`` of the level,
    or cannot be told from the scatter (two standard errors) while that error itself is below the
    tolerance: a noisy trace is no settled one.

    Parameters
    ----------
    fits : sequence of float
        ``Energy.fit``, evaluated at even distances since the chain took its final temperature.
    tolerance : float
        Relative to the mean of the window.

    Returns
    -------
    bool
        False with fewer than `FEWEST_EVALUATIONS` in the window.
    """
    window = _without_spikes(np.asarray(fits[len(fits) // 2 :], dtype=np.float64))
    n = len(window)
    if n < FEWEST_EVALUATIONS:
        return False
    place = np.linspace(-0.5, 0.5, n)
    rise = float(place @ window / (place @ place))
    level = float(window.mean())
    residual = window - level - rise * place
    error = float(np.sqrt(residual @ residual / (n - 2) / (place @ place) * _correlation_time(residual)))
    bound = tolerance * abs(level)
    return abs(rise) < bound or (abs(rise) < 2 * error and error < bound)


def _without_spikes(window: Array) -> Array:
    """The trace with what lies far from its median moved to `SPIKE` robust deviations from it.

    A chain at temperature 1 leaves its plateau for a few steps now and then: that is no trend.
    """
    if not len(window):
        return window
    centre = np.median(window)
    reach = SPIKE * 1.4826 * np.median(np.abs(window - centre))
    return np.asarray(np.clip(window, centre - reach, centre + reach))


def _correlation_time(residual: np.ndarray) -> float:
    """``(1 + r) / (1 - r)`` with r the correlation of neighbouring evaluations: how many of them count as one."""
    power = float(residual @ residual)
    r = float(residual[1:] @ residual[:-1]) / power if power > 0 else 0.0
    r = min(max(r, 0.0), 0.9)
    return (1 + r) / (1 - r)
