"""Claim 19: inpainting with a map of uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from benchmarks.results import Row

from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import dots, panels
from bayesdip.lab.problems import Case
from bayesdip.lab.sampling import sample
from bayesdip.lab.statistics import Condition, level

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMA = 0.02
MASKS = ("hole", "half of the pixels")


def cells(size: Size) -> list[Cell]:
    return crossed(mask=MASKS)


def measure(task: Task) -> Row:
    from scipy.stats import spearmanr

    truth = task.picture()
    side, generator = truth.shape[-1], task.generator()
    if task["mask"] == "hole":
        seen = torch.ones(truth.shape, dtype=torch.bool)
        seen[..., 3 * side // 8 : 5 * side // 8, 3 * side // 8 : 5 * side // 8] = False
    else:
        seen = torch.rand(truth.shape, generator=generator) < 0.5
    y = (truth + SIGMA * torch.randn(truth.shape, generator=generator)) * seen
    found = sample(skip(task.size), Case(y, seen, truth, seen & False), SIGMA, task)
    error = (found.mean - truth).abs()
    inside = error[~seen] <= 1.645 * found.std[~seen]
    return {
        "missing_over_seen": float((found.std[~seen].mean() / found.std[seen].mean().clamp_min(1e-6)).log()),
        "rank_correlation": float(spearmanr(found.std.flatten(), error.flatten()).statistic),
        "coverage": float(inside.float().mean()),
        "psnr": psnr(found.mean, truth),
    }


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            "logarithm of the standard deviation where pixels are missing over that where they are seen",
            level(rows, "missing_over_seen"),
            least=0.0,
        ),
        Condition(
            "rank correlation of the standard deviation with the true error",
            level(rows, "rank_correlation"),
            least=0.2,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    dots(axes[0], rows, "rank_correlation", "mask", "rank correlation with the error")
    dots(axes[1], rows, "coverage", "mask", "coverage of the 90% interval, missing pixels")
    axes[1].axvline(0.9, color="gray", linestyle=":")
    return figure


CLAIM = Claim(
    number=19,
    name="uncertainty",
    sentence="The posterior's standard deviation shows where an inpainted picture is uncertain.",
    source=f"{PAPER}, figure 1c, d",
    varies="what is missing: a square hole, or half of the pixels",
    measures="the standard deviation by our sampler against the true error",
    seconds=175,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("missing_over_seen", "rank_correlation", "coverage", "psnr"),
    lessons={"supported": "a posterior that is sampled says which pixels not to trust"},
)
