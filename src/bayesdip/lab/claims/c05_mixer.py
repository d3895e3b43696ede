"""Claim 5: MLP-Mixer layers instead of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import network
from bayesdip.lab.plots import curves, panels
from bayesdip.lab.problems import usual
from bayesdip.lab.statistics import Condition, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASKS = ("denoise", "inpaint")


def cells(size: Size) -> list[Cell]:
    return crossed(task=TASKS, network=("decoder", "mixer"))


def measure(task: Task) -> Row:
    case = usual(task["task"], task.picture(), task.generator())
    recipe = Recipe(2 * task.size.steps)
    return fit(network(task["network"], task.size), case, recipe, task.generator(1)).row()


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            f"{task}: mixer above the convolutional decoder, dB",
            difference(
                rows, "best", {"task": task, "network": "mixer"}, {"task": task, "network": "decoder"}
            ),
            least=-1.0,
        )
        for task in TASKS
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    for place, task in zip(axes, TASKS, strict=True):
        curves(place, rows, "psnr", "network", f"PSNR, {task} (dB)", task=task)
    return figure


CLAIM = Claim(
    number=5,
    name="mixer",
    sentence="MLP-Mixer layers can take the place of convolutions (they are not more than 1 dB worse).",
    source=f"{CRITIC}: 'what if you replace the conv layers?'",
    varies="a convolutional decoder, an MLP-Mixer over patches of 4 x 4 pixels",
    measures="the highest PSNR of a fit, by an oracle's stop; noise of 25/255, and half of the pixels missing",
    seconds=130,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final"),
    lessons={
        "refuted": "convolutions (or another tie between neighbours) are needed: perceptrons over patches do worse"
    },
)
