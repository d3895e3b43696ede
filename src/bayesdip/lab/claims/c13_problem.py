"""Claim 13: the right architecture depends on the inverse case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import network
from bayesdip.lab.plots import dots, panels
from bayesdip.lab.problems import Case, denoising, inpainting, measured_by
from bayesdip.lab.statistics import Condition, Interval, by_seed
from bayesdip.operators import Downsample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORKS = ("skip", "decoder", "flat", "unet")
TASKS = ("denoise", "inpaint", "upscale")


def cells(size: Size) -> list[Cell]:
    return crossed(task=TASKS, network=NETWORKS)


def measure(task: Task) -> Row:
    return fit(
        network(task["network"], task.size), _problem(task), Recipe(task.size.steps), task.generator(1)
    ).row()


def _problem(task: Task) -> Case:
    """Denoising of strong noise, inpainting of few pixels missing, twice the resolution."""
    truth = task.picture(most=task.size.side // 2)
    if task["task"] == "denoise":
        return denoising(truth, 50 / 255, task.generator())
    if task["task"] == "inpaint":
        return inpainting(truth, 0.3, task.generator())
    return measured_by(Downsample(tuple(truth.shape[2:]), 2), truth)


def judge(rows: Sequence[Row]) -> list[Condition]:
    """What is lost by taking one network for all problems instead of each case's own.

    Both choices are made by the other seeds, so that a lucky one does not count.
    """
    table = {(t, n): by_seed(rows, "best", {"task": t, "network": n}) for t in TASKS for n in NETWORKS}
    seeds = sorted(set.intersection(*(set(values) for values in table.values())))
    lost = []
    for seed in seeds:
        others = [s for s in seeds if s != seed] or [seed]
        mean = {key: sum(values[s] for s in others) / len(others) for key, values in table.items()}
        one = max(NETWORKS, key=lambda n: sum(mean[t, n] for t in TASKS))
        own = {t: max(NETWORKS, key=lambda n: mean[t, n]) for t in TASKS}
        lost.append(max(table[t, own[t]][seed] - table[t, one][seed] for t in TASKS))
    return [
        Condition(
            "case's own network above the one best network for all, on the case where it is most, dB",
            Interval.of(lost),
            least=0.3,
        )
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(3)
    for place, task in zip(axes, TASKS, strict=True):
        dots(place, rows, "best", "network", f"best PSNR, {task} (dB)", task=task)
    return figure


CLAIM = Claim(
    number=13,
    name="case",
    sentence="The right architecture depends on the inverse case.",
    source=CRITIC,
    varies="four networks; noise of 50/255, 30% of the pixels missing, half the resolution",
    measures="the highest PSNR of a fit, by an oracle's stop, on pictures of half the side",
    seconds=210,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final"),
    lessons={
        "supported": "no one network is best for every case",
        "refuted": "one network did about as well on every case as each case's own",
    },
)
