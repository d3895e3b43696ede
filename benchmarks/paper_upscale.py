"""Five pictures (Set5) enlarged four times, PSNR of the Y channel.

Scored as in the code of Deep Image Prior (Ulyanov, Vedaldi, Lempitsky, CVPR 2018).
"""

from __future__ import annotations

from functools import partial

import bayesdip as bd
from benchmarks.options import Options
from benchmarks.pictures import larger, psnr_of_luma, small_pairs
from benchmarks.results import Results
from benchmarks.scoring import averages, restored, warm_up

FACTOR = 4


def run(results: Results, options: Options) -> None:
    """PSNR of all channels and of Y, beside bicubic interpolation."""
    warm_up(options.restoring)
    for pair in small_pairs(options.folder, FACTOR, options.pictures):
        if results.has(picture=pair.name):
            continue
        upscale = partial(bd.upscale, pair.given, FACTOR, channel_axis=-1)
        r, row = restored(upscale, options.restoring, pair.name, pair.clean)
        bicubic = larger(pair.given, pair.clean.shape)
        scores = {"psnr_y": psnr_of_luma(r.mean, pair.clean), "bicubic_y": psnr_of_luma(bicubic, pair.clean)}
        results.add(row | scores)
    small_by = "Pillow's Lanczos filter"
    results.conclude(factor=FACTOR, small_by=small_by, **averages(results, "psnr_y", "bicubic_y"))
