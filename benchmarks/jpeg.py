"""Pictures compressed as JPEG at qualities 10 to 40: gain over what is in the file, and what the intervals hold."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

import bayesdip as bd
from bayesdip.lab.results import Row
from benchmarks.holes import Pixels, cropped, pictures
from benchmarks.measurement import timed
from benchmarks.options import Options
from benchmarks.pictures import psnr
from benchmarks.results import Results, Target

QUALITIES = (10, 20, 30, 40)
SIDE = 96
# What is asked for: the least mean gain, dB, and that no picture gets worse by more than this.
GAIN, WORST = 0.7, -0.1


def run(results: Results, options: Options) -> None:
    """A row for each picture and quality; gray and colour in turn."""
    torch.set_num_threads(1)
    for number, (name, picture) in enumerate(pictures(options)):
        rng = np.random.default_rng([options.seed, number])
        clean = cropped(picture, min(options.crop or SIDE, *picture.shape[:2]), rng)
        clean = clean if number % 2 else np.asarray(Image.fromarray(clean).convert("L"))
        for quality in QUALITIES:
            key: Row = {"picture": name, "quality": quality}
            if not results.has(**key):
                results.add(key | measured(clean, quality, options))
    if results.rows:
        conclude(results)


def measured(clean: Pixels, quality: int, options: Options) -> Row:
    """Compress and restore one picture, with what its file says."""
    file = io.BytesIO()
    Image.fromarray(clean).save(file, "JPEG", quality=quality)
    compressed = Image.open(file)
    given, table = np.asarray(compressed), compressed.quantization[0]
    axis = -1 if clean.ndim == 3 else None
    with timed() as clock:
        noise = bd.noise.JPEG(table)
        restored = bd.denoise(given, noise=noise, channel_axis=axis, effort=options.effort, seed=options.seed)
    before, after = psnr(given, clean), psnr(restored.mean, clean)
    low, high = restored.interval(0.9)
    return {
        "channels": 1 if axis is None else 3,
        "input": before,
        "psnr": after,
        "gain": after - before,
        "coverage": float(((low <= clean) & (clean <= high)).mean()),
        "cpu_seconds": round(clock.cpu, 2),
    }


def conclude(results: Results) -> None:
    """Means of all, of each quality, and of gray and colour."""
    facts: Row = {}
    for column, value in [("quality", q) for q in QUALITIES] + [("channels", c) for c in (1, 3)]:
        rows = [row for row in results.rows if row[column] == value]
        if rows:
            facts[f"gain_{column}_{value}"] = float(np.mean([row["gain"] for row in rows]))
    gains = [row["gain"] for row in results.rows]
    targets = [
        Target("gain, dB", float(np.mean(gains)), least=GAIN),
        Target("gain of the worst picture, dB", min(gains), least=WORST),
        Target("90% intervals hold", results.mean("coverage"), least=0.80, most=0.97),
    ]
    results.conclude(targets, **facts)
