"""The 9 colour pictures of the denoising table of Cheng et al. 2019, sigma 25.

The inputs are the published ones, clipped to 8 bits.
"""

from __future__ import annotations

from functools import partial

import bayesdip as bd
from benchmarks.options import Options
from benchmarks.pictures import noisy_pairs, psnr
from benchmarks.results import Results
from benchmarks.scoring import averages, restored, warm_up


def run(results: Results, options: Options) -> None:
    """PSNR and coverage; ``--sigma`` gives the noise level, which is estimated otherwise."""
    warm_up(options.restoring)
    for pair in noisy_pairs(options.folder, options.pictures, options.crop):
        if not results.has(picture=pair.name):
            denoise = partial(bd.denoise, pair.given, options.sigma, channel_axis=-1)
            r, row = restored(denoise, options.restoring, pair.name, pair.clean)
            results.add(row | {"noisy": psnr(pair.given, pair.clean), "sigma": r.sigma})
    results.conclude(noise="clipped to 8 bits", **averages(results, "psnr", "noisy"))
