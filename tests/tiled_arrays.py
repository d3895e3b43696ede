"""Arrays for tests of tiles, and a pool that carries tasks out in this process, as workers do."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bayesdip.batch_processing.worker_pool import attempted


def smooth_picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Bands and blobs between 40 and 220."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = sum(
        np.sin(x * rng.uniform(0.02, 0.15) + y * rng.uniform(-0.15, 0.15) + rng.uniform(0, 6))
        for _ in range(5)
    )
    picture = waves + 2.0 * (np.hypot(x % 90 - 45, y % 70 - 35) < 20)
    return 40 + 180 * (picture - picture.min()) / np.ptp(picture)


def noisy(clean: np.ndarray, sigma: float, seed: int = 1) -> np.ndarray:
    """As 16-bit numbers, ten steps a level."""
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return np.clip(np.rint(10 * (clean + noise)), 0, 65535).astype(np.uint16)


class CountingArray:
    """An array that is made where it is read, and keeps what was asked for."""

    def __init__(self, shape: tuple[int, ...], value: Callable[..., np.ndarray], dtype: Any) -> None:
        self.shape, self.value, self.dtype = shape, value, np.dtype(dtype)
        self.largest = self.total = 0

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        grids = np.meshgrid(*(np.arange(s.start, s.stop) for s in region), indexing="ij", sparse=True)
        values = np.broadcast_to(self.value(*grids), [s.stop - s.start for s in region]).astype(self.dtype)
        self.largest, self.total = max(self.largest, values.size), self.total + values.size
        return values


def in_process(
    order: Callable[[int], Sequence[int]] = range, stop_after: int | None = None
) -> Callable[..., Any]:
    """A pool: tasks are pickled and carried out here, in that order; Ctrl-C comes after so many tiles."""
    done = 0

    def pool(tasks: Sequence[Any], told: Any) -> Any:
        nonlocal done
        for place in order(len(tasks)):
            tiles = type(tasks[place]).__name__ == "TileTask"
            if tiles and stop_after is not None and done >= stop_after:
                raise KeyboardInterrupt
            done += tiles
            yield place, attempted(pickle.dumps(tasks[place]), lambda seconds: None)

    return pool
