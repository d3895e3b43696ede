"""Claim 14: kernels of 1-D networks, in closed form and sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.results import Row

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.plots import curves, panels
from bayesdip.lab.statistics import Condition, Interval, by_seed, difference, falls_to, level

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS = (1, 2, 3)
LAGS = 24


def cells(size: Size) -> list[Cell]:
    return crossed(network=("conv", "auto-encoder"), depth=DEPTHS, smoothness=(0.0, 2.0))


def description(task: Task) -> Architecture:
    width, given = 4 * task.size.width, {"input_smoothness": task["smoothness"], "input": "normal"}
    if task["network"] == "conv":
        return arch.Flat(width=width, depth=task["depth"], norm=False, slope=0.0, output="linear", **given)
    return arch.skip(scales=task["depth"], width=width, skip=0, slope=0.0, output="linear", **given)


def measure(task: Task) -> Row:
    side = 2 * task.size.side
    lags = min(LAGS, side // 2)
    network = description(task)
    sampled = network.monte_carlo_kernel((side,), 64, lags=lags, channels=32, generator=task.generator())
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


def judge(rows: Sequence[Row]) -> list[Condition]:
    worst: dict[int, float] = {}
    for row in rows:
        worst[row["seed"]] = max(worst.get(row["seed"], 0.0), row["difference"])
    deep, shallow = (
        {"network": "auto-encoder", "depth": d, "smoothness": 0.0} for d in (DEPTHS[-1], DEPTHS[0])
    )
    smooth = by_seed(rows, "half", {"network": "conv", "smoothness": 2.0})
    rough = level(rows, "half", network="conv", smoothness=0.0)
    return [
        Condition(
            "closed form against sampled networks: largest difference in correlation over all kernels",
            Interval.of(worst.values()),
            most=0.05,
        ),
        Condition(
            "auto-encoder: half-way lag of 3 scales above that of 1",
            difference(rows, "half", deep, shallow),
            least=0.0,
        ),
        Condition(
            "conv: half-way lag with smooth input above that with white input",
            Interval.of(value - rough.mean for value in smooth.values()),
            least=0.0,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    for place, network in zip(axes, ("conv", "auto-encoder"), strict=True):
        where = {"network": network, "smoothness": 0.0 if network == "auto-encoder" else 2.0}
        curves(place, rows, "closed", "depth", f"correlation, {network}", over="lags", **where)
        for number, depth in enumerate(DEPTHS):
            for row in rows:
                if row["depth"] == depth and all(row[k] == v for k, v in where.items()):
                    place.plot(row["lags"], row["sampled"], ".", markersize=3, color=f"C{number}")
        place.legend(title="depth; dots: sampled", fontsize=8)
        place.set_xlabel("lag (pixels)")
    return figure


CLAIM = Claim(
    number=14,
    name="kernels-1d",
    sentence="The kernel of a wide 1-D network is known in closed form: by depth and input smoothness, auto-encoder and conv.",
    source=f"{PAPER}, figure 3a, b",
    varies="conv or auto-encoder, depth, smoothness of the input",
    measures="the closed form on the grid against 64 sampled networks, by lag",
    seconds=20,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("difference", "standard_error", "half"),
    on_pictures=False,
    lessons={
        "supported": "the prior of a wide network can be written down: its kernel in closed form is that of sampled networks"
    },
)
