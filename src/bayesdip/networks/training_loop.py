"""The loop that drives a stepper: time, trace, callback, and a guard against divergence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import Tensor

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.networks.memory import run_memory
from bayesdip.networks.steppers import Stepper, Target
from bayesdip.posterior import Trace
from bayesdip.progress import Estimate, Progress, Snapshot

# The fit is looked at every so many steps: often enough to catch a divergence early, seldom
# enough that reading it back costs nothing on a GPU.
LOOK_EVERY = 10
# Steps from which the cost of a run is told, the first of which is slower than the rest: more of them as
# long as they take less than so many seconds, in which other programs come and go.
FEWEST_MEASURED, MOST_MEASURED, MEASURED_SECONDS = 15, 30, 2.0
# A fit that is so many times worse than at the last good look has collapsed.
COLLAPSE = 2.0
MOST_ROLLBACKS = 20
# What is noted at every look.
TRACED = ("step", "seconds", "fit", "energy", "sampling")


@dataclass
class TrainingLoop:
    """One run over the steps ``0 .. steps``, in phases that may use different steppers.

    Attributes
    ----------
    share : float
        How much of the run is done, 0 to 1: by steps, or by the time budget where that is
        further on.
    samples : int
        Pictures that the run will keep.
    """

    target: Target
    progress: Progress
    steps: int
    best_picture: Callable[[], Tensor | None]
    step: int = 0
    rollbacks: int = 0
    samples: int = 0
    trace: Trace = field(default_factory=lambda: {key: [] for key in TRACED})
    _good: tuple[float, Any] | None = None
    _first_done: float = 0.0
    _phase_began: tuple[int, float] = (0, 0.0)
    _told: bool = False

    @property
    def share(self) -> float:
        return max(self.step / self.steps, self.progress.budget_spent())

    def advance(
        self,
        stepper: Stepper,
        until: float,
        phase: str,
        on_picture: Callable[[Tensor], None],
        ended: Callable[[Sequence[float]], bool] = lambda fits: False,
    ) -> None:
        """Step until that share of the run is done, or the progress says stop.

        The first phase takes a step in any case: getting ready may have cost all of its share.

        Parameters
        ----------
        ended : callable
            Given the fits at all looks of this phase, tells whether it may end early.
        """
        self._good = None
        self._phase_began = (self.step, self.progress.elapsed)
        begin = len(self.trace["fit"])
        looked = begin
        while not self.progress.should_stop() and (self.share < until or self.step == 0):
            if len(self.trace["fit"]) > looked:
                looked = len(self.trace["fit"])
                if ended(self.trace["fit"][begin:]):
                    return
            picture = stepper.step()
            self.step += 1
            if self.step == 1:
                self._first_done = self.progress.elapsed
                self._phase_began = (1, self._first_done)
            if self.step % LOOK_EVERY == 0 or self._good is None:
                fit = self.target.fit(picture)
                if self._collapsed(fit):
                    self._roll_back(stepper)
                    continue
                self._good = (fit, stepper.snapshot())
                self._tell(phase, fit, stepper.energy(picture))
            on_picture(picture)
            if not self._told and self._is_measured():
                self._tell_cost()

    def _collapsed(self, fit: float) -> bool:
        if not math.isfinite(fit):
            return True
        return self._good is not None and fit > COLLAPSE * max(self._good[0], 1.0)

    def _roll_back(self, stepper: Stepper) -> None:
        self.rollbacks += 1
        if self._good is None or self.rollbacks > MOST_ROLLBACKS:
            raise BayesDipError(
                f"the fit diverged {self.rollbacks} times: expected a finite fit; "
                "check the noise level, or use method='gp'"
            )
        stepper.rewind(self._good[1])

    def _tell(self, phase: str, fit: float, energy: float) -> None:
        elapsed = self.progress.elapsed
        for key, value in (
            ("step", self.step),
            ("seconds", elapsed),
            ("fit", fit),
            ("energy", energy),
            ("sampling", float(phase == "sampling")),
        ):
            self.trace[key].append(value)
        self.progress.report(
            Snapshot(phase, self.step, self.steps, elapsed, self._remaining(), fit, mean=self._picture_so_far)
        )

    def _remaining(self) -> float:
        """Seconds left, by the pace of the present phase; no more than is left of the budget."""
        elapsed = self.progress.elapsed
        step, since = self._phase_began
        pace = (elapsed - since) / (self.step - step) if self.step > step else elapsed / self.step
        return self.progress.within_budget(pace * (self.steps - self.step))

    def _picture_so_far(self) -> Tensor:
        """Made only where a callback asks for it."""
        return picture_or_raise(self.best_picture())

    def _is_measured(self) -> bool:
        long = self.progress.elapsed - self._first_done >= MEASURED_SECONDS
        return self.step >= (FEWEST_MEASURED if long else MOST_MEASURED)

    def _tell_cost(self) -> None:
        """Show what the run will cost, once a few steps were measured."""
        self._told = True
        elapsed = self.progress.elapsed
        per_step = (elapsed - self._first_done) / (self.step - 1)
        seconds = self._first_done + per_step * (self.steps - 1)
        if self.progress.time_budget is not None:
            seconds = min(seconds, self.progress.time_budget)
        network, code = self.target.network, self.target.code
        networks = self.target.weights[0].numel() // next(network.parameters()).numel()
        problem = self.target.problem
        values = problem.channels * prod(problem.grid)
        memory = run_memory(network, tuple(code.shape[2:]), values, self.samples, networks)
        estimate = Estimate(seconds, memory, self.steps)
        self.progress.report(
            Snapshot("estimate", self.step, self.steps, elapsed, seconds - elapsed, estimate=estimate)
        )


def picture_or_raise(picture: Tensor | None, reason: str = "") -> Tensor:
    """The picture, if there is one; ``reason`` is why the run was stopped."""
    if picture is None:
        stopped = (
            f"the run was stopped ({reason}) before its first picture"
            if reason
            else "there is no picture yet"
        )
        raise NoResultError(f"{stopped}: expected a few steps at least; give it more time", reason)
    return picture
