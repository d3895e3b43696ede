"""Matplotlib figures: the trace of a run, a signal, a colour scale, a kernel, draws from priors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from numpy.typing import NDArray

from bayesdip.report.pictures import COLOUR_MAP, Shown, uri

if TYPE_CHECKING:
    from bayesdip.arch.layerwise import Stage

Array = NDArray[Any]
Floats = NDArray[np.float64]
Trace = dict[str, list[float]]

_PLOT_SIZE, _SCALE_SIZE = (7.2, 3.2), (4.0, 0.5)  # inches
_ESTIMATE, _DATA, _BURN_IN = "#0b62a4", "#b3471d", "#e4e9ee"
# From this ratio of the largest to the smallest value on, an axis is logarithmic.
_LOGARITHMIC_FROM = 3.0
# A longer signal has its band drawn as pixels (an SVG polygon would hold every point), and no dots.
_LONGEST_BAND, _MOST_DOTS = 2000, 200
_CSS_PIXELS_PER_INCH = 96
_NORMAL_90 = 1.645  # half of a normal variable's central 90% interval, in standard deviations


@dataclass(frozen=True)
class Plot:
    """A figure, and what it shows in one sentence for those who cannot see it."""

    figure: Figure
    description: str


def to_svg(figure: Figure, title: str) -> bytes:
    """Return a figure as an SVG file: the same bytes for the same figure and title."""
    out = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": title})
    return out.getvalue()


def show(plot: Plot, kind: Literal["svg", "png"] = "svg") -> Shown:
    """Embed a plot in a page, at its own size; SVG is sharp at any size, PNG shows in every notebook."""
    width, height = (round(_CSS_PIXELS_PER_INCH * inches) for inches in plot.figure.get_size_inches())
    if kind == "svg":
        data = uri(to_svg(plot.figure, plot.description), "svg+xml")
    else:
        out = BytesIO()
        plot.figure.savefig(out, format="png", dpi=_CSS_PIXELS_PER_INCH)
        data = uri(out.getvalue())
    return Shown(data, width, height, plot.description)


def trace_plot(trace: Trace) -> Plot | None:
    """Plot the residual of a network's fit over the noise level, or that of the linear solver, by step.

    Parameters
    ----------
    trace : dict of lists
        ``Restoration.trace``: ``"step"`` with ``"fit"`` (and ``"sampling"``, which is above zero
        after the burn-in) or with ``"residual"``.

    Returns
    -------
    Plot or None
        None where the trace has neither, or fewer than two steps.
    """
    steps = np.asarray(trace.get("step", []), dtype=np.float64)
    if len(steps) < 2 or not ("fit" in trace or "residual" in trace):
        return None
    if "fit" in trace:
        return _fit_plot(steps, np.asarray(trace["fit"], dtype=np.float64), trace.get("sampling", []))
    residual = np.asarray(trace["residual"], dtype=np.float64)
    axes = _axes("iteration", "relative residual")
    axes.plot(steps, np.where(residual > 0, residual, np.nan), color=_ESTIMATE)
    axes.set_yscale("log")
    return Plot(axes.figure, f"Relative residual of the solver by iteration, {residual[-1]:.1e} at the end.")


def _fit_plot(steps: Floats, fit: Floats, sampling: Sequence[float]) -> Plot:
    axes = _axes("step", "rms residual / noise level")
    axes.plot(steps, fit, color=_ESTIMATE)
    axes.axhline(1.0, color=_DATA, linestyle="--", label="noise level")
    if any(sampling):
        begin = steps[int(np.argmax(np.asarray(sampling) > 0))]
        axes.axvspan(steps[0], begin, color=_BURN_IN, label="burn-in: not counted")
    positive = fit[np.isfinite(fit) & (fit > 0)]
    if positive.size == fit.size and positive.max() / positive.min() > _LOGARITHMIC_FROM:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter())  # 2, not 2 x 10^0
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    axes.set_xlim(steps[0], steps[-1])
    axes.legend(frameon=False)
    said = f"Fit by step: {fit[0]:.3g} times the noise level at first, {fit[-1]:.3g} at the end."
    return Plot(axes.figure, said)


def energy_plot(trace: Trace) -> Plot | None:
    """Plot the energy of a chain by step after its burn-in; None where the run noted none."""
    chosen = np.asarray(trace.get("sampling", []), dtype=np.float64) > 0
    if "energy" not in trace or chosen.sum() < 2:
        return None
    energy = np.asarray(trace["energy"], dtype=np.float64)[chosen]
    axes = _axes("step", "energy")
    axes.plot(np.asarray(trace["step"], dtype=np.float64)[chosen], energy, color=_ESTIMATE)
    said = f"Energy by step while sampling: {energy[0]:.4g} at first, {energy[-1]:.4g} at the end."
    return Plot(axes.figure, said)


def signal_plot(
    mean: Floats,
    std: Floats | None = None,
    samples: Floats | None = None,
    data: tuple[Floats, Floats] | None = None,
) -> Plot:
    """Plot a signal: the posterior mean, its 90% interval, a few samples, and the data.

    Parameters
    ----------
    mean : array, shape (M,)
    std : array, shape (M,), optional
    samples : array, shape (S, M), optional
    data : pair of arrays, shape (K,), optional
        Positions of the data on the restored signal's axis, and their values; NaN where missing.
    """
    axes = _axes("sample", "value")
    across = np.arange(len(mean))
    if std is not None:
        reach = _NORMAL_90 * std
        style = {"alpha": 0.2, "linewidth": 0, "rasterized": len(mean) > _LONGEST_BAND}
        axes.fill_between(across, mean - reach, mean + reach, color=_ESTIMATE, label="90% interval", **style)
    for number, sample in enumerate(samples if samples is not None else ()):
        label = "posterior samples" if number == 0 else None
        axes.plot(across, sample, color=_ESTIMATE, alpha=0.35, linewidth=0.7, label=label)
    if data is not None:
        marker = "." if len(data[0]) <= _MOST_DOTS else ""
        axes.plot(*data, color=_DATA, alpha=0.75, linewidth=0.8, marker=marker, label="data")
    axes.plot(across, mean, color=_ESTIMATE, label="estimate" if std is None else "posterior mean")
    axes.set_xlim(-0.5, len(mean) - 0.5)
    axes.legend(frameon=False, fontsize="small", ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
    said = "estimate" if std is None else "posterior mean and 90% interval"
    return Plot(axes.figure, f"A signal of {len(mean)} samples: {'data, ' * (data is not None)}{said}.")


def colour_scale(top: float, low: float = 0.0) -> Plot:
    """Draw the scale of a map in its colours, from ``low`` to ``top``."""
    figure = Figure(figsize=_SCALE_SIZE, layout="constrained")
    axes = figure.subplots()
    ramp = np.linspace(0, 1, 256)[None]
    axes.imshow(ramp, extent=(low, top, 0, 1), aspect="auto", cmap=COLOUR_MAP, interpolation="nearest")
    axes.set_yticks([])
    axes.tick_params(labelsize=8)
    return Plot(figure, f"Colour scale from {low:.4g} to {top:.4g}.")


def _axes(across: str, up: str) -> Any:
    """Return the one pair of axes of a new figure."""
    axes = Figure(figsize=_PLOT_SIZE, layout="constrained").subplots()
    axes.set(xlabel=across, ylabel=up)
    axes.grid(alpha=0.4)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def kernel_figure(title: str, values: Array, spectrum: Array, stages: Sequence[Stage], lags: int) -> Figure:
    """Plot a kernel three times: over its lags, over its frequencies, and after every layer.

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

    Returns
    -------
    matplotlib.figure.Figure
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
    """Show draws in rows, each row on a scale of its own.

    Parameters
    ----------
    rows : sequence of (name, draws)
        Draws of shape (count, M) or (count, M, N).

    Returns
    -------
    matplotlib.figure.Figure
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
