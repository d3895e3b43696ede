"""Several runs in one process that take turns, each with a clock of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bayesdip import Snapshot
from bayesdip.errors import NoResultError


class Turns:
    """Lets one of several threads go on at a time, round and round.

    Parameters
    ----------
    runs : sequence of str
        Their names, in the order of their turns.
    seconds : float
        The least length of a turn.
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
        """Give the turn to the next run, and wait until it comes back."""
        with self.changed:
            self.waiting.append(self.waiting.pop(0))
            self.changed.notify_all()
        self.wait(run)

    def leave(self, run: str) -> None:
        """The run is over; it has the turn."""
        with self.changed:
            self.waiting.remove(run)
            self.changed.notify_all()


class OwnClock:
    """A callback whose clock runs only in its run's turns, and stands while a picture is scored.

    Parameters
    ----------
    turns : Turns
    run : str
    limit : float
        Seconds after which the run is ended. It is no time budget: the run's schedule does not know of it.
    score : callable
        Called with the seconds so far and the :class:`Snapshot`.
    """

    def __init__(
        self,
        turns: Turns,
        run: str,
        limit: float = float("inf"),
        score: Callable[[float, Snapshot], None] = lambda seconds, snapshot: None,
    ) -> None:
        self.turns, self.run, self.limit, self.score = turns, run, limit, score
        self.seconds = self._in_turn = self._since = 0.0

    def begin(self) -> None:
        """Wait for the first turn."""
        self.turns.wait(self.run)
        self._since = time.perf_counter()

    def __call__(self, snapshot: Snapshot) -> bool:
        if torch.cuda.is_available():  # what was asked of it belongs to this run
            torch.cuda.synchronize()
        spent = time.perf_counter() - self._since
        self.seconds += spent
        self._in_turn += spent
        self.score(self.seconds, snapshot)
        if self._in_turn >= self.turns.seconds:
            self.turns.pass_on(self.run)
            self._in_turn = 0.0
        self._since = time.perf_counter()
        return self.seconds >= self.limit or self.turns.abandoned


def take_turns(jobs: dict[str, Callable[[], Any]], clocks: dict[str, OwnClock]) -> None:
    """Run all jobs to their ends, each reporting to its clock; a run stopped before its first picture is no error."""
    failed: list[BaseException] = []

    def work(run: str) -> None:
        clock = clocks[run]
        clock.begin()
        try:
            jobs[run]()
        except NoResultError:
            pass
        except BaseException as error:
            failed.append(error)
            clock.turns.abandoned = True
        finally:
            clock.turns.leave(run)

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
