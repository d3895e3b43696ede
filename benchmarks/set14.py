"""Fourteen pictures (Set14), made small by MATLAB's bicubic filter, enlarged four times: PSNR of the Y channel.

The pictures are ``*_SRF_4_LR.png`` and ``*_SRF_4_HR.png`` in the folder ``--data``, as in the release of Huang, Singh, Ahuja (CVPR 2015).
Scored as super-resolution is, without a border of four pixels. ZSSR (Shocher, Cohen, Irani, CVPR 2018) has 28.01 dB.
"""

from __future__ import annotations

from functools import partial

import numpy as np

import bayesdip as bd
from bayesdip.errors import FileError
from bayesdip.io import read_picture
from benchmarks.options import Options
from benchmarks.pictures import Array, larger, psnr_of_luma
from benchmarks.results import Results, Target
from benchmarks.scoring import averages, restored, warm_up

FACTOR, LEAST = 4, 28.1
SMALL, LARGE = "_SRF_4_LR.png", "_SRF_4_HR.png"


def run(results: Results, options: Options) -> None:
    """PSNR of Y, beside bicubic interpolation."""
    found = sorted(options.folder.glob(f"*{SMALL}"))
    if not found:
        raise FileError(
            f"{options.folder} holds no picture *{SMALL}: expected Set14; give its folder by --data"
        )
    warm_up(options.restoring)
    for path in found:
        name = path.name.removesuffix(SMALL)
        if results.has(picture=name) or (options.pictures and name not in options.pictures):
            continue
        small, clean = (read_picture(file).pixels for file in (path, path.with_name(f"{name}{LARGE}")))
        axis = -1 if small.ndim == 3 else None
        upscale = partial(bd.upscale, small, FACTOR, kind="bicubic", channel_axis=axis)
        r, row = restored(upscale, options.restoring, name, clean)
        bicubic = larger(small, clean.shape)
        scores = [psnr_of_luma(_in_colour(picture), _in_colour(clean)) for picture in (r.mean, bicubic)]
        results.add(row | dict(zip(("psnr_y", "bicubic_y"), scores, strict=True)))
    mean = averages(results, "psnr_y", "bicubic_y")
    results.conclude([Target("PSNR of Y, dB", results.mean("psnr_y"), least=LEAST)], factor=FACTOR, **mean)


def _in_colour(picture: Array) -> Array:
    return picture if picture.ndim == 3 else np.stack([picture] * 3, -1)
