"""One random problem, and how its result is held against its truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.regions import coverage_by_region

Array = NDArray[Any]
# Coverage is a statistic: with fewer values that count, chance alone would take it out of its bounds.
LEVEL, LEAST_COUNTED = 0.9, 100


@dataclass(frozen=True, kw_only=True)
class RandomProblem:
    """What to call with what, what it should come to, and what costs nothing.

    Attributes
    ----------
    task, words : str
    call : callable
    arguments : tuple
    options : dict
        Of the call, besides ``effort`` and ``seed``.
    truth : array
        Not rounded.
    simple : dict
        Pictures that the result is held against, by name: the data, or a simple filler.
    counted : index
        The values that count.
    up_to_a_constant : bool
        Whether the data say nothing of the mean.
    """

    task: str
    words: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    truth: Array
    simple: Mapping[str, Callable[[], Array]]
    options: Mapping[str, Any] = field(default_factory=dict)
    counted: Any = ...
    up_to_a_constant: bool = False

    def run(self, effort: str = "fast") -> Any:
        """The restoration."""
        return self.call(*self.arguments, effort=effort, **self.options)

    def error(self, picture: Array) -> float:
        """Root mean squared error on the values that count."""
        difference = (np.asarray(picture, np.float64) - self.truth)[self.counted]
        return float(difference.std() if self.up_to_a_constant else np.sqrt(np.mean(difference**2)))

    def measured(self, restored: Any) -> dict[str, Any]:
        """``loss_db``, by how much the result is worse than the best of `simple`, named ``against``; ``coverage``.

        ``coverage`` is None without a standard deviation, and where too few values count. Where all count, it is also given
        by region: ``coverage_smooth``, ``coverage_textured``.
        """
        others = {name: self.error(picture()) for name, picture in self.simple.items()}
        against = min(others, key=others.__getitem__)
        own = self.error(restored.mean)
        # Of two that are right to the last bits of single precision, none is the worse.
        floor = 1e-6 * float(np.ptp(self.truth))
        loss = 20 * np.log10(max(own, floor) / max(others[against], floor))
        row: dict[str, Any] = {"loss_db": round(float(loss), 3), "against": against, "coverage": None}
        counted = self.truth[self.counted].size
        if restored.std is not None and counted >= LEAST_COUNTED and not self.up_to_a_constant:
            low, high = restored.interval(LEVEL)
            held = (low <= self.truth) & (self.truth <= high)
            row["coverage"] = round(float(held[self.counted].mean()), 4)
            if self.counted is ...:
                row |= coverage_by_region(held, self.truth, self.options.get("channel_axis"))
        findings = [finding.kind for finding in restored.findings]
        return row | {"method": restored.method, "findings": ", ".join(findings)}
