"""The estimate of the noise level on the 9 noisy pictures, sigma 25, clipped to 8 bits."""

from __future__ import annotations

import numpy as np

from bayesdip.noise import estimate_sigma
from benchmarks.options import Options
from benchmarks.pictures import noisy_pairs
from benchmarks.results import Results

SIGMA = 25.0


def run(results: Results, options: Options) -> None:
    """The largest estimate over the channels of each picture."""
    for pair in noisy_pairs(options.folder, options.pictures):
        if not results.has(picture=pair.name):
            estimate = np.max(estimate_sigma(pair.given, channel_axis=-1))
            results.add({"picture": pair.name, "sigma": float(estimate), "true": SIGMA})
    worst = max(abs(row["sigma"] / row["true"] - 1) for row in results.rows)
    results.conclude(pictures=len(results.rows), worst_relative_error=worst)
