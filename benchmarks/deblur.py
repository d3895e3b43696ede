"""Four gray pictures of scikit-image, blurred twice and noisy.

PSNR inside a border of 8 pixels, where a blur sees nothing of what lies beyond the picture. The noise level is given;
blurred pictures are rounded and clipped to 8 bits.
"""

from __future__ import annotations

from itertools import product

import bayesdip as bd
from bayesdip.errors import BayesDipError
from benchmarks.options import Options
from benchmarks.pictures import BLUR_SIDE, BLURS, BORDER, CROPS, blurred, crop, gaussian_psf, psnr
from benchmarks.results import Results


def run(results: Results, options: Options) -> None:
    """Each picture with both blurs.

    Raises
    ------
    BayesDipError
        ``--pictures`` names one that is not among them.
    """
    if unknown := set(options.pictures) - set(CROPS):
        raise BayesDipError(
            f"pictures are {', '.join(sorted(unknown))}: expected some of {', '.join(CROPS)}; choose of these"
        )
    for name, (blur, sigma) in product(options.pictures or CROPS, BLURS):
        if results.has(picture=name, blur=blur):
            continue
        clean, psf = crop(name), gaussian_psf(blur)
        given = blurred(clean, psf, sigma, options.seed)
        r = bd.deblur(given, psf, sigma=sigma, **options.restoring)
        inner = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))
        scores = {"psnr": psnr(r.mean[inner], clean[inner]), "blurred": psnr(given[inner], clean[inner])}
        row = {"picture": name, "blur": blur, "noise": sigma, **scores}
        results.add(row | {"seconds": round(r.seconds, 2), "method": r.method})
    means = {column: results.mean(column) for column in ("psnr", "blurred")}
    results.conclude(pictures=len(results.rows), side=BLUR_SIDE, **means)
