"""Time, interruption and progress of a run, in one object that everything long is given."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Real
from types import FrameType
from typing import TYPE_CHECKING, Any

from bayesdip.errors import BayesDipError
from bayesdip.signals import SIGNALS, handled
from bayesdip.snapshot import Callback, Estimate, Snapshot

if TYPE_CHECKING:
    from torch import Tensor

# The share of a run's work from which on its pace tells the time that is left.
MEASURED = 0.02


@dataclass
class Progress:
    """Keeps the time of one run, tells a callback where it stands, and says when to stop.

    ``stop_reason`` is empty as long as the run may go on. A callback that returns True, a signal (Ctrl-C,
    SIGTERM) and a spent time budget all stop the run at its next step, so that no state is ever torn and the best
    result so far can be given. A run is made of parts (:meth:`part`), each of which is a Progress itself.

    Parameters
    ----------
    callback : callable, optional
        Called with a :class:`Snapshot`; returning True ends the run.
    time_budget : float, optional
        Seconds above zero.

    Attributes
    ----------
    stop_reason : str
        Empty as long as the run may go on, else ``"time budget"`` or ``"interrupted"``.
    started : float
        When the run began, by ``time.monotonic``.
    memory : int
        Upper bound of the bytes that the run needs, told with its estimate.
    to_user, std_to_user : callable
        Make of a picture, and of a standard deviation, in working units what a callback shall see.
    method, why : str
        What a callback is told of the method.

    Raises
    ------
    BayesDipError
        The time budget is not above zero.
    """

    callback: Callback | None = None
    time_budget: float | None = None
    stop_reason: str = ""
    started: float = field(default_factory=lambda: time.monotonic())
    memory: int = 0
    to_user: Callable[[Tensor], Any] = lambda picture: picture
    std_to_user: Callable[[Tensor], Any] = lambda std: std
    method: str = ""
    why: str = ""
    _whole: Progress | None = None
    _share: tuple[float, float] | None = None
    _later: float = 0.0
    _to_whole: Callable[[Tensor], Tensor] = lambda picture: picture
    _work_began: tuple[float, float] | None = None
    _estimated: bool = False
    _follows: float = 0.0
    _kept: float = 0.0

    def __post_init__(self) -> None:
        budget = self.time_budget
        if budget is not None and not (isinstance(budget, Real) and budget > 0):
            raise BayesDipError(
                f"time_budget is {budget!r}: expected seconds above zero, or None for no limit"
            )

    @property
    def elapsed(self) -> float:
        """Seconds since the start of this run or part."""
        return time.monotonic() - self.started

    def times(self) -> list[float]:
        """Seconds since the start of this part, and of each whole around it.

        Returns
        -------
        list of float
        """
        return [self.elapsed, *(self._whole.times() if self._whole is not None else [])]

    def go_on_from(self, times: Sequence[float]) -> None:
        """Count the time of a run that was killed as spent.

        Parameters
        ----------
        times : sequence of float
            What :meth:`times` gave then, in the same part.
        """
        if times:
            self.started -= max(0.0, times[0] - self.elapsed)
            if self._whole is not None:
                self._whole.go_on_from(times[1:])

    @property
    def time_left(self) -> float | None:
        """Seconds of the time budget that are left; None without one."""
        return None if self.time_budget is None else max(0.0, self.time_budget - self._kept - self.elapsed)

    def keep_time(self, seconds: float) -> None:
        """Leave that much of the time budget to what follows the method, a quarter of it at most.

        Parameters
        ----------
        seconds : float
        """
        self._kept = 0.0 if self.time_budget is None else min(seconds, 0.25 * self.time_budget)

    def expect(self, share: float) -> None:
        """Count work that follows the method in the time that is told to be left.

        Parameters
        ----------
        share : float
            Of the method's own work.
        """
        self._follows = share

    def has_time(self, seconds: float) -> bool:
        """Whether work that takes so long would end in time.

        Parameters
        ----------
        seconds : float

        Returns
        -------
        bool
        """
        left = self.time_left
        return left is None or seconds <= left

    def ends_within(self, seconds: float) -> bool:
        """Whether work that takes so long would end in time; where it would not, the run shall stop.

        Parameters
        ----------
        seconds : float

        Returns
        -------
        bool
        """
        if not self.has_time(seconds) and not self.stop_reason:
            self.stop_reason = "time budget"
        return not self.should_stop()

    def budget_spent(self) -> float:
        """Share of the time budget that is spent.

        Returns
        -------
        float
            0 when there is none.
        """
        return self.elapsed / (self.time_budget - self._kept) if self.time_budget else 0.0

    def should_stop(self) -> bool:
        """Whether the run shall end now with what it has.

        Returns
        -------
        bool
        """
        if not self.stop_reason and self._whole is not None and self._whole.should_stop():
            self.stop_reason = self._whole.stop_reason
        if not self.stop_reason and self.budget_spent() >= 1.0:
            self.stop_reason = "time budget"
        return bool(self.stop_reason)

    def part(
        self,
        share: tuple[float, float] | None = None,
        *,
        later: float = 0.0,
        time_share: float = 1.0,
        to_whole: Callable[[Tensor], Tensor] = lambda picture: picture,
    ) -> Progress:
        """A part of this run, which reports to it and ends with it.

        Parameters
        ----------
        share : (float, float), optional
            From where to where the part goes in this run's work, which is 1. Without it the parts follow each
            other at paces that have nothing to do with each other.
        later : float
            Seconds that are expected to be needed after the part, where no `share` says it; not a number where nobody
            knows yet.
        time_share : float
            What the part may use of the time budget that is left, 0 to 1.
        to_whole : callable
            Makes the run's picture of the part's, both in working units.

        Returns
        -------
        Progress
        """
        left = self.time_left
        budget = None if left is None else max(1e-3, time_share * left)
        return Progress(None, budget, _whole=self, _share=share, _later=later, _to_whole=to_whole)

    def advance(
        self,
        done: float,
        phase: str,
        *,
        step: int = 0,
        steps: int = 0,
        fit: float = float("nan"),
        mean: Callable[[], Tensor] | None = None,
        upper: Callable[[], Tensor] | None = None,
        sample: Callable[[], Tensor] | None = None,
    ) -> None:
        """Say that a share of this part's work is done, and where its picture can be had.

        Parameters
        ----------
        done : float
            From 0 to 1.
        phase : str
            One of those of :class:`Snapshot`.
        step, steps : int
            Steps done and planned; 0 where they are not counted.
        fit : float
            Root mean squared residual over its expectation under the noise.
        mean : callable, optional
            Gives the best picture so far, (C, *grid) in working units.
        upper : callable, optional
            Gives `mean` plus the standard deviation so far: a picture, of which a whole is made as of `mean`.
        sample : callable, optional
            Gives the latest sample.
        """
        if self._work_began is None:
            self._work_began = (self.elapsed, done)  # getting ready may have cost a share of a time budget
        since, before = self._work_began
        remaining = math.nan
        if done - before >= MEASURED:
            remaining = (
                max(0.0, self.elapsed - since) / (done - before) * (1 - min(done, 1.0) + self._follows)
            )
        told = Snapshot(phase, step, steps, self.elapsed, remaining, fit, None, mean, upper, sample)
        self._report(done, told)

    def show(
        self,
        phase: str,
        picture: Callable[[], Tensor],
        steps: int = 0,
        *,
        step: int = 0,
        remaining: float = math.nan,
    ) -> None:
        """Show a picture before or after the work whose pace counts.

        Parameters
        ----------
        phase : str
        picture : callable
            Gives it, (C, *grid) in working units; called only by who looks at it.
        steps, step : int
            Steps planned and done.
        remaining : float
            Seconds left; not a number where nobody knows.
        """
        self._report(None, Snapshot(phase, step, steps, self.elapsed, remaining, mean=picture))

    def _report(self, done: float | None, snapshot: Snapshot) -> None:
        """Pass on what a part says, told of the whole; at the top, to the callback. On its way `std` is `upper`."""
        left = self.time_left
        remaining = snapshot.remaining if left is None else min(snapshot.remaining, left)
        whole = self._whole
        if whole is None:
            told = replace(snapshot, method=self.method, why=self.why, std=self._std_of(snapshot))
            told = replace(
                told, mean=_then(snapshot.mean, self.to_user), sample=_then(snapshot.sample, self.to_user)
            )
            self._tell(replace(told, elapsed=self.elapsed, remaining=remaining))
            return
        passed = replace(
            snapshot,
            elapsed=whole.elapsed,
            remaining=remaining + self._later,
            mean=_then(snapshot.mean, self._to_whole),
            std=_then(snapshot.std, self._to_whole),
            sample=_then(snapshot.sample, self._to_whole),
        )
        whole.memory = max(whole.memory, self.memory)
        if self._share is None or done is None:
            whole._report(None, passed)
            return
        begin, end = self._share
        whole.advance(
            begin + (end - begin) * min(done, 1.0),
            snapshot.phase,
            step=snapshot.step,
            steps=snapshot.steps,
            fit=snapshot.fit,
            mean=passed.mean,
            upper=passed.std,
            sample=passed.sample,
        )

    def _std_of(self, snapshot: Snapshot) -> Callable[[], Any] | None:
        upper, mean = snapshot.std, snapshot.mean
        if upper is None or mean is None:
            return None
        return lambda: self.std_to_user((upper() - mean()).abs())

    def _tell(self, snapshot: Snapshot) -> None:
        if self.callback is None:
            return
        if not self._estimated and math.isfinite(snapshot.remaining):
            self._estimated = True
            cost = Estimate(snapshot.elapsed + snapshot.remaining, self.memory, snapshot.steps)
            told = replace(snapshot, phase="estimate", fit=math.nan, estimate=cost)
            self._stop_if(self.callback(told))
        self._stop_if(self.callback(snapshot))

    def _stop_if(self, answer: bool | None) -> None:
        if answer is True and not self.stop_reason:
            self.stop_reason = "interrupted"

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Turn the first Ctrl-C or SIGTERM into a stop at the next step; the second one ends the program as usual.

        Signals reach the main thread only; elsewhere (a web page's worker) this does nothing.

        Yields
        ------
        None
        """

        def note(number: int, frame: FrameType | None) -> None:
            self.stop_reason = self.stop_reason or "interrupted"

        with handled(SIGNALS, note, once=True):
            yield


def _then(mean: Callable[[], Any] | None, change: Callable[[Any], Any]) -> Callable[[], Any] | None:
    """The picture changed, made only when it is asked for."""
    return None if mean is None else lambda: change(mean())
