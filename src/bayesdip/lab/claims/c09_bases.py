"""Claim 9: Fourier for backgrounds, wavelets for foregrounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.results import Row
from torch import Tensor

from bayesdip.lab.bases import (
    Array,
    best_threshold,
    dct_threshold,
    foreground,
    psnr_within,
    wavelet_threshold,
)
from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import dots, panels
from bayesdip.lab.problems import denoising
from bayesdip.lab.statistics import Condition, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOTHERS = ("haar", "db4", "sym8", "bior4.4")
BASES = ("Fourier (DCT)", *(f"wavelet {mother}" for mother in MOTHERS), "DIP")
REGIONS = ("background", "foreground")


def cells(size: Size) -> list[Cell]:
    return crossed(sigma=(15, 50), basis=BASES)


def measure(task: Task) -> Row:
    sigma = task["sigma"] / 255
    case = denoising(task.picture(), sigma, task.generator())
    truth = case.truth[0, 0].double().numpy()
    y = case.y[0, 0].double().numpy()
    estimate = _dip(task, sigma) if task["basis"] == "DIP" else _sparse(task["basis"], y, truth, sigma)
    salient = foreground(truth)
    return {
        "background": psnr_within(estimate, truth, ~salient),
        "foreground": psnr_within(estimate, truth, salient),
    }


def _sparse(basis: str, y: Array, truth: Array, sigma: float) -> Array:
    thresholds = [sigma * factor for factor in np.linspace(0.5, 5.0, 19)]
    if basis == "Fourier (DCT)":
        return best_threshold(lambda t: dct_threshold(y, t), truth, thresholds)
    mother = basis.removeprefix("wavelet ")
    return best_threshold(lambda t: wavelet_threshold(y, t, mother), truth, thresholds)


def _dip(task: Task, sigma: float) -> Array:
    """The picture of a fit at its best step: an oracle's stop, as the thresholds are."""
    case = denoising(task.picture(), sigma, task.generator())
    best: list[tuple[float, Array]] = [(-np.inf, case.y[0, 0].double().numpy())]

    def watch(step: int, picture: Tensor) -> None:
        if step % 10 == 9:
            value = psnr(picture, case.truth)
            if value > best[0][0]:
                best[0] = (value, picture[0, 0].double().numpy())

    fit(skip(task.size), case, Recipe(task.size.steps), task.generator(1), watch=watch)
    return best[0][1]


def judge(rows: Sequence[Row]) -> list[Condition]:
    sums: dict[str, float] = {}
    for row in rows:
        if row["basis"].startswith("wavelet"):
            sums[row["basis"]] = sums.get(row["basis"], 0.0) + row["background"] + row["foreground"]
    wavelet = max(sums, key=lambda name: sums[name])
    return [
        Condition(
            f"background: Fourier above the best wavelet ({wavelet}), dB",
            difference(rows, "background", {"basis": BASES[0]}, {"basis": wavelet}),
            least=0.0,
        ),
        Condition(
            f"foreground: {wavelet} above Fourier, dB",
            difference(rows, "foreground", {"basis": wavelet}, {"basis": BASES[0]}),
            least=0.0,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    for place, region in zip(axes, REGIONS, strict=True):
        dots(place, rows, region, "basis", f"PSNR, {region} (dB)")
    return figure


CLAIM = Claim(
    number=9,
    name="bases",
    sentence="A Fourier basis works better for backgrounds, wavelets for foregrounds.",
    source=CRITIC,
    varies="the basis: DCT of the whole picture, four mother wavelets; and DIP beside them; the noise",
    measures="PSNR on background and foreground (the 30% of pixels with the largest smoothed gradient) apart; an oracle sets threshold and stop",
    seconds=65,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=REGIONS,
)
