"""Claim 1: one point in, one picture out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves, panels
from bayesdip.lab.problems import denoising
from bayesdip.lab.statistics import Condition, level

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMA = 25 / 255
RATES = {"adam": 0.01, "descent": 1.0}


def cells(size: Size) -> list[Cell]:
    return crossed(optimiser=tuple(RATES), width=(size.width, 2 * size.width))


def measure(task: Task) -> Row:
    """On half the side: what is asked is where a long run ends."""
    case = denoising(task.picture(most=task.size.side // 2), SIGMA, task.generator())
    recipe = Recipe(4 * task.size.steps, learning_rate=RATES[task["optimiser"]], optimiser=task["optimiser"])
    found = fit(skip(task.size, width=task["width"]), case, recipe, task.generator(1))
    return {
        **found.row(),
        "left": found.negative_log_likelihood[-1] / SIGMA**2,
        "above_noisy": found.psnr[-1] - psnr(case.y, case.truth),
        "negative_log_likelihood": [value / SIGMA**2 for value in found.negative_log_likelihood],
    }


def judge(rows: Sequence[Row]) -> list[Condition]:
    width = max(row["width"] for row in rows)
    where = {"optimiser": "adam", "width": width}
    return [
        Condition(
            f"Adam, {width} channels: mean squared error to the noisy picture at the end, over sigma^2",
            level(rows, "left", **where),
            most=0.1,
        ),
        Condition(
            f"Adam, {width} channels: PSNR at the end above the noisy picture's, dB",
            level(rows, "above_noisy", **where),
            most=1.0,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    width = max(row["width"] for row in rows)
    curves(
        axes[0],
        rows,
        "negative_log_likelihood",
        "optimiser",
        "MSE to the noisy picture / sigma²",
        width=width,
    )
    axes[0].set_yscale("log")
    curves(axes[1], rows, "psnr", "optimiser", "PSNR (dB)", width=width)
    return figure


CLAIM = Claim(
    number=1,
    name="noise-in-the-end",
    sentence="One point in, one picture out: full gradient descent just converges to the noisy picture.",
    source=CRITIC,
    varies="the optimiser (Adam, gradient descent with momentum) and the channels, on pictures of half the side",
    measures="what is left of the noise in the residual, and PSNR, at the end of a long run",
    seconds=300,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("left", "above_noisy", "best", "final"),
    lessons={
        "supported": "left alone, a fit ends at the noisy picture: it must be stopped, averaged or sampled",
        "refuted": "left alone for as long as was tried, a fit keeps off part of the noise",
    },
)
