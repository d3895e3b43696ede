"""Threads for networks: a pool for several networks, each with cores of its own, and how many threads steps take.

Threads that share one narrow network wait for each other after every layer; those with a network each do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

# Steps that are timed with all threads and as many with one, the first of either not counted; and steps until that is done
# again, for other programs come and go.
TRIED, AGAIN = 3, 300


def at_once(count: int) -> int:
    """How many of `count` networks are computed at the same time on this processor.

    Parameters
    ----------
    count : int

    Returns
    -------
    int
    """
    return min(count, torch.get_num_threads())


def on_own_cores(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Apply a function to each item, as many at the same time as there are threads.

    The threads of the process are shared among them. Results depend on that only where a sum depends on its number of
    threads.

    Parameters
    ----------
    work : callable
    items : sequence

    Returns
    -------
    list
        In the order of `items`.
    """
    workers, threads = at_once(len(items)), torch.get_num_threads()
    if workers < 2:
        return [work(item) for item in items]
    try:
        return list(_pool(workers, threads // workers).map(work, items))
    finally:
        torch.set_num_threads(threads)  # a new worker has changed the setting of the whole process


@lru_cache(maxsize=4)
def _pool(workers: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "network", initializer=torch.set_num_threads, initargs=(threads,))


@dataclass
class ThreadTrial:
    """Steps of a run on all threads or on one, whichever is quicker.

    Where another program has one of the cores, all threads wait for the one that it holds up, after every layer: on two cores
    beside a busy program, one thread makes several times as many steps as two.

    Attributes
    ----------
    threads : int
        Of the process: 1 leaves nothing to be tried.
    clock : callable
        Seconds.
    """

    threads: int = field(default_factory=torch.get_num_threads)
    clock: Callable[[], float] = time.perf_counter
    _step: int = 0
    _seconds: dict[int, float] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """How many threads the next step has."""
        tried = self._step % AGAIN
        if self.threads == 1 or tried < TRIED:
            return self.threads
        if tried < 2 * TRIED:
            return 1
        return min(self._seconds, key=self._seconds.__getitem__)

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step on as many threads as :attr:`now` says; the process has all of them again after it."""
        own, tried = self.now, self._step % AGAIN
        if own == self.threads:
            began = self.clock()
            yield
        else:
            torch.set_num_threads(own)
            began = self.clock()
            try:
                yield
            finally:
                torch.set_num_threads(self.threads)
        spent = self.clock() - began
        if tried % TRIED == 0 and tried < 2 * TRIED:
            self._seconds.pop(own, None)  # the first with so many threads starts them
        elif tried < 2 * TRIED:
            self._seconds[own] = min(spent, self._seconds.get(own, spent))
        self._step += 1
