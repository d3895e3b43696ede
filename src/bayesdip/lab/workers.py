"""Rows measured side by side: one process and one thread for each at a time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait

import torch
from benchmarks.problems import one_thread
from benchmarks.results import Row

from bayesdip.errors import BayesDipError
from bayesdip.lab.claim import Task

Job = tuple[Callable[[Task], Row], Task]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measured(work: Sequence[Job], jobs: int) -> Generator[tuple[int, Row], None, None]:
    """The row of each job with its place in ``work``, as they come.

    Every row is measured by one thread, here or in a worker, so that its numbers do not depend on
    ``jobs``. Closed early, by an error or by Ctrl-C, it takes its workers along.

    Parameters
    ----------
    work : sequence of (measure, task)
        For several jobs ``measure`` must be a function of a module: it goes to the workers by name.
    jobs : int
        How many rows at once; with one there is no worker.

    Raises
    ------
    BayesDipError
        A worker died.
    """
    workers = min(jobs, len(work))
    if workers > 1:
        yield from _by_workers(work, workers)
        return
    with one_thread():
        for place, job in enumerate(work):
            yield place, timed(*job)


def timed(measure: Callable[[Task], Row], task: Task) -> Row:
    """The row, with the seconds that it took and how many of them the processor worked for it."""
    begin, busy = time.perf_counter(), time.process_time()
    row = measure(task)
    return {**row, "seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - busy}


def _by_workers(work: Sequence[Job], workers: int) -> Generator[tuple[int, Row], None, None]:
    others = set(active_children())
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin_worker)
    try:
        with _interrupts_ignored():
            places = {pool.submit(timed, *job): place for place, job in enumerate(work)}
        for done in as_completed(places):
            yield places[done], done.result()
    except BrokenProcessPool as error:
        raise BayesDipError(
            "a worker ended before its row was measured, perhaps for want of memory: expected all of them to "
            "last; run the same command again with fewer --jobs, which goes on from what was kept"
        ) from error
    finally:
        # After the last row the workers are idle; before it, nobody waits for what they are at.
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(active_children()) - others:
            worker.terminate()
            worker.join()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started in here do not hear of Ctrl-C, not even while they start: this process answers it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin_worker() -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers, and they would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
