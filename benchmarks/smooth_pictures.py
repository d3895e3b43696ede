"""Pictures without edges under noise, blurred and made smaller: PSNR beside simple filters whose width the truth chose, and intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import convolve, gaussian_filter, zoom

import bayesdip as bd
from bayesdip.lab.results import Row
from benchmarks.measurement import timed
from benchmarks.options import Options
from benchmarks.pictures import psnr
from benchmarks.results import Results, Target

Array = NDArray[np.float64]

SIDES, SEEDS, SIGMAS = (48, 128), 3, (0.02, 0.05, 0.1, 0.2)
TASKS = ("noise", "blur", "smaller")
BLUR, FACTOR = 1.5, 2
# Widths in pixels and balances among which the truth chooses for the rivals.
WIDTHS, BALANCES = np.geomspace(0.5, 8, 25), np.geomspace(1e-6, 1, 25)


def field(side: int, rng: np.random.Generator) -> Array:
    """White noise under a Gaussian filter of 2 to 7 pixels."""
    return gaussian_filter(rng.normal(size=(side, side)), rng.uniform(2, 7))


def waves(side: int, rng: np.random.Generator) -> Array:
    """The product of a wave along each axis."""
    y, x = np.mgrid[:side, :side] / 24
    across, down = rng.uniform(0.5, 4, 2)
    return np.asarray(np.sin(across * x + 1) * np.cos(down * y))


def spots(side: int, rng: np.random.Generator) -> Array:
    """Gaussian spots of 2 to 4 pixels and of all heights."""
    y, x = np.mgrid[:side, :side]
    found = np.zeros((side, side))
    for _ in range(side * side // 150):
        (row, column), width = rng.uniform(0, side, 2), rng.uniform(2, 4)
        found += rng.exponential() * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
    return found


LOOKS: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "random field": field,
    "waves": waves,
    "spots": spots,
}


def run(results: Results, options: Options) -> None:
    """A row for each look, task, side, noise and seed."""
    torch.set_num_threads(1)
    for look in options.pictures or LOOKS:
        for task in TASKS:
            for side in options.sides or SIDES:
                for sigma in SIGMAS:
                    for seed in range(options.seeds or SEEDS):
                        key: Row = {"look": look, "task": task, "side": side, "sigma": sigma, "seed": seed}
                        if not results.has(**key):
                            results.add(key | measured(look, task, side, sigma, seed, options.effort))
    if results.rows:
        conclude(results)


def measured(look: str, task: str, side: int, sigma: float, seed: int, effort: str) -> Row:
    """PSNR of the result and of the best simple filter, and what the intervals hold."""
    rng = np.random.default_rng([seed, side, TASKS.index(task), round(1000 * sigma)])
    truth = LOOKS[look](side, rng)
    truth = (truth - truth.min()) / np.ptp(truth)
    given, restore, rivals = prepared(task, truth, sigma, rng)
    with timed() as clock:
        found = restore(given, sigma=sigma, effort=effort, seed=seed)
    low, high = found.interval(0.9)
    return {
        "psnr": psnr(found.mean, truth),
        "simple": max(psnr(picture, truth) for picture in rivals),
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
        "cpu_seconds": round(clock.cpu, 2),
    }


def prepared(
    task: str, truth: Array, sigma: float, rng: np.random.Generator
) -> tuple[Array, Callable[..., Any], list[Array]]:
    """The data, what restores them, and the simple pictures among which the truth chooses."""

    def noisy(clean: Array) -> Array:
        return clean + sigma * rng.normal(size=clean.shape)

    if task == "noise":
        given = noisy(truth)
        return given, bd.denoise, [gaussian_filter(given, width) for width in WIDTHS]
    if task == "smaller":
        down = bd.Downsample(truth.shape, FACTOR, "area")
        given = noisy(np.asarray(down.forward(truth[None]))[0])
        large = zoom(given, FACTOR, order=3, mode="nearest", grid_mode=True)
        pictures = [large, *(gaussian_filter(large, width) for width in WIDTHS)]
        return given, lambda y, **how: bd.upscale(y, FACTOR, kind="area", **how), pictures
    at = np.arange(-6, 7)
    line = np.exp(-(at**2) / (2 * BLUR**2))
    psf = np.outer(line, line) / line.sum() ** 2
    given = noisy(convolve(truth, psf, mode="reflect"))
    return given, lambda y, **how: bd.deblur(y, psf, **how), [wiener(given, psf, b) for b in BALANCES]


def wiener(given: Array, psf: Array, balance: float) -> Array:
    """Wiener's filter with borders that reflect, for a PSF that is symmetric; the picture's power falls with the fourth power of the frequency."""
    delta = np.zeros(given.shape)
    delta[0, 0] = 1.0
    gain = dctn(convolve(delta, psf, mode="reflect"), type=2) / dctn(delta, type=2)
    steps = np.meshgrid(*(np.pi * np.arange(n) / n for n in given.shape), indexing="ij")
    rough = balance * (steps[0] ** 2 + steps[1] ** 2) ** 2
    return np.asarray(idctn(gain / (gain**2 + rough) * dctn(given, type=2), type=2))


def conclude(results: Results) -> None:
    """Means of each look and task."""
    facts: Row = {}
    for look in LOOKS:
        for task in TASKS:
            rows = [row for row in results.rows if row["look"] == look and row["task"] == task]
            if rows:
                gain = float(np.mean([row["psnr"] - row["simple"] for row in rows]))
                held = float(np.mean([row["coverage"] for row in rows]))
                seconds = float(np.mean([row["cpu_seconds"] for row in rows]))
                facts[f"{look}, {task}"] = f"{gain:+.2f} dB, {held:.0%}, {seconds:.1f} s"
    inside = float(np.mean([0.8 <= row["coverage"] <= 0.97 for row in results.rows]))
    targets = [
        Target("90% intervals hold", results.mean("coverage"), least=0.88, most=0.92),
        Target("share of pictures whose 90% intervals hold 80 to 97%", inside, least=0.95),
    ]
    results.conclude(targets, **facts)
