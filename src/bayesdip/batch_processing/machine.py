"""How many workers pay on this machine, and how many threads each has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bayesdip.errors import BayesDipError
from bayesdip.io import read_picture
from bayesdip.memory import available_memory
from bayesdip.methods.method import pick_device
from bayesdip.processes import cores

# Bytes of a worker: the program with what it loads, and for each value of the picture. Measured on a CPU as peaks of the
# resident memory, gray, fast: patches 496 MiB at 128x128 and 576 MiB at 384x384 pixels, gp 356 MiB at 384x384, sgld 436 MiB
# at 128x128 and 632 MiB at 256x256, stack 529 MiB at 128x128. Every method refuses what does not fit, besides.
PROGRAM, OF_A_VALUE, OF_A_NETWORKS_VALUE = 512 * 2**20, 1000, 8000
NETWORKS = ("sgld", "map", "stack")


@dataclass(frozen=True)
class Crew:
    """The workers.

    Attributes
    ----------
    workers : int
    threads : int
        Of each.
    why : str
        What their number goes by, in words.
    """

    workers: int
    threads: int
    why: str

    def __str__(self) -> str:
        plural = "s" * (self.workers != 1)
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}{' each' * (self.workers != 1)}"
        return f"{self.workers} worker{plural} of {threads} ({self.why})"


def threads_of_a_worker() -> int:
    """One, or as many as ``OMP_NUM_THREADS`` says.

    Some sums depend in their last bits on the number of threads, so it must not go by that of the workers.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(said)) if said.isdigit() else 1


def crew(asked: int | None, pictures: int, largest: int, method: str, device: str = "auto") -> Crew:
    """As many workers as cores, pictures and memory allow; on a graphics processor one.

    Parameters
    ----------
    asked : int or None
        How many were asked for.
    pictures : int
        How many there are.
    largest : int
        Values of the largest picture; 0 where it is not known.
    method, device : str
        What restores them, and where.

    Raises
    ------
    BayesDipError
        Fewer than one was asked for, or there is no such device.
    """
    threads = threads_of_a_worker()
    if asked is not None:
        if asked < 1:
            raise BayesDipError(f"workers is {asked}: expected at least 1; leave it out for as many as pay")
        return Crew(min(asked, max(pictures, 1)), threads, "as asked for")
    if pick_device(device) != "cpu":
        return Crew(1, threads, "one for the graphics processor")
    free, each = available_memory("cpu"), memory_of_a_worker(largest, method)
    bounds = {
        f"{cores()} cores": max(1, cores() // threads),
        f"{pictures} picture{'s' * (pictures != 1)}": max(1, pictures),
        f"{free / 2**30:.1f} GiB free, about {each / 2**30:.1f} for each": max(1, int(free // each)),
    }
    why = min(bounds, key=lambda name: bounds[name])
    return Crew(bounds[why], threads, why)


def memory_of_a_worker(values: int, method: str) -> int:
    """Bytes that a worker needs for a picture of so many values."""
    return PROGRAM + values * (OF_A_NETWORKS_VALUE if method in NETWORKS else OF_A_VALUE)


def values_of_largest(files: Sequence[Path]) -> int:
    """How many values the picture in the largest file has; 0 where it cannot be read."""
    try:
        return read_picture(max(files, key=os.path.getsize)).pixels.size
    except (BayesDipError, OSError, ValueError):
        return 0  # the worker says what is wrong with it
