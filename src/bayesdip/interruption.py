"""Stopping long work from inside, wherever it is computed: a spent time budget or Ctrl-C ends it at its next look.

What has a best result so far asks its :class:`~bayesdip.progress.Progress` instead, and returns that result. For what has
none (a factorisation, a first solve, a pass that is not finished) there is nothing to return::

    with stoppable(progress.should_stop):
        ...                   # and anywhere below, in every loop that takes longer than a tenth of a second:
        look()                # raises Stopped
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SHOULD_STOP: ContextVar[Callable[[], bool] | None] = ContextVar("should_stop", default=None)


class Stopped(Exception):
    """The work was stopped before it had a result."""


@contextmanager
def stoppable(should_stop: Callable[[], bool]) -> Iterator[None]:
    """Let every :func:`look` in the block ask that, and no other.

    Parameters
    ----------
    should_stop : callable
        Whether the work shall end now.

    Yields
    ------
    None
    """
    token = _SHOULD_STOP.set(should_stop)
    try:
        yield
    finally:
        _SHOULD_STOP.reset(token)


def look() -> None:
    """End the work if it shall end; outside of :func:`stoppable` it goes on.

    Raises
    ------
    Stopped
        It shall end.
    """
    should_stop = _SHOULD_STOP.get()
    if should_stop is not None and should_stop():
        raise Stopped
