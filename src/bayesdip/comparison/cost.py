"""Seconds and memory of what one method does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# How often memory is read while a method runs (seconds): shorter peaks may be missed.
INTERVAL = 0.01


@dataclass
class Cost:
    """What a block of code took.

    Attributes
    ----------
    seconds : float
    memory : int
        Bytes by which the process grew at most, and the most that was held on a CUDA device.
    """

    seconds: float = 0.0
    memory: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block; the cost is complete when it ends."""
    import psutil
    import torch

    process, done, cost = psutil.Process(), threading.Event(), Cost()
    before = highest = process.memory_info().rss
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()

    def watch() -> None:
        nonlocal highest
        while not done.wait(INTERVAL):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    started = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - started
        done.set()
        watcher.join()
        on_device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        cost.memory = highest - before + on_device
