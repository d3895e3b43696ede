"""One run of ``benchmarks.cores`` in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from skimage.data import astronaut

import bayesdip as bd
from bayesdip.lab.results import Row
from benchmarks.measurement import answer, timed
from benchmarks.pictures import Array

SIGMA, SMALL = 25.0, 64


def measure(side: int, cores: list[int], method: str, effort: str, seed: int) -> Iterator[Row]:
    """Seconds of the wall and of the processor, and PSNR."""
    os.sched_setaffinity(0, cores)
    clean = np.asarray(astronaut(), np.float64)  # type: ignore[no-untyped-call]
    clean = np.tile(clean, (-(-side // 512), -(-side // 512), 1))[:side, :side]
    noisy = clean + SIGMA * np.random.default_rng(seed).standard_normal(clean.shape)

    def restored(picture: Array) -> bd.Restoration:
        return bd.denoise(picture, SIGMA, channel_axis=-1, method=method, effort=effort)

    restored(noisy[:SMALL, :SMALL])
    with timed() as clock:
        found = restored(noisy)
    error = np.mean((found.mean.clip(0, 255) - clean) ** 2)
    yield {
        "seconds": round(clock.seconds, 3),
        "cpu_seconds": round(clock.cpu, 3),
        "psnr": float(10 * np.log10(255**2 / error)),
    }


if __name__ == "__main__":
    answer(measure)
