"""Claim 25: whose training the tangent kernel predicts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.infinite_width import ArchitectureKernel
from bayesdip.gp.gradient_flow import flow
from bayesdip.lab.cases import denoising
from bayesdip.lab.claim import SIGMA, Claim, Size, Trial, crossed
from bayesdip.lab.fitting import PSNR, psnr
from bayesdip.lab.plots import against
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import LARGEST, Column, Criterion, above, ask

DESCENT, ADAM = OPTIMISERS = ("gradient descent", "Adam")
# The step of descent is stable below 2 over the largest eigenvalue of the kernel. Adam moves every weight by about its
# rate, and a layer's output by that times the channels, so that its rate goes down with them.
SHARE_OF_STABLE, ADAM_BY_CHANNELS = 0.1, 0.02
LAGS = 16  # beyond which the kernel of these networks is flat
TIMES = tuple(10 ** (k / 8) for k in range(-24, 25))  # in units of 1 / Theta(0), six decades
LEFT = 0.5  # compared where so much of the squared error of the start is left


def widths(size: Size) -> tuple[int, int]:
    return 4 * size.width, 16 * size.width


def network(channels: int) -> Architecture:
    """Two convolutions on one grid: as deep as a network must be to have a layer that is not its output."""
    return arch.Flat(depth=2, width=channels, output="linear", slope=0.0, input_smoothness=1.0)


def follow(trial: Trial) -> Row:
    """Fit until half of the squared error is gone, and set the change of the picture beside the flow's at the same error.

    Pictures count without their mean: a constant has an eigenvalue far above all others, and is learnt in no time.
    """
    case = denoising(trial.picture(reduced=2), SIGMA, trial.generator())
    description, generator = network(trial["channels"]), trial.generator(1)
    net = description.build(1, generator=generator)
    latent = net.new_input(case.grid, generator)
    weights = list(net.parameters())
    begun = [w.detach().clone() for w in weights]
    kernel = description.tangent_kernel(lags=LAGS, parametrisation="standard")
    optimiser = _optimiser(trial["optimiser"], trial["channels"], weights, kernel)
    y = case.y - case.y.mean()
    with torch.no_grad():
        start = _centred(net(latent, case.grid))
    wanted, picture, steps = y - start, start, 0
    for steps in range(1, 10 * trial.size.steps + 1):  # noqa: B007
        picture = _centred(net(latent, case.grid))
        loss = (picture - y).square().sum() / 2
        if float(loss.detach()) <= LEFT * float(wanted.square().sum()) / 2:
            break
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    change = picture.detach() - start
    predicted = predict(wanted, change, kernel)
    moved = [
        (float((w.detach() - b).square().sum()), float(b.square().sum()))
        for w, b in zip(weights, begun, strict=True)
    ]
    mean = case.y.mean()
    return {
        "missed": float((change - predicted).norm() / change.norm().clamp_min(1e-12)),
        "moved": (sum(m for m, _ in moved) / sum(b for _, b in moved)) ** 0.5,
        "psnr": psnr(start + change + mean, case.truth),
        "predicted": psnr(start + predicted + mean, case.truth),
        "taken": steps,
    }


def predict(wanted: Tensor, change: Tensor, kernel: ArchitectureKernel) -> Tensor:
    """The flow's change of the picture at the time when it leaves as much of ``wanted`` as ``change`` does."""
    moved = flow(wanted[0], kernel, TIMES, start=torch.zeros(1)).means
    left = (wanted[0] - moved).square().flatten(1).sum(1)
    own = (wanted - change).square().sum()
    same: Tensor = moved[int((left.log() - own.log()).abs().argmin())]
    return same[None]


def _centred(picture: Tensor) -> Tensor:
    return picture - picture.mean()


def _optimiser(
    name: str, channels: int, weights: list[torch.nn.Parameter], kernel: ArchitectureKernel
) -> torch.optim.Optimizer:
    if name == ADAM:
        return torch.optim.Adam(weights, ADAM_BY_CHANNELS / channels)
    largest = kernel.scale * float(torch.fft.fft2(kernel.window(LAGS)).abs().max())
    return torch.optim.SGD(weights, 2 * SHARE_OF_STABLE / largest)


MISSED = Column("missed", "distance of the picture from the flow's, over the change of the picture")
MOVED = Column("moved", "change of the weights over their size")
PREDICTED = Column("predicted", "PSNR of the flow's picture (dB)")
TAKEN = Column("taken", "steps")
CHANNELS = Column("channels", "channels")


def narrow_above_wide(rows: Sequence[Row]) -> Criterion:
    """Of gradient descent's misses, between the fewest and the most channels."""
    narrow, wide = min(row["channels"] for row in rows), max(row["channels"] for row in rows)
    return ask(MISSED, optimiser=DESCENT, channels=above(narrow, wide), least=0.0)(rows)


CLAIMS = (
    Claim(
        number=25,
        name="tangent",
        sentence="The tangent kernel predicts a fit by gradient descent, the better the wider the network, and not one by Adam.",
        source="Tachella, Tang, Davies, The Neural Tangent Link Between CNN Denoisers and Non-Local Filters, CVPR 2021 (arXiv 2006.02379)",
        varies="the optimiser and the channels of a network of two convolutions; pictures of half the side, noise of 25/255",
        measures="how far the picture is from that of gradient flow under the kernel of infinite width, where both have lost half of their squared "
        "error on the data: the distance over the change since the start, and how far the weights moved; pictures without their mean",
        seconds=150,
        conditions=lambda size: crossed(optimiser=OPTIMISERS, channels=widths(size)),
        measure=follow,
        rules=(
            ask(MISSED, optimiser=above(ADAM, DESCENT), channels=LARGEST, least=0.0),
            narrow_above_wide,
        ),
        panels=(against(MISSED, CHANNELS, split="optimiser"), against(MOVED, CHANNELS, split="optimiser")),
        columns=(MISSED, MOVED, PSNR, PREDICTED, TAKEN),
        pictures={"quick": 3},
        supported="the theory of wide networks is about gradient descent: Adam, which everyone takes, goes elsewhere",
        refuted="the tangent kernel does not tell gradient descent from Adam at these widths",
    ),
)
