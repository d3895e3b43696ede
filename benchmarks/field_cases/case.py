"""One input with its truth and what should come out, and the figures by which it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError

Array = NDArray[Any]
# A result may be worse than the data or the rival by so much (dB), and its 90% intervals should hold so much.
TOLERANCE_DB, LEVEL, COVERAGE = 0.1, 0.9, (0.80, 0.97)


@dataclass(frozen=True)
class Measure:
    """A figure of merit of an estimate.

    Attributes
    ----------
    unit : str
        ``"dB"``, where more is better; else an error, where less is better.
    of : callable
        ``of(estimate, truth)``, both flattened to the values that count.
    """

    unit: str
    of: Callable[[Array, Array], float]

    def loss_db(self, figure: float, other: float) -> float:
        """By how many dB a figure is worse than another."""
        if self.unit == "dB":
            return other - figure
        if figure == 0 or other == inf:
            return -inf if figure < other else 0.0
        return inf if other == 0 else 20 * log10(figure / other)


def _psnr(peak: float, estimate: Array, truth: Array) -> float:
    error = float(np.mean((np.clip(estimate, 0, peak) - truth) ** 2))
    return inf if error == 0 else 10 * log10(peak**2 / error)


def psnr(peak: float = 255.0) -> Measure:
    """Peak signal-to-noise ratio, values clipped to 0 .. `peak`."""
    return Measure("dB", partial(_psnr, peak))


EIGHT_BITS = psnr()
RMS = Measure("rms", lambda estimate, truth: float(np.sqrt(np.mean((estimate - truth) ** 2))))
RELATIVE = Measure(
    "relative error", lambda estimate, truth: float(np.mean(np.abs(estimate - truth) / np.abs(truth)))
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input with its truth.

    Attributes
    ----------
    run : callable
        Restores it, by defaults as far as possible.
    truth : array
    rival : callable
        What a simple method, `rival_name`, makes of the input.
    given : array or None
        The input, where it is a picture of the truth's shape.
    measure : Measure
    counted : index
        The values that count, of the truth; all of them by default.
    intervals : bool
        Whether its 90% intervals should hold on them.
    said : bool
        Whether something has to be found in the data and said.
    """

    run: Callable[[], Any]
    truth: Array
    rival: Callable[[], Array]
    rival_name: str
    given: Array | None = None
    measure: Measure = EIGHT_BITS
    counted: Any = ...
    intervals: bool = False
    said: bool = False

    def figure(self, estimate: Array) -> float:
        """Of an estimate, on the values that count."""
        truth = np.asarray(self.truth, np.float64)[self.counted]
        return self.measure.of(np.asarray(estimate, np.float64)[self.counted], truth)

    def measured(self) -> dict[str, Any]:
        """Restore, and hold the result against the data and the rival.

        Returns
        -------
        dict
            ``unit``; the figures ``given``, ``rival`` and ``result``; ``coverage`` of the 90% intervals; ``findings``;
            ``method``; ``ok``; and ``why``, what is wrong.
        """
        before = None if self.given is None else self.figure(self.given)
        row: dict[str, Any] = {"unit": self.measure.unit, "given": before, "rival_name": self.rival_name}
        row["rival"] = self.figure(self.rival())
        try:
            restored = self.run()
        except BayesDipError as error:
            return row | {"ok": False, "why": f"refused: {error}"}
        except Exception as error:  # what is measured is whether there is one
            return row | {"ok": False, "why": f"{type(error).__name__}: {error}"}
        row["result"] = self.figure(restored.mean)
        row["method"] = getattr(restored, "method", None) or restored.settings["method"]
        row["findings"] = [finding.kind for finding in getattr(restored, "findings", ())]
        row["coverage"] = coverage_of(restored, self.truth, self.counted)
        complaints = list(self._complaints(row))
        return row | {"ok": not complaints, "why": "; ".join(complaints)}

    def _complaints(self, row: dict[str, Any]) -> list[str]:
        found = []
        for other, name in ((row["given"], "the data"), (row["rival"], self.rival_name)):
            loss = TOLERANCE_DB + 1 if other is None else self.measure.loss_db(row["result"], other)
            if other is not None and not loss <= TOLERANCE_DB:
                found.append(f"{loss:.1f} dB below {name}")
        held = row["coverage"]
        if self.intervals and held is not None and not COVERAGE[0] <= held <= COVERAGE[1]:
            found.append(f"90% intervals hold {held:.0%}")
        if self.said and not row["findings"]:
            found.append("nothing was said")
        return found


def coverage_of(restored: Any, truth: Array, counted: Any = ...) -> float | None:
    """Share of the true values inside the 90% intervals; None where there are none."""
    if restored.std is None:
        return None
    low, high = restored.interval(LEVEL)
    return float(((low <= truth) & (truth <= high))[counted].mean())


@dataclass(frozen=True)
class Check:
    """Something that is as it should be, or is not.

    Attributes
    ----------
    run : callable
        In an empty working folder; gives what was wrong, a line each.
    """

    run: Callable[[], list[str]]

    def measured(self) -> dict[str, Any]:
        """``ok``, and ``why``, what was wrong."""
        try:
            wrong = self.run()
        except Exception as error:  # what is measured is whether there is one
            wrong = [f"{type(error).__name__}: {error}"]
        return {"ok": not wrong, "why": "; ".join(wrong)}
