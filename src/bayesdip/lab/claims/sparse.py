"""Claim 27: a sparse network, found by masking fresh weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from bayesdip.arch.network import Network
from bayesdip.lab.cases import Case, denoising
from bayesdip.lab.claim import SIGMA, Claim, Trial, crossed
from bayesdip.lab.fitting import BEST, FINAL, PSNR, Fit, Record, descend
from bayesdip.lab.networks import skip
from bayesdip.lab.pictures import gray
from bayesdip.lab.plots import curves, dots
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import Column, above, ask

DENSE, OWN, OTHER, RANDOM = KINDS = ("none", "own", "another picture's", "random")
REDUCED = 2  # the pictures have half of the size's side
RATE = 0.01  # Adam's, as in the other claims' fits
# Ghosh et al. 2024: the share of the weights that is kept, Adam's rate for the mask, the temperature of its relaxed draws
# and the weight of the divergence from that share. Here the share is that of one weight per pixel, of 0.5, 1 and 2 that were
# tried on one picture with one seed; with 0.5 a layer lost all of its weights. The source keeps 5% of three million weights.
KEPT_PER_PIXEL = 1.0
MASK_RATE, TEMPERATURE, DIVERGENCE = 0.05, 0.2, 1e-4


def other_picture(trial: Trial) -> Tensor:
    """A picture that is none of the claim's own, at the same size."""
    name = "coins" if trial.data is None else "montage"
    return gray(name, trial.size.side // REDUCED, trial.data)[None]


def fit_masked(trial: Trial) -> Row:
    case = denoising(trial.picture(REDUCED), SIGMA, trial.generator())
    generator = trial.generator(1)  # the same fresh network and input for every kind of mask
    network = skip(trial.size).build(1, len(case.grid), generator=generator)
    latent = network.new_input(case.grid, generator)
    kept = None
    if trial["mask"] == RANDOM:
        kept = largest([torch.rand(w.shape, generator=generator) for w in weights_of(network)], _kept(case))
    elif trial["mask"] != DENSE:
        shown = case if trial["mask"] == OWN else denoising(other_picture(trial), SIGMA, trial.generator(2))
        kept = find_mask(network, latent, shown, trial.size.steps // 2, generator)
    found = fit_kept(network, latent, case, kept, trial.size.steps)
    return {**found.row(), "lost": found.psnr[-1] - found.best, "numbers": _count(network, kept)}


def weights_of(network: Network) -> list[Tensor]:
    """What a mask is for: the convolutions' weights. Biases, and the gains of norms, are kept."""
    return [w for w in network.parameters() if w.ndim > 2]


def find_mask(
    network: Network, latent: Tensor, case: Case, steps: int, generator: torch.Generator
) -> list[Tensor]:
    """Which of the fresh weights to keep so that the network, not fitted, is near the data.

    Every weight has a probability to be kept. Adam fits these on relaxed draws of the masks (Gumbel and softmax), with a
    term that draws them to the share that is to be kept; the most probable weights are kept.

    Returns
    -------
    list of Tensor of bool
        One for each of :func:`weights_of`.
    """
    count = _kept(case)
    names = [name for name, w in network.named_parameters() if w.ndim > 2]
    fresh = [w.detach() for w in weights_of(network)]
    share = min(0.5, count / sum(w.numel() for w in fresh))
    logits = [torch.zeros_like(w, requires_grad=True) for w in fresh]
    optimiser = torch.optim.Adam(logits, MASK_RATE)
    for _ in range(steps):
        draws = [relaxed(logit, generator) for logit in logits]
        masked = {name: w * m for name, w, m in zip(names, fresh, draws, strict=True)}
        picture = functional_call(network, masked, (latent, case.grid))
        divergence = sum((_divergence(logit, share) for logit in logits), torch.zeros(()))
        loss = (case.forward(picture) - case.y).square()[
            case.observed
        ].mean() + DIVERGENCE * divergence / count
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return largest([logit.detach() for logit in logits], count)


def relaxed(logit: Tensor, generator: torch.Generator) -> Tensor:
    """A draw between 0 and 1, near one of them: the concrete distribution (Maddison et al., ICLR 2017)."""
    uniform = torch.rand(logit.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
    return ((logit + uniform.logit()) / TEMPERATURE).sigmoid()


def _divergence(logit: Tensor, share: float) -> Tensor:
    """Kullback and Leibler's, of Bernoulli draws with these probabilities from ones with the share, summed."""
    p = logit.sigmoid().clamp(1e-6, 1 - 1e-6)
    return (p * (p / share).log() + (1 - p) * ((1 - p) / (1 - share)).log()).sum()


def largest(scores: Sequence[Tensor], count: int) -> list[Tensor]:
    """Where the ``count`` largest of all scores are."""
    flat = torch.cat([score.flatten() for score in scores])
    chosen = torch.zeros(len(flat), dtype=torch.bool)
    chosen[flat.topk(min(count, len(flat))).indices] = True
    parts = torch.split(chosen, [score.numel() for score in scores])
    return [part.reshape(score.shape) for part, score in zip(parts, scores, strict=True)]


def fit_kept(network: Network, latent: Tensor, case: Case, kept: list[Tensor] | None, steps: int) -> Fit:
    """A fit in which the weights that are not kept are zero, from the fresh values of the others."""
    weights = weights_of(network)
    with torch.no_grad():
        for w, mask in zip(weights, kept or [], strict=kept is not None):
            w.mul_(mask)
            w.register_hook(mask.mul)  # type: ignore[no-untyped-call]  # no gradient, and so no step, where a weight is off

    def objective() -> tuple[Tensor, Tensor]:
        picture = network(latent, case.grid)
        return (case.forward(picture) - case.y).square()[case.observed].mean(), picture

    return descend(objective, [torch.optim.Adam(network.parameters(), RATE)], Record(case, steps))


def _kept(case: Case) -> int:
    return max(1, round(KEPT_PER_PIXEL * case.truth[0].numel()))


def _count(network: Network, kept: list[Tensor] | None) -> int:
    every = sum(w.numel() for w in network.parameters())
    if kept is None:
        return every
    return every - sum(int((~mask).sum()) for mask in kept)


LOST = Column("lost", "PSNR at the end above the best of the fit (dB)")
NUMBERS = Column("numbers", "numbers that are fitted")

CLAIMS = (
    Claim(
        number=27,
        name="sparse",
        sentence="A sparse mask that is found on the fresh network keeps a fit from the noise to its end, and serves another picture.",
        source="Ghosh et al., Optimal Eye Surgeon, ICML 2024 (arXiv 2406.05288)",
        varies="the mask of the convolutions' weights: none; found on the noisy picture; found on another noisy picture; random, as sparse",
        measures="PSNR at the end of a fit that nothing stops, above its best on the way, and of one mask above another; one weight is kept for every "
        "pixel; pictures of half the side, noise of 25/255",
        seconds=770,
        conditions=crossed(mask=KINDS),
        measure=fit_masked,
        rules=(
            ask(LOST, mask=OWN, least=-0.5),
            ask(FINAL, mask=above(OWN, DENSE), least=0.0),
            ask(FINAL, mask=above(OTHER, OWN), least=-0.5),
            ask(FINAL, mask=above(OWN, RANDOM), least=0.0),
        ),
        panels=(curves(PSNR, "mask"), dots(FINAL, "mask")),
        columns=(BEST, FINAL, LOST, NUMBERS),
        pictures={"quick": 3},
        supported="a sparse network found before it is fitted needs no stopping, and its mask serves other pictures",
        refuted="a sparse mask found on the fresh network does not all that is said of it: spare the stop, serve other pictures, and be better than chance",
    ),
)
