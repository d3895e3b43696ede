"""A pool of threads for several networks, each with cores of its own.

Threads that share one narrow network wait for each other after every layer; those with a network each do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


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
