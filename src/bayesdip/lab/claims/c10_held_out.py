"""Claim 10: a loss on held-out pixels says when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves, dots, panels
from bayesdip.lab.problems import denoising
from bayesdip.lab.statistics import Condition, level

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.02, 0.1)


def cells(size: Size) -> list[Cell]:
    return crossed(held_out_share=SHARES, sigma=(15, 25, 50))


def measure(task: Task) -> Row:
    case = denoising(task.picture(), task["sigma"] / 255, task.generator())
    case = case.hold_out(task["held_out_share"], task.generator(2))
    found = fit(skip(task.size), case, Recipe(task.size.steps), task.generator(1))
    loss = np.convolve(np.pad(found.held_out, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    chosen = found.psnr[int(np.argmin(loss))]
    final = found.psnr[-1]
    return {
        **found.row(),
        "stopped": chosen,
        "lost": chosen - found.best,
        "won": chosen - final,
        "test": found.held_out,
        "train": found.negative_log_likelihood,
    }


def judge(rows: Sequence[Row]) -> list[Condition]:
    share = SHARES[-1]
    return [
        Condition(
            f"{share:.0%} held out: stopped there above the best of the way, dB",
            level(rows, "lost", held_out_share=share),
            least=-0.5,
        ),
        Condition(
            f"{share:.0%} held out: stopped there above the end of the fit, dB",
            level(rows, "won", held_out_share=share),
            least=0.5,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    curves(axes[0], rows, "test", "sigma", "mean squared error, held out", held_out_share=SHARES[-1])
    axes[0].set_yscale("log")
    dots(axes[1], rows, "lost", "sigma", "stopped above the best of the way (dB)", held_out_share=SHARES[-1])
    axes[1].set_ylabel("sigma (of 255)")
    return figure


CLAIM = Claim(
    number=10,
    name="held-out",
    sentence="A loss on held-out pixels trades train against test error, and says when to stop.",
    source=CRITIC,
    varies="the share of noisy pixels that is held out, and the noise",
    measures="PSNR where the held-out loss (three looks averaged) is smallest, against the best of the way and the end",
    seconds=190,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "stopped", "lost", "won", "final"),
    lessons={
        "supported": "pixels held out from the fit say when to stop it, so no clean picture is needed for that",
        "refuted": "pixels held out from the fit do not say when to stop it",
    },
)
