"""The tables of Cheng et al. 2019 (arXiv 1904.07457), on published inputs, with our methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bayesdip import tasks
from bayesdip.bench.pictures import Array, figure6, masked_pairs, noisy_pairs, psnr
from bayesdip.bench.results import Results, Row
from bayesdip.noise import estimate_sigma
from bayesdip.pipeline import Options
from bayesdip.restoration import Restoration
from bayesdip.scale import Layout


def paper_denoise(
    results: Results, data: Path, options: Options, only: tuple[str, ...], sigma: float | None
) -> None:
    """Denoising at sigma 25; ``sigma`` None leaves the estimate to us."""
    for pair in noisy_pairs(data, only):
        if results.has(picture=pair.name) or pair.noisy is None:
            continue
        r = tasks.denoise(pair.noisy, sigma, channel_axis=pair.channel_axis, **options)
        results.add(
            _row(pair.name, r, pair.clean)
            | {
                "noisy": psnr(pair.noisy, pair.clean),
                "sigma": r.sigma,
                "coverage90": _coverage(r, pair.clean),
            }
        )
    results.conclude(
        pictures=len(results.rows),
        psnr=results.mean("psnr"),
        noisy=results.mean("noisy"),
        noise="clipped to 8 bits",
    )


def paper_inpaint(results: Results, data: Path, options: Options, only: tuple[str, ...]) -> None:
    """Inpainting with half of the pixels missing, known pixels put back."""
    for pair in masked_pairs(data, only):
        if results.has(picture=pair.name) or pair.missing is None:
            continue
        r = tasks.inpaint(pair.clean, pair.missing, **options)
        results.add(_row(pair.name, r, pair.clean) | {"coverage90": _coverage(r, pair.clean, pair.missing)})
    results.conclude(pictures=len(results.rows), psnr=results.mean("psnr"), known_pixels="put back")


def paper_figure6(results: Results, data: Path, options: Options) -> None:
    """The 64x64 inpainting of figure 6 by the kernel of 2 scales, 1024 channels, 4 skip."""
    pair = figure6(data)
    if not results.has(picture=pair.name):
        r = tasks.inpaint(pair.clean, pair.missing, **options)
        results.add(_row(pair.name, r, pair.clean))
    results.conclude(psnr=results.mean("psnr"), paper=26.34, known_pixels="put back, values clipped to 0..1")


def sigma_estimates(results: Results, data: Path, only: tuple[str, ...]) -> None:
    """The estimated noise level of pictures with sigma 25, clipped to 8 bits."""
    for pair in noisy_pairs(data, only):
        if results.has(picture=pair.name) or pair.noisy is None:
            continue
        layout = Layout.of(pair.noisy, pair.channel_axis)
        estimate = estimate_sigma(layout.to_tensor(pair.noisy))
        results.add({"picture": pair.name, "sigma": float(np.max(estimate)), "true": 25.0})
    worst = max(abs(row["sigma"] / row["true"] - 1) for row in results.rows)
    results.conclude(pictures=len(results.rows), worst_relative_error=worst)


def _row(name: str, r: Restoration, clean: Array) -> Row:
    return {
        "picture": name,
        "psnr": psnr(r.mean, clean),
        "seconds": round(r.seconds, 2),
        "held_out_rmse": r.held_out,
        "steps": r.info.get("steps", r.info.get("iterations")),
        "stopped": r.stopped,
    }


def _coverage(r: Restoration, clean: Array, where: Array | None = None) -> float | None:
    """Share of true values inside the 90% intervals, over the pixels in ``where``; not calibrated."""
    if r.std is None:
        return None
    low, high = r.interval(0.9)
    inside = (low <= clean) & (clean <= high)
    return float(inside.mean() if where is None else inside[where].mean())
