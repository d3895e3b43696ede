"""Claim 18: SGD fits the noise, SGLD stays at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import against, curves, panels
from bayesdip.lab.problems import denoising
from bayesdip.lab.sampling import sample
from bayesdip.lab.statistics import Condition, level

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMAS = (15, 50)
METHODS = ("SGD", "SGLD, the paper's", "SGLD, ours")


def cells(size: Size) -> list[Cell]:
    return crossed(method=METHODS, sigma=SIGMAS)


def measure(task: Task) -> Row:
    """Our sampler takes a balanced effort.

    In a short run sudden excursions of the residual, which die away within a hundred steps, weigh on the mean over the
    samples.
    """
    sigma = task["sigma"] / 255
    case = denoising(task.picture(most=task.size.side // 2), sigma, task.generator())
    if task["method"] == "SGLD, ours":
        found = sample(skip(task.size), case, sigma, task, effort="balanced")
        curve, at = [value**2 for value in found.fit], found.steps
        tail = curve[-max(1, found.sampling) :]
    else:
        recipe = Recipe(3 * task.size.steps, weight_noise=task["method"] != "SGD")
        fitted = fit(skip(task.size), case, recipe, task.generator(1))
        curve, at = [value / sigma**2 for value in fitted.negative_log_likelihood], fitted.steps
        tail = curve[-max(1, len(curve) // 10) :]
    return {"ratio": sum(tail) / len(tail), "steps": at, "curve": [round(v, 4) for v in curve]}


def judge(rows: Sequence[Row]) -> list[Condition]:
    conditions = [
        Condition(
            "SGD: mean squared error to the noisy picture at the end, over sigma^2, all noise levels",
            level(rows, "ratio", method="SGD"),
            most=0.25,
        )
    ]
    return conditions + [
        Condition(
            f"{method}, sigma {sigma}: the same",
            level(rows, "ratio", method=method, sigma=sigma),
            least=0.75,
            most=1.25,
        )
        for method in METHODS[1:]
        for sigma in SIGMAS
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    curves(axes[0], rows, "curve", "method", "MSE to the noisy picture / sigma²", sigma=SIGMAS[-1])
    axes[0].set_yscale("log")
    for method in METHODS:
        against(axes[1], rows, "ratio", "sigma", method, method=method)
    axes[1].axhline(1.0, color="gray", linestyle=":")
    axes[1].set(xlabel="sigma (of 255)", ylabel="the same at the end")
    axes[1].legend(fontsize=8)
    return figure


CLAIM = Claim(
    number=18,
    name="convergence",
    sentence="The error to the noisy input goes to zero with SGD, and stays at the noise level with SGLD.",
    source=f"{PAPER}, figure 1a, b",
    varies="plain optimisation (Adam), the paper's SGLD as released, our Langevin sampler; the noise",
    measures="mean squared error to the noisy picture over sigma^2: over the last tenth of the way; our sampler's over all "
    "of its samples, at a balanced effort (a fast one's larger steps leave the noise level now and then)",
    seconds=690,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("ratio",),
    lessons={
        "refuted": "left to run, optimiser and samplers do not all end where they are said to: the one at zero, the others at the noise level",
        "supported": "sampling instead of optimising needs no stopping: it stays at the noise level, where a fit goes on to zero",
    },
)
