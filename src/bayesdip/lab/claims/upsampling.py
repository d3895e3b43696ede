"""Claim 26: whether it is the upsampling that denoises."""

from __future__ import annotations

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.lab.cases import denoising
from bayesdip.lab.claim import SIGMA, Claim, Size, Trial, crossed
from bayesdip.lab.fitting import BEST, FINAL, PSNR, Recipe, fit, psnr
from bayesdip.lab.plots import curves
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import Column, above, ask

PERCEPTRON, CONVOLUTION = LAYERS = ("perceptron", "convolution")
FIXED, LEARNT, NONE = UPSAMPLINGS = ("bilinear", "transposed", "none")


def network(layers: str, upsampling: str, size: Size) -> Architecture:
    """Perceptrons on every pixel (convolutions of size 1), or convolutions, on growing grids or on one."""
    depth = size.scales + 1  # layers of a deep decoder
    if layers == PERCEPTRON and upsampling == NONE:
        return arch.Flat(depth=depth, width=2 * size.width, filter_size=1, slope=0.0)
    if layers == PERCEPTRON:
        return arch.DeepDecoder(scales=size.scales, width=2 * size.width, upsample=upsampling)
    if upsampling == NONE:
        return arch.Flat(depth=depth, width=size.width)
    return arch.decoder(scales=size.scales, width=size.width, upsample=upsampling)


def denoise(trial: Trial) -> Row:
    case = denoising(trial.picture(), SIGMA, trial.generator())
    arch = network(trial["layers"], trial["upsampling"], trial.size)
    found = fit(arch, case, Recipe(2 * trial.size.steps), trial.generator(1))
    return {**found.row(), "gain": found.best - psnr(case.y, case.truth)}


GAIN = Column("gain", "highest PSNR of the fit above the noisy picture's (dB)")

CLAIMS = (
    Claim(
        number=26,
        name="upsampling",
        sentence="Fixed upsampling is what denoises: with it perceptrons on every pixel do, without it they do not; learnt upsampling is worse.",
        source="Liu et al., The Devil is in the Upsampling, ICCV 2023 (arXiv 2304.11409)",
        varies="what stands between the resamplings: perceptrons on every pixel, or convolutions; bilinear upsampling, transposed "
        "convolutions, or as many layers on the picture's own grid",
        measures="the highest PSNR of a fit, by an oracle's stop, above the noisy picture's; noise of 25/255",
        seconds=370,
        conditions=crossed(layers=LAYERS, upsampling=UPSAMPLINGS),
        measure=denoise,
        rules=(
            ask(GAIN, layers=PERCEPTRON, upsampling=FIXED, least=3.0),
            ask(GAIN, layers=PERCEPTRON, upsampling=NONE, most=1.0),
            *(
                ask(GAIN, layers=kind, upsampling=above(FIXED, other), least=0.0)
                for kind in LAYERS
                for other in (LEARNT, NONE)
            ),
        ),
        panels=[curves(PSNR, "upsampling", layers=kind) for kind in LAYERS],
        columns=(BEST, GAIN, FINAL),
        supported="fixed upsampling is what denoises, whatever layers stand between",
        refuted="fixed upsampling is not the whole cause of denoising",
    ),
)
