"""Claim 15: the posterior of a signal by SGLD, and by the Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from benchmarks.results import Row
from torch import Tensor

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.gp import posterior
from bayesdip.gp.grid_covariance import embed
from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.plots import curves, panels
from bayesdip.lab.problems import Case
from bayesdip.lab.sampling import sample
from bayesdip.lab.statistics import Condition, level
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMA = 0.05
SPREAD = 0.15  # standard deviation of the signal about 1/2


def cells(size: Size) -> list[Cell]:
    return crossed(scales=(1, 2))


def description(task: Task) -> Architecture:
    return arch.skip(scales=task["scales"], width=4 * task.size.width, skip=4)


def measure(task: Task) -> Row:
    """A draw from the prior itself, every fourth pixel of it seen, and a gap in the middle."""
    side = 2 * task.size.side
    network, generator = description(task), task.generator()
    process = embed(network.kernel(dims=1), (side,), constant=False, like=torch.zeros(1).double())
    truth = (0.5 + SPREAD * process.draw((1, 1), generator)[0]).float()[None]
    seen = torch.zeros(side, dtype=torch.bool)
    seen[::4] = True
    seen[3 * side // 8 : 5 * side // 8] = False
    y = (truth + SIGMA * torch.randn(truth.shape, generator=generator)) * seen
    seen_there = seen.expand(y.shape)
    found = sample(network, Case(y, seen_there, truth, ~seen_there & False), SIGMA, task)
    exact = posterior(y[0].double(), Mask(~seen), network.kernel(dims=1), Gaussian(SIGMA), samples=32)
    return _compare(found.mean[0, 0], found.std[0, 0], exact.mean[0], exact.std, truth[0, 0], seen)


def _compare(
    mean: Tensor, std: Tensor, gp_mean: Tensor, gp_std: Tensor | None, truth: Tensor, seen: Tensor
) -> Row:
    side = len(truth)
    gap = slice(7 * side // 16, 9 * side // 16)
    spread = torch.zeros_like(gp_mean) if gp_std is None else gp_std.reshape(gp_mean.shape)
    return {
        "gap_over_data": float((std[gap].mean() / std[seen].mean().clamp_min(1e-6)).log()),
        "mean_correlation": _correlation(mean, gp_mean),
        "std_correlation": _correlation(std, spread),
        "rmse": float((mean - truth).square().mean().sqrt()),
        "gp_rmse": float((gp_mean - truth).square().mean().sqrt()),
        "pixels": list(range(side)),
        **{
            name: np.round(np.asarray(line, dtype=float), 4).tolist()
            for name, line in (
                ("truth", truth),
                ("sgld", mean),
                ("sgld_std", std),
                ("gp", gp_mean),
                ("gp_std", spread),
            )
        },
    }


def _correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack((a.double().flatten(), b.double().flatten())))[0, 1])


def judge(rows: Sequence[Row]) -> list[Condition]:
    return [
        Condition(
            "logarithm of the standard deviation in the gap over that at the data",
            level(rows, "gap_over_data"),
            least=0.0,
        ),
        Condition("correlation of SGLD's mean with the GP's", level(rows, "mean_correlation"), least=0.8),
        Condition(
            "correlation of SGLD's standard deviation with the GP's",
            level(rows, "std_correlation"),
            least=0.5,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    row = max(rows, key=lambda r: (r["seed"] == 0, r["scales"]))
    for number, name in enumerate(("sgld", "gp")):
        mean, std = np.array(row[name]), np.array(row[f"{name}_std"])
        axes[0].plot(row["pixels"], mean, color=f"C{number}", label=name.upper())
        axes[0].fill_between(
            row["pixels"], mean - 2 * std, mean + 2 * std, alpha=0.15, color=f"C{number}", linewidth=0
        )
    axes[0].plot(row["pixels"], row["truth"], "k:", linewidth=1, label="truth")
    axes[0].set(xlabel="pixel", ylabel="mean, two standard deviations")
    axes[0].legend(fontsize=8)
    curves(axes[1], rows, "sgld_std", "scales", "standard deviation by SGLD", over="pixels")
    return figure


CLAIM = Claim(
    number=15,
    name="posterior-1d",
    sentence="SGLD finds the posterior's mean and variance of a 1-D signal: uncertain where data lack.",
    source=f"{PAPER}, figure 3c, d",
    varies="scales of the network; the signal is a draw from its Gaussian process",
    measures="SGLD's posterior mean and standard deviation against the exact ones of the Gaussian process",
    seconds=90,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("gap_over_data", "mean_correlation", "std_correlation", "rmse", "gp_rmse"),
    on_pictures=False,
)
