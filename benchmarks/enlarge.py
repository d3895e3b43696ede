"""Quality, time and intervals of enlarging four times, by the kernel with which a picture was made small.

The pictures are those of the folder ``--data``, cut to whole multiples of the factor (with ``--crop`` the centre); without one, a
picture that scikit-image ships. Small ones are made by the product's own downsampling, which stretches the kernel by the factor
as MATLAB's ``imresize`` does, and rounded to 8 bits. PSNR is that of the Y channel. One thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import bayesdip as bd
from bayesdip.lab.results import Row
from bayesdip.operators import Downsample
from benchmarks.options import Options
from benchmarks.pictures import centre, larger, psnr_of_luma
from benchmarks.results import Results

FACTOR, KINDS = 4, ("lanczos", "bicubic", "area")
# Side of the part of scikit-image's picture.
SIDE = 96

Picture = NDArray[np.uint8]


def saved_options(options: Options) -> Row:
    """Any pictures stand in one file."""
    return {"effort": options.effort, "seed": options.seed, "crop": options.crop}


def run(results: Results, options: Options) -> None:
    """A row for each picture and kernel, and the means of each kernel."""
    torch.set_num_threads(1)
    for name, clean in _pictures(options):
        for kind in KINDS:
            if results.has(picture=name, kind=kind):
                continue
            small = _smaller(clean, kind)
            began = time.process_time()
            r = bd.upscale(
                small, FACTOR, kind=kind, channel_axis=-1, effort=options.effort, seed=options.seed
            )
            spent = time.process_time() - began
            low, high = r.interval(0.9)
            bicubic = larger(small, clean.shape)
            results.add(
                {
                    "picture": name,
                    "kind": kind,
                    "psnr_y": psnr_of_luma(r.mean, clean),
                    "bicubic_y": psnr_of_luma(bicubic, clean),
                    "coverage": float(((low <= clean) & (clean <= high)).mean()),
                    "cpu_seconds": spent,
                    "pixels": clean.shape[0] * clean.shape[1],
                }
            )
    means = {}
    for kind in KINDS:
        rows = [row for row in results.rows if row["kind"] == kind]
        for key in ("psnr_y", "bicubic_y", "coverage", "cpu_seconds"):
            means[f"{kind}_{key}"] = float(np.mean([row[key] for row in rows]))
    results.conclude(factor=FACTOR, **means)


def _pictures(options: Options) -> Iterator[tuple[str, Picture]]:
    """Names and colour pictures whose sides are multiples of the factor."""
    if options.data is None:
        from skimage.data import astronaut

        yield "astronaut", astronaut()[: options.crop or SIDE, : options.crop or SIDE]
        return
    for path in sorted(Path(options.data).glob("*.[pj][np]g")):
        if path.stem.endswith("_LR") or (options.pictures and path.stem not in options.pictures):
            continue  # Set14's folder has small pictures beside the large ones
        clean = centre(np.asarray(Image.open(path).convert("RGB")), options.crop)
        height, width = (n // FACTOR * FACTOR for n in clean.shape[:2])
        yield path.stem, clean[:height, :width]


def _smaller(clean: Picture, kind: str) -> Picture:
    operator = Downsample(clean.shape[:2], FACTOR, kind)
    small = operator.forward(torch.from_numpy(clean.transpose(2, 0, 1).copy()).double())
    return np.asarray(small.round().clamp(0, 255).numpy().transpose(1, 2, 0).astype(np.uint8))
