"""Independent pieces of work, a thread for each, and their results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

from bayesdip.interruption import look

Result = TypeVar("Result")

# Seconds between two looks at the clock while a result is waited for.
PATIENCE = 0.02
# Of the run in this thread, how many pieces of work run at a time; 0 outside of `one_for_each_operation`.
_workers: ContextVar[int] = ContextVar("workers", default=0)
# The threads that torch had when the first of the runs under way began: one that begins beside it finds its setting.
_lock, _of_process, _under_way = threading.Lock(), 0, 0


def workers() -> int:
    """How many pieces of work run at a time: as many as torch had threads before :func:`one_for_each_operation`.

    Returns
    -------
    int
    """
    return _workers.get() or torch.get_num_threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and for pieces of work: of small pictures, the more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def one_for_each_operation() -> Iterator[None]:
    """Each of torch's operations on one thread, independent pieces of work on a thread each.

    Threads that share small operations wait for each other after every one: beside a program that has a core for itself, some
    milliseconds each time.
    """
    global _of_process, _under_way
    if _workers.get():
        yield
        return
    with _lock:
        _of_process = _of_process if _under_way else torch.get_num_threads()
        _under_way += 1
        token = _workers.set(_of_process)
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _under_way -= 1
            _workers.reset(token)
            torch.set_num_threads(_of_process)


def in_order(tasks: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """What the tasks return, in their order, as many at a time as there are threads.

    Each works on one thread alone: threads that share small operations wait for each other after every one. Twice as many as
    there are threads are under way, which bounds the memory.

    Parameters
    ----------
    tasks : iterable of callable

    Yields
    ------
    object
        The result of each.
    """
    own, threads = torch.get_num_threads(), workers()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) == 2 * threads:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(own)  # a new worker has changed the setting of the whole process


def _first(waiting: deque[Future[Result]]) -> Result:
    """The result that is waited for longest; meanwhile the clock is looked at."""
    future = waiting.popleft()
    while True:
        try:
            return future.result(timeout=PATIENCE)
        except TimeoutError:
            look()
