"""Stopping long work from inside, wherever it is computed: a spent time budget or Ctrl-C ends it at its next look.

What has a best result so far asks its :class:`~bayesdip.progress.Progress` instead, and returns that result. For what has
none (a factorisation, a first solve, a pass that is not finished) there is nothing to return::

    with stoppable(progress.should_stop, progress.has_time):
        ...                   # and anywhere below, in every loop that takes longer than a tenth of a second:
        look()                # raises Stopped
        look(seconds)         # before a library's function that takes so long and looks at nothing itself
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SHOULD_STOP: ContextVar[Callable[[], bool] | None] = ContextVar("should_stop", default=None)
_HAS_TIME: ContextVar[Callable[[float], bool] | None] = ContextVar("has_time", default=None)


class Stopped(Exception):
    """The work was stopped before it had a result."""


@contextmanager
def stoppable(
    should_stop: Callable[[], bool], has_time: Callable[[float], bool] | None = None
) -> Iterator[None]:
    """Let every :func:`look` in the block ask that, and no other.

    Parameters
    ----------
    should_stop : callable
        Whether the work shall end now.
    has_time : callable, optional
        Whether there is time for so many seconds; by default there is.

    Yields
    ------
    None
    """
    token, other = _SHOULD_STOP.set(should_stop), _HAS_TIME.set(has_time)
    try:
        yield
    finally:
        _SHOULD_STOP.reset(token)
        _HAS_TIME.reset(other)


def look(seconds: float = 0.0) -> None:
    """End the work if it shall end; outside of :func:`stoppable` it goes on.

    Parameters
    ----------
    seconds : float
        What its next step takes, about.

    Raises
    ------
    Stopped
        It shall end, or there is no time for that step.
    """
    should_stop, has_time = _SHOULD_STOP.get(), _HAS_TIME.get()
    if should_stop is not None and should_stop():
        raise Stopped
    if seconds > 0 and has_time is not None and not has_time(seconds):
        raise Stopped


def shall_stop() -> bool:
    """Whether the work shall end now; outside of :func:`stoppable` it goes on.

    Returns
    -------
    bool
    """
    should_stop = _SHOULD_STOP.get()
    return should_stop is not None and should_stop()
