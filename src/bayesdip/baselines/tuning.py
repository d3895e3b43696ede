"""The parameter of a baseline, chosen by an error that needs no clean picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from bayesdip.baselines.baseline import Baseline
from bayesdip.problem import Problem


@dataclass(frozen=True)
class Tuning:
    """The value with the least error, what was tried, and the picture that it gave.

    Attributes
    ----------
    value : float
    errors : dict
        Error by value.
    restored : Tensor, shape (C, M, N)
    """

    value: float
    errors: dict[float, float]
    restored: Tensor


def tune(baseline: Baseline, seen: Problem, error: Callable[[Tensor], float]) -> Tuning:
    """Try every value of the baseline's grid on the data ``seen``.

    Parameters
    ----------
    seen : Problem
        Without what the error is measured on.
    error : callable
        From a restored picture (C, M, N) in working units to a number, less is better; the same
        for all methods that are compared.

    Raises
    ------
    BayesDipError
        The baseline refuses the problem.
    """
    errors: dict[float, float] = {}
    best: Tensor | None = None
    for value in baseline.values:
        restored = baseline.restore(seen, value)
        errors[value] = error(restored)
        if best is None or errors[value] <= min(errors.values()):
            best = restored
    value = min(errors, key=lambda v: errors[v])
    assert best is not None
    return Tuning(value, errors, best)
