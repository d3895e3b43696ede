"""Real noise of cameras: pairs of one exposure and the mean of many, ``NAME_real.png`` and ``NAME_mean.png`` in ``--data``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import bayesdip as bd
from bayesdip.errors import BayesDipError
from bayesdip.lab.results import Row
from benchmarks.holes import Pixels
from benchmarks.measurement import timed
from benchmarks.options import Options
from benchmarks.pictures import psnr
from benchmarks.results import Results, Target

SIDE = 128
# White levels tried, of which the best counts, of 255.
LEVELS = (4.0, 8.0, 12.0)
LEAST = 37.5


def run(results: Results, options: Options) -> None:
    """The middle of each picture, with nothing said, the correlation estimated, and the best white level."""
    torch.set_num_threads(1)
    found = sorted(options.data.glob("*_real.png")) if options.data else []
    if not found:
        raise BayesDipError("no pictures NAME_real.png with NAME_mean.png: give their folder by --data")
    for file in found:
        name = file.stem.removesuffix("_real")
        if not results.has(picture=name):
            noisy, clean = (
                middle(file.with_name(f"{name}_{kind}.png"), options) for kind in ("real", "mean")
            )
            results.add({"picture": name} | measured(noisy, clean, options))
    columns = ("input", "auto", "estimated", "white", "bm3d")
    facts: Row = {column: round(results.mean(column), 2) for column in columns}
    results.conclude([Target("nothing said, dB", results.mean("auto"), least=LEAST)], **facts)


def middle(file: Path, options: Options) -> Pixels:
    """Of a picture in colour, (side, side, 3)."""
    picture = np.asarray(Image.open(file).convert("RGB"))
    side = min(options.crop or SIDE, *picture.shape[:2])
    top, left = ((n - side) // 2 for n in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def measured(noisy: Pixels, clean: Pixels, options: Options) -> Row:
    """PSNR by each way of saying what the noise is, and of colour BM3D with the best level."""
    from bm3d import bm3d_rgb

    def denoised(**said: Any) -> float:
        restored = bd.denoise(noisy, channel_axis=-1, effort=options.effort, seed=options.seed, **said)
        return psnr(restored.mean, clean)

    with timed() as clock:
        row: Row = {
            "input": psnr(noisy, clean),
            "auto": denoised(),
            "estimated": denoised(noise=bd.noise.Correlated.estimated(noisy, channel_axis=-1)),
            "white": max(denoised(sigma=level) for level in LEVELS),
            "bm3d": max(psnr(bm3d_rgb(noisy.astype(np.float64), level), clean) for level in LEVELS),
        }
    return row | {"cpu_seconds": round(clock.cpu, 2)}
