"""Several runs in one process that take turns, each with a clock of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from bayesdip.errors import NoResultError
from bayesdip.progress import Progress, Snapshot


class Turns:
    """Lets one of several threads go on at a time, round and round.

    Parameters
    ----------
    runs : sequence of str
        Their names, in the order of their turns.
    seconds : float
        A turn's length; a step is never cut.
    """

    def __init__(self, runs: Sequence[str], seconds: float) -> None:
        self.waiting = list(runs)
        self.seconds = seconds
        self.changed = threading.Condition()
        self.abandoned = False

    def wait(self, run: str) -> None:
        """Until it is this run's turn."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting[0] == run)

    def pass_on(self, run: str) -> None:
        """Give the turn to the next run, and wait for its coming back."""
        with self.changed:
            self.waiting.append(self.waiting.pop(0))
            self.changed.notify_all()
        self.wait(run)

    def leave(self, run: str) -> None:
        """The run is over; it has the turn."""
        with self.changed:
            self.waiting.remove(run)
            self.changed.notify_all()


@dataclass
class OwnClock(Progress):
    """A progress whose clock runs only in its turns, and stands while somebody looks at the picture.

    Attributes
    ----------
    limit : float
        Seconds after which the run is ended. It is no time budget: the run's plan does not know of it.
    look : callable
        Called with the seconds so far and a :class:`Snapshot` whose picture it may ask for.
    """

    turns: Turns = field(default_factory=lambda: Turns(("",), float("inf")))
    run: str = ""
    limit: float = float("inf")
    look: Callable[[float, Snapshot], None] = lambda seconds, snapshot: None
    _spent: float = 0.0
    _since: float | None = None
    _turn_began: float = 0.0

    def begin(self) -> None:
        self.turns.wait(self.run)
        self._since = self._turn_began = time.perf_counter()

    def end(self) -> None:
        self._stop_clock()
        self.turns.leave(self.run)

    @property
    def elapsed(self) -> float:
        return self._spent + (time.perf_counter() - self._since if self._since is not None else 0.0)

    def should_stop(self) -> bool:
        if self._since is not None and time.perf_counter() - self._turn_began >= self.turns.seconds:
            self._stop_clock()
            self.turns.pass_on(self.run)
            self._since = self._turn_began = time.perf_counter()
        if not self.stop_reason and (self.elapsed >= self.limit or self.turns.abandoned):
            self.stop_reason = "limit"
        return super().should_stop()

    def _tell(self, snapshot: Snapshot) -> None:
        if snapshot.mean is None:
            return
        self._stop_clock()
        begun = time.perf_counter()
        self.look(self._spent, snapshot)
        self._since = time.perf_counter()
        self._turn_began += self._since - begun

    def _stop_clock(self) -> None:
        if torch.cuda.is_available():  # what was asked of it belongs to this run
            torch.cuda.synchronize()
        self._spent, self._since = self.elapsed, None


def take_turns(jobs: dict[str, Callable[[OwnClock], Any]], clocks: dict[str, OwnClock]) -> None:
    """Run all jobs to their ends, each with its clock; a run stopped before its first picture is no error."""
    failed: list[BaseException] = []

    def work(run: str) -> None:
        clock = clocks[run]
        clock.begin()
        try:
            jobs[run](clock)
        except NoResultError:
            pass
        except BaseException as error:
            failed.append(error)
            clock.turns.abandoned = True
        finally:
            clock.end()

    threads = [threading.Thread(target=work, args=(run,), daemon=True) for run in jobs]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        for clock in clocks.values():
            clock.turns.abandoned = True
        for thread in threads:
            thread.join()
        raise
    if failed:
        raise failed[0]
