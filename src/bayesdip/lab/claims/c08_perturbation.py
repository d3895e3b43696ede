"""Claim 8: noise on the input, and what batch norm has to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.results import Row

from bayesdip.lab.claim import CRITIC, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import against, curves, panels
from bayesdip.lab.problems import denoising
from bayesdip.lab.statistics import Condition, Interval, by_seed, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRENGTHS = (0.0, 0.03, 0.1)
STRONG = STRENGTHS[-1]
# Without batch norm Adam's usual rate drives the network to one constant grey, whatever the noise: it
# gets the largest rate, of powers of ten, at which it fits the picture when there is no noise.
RATES = {True: 0.01, False: 0.001}


def cells(size: Size) -> list[Cell]:
    return crossed(norm=(True, False), strength=STRENGTHS)


def measure(task: Task) -> Row:
    case = denoising(task.picture(), 25 / 255, task.generator())
    recipe = Recipe(3 * task.size.steps // 2, learning_rate=RATES[task["norm"]], input_noise=task["strength"])
    found = fit(skip(task.size, norm=task["norm"]), case, recipe, task.generator(1))
    return {**found.row(), "final_average": found.psnr_average[-1]}


def judge(rows: Sequence[Row]) -> list[Condition]:
    gain = [
        difference(
            rows, "final", {"norm": norm, "strength": STRONG}, {"norm": norm, "strength": STRENGTHS[0]}
        )
        for norm in (True, False)
    ]
    return [
        Condition(f"with batch norm: noise of {STRONG} above none, final PSNR, dB", gain[0], least=0.0),
        Condition("gain by noise with batch norm above that without, dB", _interaction(rows), least=0.0),
    ]


def _interaction(rows: Sequence[Row]) -> Interval:
    """The gain with batch norm minus the gain without, seed by seed."""
    found = {
        (norm, s): by_seed(rows, "final", {"norm": norm, "strength": s})
        for norm in (True, False)
        for s in (STRENGTHS[0], STRONG)
    }
    seeds = set.intersection(*(set(values) for values in found.values()))

    def gain(norm: bool, seed: int) -> float:
        return found[norm, STRONG][seed] - found[norm, STRENGTHS[0]][seed]

    return Interval.of(gain(True, seed) - gain(False, seed) for seed in sorted(seeds))


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    curves(axes[0], rows, "psnr", "strength", "PSNR, with batch norm (dB)", norm=True)
    for norm in (True, False):
        against(
            axes[1],
            rows,
            "final",
            "strength",
            f"batch norm: {'yes' if norm else 'no'}",
            norm=norm,
        )
    axes[1].set(xlabel="strength of the noise on the input", ylabel="final PSNR (dB)")
    axes[1].legend(fontsize=8)
    return figure


CLAIM = Claim(
    number=8,
    name="perturbation",
    sentence="Perturbing the input at every step makes a signal out of aggregated noise, and batch norm matters because of it.",
    source=CRITIC,
    varies="the strength of the noise on the input; batch norm or none",
    measures="PSNR at the end of a fit that nothing stops, noise of 25/255; Adam at 0.01, without batch norm at 0.001",
    seconds=300,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("best", "final", "final_average"),
    lessons={
        "supported": "noise on the input guards against overfitting where there is batch norm; without it, it spoils the fit",
    },
)
