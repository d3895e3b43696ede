"""Claim 30: whether a prior that saw no other picture invents structure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdip.lab.cases import Case, denoising, of_pixels
from bayesdip.lab.claim import SIGMA, Claim, Trial, crossed
from bayesdip.lab.fitting import PSNR, Recipe, every, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import dots
from bayesdip.lab.results import Row
from bayesdip.lab.sampling import restored_by
from bayesdip.lab.statistics import Column, above, ask
from bayesdip.methods import GP, SGLD, Patches
from bayesdip.methods.method import Method

Array = NDArray[Any]
NOISE, HOLE = TASKS = ("noise", "hole")
STOPPED, LEFT_ALONE, SAMPLED, BY_PATCHES, BY_PROCESS = METHODS = (
    "fit, stopped",
    "fit, left alone",
    "SGLD",
    "patches",
    "Gaussian process",
)
LITTLE_NOISE = 0.01  # sigma around the hole
# The detector. Structure is what a difference of two Gaussians shows, from blobs of some 2 to 8 pixels across; one
# that has 8% of the range is plainly seen, where the truth has less than a quarter of that there is none.
FINE, COARSE = 1.0, 4.0
SEEN, ABSENT = 0.08, 0.02
SMALLEST = 4  # pixels of a structure
PER = 10_000  # pixels, in which structures are counted


def invented(restored: Array, truth: Array, within: Array | None = None) -> int:
    """How many structures the restored picture has that are not in the truth.

    A structure is a connected region of one sign of the band between two Gaussians, at least ``SEEN`` strong and
    ``SMALLEST`` pixels large. It is invented where the truth's band nowhere in the region has a part of the same sign
    that is at least ``ABSENT`` strong.

    Parameters
    ----------
    restored, truth : ndarray, shape (M, N)
        In 0..1.
    within : ndarray of bool, shape (M, N), or None
        Only structures that touch these pixels count.
    """
    from scipy.ndimage import label

    made, real = band(restored), band(truth)
    count = 0
    for sign in (1, -1):
        regions, number = label(sign * made >= SEEN)
        for region in range(1, number + 1):
            inside = regions == region
            touches = within is None or bool(within[inside].any())
            count += int(inside.sum() >= SMALLEST and touches and (sign * real[inside]).max() < ABSENT)
    return count


def band(picture: Array) -> Array:
    """What lies between a fine and a coarse Gaussian."""
    from scipy.ndimage import gaussian_filter

    values = np.asarray(picture, dtype=float)
    return np.asarray(gaussian_filter(values, FINE) - gaussian_filter(values, COARSE))


def count_invented(trial: Trial) -> Row:
    truth, sigma, within = trial.picture(most=3 * trial.size.side // 4), SIGMA, None
    if trial["task"] == NOISE:
        case = denoising(truth, SIGMA, trial.generator())
    else:
        sigma, case = LITTLE_NOISE, with_hole(truth, trial.generator())
        within = ~case.observed[0, 0].numpy()
    restored = OF_METHOD[trial["method"]](case, sigma, trial)
    clean = truth[0, 0].numpy()
    counted = clean.size if within is None else int(within.sum())
    return {
        "invented": invented(restored, clean, within) * PER / counted,
        "psnr": psnr(torch.as_tensor(restored)[None, None], truth),
    }


def with_hole(truth: torch.Tensor, generator: torch.Generator) -> Case:
    """The middle third of each axis missing."""
    side = truth.shape[-1]
    observed = torch.ones(truth.shape, dtype=torch.bool)
    observed[..., side // 3 : 2 * side // 3, side // 3 : 2 * side // 3] = False
    y = (truth + LITTLE_NOISE * torch.randn(truth.shape, generator=generator)) * observed
    return of_pixels(y, observed, truth)


def _fitted(stopped: bool) -> Callable[[Case, float, Trial], Array]:
    def run(case: Case, sigma: float, trial: Trial) -> Array:
        held_out = case.hold_out(0.05, trial.generator(2))
        recipe, pictures = Recipe(trial.size.steps), []

        def watch(step: int, picture: torch.Tensor) -> None:
            if (step + 1) % every(recipe.steps) == 0 or step == recipe.steps - 1:
                pictures.append(picture)

        found = fit(skip(trial.size), held_out, recipe, trial.generator(1), watch=watch)
        picture = pictures[found.stop] if stopped else pictures[-1]
        return np.asarray(picture[0, 0])

    return run


def _by(make: Callable[[Trial], Method]) -> Callable[[Case, float, Trial], Array]:
    return lambda case, sigma, trial: np.asarray(restored_by(make(trial), case, sigma)[0, 0])


OF_METHOD: dict[str, Callable[[Case, float, Trial], Array]] = {
    STOPPED: _fitted(True),
    LEFT_ALONE: _fitted(False),
    SAMPLED: _by(
        lambda t: SGLD(arch=skip(t.size), steps=t.size.steps, chains=1, seed=t.seed, samples=0, device="cpu")
    ),
    BY_PATCHES: _by(lambda t: Patches(effort="fast", seed=t.seed)),
    BY_PROCESS: _by(lambda t: GP(kernel=skip(t.size).kernel(), seed=t.seed)),
}

INVENTED = Column("invented", f"structures in {PER} pixels that the truth does not have")

CLAIMS = (
    Claim(
        number=30,
        name="invented",
        sentence="An untrained network does not hallucinate: less than one structure in a thousand pixels is its own.",
        source="Laves, Tölle, Ortmaier 2020 (arXiv 2008.08837): no hallucinations, as no prior training is performed",
        varies="noise of 25/255, or a hole of a third of each side; a fit stopped by held-out pixels, or left alone; SGLD; patches and a Gaussian process "
        "(the network's kernel) beside them",
        measures=f"connected regions of the band between Gaussians of {FINE:g} and {COARSE:g} pixels, {SEEN:g} of the range strong and {SMALLEST} pixels "
        f"large, in which the truth's band has nothing of that sign above {ABSENT:g}; those that touch the hole, by its pixels",
        seconds=1300,
        conditions=crossed(task=TASKS, method=METHODS),
        measure=count_invented,
        rules=(
            *(
                ask(INVENTED, task=task, method=name, most=PER / 1000)
                for task in TASKS
                for name in (STOPPED, SAMPLED)
            ),
            ask(INVENTED, task=NOISE, method=above(LEFT_ALONE, STOPPED), least=0.0),
        ),
        panels=tuple(dots(INVENTED, "method", task=task) for task in TASKS),
        columns=(INVENTED, PSNR),
        pictures={"quick": 3},
        supported="an untrained network adds next to nothing that is not in the picture, as long as it is stopped or sampled",
        refuted="an untrained network, too, shows structures that are not there: fewer when it is stopped or sampled is not none",
    ),
)
