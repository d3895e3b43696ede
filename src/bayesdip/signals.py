"""The signals that end a run with the best result so far, and how they are handled in one block of the program."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Ctrl-C, and what `timeout` and job schedulers send.
SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


@contextmanager
def handled(numbers: Sequence[int], handler: Handler, *, once: bool = False) -> Iterator[None]:
    """Handle signals in the block; elsewhere than in the main thread, which they do not reach, this does nothing.

    Parameters
    ----------
    numbers : sequence of int
    handler : callable, or signal.SIG_IGN
    once : bool
        Whether what handled them before comes back with the first of them, and not only at the end of the block.

    Yields
    ------
    None
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, before in previous.items():
            signal.signal(number, before if before is not None else signal.SIG_DFL)

    def first(number: int, frame: FrameType | None) -> None:
        restore()
        assert callable(handler)
        handler(number, frame)

    for number in numbers:
        signal.signal(number, first if once else handler)
    try:
        yield
    finally:
        restore()
