"""Claims 7 and 9: a deep image prior beside matrix completion and beside fixed bases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bayesdip.lab.bases import (
    Array,
    best_threshold,
    dct_threshold,
    foreground,
    psnr_within,
    wavelet_threshold,
)
from bayesdip.lab.cases import Case, denoising, inpainting
from bayesdip.lab.claim import CRITIC, Claim, Trial, crossed
from bayesdip.lab.fitting import PSNR, Recipe, fit, psnr
from bayesdip.lab.matrix_completion import deep_factorisation, soft_impute
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import dots
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import Column, Criterion, Rule, above, ask

COMPLETED_BY = ("DIP", "soft-impute", "deep factorisation")
RANK = 4
DATA = ("photograph", f"matrix of rank {RANK}")


def complete(trial: Trial) -> Row:
    truth = trial.picture() if trial["data"] == DATA[0] else low_rank(trial.size.side, trial.generator(3))
    case = inpainting(truth, 0.5, trial.generator()).hold_out(0.05, trial.generator(2))
    if trial["method"] == "DIP":
        mean = fit(skip(trial.size), case, Recipe(2 * trial.size.steps), trial.generator(1)).average
    else:
        mean = _completed(trial, case)[None, None]
    return {"psnr": psnr(case.filled(mean), truth)}


def low_rank(side: int, generator: torch.Generator) -> Tensor:
    """A product of Gaussian factors, scaled to 0..1: rows and columns in no order."""
    matrix = torch.randn(side, RANK, generator=generator) @ torch.randn(RANK, side, generator=generator)
    return ((matrix - matrix.min()) / (matrix.max() - matrix.min()))[None, None]


def _completed(trial: Trial, case: Case) -> Tensor:
    y, known, held_out = (part[0, 0] for part in (case.y, case.measured, case.held_out))
    if trial["method"] == "soft-impute":
        return soft_impute(y, known, held_out=held_out)
    return deep_factorisation(
        y, known, held_out=held_out, generator=trial.generator(1), steps=5 * trial.size.steps
    )


FOURIER = "Fourier (DCT)"
BASES = (FOURIER, *(f"wavelet {mother}" for mother in ("haar", "db4", "sym8", "bior4.4")), "DIP")
BACKGROUND = Column("background", "PSNR on the background (dB)")
FOREGROUND = Column("foreground", "PSNR on the foreground (dB)")


def denoise_in_basis(trial: Trial) -> Row:
    sigma, basis = trial["sigma"] / 255, trial["basis"]
    case = denoising(trial.picture(), sigma, trial.generator())
    y, truth = (part[0, 0].double().numpy() for part in (case.y, case.truth))
    if basis == "DIP":
        estimate = _best_picture(trial, case)
    elif basis == FOURIER:
        estimate = best_threshold(lambda t: dct_threshold(y, t), truth, sigma)
    else:
        mother = basis.removeprefix("wavelet ")
        estimate = best_threshold(lambda t: wavelet_threshold(y, t, mother), truth, sigma)
    salient = foreground(truth)
    return {
        "background": psnr_within(estimate, truth, ~salient),
        "foreground": psnr_within(estimate, truth, salient),
    }


def _best_picture(trial: Trial, case: Case) -> Array:
    """The picture of a fit at its best step: an oracle's stop, as the thresholds are an oracle's."""
    best: tuple[float, Array] = (-np.inf, case.y[0, 0].double().numpy())

    def watch(step: int, picture: Tensor) -> None:
        nonlocal best
        if step % 10 == 9:
            value = psnr(picture, case.truth)
            if value > best[0]:
                best = (value, picture[0, 0].double().numpy())

    fit(skip(trial.size), case, Recipe(trial.size.steps), trial.generator(1), watch=watch)
    return best[1]


def _best_wavelet(rows: Sequence[Row]) -> str:
    """The mother wavelet with the largest sum of PSNR over both regions."""
    sums: dict[str, float] = {}
    for row in rows:
        if row["basis"].startswith("wavelet"):
            sums[row["basis"]] = sums.get(row["basis"], 0.0) + row["background"] + row["foreground"]
    return max(sums, key=lambda name: sums[name])


def beside_best_wavelet(region: Column, better: str) -> Rule:
    """Ask that Fourier, or the best wavelet, is above the other in the region."""

    def rule(rows: Sequence[Row]) -> Criterion:
        wavelet = _best_wavelet(rows)
        compared = above(FOURIER, wavelet) if better == FOURIER else above(wavelet, FOURIER)
        return ask(region, basis=compared, least=0.0)(rows)

    return rule


CLAIMS = (
    Claim(
        number=7,
        name="matrix-completion",
        sentence="Inpainting by DIP is like matrix completion: within 1 dB of it, on pictures and on low-rank matrices.",
        source=f"{CRITIC}: 'reminds me of matrix completion'",
        varies="DIP, soft-impute, deep matrix factorisation; a photograph, a random matrix of low rank",
        measures="PSNR with half of the entries missing, known ones put back; both matrix methods tuned on held-out entries",
        seconds=150,
        conditions=crossed(data=DATA, method=COMPLETED_BY),
        measure=complete,
        rules=[
            ask(PSNR, data=data, method=above("DIP", method), least=-1.0, most=1.0)
            for data in DATA
            for method in COMPLETED_BY[1:]
        ],
        panels=[dots(PSNR, "method", data=data) for data in DATA],
        columns=(PSNR,),
        refuted="a deep image prior is not matrix completion: it wins where neighbours are alike and loses where only the rank is low",
    ),
    Claim(
        number=9,
        name="bases",
        sentence="A Fourier basis works better for backgrounds, wavelets for foregrounds.",
        source=CRITIC,
        varies="the basis: DCT of the whole picture, four mother wavelets; and DIP beside them; the noise",
        measures="PSNR on background and foreground (the 30% of pixels with the largest smoothed gradient) apart; an oracle sets threshold and stop",
        seconds=65,
        conditions=crossed(sigma=(15, 50), basis=BASES),
        measure=denoise_in_basis,
        rules=(beside_best_wavelet(BACKGROUND, FOURIER), beside_best_wavelet(FOREGROUND, "wavelet")),
        panels=(dots(BACKGROUND, "basis"), dots(FOREGROUND, "basis")),
        columns=(BACKGROUND, FOREGROUND),
    ),
)
