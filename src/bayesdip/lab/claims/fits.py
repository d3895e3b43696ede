"""Claims 1, 6, 8, 10 and 11: what a fit does, and what it can be used for."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bayesdip.lab import pictures
from bayesdip.lab.cases import denoising, inpainting, measured_by
from bayesdip.lab.claim import CRITIC, SIGMA, Claim, Trial, crossed
from bayesdip.lab.fitting import BEST, FINAL, PSNR, Recipe, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import against, curves, dots
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import LARGEST, Column, Criterion, above, ask, by_unit, paired
from bayesdip.operators import Downsample, Mask

# Learning rates at which each optimiser comes to the noise within the steps.
RATE_OF_OPTIMISER = {"adam": 0.01, "descent": 1.0}


def long_fit(trial: Trial) -> Row:
    """On half the side: the question is where a long run ends."""
    case = denoising(trial.picture(reduced=2), SIGMA, trial.generator())
    optimiser = trial["optimiser"]
    recipe = Recipe(4 * trial.size.steps, learning_rate=RATE_OF_OPTIMISER[optimiser], optimiser=optimiser)
    found = fit(skip(trial.size, width=trial["width"]), case, recipe, trial.generator(1))
    error = [value / SIGMA**2 for value in found.error]
    return {
        **found.row(),
        "left": error[-1],
        "above_noisy": found.psnr[-1] - psnr(case.y, case.truth),
        "error": error,
    }


LEFT = Column("left", "MSE to the noisy picture at the end / sigma²")
ABOVE_NOISY = Column("above_noisy", "PSNR at the end above the noisy picture's (dB)")
ERROR = Column("error", "MSE to the noisy picture / sigma²")

RANDOM, REGULAR, SMALL = "random mask, 1/4 known", "regular mask, 1/4 known", "super-resolution x2"


def quarter_known(trial: Trial) -> Row:
    truth = trial.picture()
    grid = tuple(truth.shape[2:])
    if trial["problem"] == RANDOM:
        case = inpainting(truth, 0.75, trial.generator())
    elif trial["problem"] == SMALL:
        case = measured_by(Downsample(grid, 2), truth)
    else:
        missing = torch.ones(grid, dtype=torch.bool)
        missing[::2, ::2] = False
        case = measured_by(Mask(missing), truth)
    found = fit(skip(trial.size), case, Recipe(2 * trial.size.steps), trial.generator(1))
    reached = found.best - 1.0
    return {
        **found.row(),
        "soon": next(s for s, p in zip(found.steps, found.psnr, strict=True) if p >= reached),
    }


SOON = Column("soon", "step at which 1 dB is left to the best")

STRENGTHS = (0.0, 0.03, 0.1)
NONE, STRONG = STRENGTHS[0], STRENGTHS[-1]
# Without batch norm Adam's usual rate ends at one constant grey, whatever the noise: it
# gets the largest rate, of powers of ten, at which it fits the picture when there is no noise.
RATE_OF_NORM = {True: 0.01, False: 0.001}


def perturbed_fit(trial: Trial) -> Row:
    case = denoising(trial.picture(), SIGMA, trial.generator())
    norm = trial["norm"]
    recipe = Recipe(
        3 * trial.size.steps // 2, learning_rate=RATE_OF_NORM[norm], input_noise=trial["strength"]
    )
    found = fit(skip(trial.size, norm=norm), case, recipe, trial.generator(1))
    return {**found.row(), "final_average": found.psnr_average[-1]}


def interaction(rows: Sequence[Row]) -> Criterion:
    """The gain with batch norm minus the gain without, seed by seed."""
    final = [by_unit(rows, "final", norm=n, strength=s) for n in (True, False) for s in (STRONG, NONE)]
    return Criterion(
        "gain by noise with batch norm above that without, dB",
        paired(
            lambda strong, none, strong_without, without: strong - none - strong_without + without, *final
        ),
        least=0.0,
    )


STRENGTH = Column("strength", "strength of the noise on the input")
FINAL_AVERAGE = Column("final_average", "PSNR of the average at the end (dB)")

SHARES = (0.02, 0.1)


def held_out_stop(trial: Trial) -> Row:
    case = denoising(trial.picture(), trial["sigma"] / 255, trial.generator())
    case = case.hold_out(trial["held_out_share"], trial.generator(2))
    found = fit(skip(trial.size), case, Recipe(trial.size.steps), trial.generator(1))
    stopped, final = found.psnr[found.stop], found.psnr[-1]
    return {
        **found.row(),
        "stopped": stopped,
        "lost": stopped - found.best,
        "won": stopped - final,
        "test": found.held_out,
        "train": found.error,
    }


STOPPED = Column("stopped", "PSNR where the held-out loss is smallest (dB)")
LOST = Column("lost", "stopped there above the best of the fit (dB)")
WON = Column("won", "stopped there above the end of the fit (dB)")
TEST = Column("test", "mean squared error on held-out pixels")

TOGETHER = Column("together", "pictures fitted at once (four are other pictures)")


def fit_together(trial: Trial) -> Row:
    """Each of the first two pictures alone, then both, then four."""
    count, group = trial["together"], trial["group"]
    names = pictures.names(4, trial.data)[group * count : (group + 1) * count]
    truth = torch.stack([pictures.gray(name, trial.size.side // 2, trial.data) for name in names])
    case = denoising(truth, SIGMA, trial.generator(10 + group))
    return fit(skip(trial.size), case, Recipe(2 * trial.size.steps), trial.generator(1)).row()


CLAIMS = (
    Claim(
        number=1,
        name="noise-in-the-end",
        sentence="One point in, one picture out: full gradient descent just converges to the noisy picture.",
        source=CRITIC,
        varies="the optimiser (Adam, gradient descent with momentum) and the channels, on pictures of half the side",
        measures="what is left of the noise in the residual, and PSNR, at the end of a long run",
        seconds=300,
        conditions=lambda size: crossed(
            optimiser=tuple(RATE_OF_OPTIMISER), width=(size.width, 2 * size.width)
        ),
        measure=long_fit,
        rules=(
            ask(LEFT, optimiser="adam", width=LARGEST, most=0.1),
            ask(ABOVE_NOISY, optimiser="adam", width=LARGEST, most=1.0),
        ),
        panels=(
            curves(ERROR, "optimiser", log=True, width=LARGEST),
            curves(PSNR, "optimiser", width=LARGEST),
        ),
        columns=(LEFT, ABOVE_NOISY, BEST, FINAL),
        supported="left alone, a fit ends at the noisy picture: it must be stopped, averaged or sampled",
        refuted="left alone for as long as was tried, a fit keeps off part of the noise",
    ),
    Claim(
        number=6,
        name="masked-learning",
        sentence="Inpainting and super-resolution are both masked learning: with as many numbers known, they do alike.",
        source=CRITIC,
        varies="which quarter of the numbers is known: random pixels, every second pixel of each axis, or a filtered small picture",
        measures="the highest PSNR of a fit (within 1 dB), and how soon it is reached",
        seconds=200,
        conditions=crossed(problem=(RANDOM, REGULAR, SMALL)),
        measure=quarter_known,
        rules=[ask(BEST, problem=above(p, RANDOM), least=-1.0, most=1.0) for p in (REGULAR, SMALL)],
        panels=(curves(PSNR, "problem"), dots(SOON, "problem")),
        columns=(BEST, FINAL, SOON),
    ),
    Claim(
        number=8,
        name="perturbation",
        sentence="Perturbing the input at every step makes a signal out of aggregated noise, and batch norm matters because of it.",
        source=CRITIC,
        varies="the strength of the noise on the input; batch norm or none",
        measures="PSNR at the end of a fit that nothing stops, noise of 25/255; Adam at 0.01, without batch norm at 0.001",
        seconds=300,
        conditions=crossed(norm=(True, False), strength=STRENGTHS),
        measure=perturbed_fit,
        rules=(ask(FINAL, norm=True, strength=above(STRONG, NONE), least=0.0), interaction),
        panels=(curves(PSNR, "strength", norm=True), against(FINAL, STRENGTH, split="norm")),
        columns=(BEST, FINAL, FINAL_AVERAGE),
        supported="noise on the input guards against overfitting where there is batch norm; without it, it spoils the fit",
    ),
    Claim(
        number=10,
        name="held-out",
        sentence="A loss on held-out pixels trades train against test error, and says when to stop.",
        source=CRITIC,
        varies="the share of noisy pixels that is held out, and the noise",
        measures="PSNR where the held-out loss (averaged over three evaluations) is smallest, against the best of the fit and its end",
        seconds=190,
        conditions=crossed(held_out_share=SHARES, sigma=(15, 25, 50)),
        measure=held_out_stop,
        rules=(
            ask(LOST, held_out_share=SHARES[-1], least=-0.5),
            ask(WON, held_out_share=SHARES[-1], least=0.5),
        ),
        panels=(
            curves(TEST, "sigma", log=True, held_out_share=SHARES[-1]),
            dots(LOST, "sigma", held_out_share=SHARES[-1]),
        ),
        columns=(BEST, STOPPED, LOST, WON, FINAL),
        supported="pixels held out from the fit say when to stop it, so no clean picture is needed for that",
        refuted="pixels held out from the fit do not say when to stop it",
    ),
    Claim(
        number=11,
        name="together",
        sentence="One network can be fitted to two pictures at once, a latent input each, and loses less than 0.5 dB.",
        source=f"{CRITIC}: 'two or more images'",
        varies="how many pictures share the weights; pictures of half the side",
        measures="the highest PSNR of a fit, mean over its pictures, noise of 25/255",
        seconds=235,
        conditions=[{"together": count, "group": group} for count, group in ((1, 0), (1, 1), (2, 0), (4, 0))],
        measure=fit_together,
        rules=(ask(BEST, together=above(2, 1), least=-0.5),),
        panels=(curves(PSNR, "together"), against(BEST, TOGETHER)),
        columns=(BEST, FINAL),
        on_pictures=False,
    ),
)
