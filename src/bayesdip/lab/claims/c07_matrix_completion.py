"""Claim 7: inpainting by DIP as matrix completion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from benchmarks.results import Row
from torch import Tensor

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit, psnr
from bayesdip.lab.matrices import deep_factorisation, soft_impute
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import dots, panels
from bayesdip.lab.problems import Case, inpainting
from bayesdip.lab.statistics import Condition, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("DIP", "soft-impute", "deep factorisation")
RANK = 4


def cells(size: Size) -> list[Cell]:
    return crossed(data=("photograph", f"matrix of rank {RANK}"), method=METHODS)


def measure(task: Task) -> Row:
    truth = task.picture() if task["data"] == "photograph" else low_rank(task.size.side, task.generator(3))
    case = inpainting(truth, 0.5, task.generator()).hold_out(0.05, task.generator(2))
    mean = _complete(task, case)
    known = case.seen | case.held_out
    return {"psnr": psnr(mean.where(~known, case.y), truth)}


def low_rank(side: int, generator: torch.Generator) -> Tensor:
    """A product of Gaussian factors, scaled to 0..1: rows and columns in no order."""
    matrix = torch.randn(side, RANK, generator=generator) @ torch.randn(RANK, side, generator=generator)
    return ((matrix - matrix.min()) / (matrix.max() - matrix.min()))[None, None]


def _complete(task: Task, case: Case) -> Tensor:
    if task["method"] == "DIP":
        return fit(skip(task.size), case, Recipe(2 * task.size.steps), task.generator(1)).average
    y, held_out = case.y[0, 0], case.held_out[0, 0]
    known = case.seen[0, 0] | held_out
    if task["method"] == "soft-impute":
        return soft_impute(y, known, held_out=held_out)[None, None]
    steps = 5 * task.size.steps
    return deep_factorisation(y, known, held_out=held_out, generator=task.generator(1), steps=steps)[
        None, None
    ]


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            f"{data}: DIP above {method}, dB",
            difference(rows, "psnr", {"data": data, "method": "DIP"}, {"data": data, "method": method}),
            least=-1.0,
            most=1.0,
        )
        for data in ("photograph", f"matrix of rank {RANK}")
        for method in METHODS[1:]
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    for place, data in zip(axes, ("photograph", f"matrix of rank {RANK}"), strict=True):
        dots(place, rows, "psnr", "method", f"PSNR, {data} (dB)", data=data)
    return figure


CLAIM = Claim(
    number=7,
    name="matrix-completion",
    sentence="Inpainting by DIP is like matrix completion: within 1 dB of it, on pictures and on low-rank matrices.",
    source=f"{CRITIC}: 'reminds me of matrix completion'",
    varies="DIP, soft-impute, deep matrix factorisation; a photograph, a random matrix of low rank",
    measures="PSNR with half of the entries missing, known ones put back; both matrix methods tuned on held-out entries",
    seconds=150,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("psnr",),
    lessons={
        "refuted": "a deep image prior is not matrix completion: it wins where neighbours are alike and loses where only the rank is low"
    },
)
