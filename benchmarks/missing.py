"""The 11 gray pictures of the inpainting table of Cheng et al. 2019, with 70% and 90% of the pixels missing at random.

Beside the means that Self2Self reached on them (Quan, Chen, Pang, Ji, CVPR 2020). ``--pictures`` takes names; any pictures stand
in one file. One thread.
"""

from __future__ import annotations

from functools import partial

import numpy as np

import bayesdip as bd
from bayesdip.lab.results import Row
from bayesdip.threads import one_thread
from benchmarks.options import Options
from benchmarks.pictures import masked_pairs
from benchmarks.results import Results, Target
from benchmarks.scoring import restored, warm_up

# Mean PSNR of Self2Self over all pictures, by the share that is missing.
SELF2SELF, ALL = {0.9: 25.91, 0.7: 31.06}, 11


def saved_options(options: Options) -> Row:
    """Any pictures stand in one file."""
    return {"method": options.method, "effort": options.effort, "seed": options.seed, "crop": options.crop}


def run(results: Results, options: Options) -> None:
    """PSNR over the whole picture, coverage over the missing pixels."""
    warm_up(options.restoring)
    with one_thread():
        for share in SELF2SELF:
            for pair in masked_pairs(options.folder, options.pictures, options.crop):
                if results.has(picture=pair.name, missing=share):
                    continue
                gone = np.random.default_rng(options.seed).random(pair.clean.shape) < share
                inpaint = partial(bd.inpaint, pair.clean, gone, sigma=0)
                row = restored(inpaint, options.restoring, pair.name, pair.clean, gone)[1]
                results.add(row | {"missing": share})
    targets, means = [], {}
    for share, theirs in SELF2SELF.items():
        here = [row for row in results.rows if row["missing"] == share]
        if not here:
            continue
        for key in ("psnr", "coverage90", "cpu_seconds"):
            means[f"{key}_{share:g}"] = float(np.mean([row[key] for row in here]))
        if len(here) == ALL:
            targets.append(Target(f"{share:.0%} missing: PSNR", means[f"psnr_{share:g}"], least=theirs))
    results.conclude(targets, **means)
