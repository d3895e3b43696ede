"""Hot pixels and cosmic rays on a frame of stars, as floats."""

from __future__ import annotations

import numpy as np

import bayesdip as bd
from benchmarks.field_cases.case import Case, Check, Measure
from benchmarks.field_cases.simple import Array, median
from benchmarks.field_cases.source import generator

KIND = "outliers"
SIDE, READ_NOISE = 160, 12.0
# What a star's light is collected in, and how many stars are weighed.
RADIUS, STARS = 6, 8


def frame() -> tuple[Array, Array, Array, Array]:
    """Truth, what came in, where it was hit, and the rows, columns and fluxes of the brightest stars."""
    rng = generator(10)
    y, x = np.mgrid[:SIDE, :SIDE]
    truth = 800 + 0.3 * x + 480 * np.exp(-((x - 80) ** 2 + (y - 90) ** 2) / (2 * 25**2))
    stars = []
    for _ in range(45):
        peak, cx, cy = 10 ** rng.uniform(2.2, 5), *rng.uniform(0, SIDE, 2)
        truth = truth + peak * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.7**2))
        stars.append((peak, cy, cx))
    given = rng.poisson(truth) + rng.normal(0, READ_NOISE, truth.shape)
    hot = rng.random(truth.shape) < 0.002
    given[hot] += rng.uniform(5e3, 1.5e5, hot.sum())
    for _ in range(5):
        row, column = rng.integers(10, SIDE - 40, 2)
        angle, length = rng.uniform(0, np.pi), int(rng.integers(5, 25))
        for step in range(length):
            at = int(row + step * np.sin(angle)), int(column + step * np.cos(angle))
            given[at] += rng.uniform(2e3, 2e4)
            hot[at] = True
    bright = np.array(sorted(stars, reverse=True)[:STARS])
    return truth, given.astype(np.float32), hot, bright


def hot_pixels() -> Case:
    """How many hit pixels are still off by more than ten times their noise, and a tenth."""
    truth, given, hot, _ = frame()

    def staying(estimate: Array, right: Array) -> float:
        noise = np.sqrt(right + READ_NOISE**2)
        return float((np.abs(estimate - right) > 10 * noise + 0.1 * right).sum())

    return Case(
        run=lambda: bd.denoise(given),
        truth=truth,
        given=given,
        rival=lambda: median(given),
        rival_name="median filter",
        measure=Measure("hot pixels", staying),
        counted=hot,
        said=True,
    )


def flux_is_kept() -> list[str]:
    """The light of the brightest stars that were not hit, and of all that was not, is kept within 0.1%."""
    truth, given, hot, bright = frame()
    mean = bd.denoise(given).mean.astype(np.float64)
    y, x = np.mgrid[:SIDE, :SIDE]
    wrong = []
    for _, row, column in bright:
        disc = (y - row) ** 2 + (x - column) ** 2 <= RADIUS**2
        if hot[disc].any():
            continue
        # Photons alone make the collected light uncertain by this share.
        noise = np.sqrt(truth[disc].sum()) / truth[disc].sum()
        change = mean[disc].sum() / given[disc].sum(dtype=np.float64) - 1
        if abs(change) > max(1e-3, 2 * noise):
            wrong.append(f"a star's flux changed by {change:.2%}")
    total = mean[~hot].sum() / given[~hot].sum(dtype=np.float64) - 1
    if abs(total) > 1e-3:
        wrong.append(f"the flux of all changed by {total:.2%}")
    return wrong


CASES = {"hot pixels": hot_pixels, "flux": lambda: Check(flux_is_kept)}
