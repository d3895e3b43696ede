"""Square holes of 8 to 64 pixels, four to a picture, beside biharmonic filling.

Pictures are those of the folder ``--data``; without one, pictures that scikit-image ships. Each gives a part of one size
for each size of hole, gray and colour in turn, with a hole at a random place in each of its quarters.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.restoration import inpaint_biharmonic

import bayesdip as bd
from bayesdip.lab.results import Row
from benchmarks.options import Options
from benchmarks.pictures import psnr
from benchmarks.results import Results, Target

Pixels = NDArray[np.uint8]
Bools = NDArray[np.bool_]

# Of a hole, in pixels; and what is around it, in holes, in a quarter of the part: a hole of 8 has at least so many pixels.
SIDES = (8, 16, 32, 64)
QUARTER, LEAST = 2, 48
BUNDLED = ("astronaut", "brick", "camera", "cat", "coffee", "grass", "gravel", "rocket")
# Least gain on average and of a single picture, dB; and the share of values that 90% intervals should hold.
GAIN, WORST, COVERAGE = 1.0, -0.3, (0.80, 0.95)


def run(results: Results, options: Options) -> None:
    """Gain over biharmonic filling, and what the intervals hold."""
    torch.set_num_threads(1)
    for side in options.sides or SIDES:
        for number, (name, picture) in enumerate(pictures(options)):
            key: Row = {"side": side, "picture": name}
            part = 2 * max(QUARTER * side, LEAST)
            if results.has(**key) or min(picture.shape[:2]) < part:
                continue
            rng = np.random.default_rng([options.seed, side, number])
            clean = cropped(picture, part, rng)
            clean = clean if number % 2 else np.asarray(Image.fromarray(clean).convert("L"))
            results.add(key | measured(clean, holes(part, side, rng), options))
    if results.rows:
        conclude(results)


def measured(clean: Pixels, missing: Bools, options: Options) -> Row:
    """Fill in one picture: PSNR in its holes, that of biharmonic filling, coverage of 90% intervals, processor time."""
    by_default, coverage, spent = filled(clean, missing, options)
    plain = by_biharmonic(clean, missing)
    return {
        "channels": 1 if clean.ndim == 2 else clean.shape[-1],
        "psnr": by_default,
        "biharmonic": plain,
        "gain": by_default - plain,
        "coverage": coverage,
        "cpu_seconds": spent,
    }


def filled(
    clean: Pixels, missing: Bools, options: Options, method: str = "auto"
) -> tuple[float, float, float]:
    """PSNR in the holes, share of their values that 90% intervals hold, and seconds of the processor."""
    axis = -1 if clean.ndim == 3 else None
    began = time.process_time()
    restored = bd.inpaint(
        with_holes(clean, missing),
        missing,
        channel_axis=axis,
        method=method,
        effort=options.effort,
        seed=options.seed,
    )
    spent = time.process_time() - began
    low, high = restored.interval(0.9)
    inside = ((low <= clean) & (clean <= high))[missing]
    return psnr(restored.mean[missing], clean[missing]), float(inside.mean()), spent


def by_biharmonic(clean: Pixels, missing: Bools) -> float:
    """PSNR in the holes by biharmonic filling."""
    axis = -1 if clean.ndim == 3 else None
    found = 255 * inpaint_biharmonic(with_holes(clean, missing) / 255, missing, channel_axis=axis)
    return psnr(found[missing], clean[missing])


def with_holes(clean: Pixels, missing: Bools) -> Pixels:
    """Black where it is missing."""
    given = clean.copy()
    given[missing] = 0
    return given


def conclude(results: Results) -> None:
    """Means over each size and over all, and whether each picture is within bounds."""
    facts: Row = {}
    for side in sorted({row["side"] for row in results.rows}):
        rows = [row for row in results.rows if row["side"] == side]
        facts[f"gain_{side}"] = float(np.mean([row["gain"] for row in rows]))
        facts[f"coverage_{side}"] = float(np.mean([row["coverage"] for row in rows]))
    gains = np.array([row["gain"] for row in results.rows])
    held = np.array([row["coverage"] for row in results.rows])
    within = float(((COVERAGE[0] <= held) & (held <= COVERAGE[1])).mean())
    targets = [
        Target("gain over biharmonic filling, dB", float(gains.mean()), least=GAIN),
        Target("gain of the worst picture, dB", float(gains.min()), least=WORST),
        Target("share of pictures whose 90% intervals hold 80 to 95%", within, least=1.0),
    ]
    results.conclude(targets, **facts)


def pictures(options: Options) -> list[tuple[str, Pixels]]:
    """Names and colour pictures, those that were asked for."""
    if options.data is None:
        from skimage import data

        found = [(name, getattr(data, name)()) for name in BUNDLED]
    else:
        files = sorted(path for path in Path(options.folder).iterdir() if path.suffix in (".jpg", ".png"))
        found = [(path.stem, np.asarray(Image.open(path).convert("RGB"))) for path in files]
    colour = [(name, x if x.ndim == 3 else np.repeat(x[..., None], 3, -1)) for name, x in found]
    return [(name, x) for name, x in colour if not options.pictures or name in options.pictures]


def cropped(picture: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """A square part at a random place."""
    row, column = (int(rng.integers(0, n - side + 1)) for n in picture.shape[:2])
    return np.ascontiguousarray(picture[row : row + side, column : column + side])


def holes(part: int, side: int, rng: np.random.Generator) -> Bools:
    """A square hole at a random place in each quarter, at least two pixels from its border."""
    missing, half = np.zeros((part, part), bool), part // 2
    for top in (0, half):
        for left in (0, half):
            row, column = (int(rng.integers(2, half - side - 1)) for _ in range(2))
            missing[top + row : top + row + side, left + column : left + column + side] = True
    return missing
