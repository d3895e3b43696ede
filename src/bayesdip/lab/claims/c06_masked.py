"""Claim 6: inpainting and super-resolution as one masked learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves, dots, panels
from bayesdip.lab.problems import Case, inpainting, measured_by
from bayesdip.lab.statistics import Condition, difference
from bayesdip.operators import Downsample, Mask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANDOM, REGULAR, SMALL = "random mask, 1/4 known", "regular mask, 1/4 known", "super-resolution x2"


def cells(size: Size) -> list[Cell]:
    return crossed(case=(RANDOM, REGULAR, SMALL))


def measure(task: Task) -> Row:
    found = fit(skip(task.size), _problem(task), Recipe(2 * task.size.steps), task.generator(1))
    reached = found.best - 1.0
    return {
        **found.row(),
        "soon": next(s for s, p in zip(found.steps, found.psnr, strict=True) if p >= reached),
    }


def _problem(task: Task) -> Case:
    truth = task.picture()
    grid = tuple(truth.shape[2:])
    if task["case"] == RANDOM:
        return inpainting(truth, 0.75, task.generator())
    if task["case"] == SMALL:
        return measured_by(Downsample(grid, 2), truth)
    missing = torch.ones(grid, dtype=torch.bool)
    missing[::2, ::2] = False
    masked = measured_by(Mask(missing), truth)
    return Case(masked.y, ~missing.expand(masked.y.shape), truth, masked.held_out)


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            f"best PSNR, {name} above {RANDOM}, dB",
            difference(rows, "best", {"case": name}, {"case": RANDOM}),
            least=-1.0,
            most=1.0,
        )
        for name in (REGULAR, SMALL)
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    curves(axes[0], rows, "psnr", "case", "PSNR (dB)")
    dots(axes[1], rows, "soon", "case", "step at which 1 dB is left to the best")
    return figure


CLAIM = Claim(
    number=6,
    name="masked-learning",
    sentence="Inpainting and super-resolution are both masked learning: with as many numbers known, they do alike.",
    source=CRITIC,
    varies="which quarter of the numbers is known: random pixels, every second pixel of each axis, or a filtered small picture",
    measures="the highest PSNR of a fit (within 1 dB), and how soon it is reached",
    seconds=200,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final", "soon"),
)
