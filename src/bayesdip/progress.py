"""Time, interruption and snapshot of a long run, in one object that the loops ask."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

from bayesdip.errors import BayesDipError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Snapshot:
    """What a callback sees.

    Attributes
    ----------
    phase : str
        ``"first picture"``, ``"estimate"``, ``"solve"``, ``"warm-up"``, ``"burn-in"``, ``"sampling"`` or ``"fit"``.
    step, steps : int
        Steps done, and steps planned (the plan can shrink when a time budget is set).
    elapsed, remaining : float
        Seconds spent, and seconds left by the present pace.
    fit : float
        Root mean squared negative_log_likelihood to the data over its expectation under the noise: 1 means that
        the fit stands at the noise level, 0 that it has swallowed the noise.
    estimate : Estimate or None
        Given once, in the phase ``"estimate"``.
    mean : callable or None
        Gives the best picture so far, shape (C, *grid), in working units, when called: what the run would
        give if it ended now.
    """

    phase: str
    step: int
    steps: int
    elapsed: float
    remaining: float
    fit: float = float("nan")
    estimate: Estimate | None = None
    mean: Callable[[], Tensor] | None = None


@dataclass(frozen=True)
class Estimate:
    """The cost of a run, told before its long part: seconds and bytes."""

    seconds: float
    memory: int
    steps: int

    def __str__(self) -> str:
        return f"{self.steps} steps, about {clock(self.seconds)}, {self.memory / 2**20:.0f} MiB"


Callback = Callable[[Snapshot], bool | None]


@dataclass
class Progress:
    """Keeps the time of one run and says when to stop.

    ``stop_reason`` is empty as long as the run may go on. A callback that returns True, an
    interrupt (Ctrl-C) and a spent time budget all stop the run at its next step, so that the
    state is never torn and the best result so far can be given. So does the end of the `whole`, if this is
    the progress of a part of it.
    """

    callback: Callback | None = None
    time_budget: float | None = None
    stop_reason: str = ""
    started: float = field(default_factory=time.monotonic)
    retold: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot
    whole: Progress | None = None

    def __post_init__(self) -> None:
        if self.time_budget is not None and not self.time_budget > 0:
            raise BayesDipError(f"time_budget is {self.time_budget}: expected seconds above zero")

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def within_budget(self, seconds: float) -> float:
        """No more seconds than are left of the time budget, if there is one."""
        if self.time_budget is None:
            return seconds
        return max(0.0, min(seconds, self.time_budget - self.elapsed))

    def budget_spent(self) -> float:
        """Share of the time budget that is spent; 0 when there is none."""
        return self.elapsed / self.time_budget if self.time_budget else 0.0

    def should_stop(self) -> bool:
        if not self.stop_reason and self.whole is not None and self.whole.should_stop():
            self.stop_reason = self.whole.stop_reason
        if not self.stop_reason and self.budget_spent() >= 1.0:
            self.stop_reason = "time budget"
        return bool(self.stop_reason)

    def report(self, snapshot: Snapshot) -> None:
        """Tell the callback; it stops the run by returning True."""
        self._tell(self.retold(snapshot))

    @contextmanager
    def retelling(self, retold: Callable[[Snapshot], Snapshot]) -> Iterator[None]:
        """Change what is told meanwhile: a method made of others tells of its own picture, not of theirs."""
        before, self.retold = self.retold, retold
        try:
            yield
        finally:
            self.retold = before

    def part(self, share: float, retold: Callable[[Snapshot], Snapshot]) -> Progress:
        """For one of several runs that make up this one: it has that share of the time left, and ends when this one does.

        What it is told, this one is told as `retold` has it.
        """
        left = None if self.time_budget is None else max(1e-3, share * (self.time_budget - self.elapsed))
        return Progress(lambda snapshot: self.report(retold(snapshot)), left, whole=self)

    def _tell(self, snapshot: Snapshot) -> None:
        if self.callback is not None and self.callback(snapshot) is True and not self.stop_reason:
            self.stop_reason = "interrupted"

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Turn the first Ctrl-C into a stop at the next step; the second one raises as usual.

        Signals reach the main thread only; elsewhere (a web page's worker) this does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.getsignal(signal.SIGINT)

        def note(number: int, frame: FrameType | None) -> None:
            self.stop_reason = self.stop_reason or "interrupted"
            signal.signal(signal.SIGINT, previous)

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


def clock(seconds: float) -> str:
    """``75`` -> ``"1 min 15 s"``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
