"""Claim 12: outputs in 0..255."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves, dots, panels
from bayesdip.lab.problems import denoising
from bayesdip.lab.statistics import Condition, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Name in the table: what squashes the output, and white in the units of the loss.
OUTPUTS = {
    "sigmoid, 0..1": ("sigmoid", 1.0),
    "sigmoid, 0..255": ("sigmoid255", 255.0),
    "linear, 0..1": ("linear", 1.0),
    "linear, 0..255": ("linear", 255.0),
}


def cells(size: Size) -> list[Cell]:
    return crossed(output=tuple(OUTPUTS), sigma=(25,))


def measure(task: Task) -> Row:
    squashing, peak = OUTPUTS[task["output"]]
    case = denoising(task.picture(), task["sigma"] / 255, task.generator())
    recipe = Recipe(2 * task.size.steps, peak=peak)
    return fit(skip(task.size, output=squashing), case, recipe, task.generator(1)).row()


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            f"{kind} output: 0..255 above 0..1, highest PSNR of the fit, dB",
            difference(rows, "best", {"output": f"{kind}, 0..255"}, {"output": f"{kind}, 0..1"}),
            least=-0.5,
            most=0.5,
        )
        for kind in ("sigmoid", "linear")
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    curves(axes[0], rows, "psnr", "output", "PSNR (dB)")
    dots(axes[1], rows, "best", "output", "best PSNR (dB)")
    return figure


CLAIM = Claim(
    number=12,
    name="range",
    sentence="It does not matter whether outputs are in 0..255 or in 0..1 (0.5 dB either way).",
    source=f"{CRITIC}: 'check if it matters'",
    varies="the range of the output and of the data, with a sigmoid and without",
    measures="the highest PSNR of a fit by Adam at one learning rate, noise of 25/255",
    seconds=245,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final"),
    lessons={
        "supported": "the range of the output does not matter",
        "refuted": "the range of the output matters to some networks, as Adam's steps do not grow with it",
    },
)
