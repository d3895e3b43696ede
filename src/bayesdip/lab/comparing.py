"""One experiment, of which many claims are a table of conditions: which network reaches the highest PSNR.

Every network is fitted to every problem. A claim asks that one of them is so much above another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.lab.cases import Case, denoising, inpainting, measured_by
from bayesdip.lab.claim import SIGMA, Claim, Size, Trial, crossed
from bayesdip.lab.fitting import BEST, FINAL, PSNR, Recipe, fit
from bayesdip.lab.networks import network
from bayesdip.lab.plots import Panel, curves
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import Rule, above, ask
from bayesdip.operators import Downsample

Problem = Callable[..., Case]  # from a clean picture and the generator of its noise or mask
Variant = Callable[[Size], Architecture]


def half_size(truth: Tensor, generator: torch.Generator) -> Case:
    """Half the resolution, by Lanczos' filter; no noise."""
    return measured_by(Downsample(tuple(truth.shape[2:]), 2), truth)


# The noise of the paper's first table, the missing pixels of its second.
PROBLEMS: Mapping[str, Problem] = {
    "denoise": partial(denoising, sigma=SIGMA),
    "inpaint": partial(inpainting, missing=0.5),
}
MEASURED = "the highest PSNR of a fit, by an oracle's stop; noise of 25/255, and half of the pixels missing"


def networks(*names: str) -> dict[str, Variant]:
    """Those of ``lab.networks`` by name."""
    return {name: partial(network, name) for name in names}


@dataclass(frozen=True)
class BestFit:
    """Measures one network on one problem.

    Attributes
    ----------
    by : str
        The name of what is varied.
    variants : mapping of str to callable
        The networks, for a size.
    problems : mapping of str to callable
    steps : mapping of str to int
        By problem, a multiple of the size's steps; 1 where it is missing.
    peaks : mapping of str to float
        By network, white in the units of the loss; 1 where it is missing.
    reduced : int
        The side of the pictures is divided by it.
    """

    by: str
    variants: Mapping[str, Variant]
    problems: Mapping[str, Problem] = field(default_factory=lambda: PROBLEMS)
    steps: Mapping[str, int] = field(default_factory=dict)
    peaks: Mapping[str, float] = field(default_factory=dict)
    reduced: int = 1

    def __call__(self, trial: Trial) -> Row:
        problem, variant = trial["task"], trial[self.by]
        case = self.problems[problem](trial.picture(self.reduced), generator=trial.generator())
        recipe = Recipe(self.steps.get(problem, 1) * trial.size.steps, peak=self.peaks.get(variant, 1.0))
        return fit(self.variants[variant](trial.size), case, recipe, trial.generator(1)).row()


def compare_networks(
    experiment: BestFit,
    *,
    pairs: Sequence[tuple[str, str]] = (),
    least: float | None = None,
    most: float | None = None,
    rules: Sequence[Rule] = (),
    panels: Sequence[Panel] = (),
    measures: str = MEASURED,
    **claim: Any,
) -> Claim:
    """A claim about which network reaches the highest PSNR.

    Parameters
    ----------
    experiment : BestFit
    pairs : sequence of (str, str)
        Asked on every problem: the first network's PSNR above the second's, in dB.
    least, most : float or None
        Bounds of each of these differences.
    rules : sequence of Rule
        What is asked besides.
    panels : sequence of Panel
        The figure; without any, the PSNR of the fits by step, problem by problem.
    measures : str
    **claim
        The other attributes of the claim.
    """
    by, tasks = experiment.by, tuple(experiment.problems)
    compared = [
        ask(BEST, task=task, **{by: above(a, b)}, least=least, most=most) for task in tasks for a, b in pairs
    ]
    return Claim(
        conditions=crossed(task=tasks, **{by: tuple(experiment.variants)}),
        measure=experiment,
        rules=(*compared, *rules),
        panels=panels or [curves(PSNR, by, task=task) for task in tasks],
        columns=(BEST, FINAL),
        measures=measures,
        **claim,
    )
