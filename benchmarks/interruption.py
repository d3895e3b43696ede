"""Ctrl-C and SIGTERM end a benchmark, though the library answers one by ending a run with its best picture so far."""

from __future__ import annotations

import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from bayesdip.signals import SIGNALS, handled


@contextmanager
def noticed() -> Iterator[Callable[[], bool]]:
    """In the block both signals raise `KeyboardInterrupt`, but where another handler is set for a while.

    Yields
    ------
    callable
        Whether a signal came in the block, whoever answered it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        with handled(SIGNALS, _interrupt):
            yield lambda: bool(select.select([ours], [], [], 0)[0])
    finally:
        with suppress(ValueError):  # that one was closed meanwhile
            signal.set_wakeup_fd(before)
        ours.close()
        theirs.close()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
