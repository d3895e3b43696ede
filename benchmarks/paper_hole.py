"""The picture with large holes of figure 1 of Cheng et al. 2019: the library of Deep Image Prior.

The whole picture counts, known pixels put back: the paper has 19.23 dB by SGD and 21.86 dB by SGLD.
"""

from __future__ import annotations

from functools import partial

import bayesdip as bd
from benchmarks.options import Options
from benchmarks.pictures import large_hole
from benchmarks.results import Results
from benchmarks.scoring import restored, warm_up

PAPER = {"SGD": 19.23, "SGLD": 21.86}


def run(results: Results, options: Options) -> None:
    """PSNR over the whole picture, coverage over the missing pixels."""
    pair = large_hole(options.folder)
    if not results.has(picture=pair.name):
        warm_up(options.restoring)
        inpaint = partial(bd.inpaint, pair.clean, pair.given, channel_axis=pair.channel_axis)
        results.add(restored(inpaint, options.restoring, pair.name, pair.clean, pair.given)[1])
    results.conclude(known_pixels="put back", psnr=results.rows[0]["psnr"], paper=PAPER)
