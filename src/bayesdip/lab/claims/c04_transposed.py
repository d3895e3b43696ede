"""Claim 4: learnt upsampling against fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves, panels
from bayesdip.lab.problems import usual
from bayesdip.lab.statistics import Condition, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASKS = ("denoise", "inpaint")


def cells(size: Size) -> list[Cell]:
    return crossed(task=TASKS, upsample=("bilinear", "nearest", "transposed"))


def measure(task: Task) -> Row:
    case = usual(task["task"], task.picture(), task.generator())
    description = skip(task.size, upsample=task["upsample"])
    return fit(description, case, Recipe(task.size.steps), task.generator(1)).row()


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            f"{task}: transposed convolution above bilinear, dB",
            difference(
                rows, "best", {"task": task, "upsample": "transposed"}, {"task": task, "upsample": "bilinear"}
            ),
            most=0.0,
        )
        for task in TASKS
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    for place, task in zip(axes, TASKS, strict=True):
        curves(place, rows, "psnr", "upsample", f"PSNR, {task} (dB)", task=task)
    return figure


CLAIM = Claim(
    number=4,
    name="transposed",
    sentence="Transposed convolutions instead of bilinear upsampling are worse.",
    source=f"{CRITIC}: 'performs slightly worse'",
    varies="the upsampling of the skip network: bilinear, nearest, transposed convolution",
    measures="the highest PSNR of a fit, by an oracle's stop; noise of 25/255, and half of the pixels missing",
    seconds=230,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final"),
    lessons={
        "supported": "upsampling that is learnt does slightly worse than a fixed one",
        "refuted": "upsampling that is learnt does no worse than a fixed one",
    },
)
