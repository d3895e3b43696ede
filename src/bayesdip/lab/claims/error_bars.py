"""Claim 23: which error bars of a picture hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.lab.cases import Case, denoising
from bayesdip.lab.claim import SIGMA, Claim, Trial, crossed
from bayesdip.lab.fitting import PSNR, Recipe, fit, psnr
from bayesdip.lab.methods import Dropout, Linearised, Variational
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import dots
from bayesdip.lab.results import Row
from bayesdip.lab.sampling import restored
from bayesdip.lab.statistics import Column, ask
from bayesdip.methods import GP, SGLD, Patches
from bayesdip.methods.method import Method

Array = NDArray[Any]
LEVEL, NORMAL = 0.9, 1.645  # of the intervals, and how many standard deviations that is
HOLDS = (0.85, 0.95)  # the coverage of error bars that hold
REFITS = 3
FEWEST = 40  # passes: with fewer there are no draws to estimate a standard deviation from

SAMPLED, DROPOUT, MEAN_FIELD, LAPLACE, BOOTSTRAP = (
    "SGLD",
    "dropout",
    "mean field",
    "linearised Laplace",
    "bootstrap",
)
CHEAPER = (DROPOUT, MEAN_FIELD, LAPLACE, BOOTSTRAP)
BY_PROCESS, BY_PATCHES = "Gaussian process", "patches"
OF_LIBRARY: dict[str, Callable[[Architecture, int, int], Method]] = {
    SAMPLED: lambda arch, steps, seed: SGLD(arch=arch, steps=steps, seed=seed, samples=0, device="cpu"),
    DROPOUT: lambda arch, steps, seed: Dropout(arch=arch, steps=steps, seed=seed, samples=0, device="cpu"),
    MEAN_FIELD: lambda arch, steps, seed: Variational(
        arch=arch, steps=steps, seed=seed, samples=0, device="cpu"
    ),
    LAPLACE: lambda arch, steps, seed: Linearised(arch=arch, steps=steps, seed=seed, device="cpu"),
    BY_PROCESS: lambda arch, steps, seed: GP(kernel=arch.kernel(), seed=seed),
    BY_PATCHES: lambda arch, steps, seed: Patches(effort="fast", seed=seed),
}
METHODS = (SAMPLED, *CHEAPER, BY_PROCESS, BY_PATCHES)


def steps_of(trial: Trial) -> int:
    """Passes through the network that each of the network's methods has, forward and back."""
    return max(FEWEST, trial.size.steps // 2)


def error_bars(trial: Trial) -> Row:
    from scipy.stats import spearmanr

    case = denoising(trial.picture(reduced=2), SIGMA, trial.generator())
    truth = case.truth[0, 0].numpy()
    if trial["method"] == BOOTSTRAP:
        mean, raw = bootstrapped(case, trial)
        calibrated = raw
    else:
        method = OF_LIBRARY[trial["method"]](skip(trial.size), steps_of(trial), trial.seed)
        found = restored(case, SIGMA, method)
        assert found.raw_std is not None and found.std is not None  # all of these have one
        mean, raw, calibrated = found.mean, found.raw_std, found.std
    error = np.abs(mean - truth)
    return {
        "coverage": float((error <= NORMAL * raw).mean()),
        "width": float(2 * NORMAL * raw.mean()),
        "calibrated": float((error <= NORMAL * calibrated).mean()),
        "calibrated_width": float(2 * NORMAL * calibrated.mean()),
        "rank_correlation": float(spearmanr(raw.ravel(), error.ravel()).statistic),
        "psnr": psnr(torch.as_tensor(mean)[None, None], case.truth),
    }


def bootstrapped(case: Case, trial: Trial) -> tuple[Array, Array]:
    """A fit, and the root mean square distance to it of fits to its own picture with fresh noise.

    Parametric bootstrap (Efron and Tibshirani 1993, chapter 6) of one estimate; the refits and the fit share the steps.
    They have a spread of their own, from their weights and inputs, and miss the picture as the fit misses the truth.
    """
    recipe = Recipe(math.ceil(steps_of(trial) / (REFITS + 1)))

    def fitted(data: Case, part: int) -> Tensor:
        return fit(skip(trial.size), data, recipe, trial.generator(part)).average

    picture = fitted(case, 1)
    again = [
        fitted(denoising(picture, SIGMA, trial.generator(20 + k)), 40 + k) - picture for k in range(REFITS)
    ]
    spread = torch.stack(again).square().mean(0).sqrt()
    return picture[0, 0].numpy(), spread[0, 0].numpy()


COVERAGE = Column("coverage", "coverage of the method's own 90% intervals")
WIDTH = Column("width", "mean width of these (of a range of 1)")
CALIBRATED = Column("calibrated", "coverage when calibrated on held-out pixels (bootstrap: its own)")
CALIBRATED_WIDTH = Column("calibrated_width", "mean width of these")
RANK_CORRELATION = Column("rank_correlation", "rank correlation of the standard deviation with the error")
SECONDS = Column("cpu_seconds", "seconds of the processor, with calibration")

CLAIMS = (
    Claim(
        number=23,
        name="error-bars",
        sentence="At equal cost only sampling gives a network error bars that hold: dropout, mean field, linearised Laplace and refits are overconfident.",
        source="Laves et al. 2020 (arXiv 2008.08837, dropout), Blundell et al. 2015 (mean field), Barbano et al. 2022 (arXiv 2203.00479, "
        "linearised), Efron and Tibshirani 1993 (parametric bootstrap)",
        varies="the method; those of a network share the network and the number of passes through it; Gaussian process (the network's kernel) and "
        "patches stand beside them; pictures of half the side",
        measures=f"share of true pixels within the 90% intervals that the method itself has (holds: {HOLDS[0]} to {HOLDS[1]}), their width, and "
        "both after calibration on held-out pixels; noise of 25/255",
        seconds=640,
        conditions=crossed(method=METHODS),
        measure=error_bars,
        rules=(
            ask(COVERAGE, method=SAMPLED, least=HOLDS[0], most=HOLDS[1]),
            *(ask(COVERAGE, method=name, most=HOLDS[0]) for name in CHEAPER),
        ),
        panels=(dots(COVERAGE, "method", line=LEVEL), dots(CALIBRATED, "method", line=LEVEL)),
        columns=(COVERAGE, WIDTH, CALIBRATED, CALIBRATED_WIDTH, RANK_CORRELATION, PSNR, SECONDS),
        pictures={"quick": 3},
        supported="of a network's error bars those of sampling hold, those of cheaper methods are too short",
        refuted="a network's own error bars do not divide into sampled ones that hold and cheap ones that do not: calibrate them on held-out pixels",
    ),
)
