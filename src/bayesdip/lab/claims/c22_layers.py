"""Claim 22: what each kind of layer does to the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.results import Row

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.plots import curves, dots, panels
from bayesdip.lab.statistics import Condition, Interval, by_seed, falls_to

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORKS = (
    "input alone",
    "2 convolutions",
    "4 convolutions",
    "upsampled once",
    "upsampled twice",
    "down and up",
    "down and up, with skips",
)
LAGS = 32  # the last of which are beyond every one of these kernels
SHOWN = 16


def cells(size: Size) -> list[Cell]:
    return crossed(network=NETWORKS)


def description(name: str, size: Size) -> Architecture:
    width = 4 * size.width
    given: dict[str, Any] = {"input": "normal", "input_smoothness": 1.0, "output": "linear", "width": width}
    return {
        "input alone": arch.Flat(depth=1, norm=False, slope=1.0, **given),
        "2 convolutions": arch.Flat(depth=2, norm=False, slope=1.0, **given),
        "4 convolutions": arch.Flat(depth=4, norm=False, slope=1.0, **given),
        "upsampled once": arch.decoder(scales=1, slope=1.0, norm=False, **given),
        "upsampled twice": arch.decoder(scales=2, slope=1.0, norm=False, **given),
        "down and up": arch.skip(scales=2, skip=0, **given),
        "down and up, with skips": arch.skip(scales=2, skip=max(1, width // 8), **given),
    }[name]


def measure(task: Task) -> Row:
    """In 1-D. Slope 1 makes the activation the identity: what is left is the layer's own effect.

    The constant that biases bring is taken off: it has no lag.
    """
    network = description(task["network"], task.size)
    side = 4 * task.size.side
    lags = min(LAGS, side // 2)
    sampled = network.monte_carlo_kernel((side,), 48, lags=lags, channels=16, generator=task.generator())
    varying = sampled.table - sampled.table[-4:].mean()
    line = (varying / varying[0])[: SHOWN + 1]
    return {
        "half": falls_to(line.tolist(), 0.5),
        "rough": float(1 - line[1]),
        "lags": list(range(len(line))),
        "correlation": np.round(line.numpy(), 4).tolist(),
    }


def _ratio(rows: Sequence[Row], column: str, a: str, b: str) -> Interval:
    left, right = (by_seed(rows, column, {"network": name}) for name in (a, b))
    return Interval.of(left[s] / right[s] for s in sorted(left.keys() & right.keys()))


def judge(rows: Sequence[Row]) -> list[Condition]:
    up = _ratio(rows, "half", "upsampled twice", "upsampled once")
    conv = _ratio(rows, "half", "4 convolutions", "input alone")
    skips = _ratio(rows, "rough", "down and up, with skips", "down and up")
    return [
        Condition("half-way lag, 4 convolutions over 1 (1: no effect)", conv, least=0.9, most=1.1),
        Condition("half-way lag, upsampled twice over once", up, least=1.5),
        Condition("loss of correlation at lag 1, with skips over without", skips, least=1.1),
        Condition(
            "half-way lag, down and up, over that of the input",
            _ratio(rows, "half", "down and up", "input alone"),
            least=1.1,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    curves(axes[0], rows, "correlation", "network", "correlation", over="lags")
    axes[0].legend(fontsize=6)
    axes[0].set_xlabel("lag (pixels)")
    dots(axes[1], rows, "half", "network", "lag at which the correlation is 1/2")
    return figure


CLAIM = Claim(
    number=22,
    name="layers",
    sentence="Convolutions leave the kernel as it is, upsampling stretches it, skips bring short lags back.",
    source=f"{PAPER}, section 4",
    varies="convolutions, upsampling, down and up, skips, in 1-D with smooth input",
    measures="the correlation by lag of 48 sampled networks a seed",
    seconds=10,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("half", "rough"),
    on_pictures=False,
)
