"""The same work for several networks, each on cores of its own.

Threads that share one narrow network wait for each other after every layer; those with a network each do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


def at_once(count: int) -> int:
    """How many of so many networks are computed at a time on this processor."""
    return min(count, torch.get_num_threads())


def on_own_cores(work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    """``work`` of each item, as many at a time as there are threads, which share these out.

    What is computed does not depend on it, unless a sum depends on its number of threads.
    """
    workers, threads = at_once(len(items)), torch.get_num_threads()
    if workers < 2:
        return [work(item) for item in items]
    try:
        return list(_pool(workers, threads // workers).map(work, items))
    finally:
        torch.set_num_threads(threads)  # a new worker changed what libraries take for all threads


@lru_cache(maxsize=4)
def _pool(workers: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "network", initializer=torch.set_num_threads, initargs=(threads,))
