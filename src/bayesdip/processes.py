"""Worker processes: how many cores there are, and how workers start and end with the process that started them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import wait

from bayesdip.signals import SIGNALS, handled


def cores() -> int:
    """How many cores this process may use.

    Returns
    -------
    int
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Processes started in here ignore Ctrl-C, even while they start: this process answers it.

    Yields
    ------
    None
    """
    with handled((signal.SIGINT,), signal.SIG_IGN):
        yield


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect at the end of the block: for steps that belong together.

    Yields
    ------
    None
    """
    caught: list[int] = []
    try:
        with handled(SIGNALS, lambda received, frame: caught.append(received)):
            yield
    finally:
        if caught:
            signal.raise_signal(caught[0])


def begin_worker(threads: int) -> None:
    """Called first in a worker: torch gets so many threads, and the worker will end with its parent.

    Parameters
    ----------
    threads : int
    """
    import torch

    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers, and they would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
