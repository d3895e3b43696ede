"""Claim 11: two or more pictures at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from benchmarks.results import Row

from bayesdip.lab import pictures
from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import against, curves, panels
from bayesdip.lab.problems import denoising
from bayesdip.lab.statistics import Condition, Interval, by_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTS = (1, 2, 4)


def cells(size: Size) -> list[Cell]:
    return [{"together": count, "group": group} for count in COUNTS for group in range(2 // min(count, 2))]


def measure(task: Task) -> Row:
    """Groups of pictures: alone each of the first two, then both, then four."""
    count, group = task["together"], task["group"]
    names = pictures.names(4, task.data)[group * count : (group + 1) * count]
    side = task.size.side // 2
    truth = torch.stack([pictures.gray(name, side, task.data) for name in names])
    case = denoising(truth, 25 / 255, task.generator(10 + group))
    found = fit(skip(task.size), case, Recipe(2 * task.size.steps), task.generator(1))
    return found.row()


def judge(rows: Sequence[Row]) -> list[Condition]:
    alone, both = (by_seed(rows, "best", {"together": count}) for count in COUNTS[:2])
    return [
        Condition(
            "two pictures by one network above each by its own, highest mean PSNR, dB",
            Interval.of(both[seed] - alone[seed] for seed in sorted(alone.keys() & both.keys())),
            least=-0.5,
        )
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    curves(axes[0], rows, "psnr", "together", "PSNR, mean over the pictures (dB)")
    against(axes[1], rows, "best", "together")
    axes[1].set(xlabel="pictures fitted at once", ylabel="best PSNR (dB); four are other pictures")
    return figure


CLAIM = Claim(
    number=11,
    name="together",
    sentence="One network can be fitted to two pictures at once, a code each, and loses less than 0.5 dB.",
    source=f"{CRITIC}: 'two or more images'",
    varies="how many pictures share the weights; pictures of half the side",
    measures="the highest PSNR of a fit, mean over its pictures, noise of 25/255",
    seconds=235,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final"),
    on_pictures=False,
)
