"""What restoring by patches costs, told while it is paid: passes take known multiples of each other's time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from torch import Tensor

from bayesdip.patches.hbe import FIRST_PASSES
from bayesdip.patches.patch_grid import LARGE_PATCH, LARGEST_PATCH, PATCH_VALUES, SMALL_PATCH
from bayesdip.posterior import Trace
from bayesdip.progress import Estimate, Progress, Snapshot

# What the last pass takes, whose patches stand closer and whose variances are needed, and what the coarser
# grids take of all passes on the finest one; and what comes after the turns of a projection, for each draw, in turns.
LAST_PASS, COARSER = 1.5, 0.38
A_DRAW = 0.1
# Of filling in: the passes that look farther, and the last one. All of them by the values of a patch.
LATER, LAST_FILLING = 1.2, 5.5
NOISE_BY = {PATCH_VALUES: 1.0, SMALL_PATCH: 1.1, LARGE_PATCH: 2.0, LARGEST_PATCH: 3.0}
FILLING_BY = {PATCH_VALUES: 1.0, SMALL_PATCH: 0.65, LARGE_PATCH: 2.0}
# Of the whole run, the share after which its pace is known.
MEASURED = 0.02


def units_of_noise(
    passes: int, patches: Iterable[int], larger: tuple[int, float] | None = None
) -> list[float]:
    """The time of each pass, and of the coarser grids after them, in that of the first pass; see `patch_posterior`."""
    fine = [1.0] * (passes - 1) + [LAST_PASS]
    once = [*fine, COARSER * sum(fine)]
    by_size = [NOISE_BY[most] * u for most in patches for u in once]
    return by_size if larger is None else [*by_size, NOISE_BY[larger[0]] * LAST_PASS]


def units_of_filling(passes: int, patches: Iterable[int] = (PATCH_VALUES,)) -> list[float]:
    """The same of each pass of filling in."""
    first = min(FIRST_PASSES, passes - 1)
    once = [1.0] * first + [LATER] * (passes - 1 - first) + [LAST_FILLING]
    return [FILLING_BY[most] * u for most in patches for u in once]


def units_of_turns(turns: int, draws: int) -> list[float]:
    return [1.0] * turns + [A_DRAW * draws]


@dataclass
class Course:
    """Where a run stands, and when it will be over.

    Attributes
    ----------
    progress : Progress
    runs : list of list of float
        The time of each pass in units of the first, for the run without the held-out entries, if there is one,
        and for that with all of them.
    memory : int
        Bytes that the run needs.
    trace : dict
        Step and seconds of each pass.
    run : int
        Which of the runs is on, from 0.
    """

    progress: Progress
    runs: list[list[float]]
    memory: int
    trace: Trace = field(default_factory=lambda: {"step": [], "seconds": []})
    run: int = -1
    _ready: float = 0.0
    _told: bool = False

    def begin(self) -> None:
        """The next run."""
        self.run += 1

    def watch(self, number: int, share: float, picture: Tensor | None = None) -> bool:
        """Note that so much of a pass of the present run is done; whether to stop."""
        elapsed = self.progress.elapsed
        step = sum(map(len, self.runs[: self.run])) + number
        if share == 0:
            self.trace["step"].append(step)
            self.trace["seconds"].append(elapsed)
        if self.run == number == share == 0:
            self._ready = elapsed
        remaining = self._remaining(number, share)
        steps = sum(map(len, self.runs))
        if not self._told and math.isfinite(remaining):
            self._told = True
            estimate = Estimate(elapsed + remaining, self.memory, steps)
            self.progress.report(Snapshot("estimate", step, steps, elapsed, remaining, estimate=estimate))
        snapshot = Snapshot("solve", step + 1, steps, elapsed, remaining)
        if picture is not None:
            snapshot = replace(snapshot, mean=lambda: picture)
        self.progress.report(snapshot)
        return self.progress.should_stop()

    def _remaining(self, number: int, share: float) -> float:
        """Seconds, by the pace so far; NaN as long as that is not known. What comes before the first pass does not count."""
        now, total = self.runs[self.run], sum(map(sum, self.runs))
        done = sum(map(sum, self.runs[: self.run])) + sum(now[:number]) + share * now[number]
        if done < MEASURED * total:
            return math.nan
        return max(self.progress.elapsed - self._ready, 0.0) / done * (total - done)
