"""The step between the values that data can have: no noise estimate may be finer than their rounding."""

from __future__ import annotations

import torch
from torch import Tensor

# Values that are looked at: enough for every level of a file to be seen more than once.
MOST_VALUES = 200_000
# Data with at most this many different values per value are on a lattice, if their differences are multiples of one step.
DISTINCT_SHARE = 0.5
# How far a difference may be from a multiple of the step, in steps, after a change of units in single precision.
TOLERANCE = 0.02


def rounding_step(values: Tensor) -> float:
    """The step of the lattice on which all values lie, 1 for whole numbers at least; else the spacing of floating-point numbers.

    Parameters
    ----------
    values : Tensor
        Finite, of any shape.

    Returns
    -------
    float
        Not below 0; it is 0 for data that are all 0 or empty.

    Examples
    --------
    >>> import torch
    >>> rounding_step(torch.tensor([0.0, 4.0, 10.0, 4.0, 0.0, 10.0]))
    2.0
    """
    values = values.flatten().double()
    if not values.numel():
        return 0.0
    spacing = _floating_point_spacing(values)
    if bool((values == values.round()).all()):
        spacing = max(spacing, 1.0)  # whole numbers, each of which may be there once
    sample = values[:: max(1, -(-len(values) // MOST_VALUES))]
    levels = torch.unique(sample)
    if len(levels) < 2 or len(levels) > max(2, DISTINCT_SHARE * len(sample)):
        return spacing
    gaps = levels.diff()
    step = _common_divisor(gaps)
    return max(step, spacing)


def _floating_point_spacing(values: Tensor) -> float:
    """Of single precision where all values have it, else of double precision."""
    single = bool((values.float().double() == values).all())
    return float(torch.finfo(torch.float32 if single else torch.float64).eps * values.abs().amax())


def _common_divisor(gaps: Tensor) -> float:
    """The largest number of which all gaps are multiples; 0 if there is none of about their size.

    By Euclid's algorithm on all gaps at once: the smallest remainder takes the place of the divisor.
    """
    step = float(gaps.min())
    for _ in range(8):
        rest = (gaps / step - (gaps / step).round()).abs() * step
        left = rest[rest > TOLERANCE * step]
        if not len(left):
            return step
        step = float(left.min())
    return 0.0
