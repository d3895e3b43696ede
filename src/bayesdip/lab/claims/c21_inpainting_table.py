"""Claim 21: the paper's inpainting table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves, dots, panels
from bayesdip.lab.problems import inpainting
from bayesdip.lab.statistics import Condition, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cells(size: Size) -> list[Cell]:
    return crossed(method=("SGD", "SGLD"))


def measure(task: Task) -> Row:
    case = inpainting(task.picture(), 0.5, task.generator())
    sampling = task["method"] == "SGLD"
    recipe = Recipe(4 * task.size.steps, weight_noise=sampling, input_noise=1 / 30 if sampling else 0.0)
    found = fit(skip(task.size), case, recipe, task.generator(1))
    mean = found.sampled if sampling else found.picture
    return {
        "psnr_missing_filled": psnr(mean.where(~case.seen, case.y), case.truth),
        "raw": psnr(mean, case.truth),
        "steps": found.steps,
        "psnr": found.psnr,
    }


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            "SGLD above SGD, known pixels put back, dB",
            difference(rows, "psnr_missing_filled", {"method": "SGLD"}, {"method": "SGD"}),
            least=0.0,
        )
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    dots(axes[0], rows, "psnr_missing_filled", "method", "PSNR, known pixels put back (dB)")
    curves(axes[1], rows, "psnr", "method", "PSNR of the picture (dB)")
    return figure


CLAIM = Claim(
    number=21,
    name="inpainting-table",
    sentence="SGLD inpaints half of the pixels better than SGD.",
    source=f"{PAPER}, table 2 (11 pictures, 50% Bernoulli)",
    varies="SGD (Adam), SGLD as released; here at the size of the lab (`bench paper-inpaint` has the pictures)",
    measures="PSNR at the end, by nobody stopped; SGLD's mean counts after 35% of the steps",
    seconds=260,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("psnr_missing_filled", "raw"),
    lessons={
        "supported": "sampling as released fills in missing pixels better than a fit",
        "refuted": "sampling as released fills in missing pixels no better than a fit",
    },
)
