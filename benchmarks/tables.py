"""The tables of Cheng et al. 2019 (arXiv 1904.07457), on published inputs, with our methods."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bayesdip import api as tasks
from bayesdip.noise import estimate_sigma
from bayesdip.pipeline import Options
from bayesdip.result import Restoration
from bayesdip.units import Layout
from benchmarks.estimate_accuracy import get_ready, watched, worst_ratios
from benchmarks.pictures import (
    Array,
    figure6,
    masked_pairs,
    noisy_pairs,
    psnr,
    psnr_of_luma,
    small_pairs,
)
from benchmarks.results import Results, Row


def paper_denoise(
    results: Results,
    data: Path,
    options: Options,
    only: tuple[str, ...],
    sigma: float | None,
    crop: int | None = None,
) -> None:
    """Denoising at sigma 25; ``sigma`` None leaves the estimate to us, ``crop`` is the side of the middle to take."""
    get_ready(options)
    for pair in noisy_pairs(data, only, crop):
        if results.has(picture=pair.name) or pair.noisy is None:
            continue
        given: Any = {"sigma": sigma, "channel_axis": pair.channel_axis, **options}
        r, told = watched(partial(tasks.denoise, pair.noisy), given)
        results.add(
            _row(pair.name, r, pair.clean)
            | told
            | {
                "noisy": psnr(pair.noisy, pair.clean),
                "sigma": r.sigma,
            }
            | _coverages(r, pair.clean)
        )
    results.conclude(
        pictures=len(results.rows),
        psnr=results.mean("psnr"),
        noisy=results.mean("noisy"),
        noise="clipped to 8 bits",
        **worst_ratios(results.rows),
        **_mean_coverages(results),
    )


def paper_inpaint(
    results: Results, data: Path, options: Options, only: tuple[str, ...], crop: int | None = None
) -> None:
    """Inpainting with half of the pixels missing, known pixels put back; ``crop`` as for denoising."""
    get_ready(options)
    for pair in masked_pairs(data, only, crop):
        if results.has(picture=pair.name) or pair.missing is None:
            continue
        r, told = watched(partial(tasks.inpaint, pair.clean, pair.missing), options)
        results.add(_row(pair.name, r, pair.clean) | told | _coverages(r, pair.clean, pair.missing))
    results.conclude(
        pictures=len(results.rows),
        psnr=results.mean("psnr"),
        known_pixels="put back",
        **worst_ratios(results.rows),
        **_mean_coverages(results),
    )


def paper_upscale(results: Results, data: Path, options: Options, only: tuple[str, ...], factor: int) -> None:
    """Super-resolution of Set5, scored as in the code of Deep Image Prior."""
    get_ready(options)
    for pair in small_pairs(data, factor, only):
        if results.has(picture=pair.name):
            continue
        given: Any = {"channel_axis": -1, **options}
        r, told = watched(partial(tasks.upscale, pair.small, factor), given)
        wide = (pair.clean.shape[1], pair.clean.shape[0])
        bicubic = np.asarray(Image.fromarray(pair.small).resize(wide, Image.Resampling.BICUBIC))
        results.add(
            _row(pair.name, r, pair.clean)
            | told
            | {"psnr_y": psnr_of_luma(r.mean, pair.clean), "bicubic_y": psnr_of_luma(bicubic, pair.clean)}
        )
    averages = {column: results.mean(column) for column in ("psnr_y", "bicubic_y")}
    results.conclude(
        pictures=len(results.rows),
        factor=factor,
        small_by="Pillow's Lanczos filter",
        **averages,
        **worst_ratios(results.rows),
    )


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


def _coverages(r: Restoration, clean: Array, missing: Array | None = None) -> Row:
    """Share of true values inside 90% intervals, calibrated and not, on pixels used for neither.

    Those are the missing pixels. Where none is missing, they are the held-out ones: the method did
    not see them, and each half of them has the calibration of the other half. ``seen`` is the same
    for the pixels that the method saw.
    """
    if r.std is None:
        return {}
    inside = [_inside(r.interval(0.9, calibrated=calibrated), clean) for calibrated in (True, False)]
    if missing is not None:
        return {
            "coverage90": float(inside[0][missing].mean()),
            "coverage90_raw": float(inside[1][missing].mean()),
        }
    row: Row = {"coverage90_seen": inside[0].mean(), "coverage90_seen_raw": inside[1].mean()}
    if r.calibration is not None:
        held = r.calibration.held_out
        truth = Layout.of(clean, r.channel_axis).to_tensor(clean).flatten(1)[:, held.places].numpy()
        reach = 1.645 * held.std
        row |= {
            "coverage90": _inside((held.low, held.high), truth).mean(),
            "coverage90_raw": _inside((held.mean - reach, held.mean + reach), truth).mean(),
            "coverage90_told": r.calibration.coverage,
        }
    return {name: float(value) for name, value in row.items()}


def _inside(interval: tuple[Array, Array], clean: Array) -> Array:
    return np.asarray((interval[0] <= clean) & (clean <= interval[1]), dtype=np.float64)


def _mean_coverages(results: Results) -> Row:
    """Averages over the pictures that have them."""
    names = ("coverage90", "coverage90_raw")
    return {name: results.mean(name) for name in names if any(name in row for row in results.rows)}
