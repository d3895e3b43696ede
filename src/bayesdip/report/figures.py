"""Figures of kernels and of draws from priors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesdip.arch.layerwise import Stage

Array = NDArray[Any]


def kernel_figure(title: str, values: Array, spectrum: Array, stages: Sequence[Stage], lags: int) -> Figure:
    """A kernel three times: over its lags, over its frequencies, and after every layer.

    Parameters
    ----------
    values : ndarray, shape (2 n + 1,) or (2 n + 1, 2 n + 1)
        The kernel at lags ``-n .. n``, lag zero in the middle.
    spectrum : ndarray, shape (k,)
        Power at the frequencies from 0 to 1/2 along one axis.
    stages : sequence of Stage
        What ``arch.layerwise_covariance`` gives.
    lags : int
        How many lags to show of each stage.
    """
    figure = Figure(figsize=(13, max(4.2, 0.16 * len(stages))), layout="constrained")
    over_lags, over_frequencies, by_layer = figure.subplots(1, 3, width_ratios=(1, 1, 1.5))
    _show_lags(over_lags, values)
    frequencies = np.linspace(0, 0.5, len(spectrum))
    over_frequencies.semilogy(frequencies[1:], np.maximum(spectrum[1:], 1e-12))
    over_frequencies.set(title="spectrum", xlabel="frequency (cycles per pixel)", ylabel="power")
    table = np.stack([stage.correlation(lags).numpy() for stage in stages])
    image = by_layer.imshow(table, aspect="auto", vmin=0, vmax=1, interpolation="nearest")
    by_layer.set(title="correlation after each layer", xlabel="lag (pixels of its own grid)")
    names = [f"{'  ' * stage.depth}{stage.label}" for stage in stages]
    by_layer.set_yticks(range(len(stages)), names, fontsize=6, ha="left")
    by_layer.tick_params(axis="y", pad=110, length=0)
    figure.colorbar(image, ax=by_layer, label="correlation")
    figure.suptitle(title)
    return figure


def draws_figure(title: str, rows: Sequence[tuple[str, Array]]) -> Figure:
    """Draws in rows, each row on a scale of its own.

    Parameters
    ----------
    rows : sequence of (name, draws)
        Draws of shape (count, M) or (count, M, N).
    """
    count = max(len(draws) for _, draws in rows)
    figure = Figure(figsize=(1.8 * count + 0.6, 2.0 * len(rows) + 0.5), layout="constrained")
    axes = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, draws) in zip(axes, rows, strict=True):
        low, high = float(draws.min()), float(draws.max())
        for place, draw in zip(line, draws, strict=False):
            if draw.ndim == 1:
                place.plot(draw, linewidth=0.8)
                place.set_ylim(low, high)
            else:
                place.imshow(draw, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            place.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    figure.suptitle(title)
    return figure


def _show_lags(axes: Any, values: Array) -> None:
    reach = len(values) // 2
    if values.ndim == 1:
        axes.plot(np.arange(-reach, reach + 1), values)
        axes.set(title="kernel", xlabel="lag (pixels)", ylabel="covariance")
    else:
        image = axes.imshow(values, extent=(-reach - 0.5, reach + 0.5) * 2, interpolation="nearest")
        axes.set(title="kernel", xlabel="lag (pixels)", ylabel="lag (pixels)")
        axes.figure.colorbar(image, ax=axes, shrink=0.7)
