"""Claim 3: the decoder alone does it."""

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

NETWORKS = ("skip", "decoder", "deep decoder")
TASKS = ("denoise", "inpaint")


def cells(size: Size) -> list[Cell]:
    return crossed(task=TASKS, network=NETWORKS)


def measure(task: Task) -> Row:
    case = usual(task["task"], task.picture(), task.generator())
    recipe = Recipe(2 * task.size.steps if task["task"] == "inpaint" else task.size.steps)
    return fit(network(task["network"], task.size), case, recipe, task.generator(1)).row()


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            f"{task}: decoder alone above the skip network, dB",
            difference(rows, "best", {"task": task, "network": "decoder"}, {"task": task, "network": "skip"}),
            least=-0.5,
        )
        for task in TASKS
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    for place, task in zip(axes, TASKS, strict=True):
        curves(place, rows, "psnr", "network", f"PSNR, {task} (dB)", task=task)
    return figure


CLAIM = Claim(
    number=3,
    name="decoder",
    sentence="The decoder alone replicates DIP (it is not more than 0.5 dB worse).",
    source=CRITIC,
    varies="the whole encoder-decoder with skips, its decoder alone, a deep decoder with convolutions of size 1",
    measures="the highest PSNR of a fit, by an oracle's stop; noise of 25/255, and half of the pixels missing",
    seconds=200,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final"),
    lessons={
        "supported": "the decoder alone is enough, and cheaper",
        "refuted": "the decoder alone is not enough",
    },
)
