"""The 11 gray pictures of the inpainting table of Cheng et al. 2019, half of the pixels missing.

The masks are the published ones; known pixels are put back.
"""

from __future__ import annotations

from functools import partial

import bayesdip as bd
from benchmarks.options import Options
from benchmarks.pictures import masked_pairs
from benchmarks.results import Results
from benchmarks.scoring import averages, restored, warm_up


def run(results: Results, options: Options) -> None:
    """PSNR over the whole picture, coverage over the missing pixels."""
    warm_up(options.restoring)
    for pair in masked_pairs(options.folder, options.pictures, options.crop):
        if not results.has(picture=pair.name):
            inpaint = partial(bd.inpaint, pair.clean, pair.given)
            results.add(restored(inpaint, options.restoring, pair.name, pair.clean, pair.given)[1])
    results.conclude(known_pixels="put back", **averages(results, "psnr"))
