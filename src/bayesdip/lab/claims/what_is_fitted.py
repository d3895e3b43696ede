"""Claims 28, 29 and 33: fitting more than the weights, or less."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.arch.layers import Convolution, PictureNorm
from bayesdip.arch.network import Network
from bayesdip.lab.cases import Case, of_pixels
from bayesdip.lab.claim import Claim, Trial, crossed
from bayesdip.lab.comparing import PROBLEMS
from bayesdip.lab.fitting import BEST, FINAL, PSNR, Fit, Recipe, Record, descend, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import Column, Criterion, Rule, above, ask, by_unit, paired

RATE = 0.01  # Adam's for weights, as in the other claims' fits

WEIGHTS, BOTH, FROZEN = "all weights", "all weights and the input", "input, norms and last convolution"


def fit_part(trial: Trial) -> Row:
    case = PROBLEMS[trial["task"]](trial.picture(), generator=trial.generator())
    generator = trial.generator(1)
    network = skip(trial.size).build(1, len(case.grid), generator=generator)
    latent = network.new_input(case.grid, generator)
    fitted = to_be_fitted(network, latent, trial["fitted"])
    optimiser = torch.optim.Adam(fitted, RATE)
    found = descend(
        lambda: _on_data(network(latent, case.grid), case), [optimiser], Record(case, 2 * trial.size.steps)
    )
    return {**found.row(), "numbers": sum(part.numel() for part in fitted)}


def to_be_fitted(network: Network, latent: Tensor, what: str) -> list[Tensor]:
    """What is fitted; all else of the network and its input keeps its random values."""
    weights: list[Tensor] = list(network.parameters())
    if what == FROZEN:
        convolutions = [m for m in network.modules() if isinstance(m, Convolution)]
        norms = [m for m in network.modules() if isinstance(m, PictureNorm)]
        weights = [p for m in (*norms, convolutions[-1]) for p in m.parameters()]
    network.requires_grad_(False)
    fitted = weights if what == WEIGHTS else [*weights, latent]
    for part in fitted:
        part.requires_grad_(True)
    return fitted


def _on_data(picture: Tensor, case: Case) -> tuple[Tensor, Tensor]:
    """The mean squared error on the observed values, and the picture."""
    return (case.forward(picture) - case.y).square()[case.observed].mean(), picture


SQUARED, ABSOLUTE, OUTLIERS = "squared error", "absolute error", "squared error, outliers fitted"
HIT = (0.1, 0.5)  # shares of the pixels
# You et al. 2020, as released: plain gradient descent at 1 for the network and 500 for the outliers, from a standard
# deviation of 1e-5. Their ratio is what counts; momentum makes the steps of both ten times as long.
NETWORK_RATE, OUTLIER_RATE, OUTLIER_START = 1.0, 500.0, 1e-5
MOMENTUM = 0.9
# Values from which on these rates are stable. The curvature of a mean over n values along an outlier g^2 - h^2 of size 1 is
# 8 / n, and descent with momentum needs a rate below 2 (1 + 0.9) over it: n > 1053. A quarter of the bound is taken.
FEWEST_VALUES = 4096


def with_salt_and_pepper(truth: Tensor, share: float, generator: torch.Generator) -> Case:
    """A share of the pixels black or white, as likely."""
    hit = torch.rand(truth.shape, generator=generator) < share
    white = (torch.rand(truth.shape, generator=generator) < 0.5).to(truth)
    y = torch.where(hit, white, truth)
    return of_pixels(y, torch.ones_like(hit), truth)


def remove_outliers(trial: Trial) -> Row:
    case = with_salt_and_pepper(trial.picture(), trial["hit"], trial.generator())
    found = fit_outliers(case, trial)
    return {
        **found.row(),
        "above_noisy": found.psnr[-1] - psnr(case.y, case.truth),
        "lost": found.psnr[-1] - found.best,
    }


def fit_outliers(case: Case, trial: Trial) -> Fit:
    """One network; with ``OUTLIERS`` it explains ``y`` together with ``g * g - h * h``.

    Gradient descent from small g and h at a larger rate of their own favours few large entries, as an absolute
    value would (You et al. 2020, theorem 1).
    """
    generator = trial.generator(1)
    network = skip(trial.size).build(1, len(case.grid), generator=generator)
    latent = network.new_input(case.grid, generator)
    weights = list(network.parameters())
    if trial["loss"] == ABSOLUTE:

        def absolute() -> tuple[Tensor, Tensor]:
            picture = network(latent, case.grid)
            return (picture - case.y).abs().mean(), picture

        return descend(absolute, [torch.optim.Adam(weights, RATE)], Record(case, _long(trial)))
    slower = min(1.0, case.y.numel() / FEWEST_VALUES)
    optimisers = [torch.optim.SGD(weights, slower * NETWORK_RATE, MOMENTUM)]
    if trial["loss"] == SQUARED:
        return descend(
            lambda: _on_data(network(latent, case.grid), case), optimisers, Record(case, _long(trial))
        )
    g, h = (
        (OUTLIER_START * torch.randn(case.y.shape, generator=generator)).requires_grad_() for _ in range(2)
    )
    optimisers.append(torch.optim.SGD([g, h], slower * OUTLIER_RATE, MOMENTUM))

    def explained() -> tuple[Tensor, Tensor]:
        picture = network(latent, case.grid)
        return (picture + g * g - h * h - case.y).square().mean(), picture

    return descend(explained, optimisers, Record(case, _long(trial)))


def _long(trial: Trial) -> int:
    return 4 * trial.size.steps


def end_above_best(hit: float) -> Rule:
    """Ask that the end with outliers fitted is no worse than an oracle's stop of the squared error."""

    def rule(rows: Sequence[Row]) -> Criterion:
        ends = by_unit(rows, "final", loss=OUTLIERS, hit=hit)
        best = by_unit(rows, "best", loss=SQUARED, hit=hit)
        return Criterion(
            f"PSNR at the end with outliers fitted above the best of the squared error's fit (dB), hit {hit:g}",
            paired(lambda end, other: end - other, ends, best),
            least=0.0,
        )

    return rule


NOISE, DATA, OWN, GUIDED = "noise", "the data", "own output", "fitted with the weights"
# Both sources add the squared distance between input and output to the loss. Weights, repeats, and start and rate of the
# fitted input are those of released code, for the autoencoding source a reimplementation by others; draws and spread are round numbers, tuned on nothing.
PULL = {OWN: 1.0, GUIDED: 2.0}
REPEATS = 2  # steps with one input before the output takes its place
INPUT_RATE = 0.1  # Adam's for the fitted input, which begins uniform in 0..1
DRAWS = 2  # of the noise on the fitted input, at every step
SPREAD = 0.5  # of that noise, uniform, over the largest value of the input


def fit_by_input(trial: Trial) -> Row:
    case = PROBLEMS[trial["task"]](trial.picture(), generator=trial.generator())
    steps = 2 * trial.size.steps
    if trial["input"] == NOISE:
        found = fit(skip(trial.size), case, Recipe(steps), trial.generator(1))
    else:
        found = fit_on_picture(case, trial["input"], steps, trial)
    return {**found.row(), "final_average": found.psnr_average[-1]}


def fit_on_picture(case: Case, kind: str, steps: int, trial: Trial) -> Fit:
    """A network whose input is a picture: the data, zero where they lack, unless the input is fitted."""
    generator = trial.generator(1)
    network = skip(trial.size, input_depth=1).build(1, len(case.grid), generator=generator)
    z = torch.rand(case.y.shape, generator=generator) if kind == GUIDED else case.y
    pixels, taken = case.truth.numel(), 0
    optimisers = [torch.optim.Adam(network.parameters(), RATE)]
    if kind == GUIDED:
        optimisers.append(torch.optim.Adam([z.requires_grad_()], INPUT_RATE))

    def objective() -> tuple[Tensor, Tensor]:
        nonlocal z, taken
        if kind == GUIDED:
            uniform = torch.rand((DRAWS, *z.shape[1:]), generator=generator)
            picture = network(z + SPREAD * z.detach().abs().max() * uniform, case.grid).mean(0, keepdim=True)
        else:
            picture = network(z, case.grid)
        residual = (case.forward(picture) - case.y)[case.observed]
        loss = residual.square().sum() / pixels
        loss = loss + PULL.get(kind, 0.0) * (picture - z).square().mean()
        taken += 1
        if kind == OWN and taken % REPEATS == 0:
            z = picture.detach()
        return loss, picture

    return descend(objective, optimisers, Record(case, steps))


NUMBERS = Column("numbers", "numbers that are fitted")
ABOVE_NOISY = Column("above_noisy", "PSNR at the end above the corrupted picture's (dB)")
LOST = Column("lost", "PSNR at the end above the best of the fit (dB)")
FINAL_AVERAGE = Column("final_average", "PSNR of the exponential average at the end (dB)")

CLAIMS = (
    Claim(
        number=33,
        name="frozen",
        sentence="Convolutions can keep their random values: fitting the input, the norms and the last convolution loses less than 0.5 dB.",
        source="Li et al., Deep Random Projector, CVPR 2023",
        varies="what is fitted: all weights; all weights and the latent input; the latent input, gains and biases of the norms, and the "
        "last convolution, while all other convolutions stay random (the source adds total variation, which no fit has here)",
        measures="the highest PSNR of a fit, by an oracle's stop; Adam at 0.01 for all that is fitted; noise of 25/255, and half of the pixels missing",
        seconds=680,
        conditions=crossed(task=tuple(PROBLEMS), fitted=(WEIGHTS, BOTH, FROZEN)),
        measure=fit_part,
        rules=[ask(BEST, task=task, fitted=above(FROZEN, WEIGHTS), least=-0.5) for task in PROBLEMS],
        panels=[curves(PSNR, "fitted", task=task) for task in PROBLEMS],
        columns=(BEST, FINAL, NUMBERS),
        supported="most of the weights need no fitting: random convolutions with a fitted input do as well",
        refuted="the convolutions have to be fitted: with random ones and a fitted input a fit does worse on some task",
    ),
    Claim(
        number=28,
        name="outliers",
        sentence="Outliers fitted beside the network (g² - h², at a larger learning rate) leave a picture without salt and pepper, with nothing to stop the fit.",
        source="You et al., Robust Recovery via Implicit Bias of Discrepant Learning Rates, NeurIPS 2020 (arXiv 2006.08857)",
        varies="the loss: squared error, absolute error (by Adam), squared error with outliers fitted; the share of the pixels that are hit",
        measures="PSNR at the end of a long fit, its best on the way, and the corrupted picture's; gradient descent with momentum, "
        "the two learning rates in the ratio of the source for all shares",
        seconds=1300,
        conditions=crossed(hit=HIT, loss=(SQUARED, ABSOLUTE, OUTLIERS)),
        measure=remove_outliers,
        rules=[
            rule
            for hit in HIT
            for rule in (ask(LOST, loss=OUTLIERS, hit=hit, least=-1.0), end_above_best(hit))
        ],
        panels=[curves(PSNR, "loss", hit=hit) for hit in HIT],
        columns=(BEST, FINAL, LOST, ABOVE_NOISY),
        supported="salt and pepper can be fitted beside the picture, and then nothing needs to stop the fit",
        refuted="salt and pepper fitted beside the picture does not spare the stop, at one ratio of the learning rates",
    ),
    Claim(
        number=29,
        name="input",
        sentence="The input matters: a network on its own output, or on an input fitted with the weights, ends better than one on fixed noise.",
        source="Alkhouri et al., Autoencoding Sequential Deep Image Prior, NeurIPS 2024; Liang et al., Exploiting Self-Guidance (arXiv 2402.04097)",
        varies="the network's input: noise; the data; its own output of every second step; a picture fitted with the weights, under noise; "
        "with the latter two the loss has the squared distance between input and output",
        measures="PSNR of the exponential average at the end of a fit that nothing stops; noise of 25/255, and half of the pixels missing",
        seconds=1250,
        conditions=crossed(task=tuple(PROBLEMS), input=(NOISE, DATA, OWN, GUIDED)),
        measure=fit_by_input,
        rules=[
            ask(FINAL_AVERAGE, task=task, input=above(kind, NOISE), least=0.0)
            for task in PROBLEMS
            for kind in (OWN, GUIDED)
        ],
        panels=[curves(PSNR, "input", task=task) for task in PROBLEMS],
        columns=(BEST, FINAL, FINAL_AVERAGE),
        supported="what goes into the network matters: its own output, or a fitted picture, is a better input than noise",
        refuted="an input that follows the fit is not better than fixed noise on every task",
    ),
)
