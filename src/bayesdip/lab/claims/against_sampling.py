"""Claims 24 and 31: what sampling is compared with, stopping rules and averages over networks."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.lab.cases import Case, denoising
from bayesdip.lab.claim import PAPER, Claim, Trial, crossed
from bayesdip.lab.fitting import PSNR, Recipe, every, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import dots
from bayesdip.lab.results import Row
from bayesdip.lab.sampling import sample, stopped_fit
from bayesdip.lab.statistics import Column, above, ask
from bayesdip.networks.stopping import RULES

SIGMAS = (15, 50)
SAMPLING = "sampling"
STOPPED_BY = tuple(rule for rule in RULES if rule != "never")


def denoise_by_rule(trial: Trial) -> Row:
    sigma, rule = trial["sigma"] / 255, trial["rule"]
    case = denoising(trial.picture(), sigma, trial.generator())
    if rule == SAMPLING:
        found = sample(skip(trial.size), case, sigma, trial)
        return {"psnr": psnr(found.mean, case.truth), "taken": found.steps[-1]}
    picture, steps = stopped_fit(skip(trial.size), case, sigma, trial, rule=rule, steps=4 * trial.size.steps)
    return {"psnr": psnr(picture, case.truth), "taken": steps}


NETWORKS = 4
FITS, CHAINS, CHAIN = f"{NETWORKS} fits", f"{NETWORKS} chains", "one chain"
HELD_OUT_SHARE = 0.05


def average(trial: Trial) -> Row:
    """The mean picture, and the mean PSNR of the pictures that it is of; every method takes as many steps."""
    case = denoising(trial.picture(), trial["sigma"] / 255, trial.generator())
    method, steps = trial["method"], trial.size.steps
    generators = [trial.generator(10 + k) for k in range(1 if method == CHAIN else NETWORKS)]
    if method == FITS:
        held_out = case.hold_out(HELD_OUT_SHARE, trial.generator(2))
        pictures = [stopped(held_out, trial, generator) for generator in generators]
    else:
        recipe = Recipe(NETWORKS * steps // len(generators), weight_noise=True)
        pictures = [fit(skip(trial.size), case, recipe, generator).sampled for generator in generators]
    mean = torch.stack(pictures).mean(0)
    return {
        "psnr": psnr(mean, case.truth),
        "single": sum(psnr(picture, case.truth) for picture in pictures) / len(pictures),
    }


def stopped(case: Case, trial: Trial, generator: torch.Generator) -> Tensor:
    """The picture of a fit where its held-out error is smallest."""
    recipe, pictures = Recipe(trial.size.steps), []

    def watch(step: int, picture: Tensor) -> None:
        if (step + 1) % every(recipe.steps) == 0 or step == recipe.steps - 1:
            pictures.append(picture)

    found = fit(skip(trial.size), case, recipe, generator, watch=watch)
    return pictures[found.stop]


TAKEN = Column("taken", "steps")
SINGLE = Column("single", "PSNR of one of the pictures that are averaged (dB)")

CLAIMS = (
    Claim(
        number=24,
        name="stopping-rules",
        sentence="No rule that stops a fit gives a better picture than sampling does.",
        source=f"{PAPER}: sampling needs no stopping; rules: Wang et al. 2023 (arXiv 2112.06074), held-out pixels, Morozov 1966, Stein 1981",
        varies="the rule that stops one fit (held-out pixels, windowed variance, discrepancy, SURE), or our sampler in its place; the noise",
        measures="PSNR of the picture that the rule gives, or of the posterior mean; discrepancy, SURE and sampler know the noise level",
        seconds=850,
        conditions=crossed(sigma=SIGMAS, rule=(*STOPPED_BY, SAMPLING)),
        measure=denoise_by_rule,
        rules=[
            ask(PSNR, sigma=sigma, rule=above(SAMPLING, rule), least=0.0)
            for sigma in SIGMAS
            for rule in STOPPED_BY
        ],
        panels=[dots(PSNR, "rule", sigma=sigma) for sigma in SIGMAS],
        columns=(PSNR, TAKEN),
        supported="sampling spares the stopping rule: none of them gives a better picture",
        refuted="some stopping rule gives a better picture than sampling",
    ),
    Claim(
        number=31,
        name="seeds",
        sentence=f"Averaging over seeds buys more than sampling: the mean of {NETWORKS} fits is better than the mean of one chain of as many steps.",
        source="deep ensembles (Lakshminarayanan et al. 2017) against the chain of " + PAPER,
        varies=f"what is averaged: {NETWORKS} networks, each stopped by held-out pixels; {NETWORKS} chains of the paper's SGLD as released, or one "
        "of as many steps together; the noise",
        measures="PSNR of the mean, chains counted after 35% of their steps; and of one picture that it is the mean of",
        seconds=1450,
        conditions=crossed(sigma=SIGMAS, method=(FITS, CHAINS, CHAIN)),
        measure=average,
        rules=[ask(PSNR, sigma=sigma, method=above(FITS, CHAIN), least=0.0) for sigma in SIGMAS],
        panels=[dots(PSNR, "method", sigma=sigma) for sigma in SIGMAS],
        columns=(PSNR, SINGLE),
        supported="the mean of a few networks is better than a chain of as many steps",
        refuted="the mean of a few networks is no better than a chain of as many steps, at some noise",
    ),
)
