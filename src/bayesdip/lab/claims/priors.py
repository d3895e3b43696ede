"""Claims 14, 16 and 22: the prior of a network, by its kernel and by its draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.gp.grid_covariance import embed
from bayesdip.lab.claim import PAPER, Claim, Condition, Size, Trial, crossed
from bayesdip.lab.plots import Panel, curves, dots
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import (
    LARGEST,
    Column,
    Criterion,
    Interval,
    Unit,
    above,
    ask,
    by_seed,
    level,
    over,
    paired,
    where,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEPTHS = (1, 2, 3)
MOST_LAGS = 24


def falls_to(line: Sequence[float], value: float) -> float:
    """Where a falling curve over 0, 1, 2, ... reaches the value, linear in between; its length if nowhere."""
    for place, (a, b) in enumerate(pairwise(line)):
        if b <= value:
            return place + (a - value) / max(a - b, 1e-12)
    return float(len(line))


def closed_form(trial: Trial) -> Row:
    """The kernel of a 1-D network on its grid, and that of 64 sampled networks."""
    side, depth = 2 * trial.size.side, trial["depth"]
    options: dict[str, Any] = {
        "input_smoothness": trial["smoothness"],
        "input": "normal",
        "output": "linear",
        "slope": 0.0,
        "width": 4 * trial.size.width,
    }
    conv = trial["network"] == "conv"
    network = (
        arch.Flat(depth=depth, norm=False, **options) if conv else arch.skip(scales=depth, skip=0, **options)
    )
    lags = min(MOST_LAGS, side // 2)
    sampled = network.monte_carlo_kernel((side,), 64, lags=lags, channels=32, generator=trial.generator())
    exact = network.exact_covariance((side,)).averaged((lags + 1,))
    closed = exact / exact[0]
    line = sampled.table / sampled.table[0]
    return {
        "difference": float((line - closed).abs().max()),
        "standard_error": float(sampled.standard_error.max()),
        "half": falls_to(line.tolist(), (1 + float(line[-1])) / 2),
        "lags": list(range(lags + 1)),
        "closed": np.round(closed.numpy(), 4).tolist(),
        "sampled": np.round(line.numpy(), 4).tolist(),
    }


def largest_difference(rows: Sequence[Row]) -> Criterion:
    worst: dict[int, float] = {}
    for row in rows:
        worst[row["seed"]] = max(worst.get(row["seed"], 0.0), row["difference"])
    return Criterion(
        "closed form against sampled networks: largest difference in correlation over all kernels",
        Interval.of(worst.values()),
        most=0.05,
    )


def smooth_input(rows: Sequence[Row]) -> Criterion:
    smooth = by_seed(rows, "half", network="conv", smoothness=2.0)
    rough = level(rows, "half", network="conv", smoothness=0.0)
    return Criterion(
        "conv: half-way lag with smooth input above that with white input",
        Interval.of(value - rough.mean for value in smooth.values()),
        least=0.0,
    )


HALF = Column("half", "lag half-way down (pixels)")
DIFFERENCE = Column(
    "difference", "largest difference in correlation between closed form and sampled networks"
)
STANDARD_ERROR = Column("standard_error", "standard error of the sampled correlation")
CLOSED = Column("closed", "correlation (dots: sampled)")
LAG = Column("lags", "lag (pixels)")


def closed_and_sampled(network: str, smoothness: float) -> Panel:
    """The closed form by lag, and dots for each seed's sampled networks."""

    def draw(axes: Axes, rows: Sequence[Row]) -> None:
        mine = where(rows, network=network, smoothness=smoothness)
        curves(CLOSED, "depth", over=LAG, network=network)(axes, mine)
        for number, depth in enumerate(DEPTHS):
            for row in where(mine, depth=depth):
                axes.plot(row["lags"], row["sampled"], ".", markersize=3, color=f"C{number}")

    return draw


DRAWS = 16
PROCESS = "Gaussian process"


def channels(size: Size) -> list[Condition]:
    return [
        *crossed(method=("network",), channels=(size.width // 2, 4 * size.width)),
        {"method": PROCESS, "channels": 0},
    ]


def draws(trial: Trial) -> Row:
    """Power by frequency and excess kurtosis of the differences between neighbours, over the draws."""
    drawn = _drawn(trial).double()
    drawn = drawn - drawn.mean((1, 2), keepdim=True)
    drawn = drawn / drawn.std((1, 2), keepdim=True)
    differences = torch.cat([drawn.diff(dim=axis).flatten(1) for axis in (1, 2)], dim=1)
    differences = differences / differences.square().mean(1, keepdim=True).sqrt()
    power = _power(drawn)
    return {
        "kurtosis": float(differences.pow(4).mean()) - 3,
        "roughness": float(drawn.diff(dim=1).square().mean().sqrt()),
        "frequency": list(range(1, len(power) + 1)),
        "power": [float(f"{v:.4g}") for v in power.log10().tolist()],
    }


def _drawn(trial: Trial) -> Tensor:
    """(draws, side, side), before the output's activation."""
    grid, generator = (trial.size.side,) * 2, trial.generator()
    width = trial["channels"] or 4 * trial.size.width
    description = arch.skip(scales=2, width=width, skip=4, output="linear")
    if trial["method"] == PROCESS:
        process = embed(description.kernel(), grid, constant=True, like=torch.zeros(1).double())
        drawn: Tensor = process.draw((DRAWS, 1), generator)[:, 0]
        return drawn
    with torch.no_grad():
        built = (description.build(1, generator=generator) for _ in range(DRAWS))
        return torch.stack([n(n.new_input(grid, generator), grid)[0, 0] for n in built])


def _power(pictures: Tensor) -> Tensor:
    """Mean power at the whole frequencies 1, 2, ..., half the side, over directions and draws."""
    side = pictures.shape[-1]
    power = torch.fft.fft2(pictures).abs().square().mean(0)
    axis = torch.fft.fftfreq(side, 1 / side)
    radius = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt().round().long()
    return torch.stack([power[radius == k].mean() for k in range(1, side // 2)])


def same_spectrum(rows: Sequence[Row]) -> Criterion:
    wide = max(row["channels"] for row in rows)
    power = [
        {Unit(row["seed"], ""): np.array(row["power"]) for row in where(rows, channels=n)} for n in (wide, 0)
    ]
    return Criterion(
        f"{wide} channels: power spectra, mean difference in log10 over frequencies",
        paired(lambda a, b: np.abs(a - b).mean(), *power),
        most=0.15,
    )


KURTOSIS = Column("kurtosis", "excess kurtosis of neighbours' differences (of a Gaussian process: 0)")
ROUGHNESS = Column("roughness", "root mean square of neighbours' differences, over the standard deviation")
POWER = Column("power", "log10 power (0 channels: Gaussian process)")
FREQUENCY = Column("frequency", "frequency")

LAGS = 32  # the last of which are beyond every one of these kernels
SHOWN = 16


def layered(size: Size) -> dict[str, Architecture]:
    """Networks of linear layers: slope 1 makes the activation the identity, which leaves the layer's own effect."""
    width = 4 * size.width
    options: dict[str, Any] = {
        "input": "normal",
        "input_smoothness": 1.0,
        "output": "linear",
        "width": width,
    }
    linear: dict[str, Any] = {"norm": False, "slope": 1.0, **options}
    return {
        "input alone": arch.Flat(depth=1, **linear),
        "2 convolutions": arch.Flat(depth=2, **linear),
        "4 convolutions": arch.Flat(depth=4, **linear),
        "upsampled once": arch.decoder(scales=1, **linear),
        "upsampled twice": arch.decoder(scales=2, **linear),
        "down and up": arch.skip(scales=2, skip=0, **options),
        "down and up, with skips": arch.skip(scales=2, skip=max(1, width // 8), **options),
    }


def layer_kernel(trial: Trial) -> Row:
    """In 1-D. The constant that biases bring is subtracted: it has no lag."""
    network = layered(trial.size)[trial["network"]]
    side = 4 * trial.size.side
    lags = min(LAGS, side // 2)
    sampled = network.monte_carlo_kernel((side,), 48, lags=lags, channels=16, generator=trial.generator())
    varying = sampled.table - sampled.table[-4:].mean()
    line = (varying / varying[0])[: SHOWN + 1]
    return {
        "half": falls_to(line.tolist(), 0.5),
        "rough": float(1 - line[1]),
        "lags": list(range(len(line))),
        "correlation": np.round(line.numpy(), 4).tolist(),
    }


HALF_WAY = Column("half", "lag at which the correlation is 1/2 (pixels)")
ROUGH = Column("rough", "loss of correlation at lag 1")
CORRELATION = Column("correlation", "correlation")

CLAIMS = (
    Claim(
        number=14,
        name="kernels-1d",
        sentence="The kernel of a wide 1-D network is known in closed form: by depth and input smoothness, auto-encoder and conv.",
        source=f"{PAPER}, figure 3a, b",
        varies="conv or auto-encoder, depth, smoothness of the input",
        measures="the closed form on the grid against 64 sampled networks, by lag",
        seconds=20,
        conditions=crossed(network=("conv", "auto-encoder"), depth=DEPTHS, smoothness=(0.0, 2.0)),
        measure=closed_form,
        rules=(
            largest_difference,
            ask(HALF, network="auto-encoder", depth=above(DEPTHS[-1], DEPTHS[0]), smoothness=0.0, least=0.0),
            smooth_input,
        ),
        panels=(closed_and_sampled("conv", 2.0), closed_and_sampled("auto-encoder", 0.0)),
        columns=(DIFFERENCE, STANDARD_ERROR, HALF),
        on_pictures=False,
        supported="the prior of a wide network can be written down: its kernel in closed form is that of sampled networks",
    ),
    Claim(
        number=16,
        name="draws",
        sentence="Draws of a DIP and of the Gaussian process with its kernel look alike.",
        source=f"{PAPER}, figure 4",
        varies="channels of the networks; the Gaussian process",
        measures="power by frequency, and the tails of the differences between neighbours",
        seconds=5,
        conditions=channels,
        measure=draws,
        rules=(same_spectrum, ask(KURTOSIS, channels=LARGEST, least=-0.5, most=0.5)),
        panels=(curves(POWER, "channels", over=FREQUENCY), dots(KURTOSIS, "channels")),
        columns=(KURTOSIS, ROUGHNESS),
        on_pictures=False,
    ),
    Claim(
        number=22,
        name="layers",
        sentence="Convolutions leave the kernel as it is, upsampling stretches it, skips bring short lags back.",
        source=f"{PAPER}, section 4",
        varies="convolutions, upsampling, down and up, skips, in 1-D with smooth input",
        measures="the correlation by lag of 48 sampled networks a seed",
        seconds=10,
        conditions=lambda size: crossed(network=tuple(layered(size))),
        measure=layer_kernel,
        rules=(
            ask(HALF_WAY, network=over("4 convolutions", "input alone"), least=0.9, most=1.1),
            ask(HALF_WAY, network=over("upsampled twice", "upsampled once"), least=1.5),
            ask(ROUGH, network=over("down and up, with skips", "down and up"), least=1.1),
            ask(HALF_WAY, network=over("down and up", "input alone"), least=1.1),
        ),
        panels=(curves(CORRELATION, "network", over=LAG), dots(HALF_WAY, "network")),
        columns=(HALF_WAY, ROUGH),
        on_pictures=False,
    ),
)
