"""Claim 16: draws of DIP and of the Gaussian process look alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from benchmarks.results import Row
from torch import Tensor

from bayesdip import arch
from bayesdip.gp.grid_covariance import embed
from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.plots import curves, dots, panels
from bayesdip.lab.statistics import Condition, Interval, by_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWS = 16


def cells(size: Size) -> list[Cell]:
    return [
        *crossed(method=("network",), channels=(size.width // 2, 4 * size.width)),
        *crossed(method=("Gaussian process",), channels=(0,)),
    ]


def measure(task: Task) -> Row:
    """Power by frequency and excess kurtosis of the differences between neighbours, over the draws."""
    draws = _draws(task).double()
    draws = draws - draws.mean((1, 2), keepdim=True)
    draws = draws / draws.std((1, 2), keepdim=True)
    steps = torch.cat([draws.diff(dim=axis).flatten(1) for axis in (1, 2)], dim=1)
    steps = steps / steps.square().mean(1, keepdim=True).sqrt()
    power = _power(draws)
    return {
        "kurtosis": float(steps.pow(4).mean()) - 3,
        "roughness": float(draws.diff(dim=1).square().mean().sqrt()),
        "frequency": list(range(1, len(power) + 1)),
        "power": [float(f"{v:.4g}") for v in power.log10().tolist()],
    }


def _draws(task: Task) -> Tensor:
    """(draws, side, side), before the output's squashing."""
    grid, generator = (task.size.side,) * 2, task.generator()
    width = task["channels"] or 4 * task.size.width
    description = arch.skip(scales=2, width=width, skip=4, output="linear")
    if task["method"] == "Gaussian process":
        process = embed(description.kernel(), grid, constant=True, like=torch.zeros(1).double())
        drawn: Tensor = process.draw((DRAWS, 1), generator)[:, 0]
        return drawn
    with torch.no_grad():
        networks = (description.build(1, generator=generator) for _ in range(DRAWS))
        return torch.stack([n(n.new_input(grid, generator), grid)[0, 0] for n in networks])


def _power(draws: Tensor) -> Tensor:
    """Mean power at the whole frequencies 1, 2, ..., half the side, over directions and draws."""
    side = draws.shape[-1]
    power = torch.fft.fft2(draws).abs().square().mean(0)
    axis = torch.fft.fftfreq(side, 1 / side)
    radius = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt().round().long()
    return torch.stack([power[radius == k].mean() for k in range(1, side // 2)])


def judge(rows: Sequence[Row]) -> list[Condition]:
    wide = max(row["channels"] for row in rows)
    found = {row["seed"]: row["power"] for row in rows if row["channels"] == wide}
    process = {row["seed"]: row["power"] for row in rows if row["method"] == "Gaussian process"}
    apart = [
        sum(abs(a - b) for a, b in zip(found[s], process[s], strict=True)) / len(found[s])
        for s in sorted(found.keys() & process.keys())
    ]
    tails = by_seed(rows, "kurtosis", {"channels": wide})
    return [
        Condition(
            f"{wide} channels: power spectra, mean difference in log10 over frequencies",
            Interval.of(apart),
            most=0.15,
        ),
        Condition(
            f"{wide} channels: excess kurtosis of neighbours' differences (a Gaussian process has 0)",
            Interval.of(tails.values()),
            least=-0.5,
            most=0.5,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    named = [
        {**row, "of": f"network, {row['channels']}" if row["channels"] else "Gaussian process"}
        for row in rows
    ]
    curves(axes[0], named, "power", "of", "log10 power", over="frequency")
    dots(axes[1], named, "kurtosis", "of", "excess kurtosis of neighbours' differences")
    return figure


CLAIM = Claim(
    number=16,
    name="draws",
    sentence="Draws of a DIP and of the Gaussian process with its kernel look alike.",
    source=f"{PAPER}, figure 4",
    varies="channels of the networks; the Gaussian process",
    measures="power by frequency, and the tails of the differences between neighbours",
    seconds=5,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("kurtosis", "roughness"),
    on_pictures=False,
)
