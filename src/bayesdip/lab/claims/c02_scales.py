"""Claim 2: it is going from small to large that matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import network
from bayesdip.lab.plots import curves, dots, panels
from bayesdip.lab.problems import usual
from bayesdip.lab.statistics import Condition, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORKS = ("auto-encoder", "decoder", "flat", "resnet")
TASKS = ("denoise", "inpaint")


def cells(size: Size) -> list[Cell]:
    return crossed(task=TASKS, network=NETWORKS)


def measure(task: Task) -> Row:
    """Twice the ordinary steps: networks that change the size are slow, and must have passed their best."""
    case = usual(task["task"], task.picture(), task.generator())
    recipe = Recipe(2 * task.size.steps)
    return fit(network(task["network"], task.size), case, recipe, task.generator(1)).row()


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            f"{task}: auto-encoder above {flat}, dB",
            difference(
                rows, "best", {"task": task, "network": "auto-encoder"}, {"task": task, "network": flat}
            ),
            least=0.5,
        )
        for task in TASKS
        for flat in ("flat", "resnet")
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    dots(axes[0], rows, "best", "network", "best PSNR, denoising (dB)", task="denoise")
    curves(axes[1], rows, "psnr", "network", "PSNR, inpainting (dB)", task="inpaint")
    return figure


CLAIM = Claim(
    number=2,
    name="scales",
    sentence="Going from small to large, with upsampling, is what matters: flat convolutions do poorly.",
    source=CRITIC,
    varies="networks that change the size (auto-encoder without skips, decoder) and that do not (flat, ResNet)",
    measures="the highest PSNR of a fit, by an oracle's stop; noise of 25/255, and half of the pixels missing",
    seconds=480,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final"),
    lessons={
        "supported": "what you buy is the way from a small grid to a large one: convolutions on one grid do worse",
        "refuted": "going from a small grid to a large one is not needed: convolutions on one grid do as well on some task",
    },
)
