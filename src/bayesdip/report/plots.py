"""Plots as SVG text: small, sharp at any size, and coloured by the page's own style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.report.pictures import coloured

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 18, 44
# More points than this a line cannot show; of each bin the lowest and the highest stay.
MOST_POINTS = 1200
# From this ratio of the largest to the smallest value on, an axis is logarithmic.
LOGARITHMIC_FROM = 3.0


@dataclass(frozen=True)
class Axis:
    """One axis: from data to SVG coordinates, with round ticks."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    @classmethod
    def around(cls, values: Floats, start: float, end: float, *, logarithmic: bool = False) -> Axis:
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        if logarithmic:
            return cls(low / 1.1, high * 1.1, start, end, True)
        margin = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
        return cls(low - margin, high + margin, start, end)

    def place(self, values: Any) -> Floats:
        values = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        if self.logarithmic:
            values = np.log(np.maximum(values, self.low / 10))
            low, high = math.log(low), math.log(high)
        placed: Floats = self.start + (values - low) / (high - low) * (self.end - self.start)
        return placed

    def ticks(self) -> list[float]:
        if not self.logarithmic:
            step = nice_step((self.high - self.low) / 5)
            first = math.ceil(self.low / step - 1e-9)
            return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        finest = (1, 1.2, 1.5, 2, 3, 5, 7) if self.high / self.low < 10 else (1, 2, 5)
        factors = finest if len(decades) < 5 else (1,)
        candidates = [factor * 10.0**decade for decade in decades for factor in factors]
        return [tick for tick in candidates if self.low <= tick <= self.high][:16]


def nice_step(rough: float) -> float:
    """The next of 1, 2, 5, 10, ... at or above ``rough``."""
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(f * magnitude for f in (1, 2, 5, 10) if f * magnitude >= rough * (1 - 1e-9))


def trace_plot(trace: dict[str, list[float]]) -> str:
    """The fit against the noise level (networks), or the solver's residual; empty without either."""
    if len(trace.get("step", [])) < 2:
        return ""
    steps = np.asarray(trace["step"], dtype=np.float64)
    if "fit" in trace:
        return _plot_fit(steps, np.asarray(trace["fit"], dtype=np.float64), trace.get("sampling", []))
    if "residual" in trace:
        residual = np.asarray(trace["residual"], dtype=np.float64)
        return _plot_residual(steps, residual)
    return ""


def _plot_fit(steps: Floats, fit: Floats, sampling: Sequence[float]) -> str:
    x = Axis(steps[0], steps[-1], LEFT, WIDTH - RIGHT)
    wide = _spans_decades(fit)
    y = Axis.around(np.append(fit, 1.0), HEIGHT - BOTTOM, TOP, logarithmic=wide)
    parts, under = [], []
    if any(sampling):
        begin = float(steps[int(np.argmax(np.asarray(sampling) > 0))])
        right = float(x.place(begin))
        height = HEIGHT - TOP - BOTTOM
        under.append(
            f'<rect class="shade" x="{LEFT}" y="{TOP}" width="{right - LEFT:.1f}" height="{height}"/>'
        )
        parts += [
            _text(LEFT + 8, TOP + 16, "burn-in: not counted", "note"),
            _text(WIDTH - RIGHT - 8, TOP + 16, "sampling: counted", "note", anchor="end"),
        ]
    level = float(y.place(1.0))
    parts += [
        f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>',
        _text(WIDTH - RIGHT - 8, level - 6, "noise level", "note", anchor="end"),
        f'<path class="line" d="{path(x, y, steps, fit)}"/>',
    ]
    title = f"Fit by step: {fit[0]:.3g} times the noise level at first, {fit[-1]:.3g} at the end."
    return _framed(x, y, parts, "step", "negative_log_likelihood / noise level", title, under)


def energy_plot(trace: dict[str, list[float]]) -> str:
    """The energy while a chain samples, by step; empty where the run noted none."""
    chosen = np.asarray(trace.get("sampling", []), dtype=np.float64) > 0
    if "energy" not in trace or chosen.sum() < 2:
        return ""
    steps = np.asarray(trace["step"], dtype=np.float64)[chosen]
    energy = np.asarray(trace["energy"], dtype=np.float64)[chosen]
    x = Axis(steps[0], steps[-1], LEFT, WIDTH - RIGHT)
    y = Axis.around(energy, HEIGHT - BOTTOM, TOP)
    parts = [f'<path class="line" d="{path(x, y, steps, energy)}"/>']
    title = f"Energy by step while sampling: {energy[0]:.4g} at first, {energy[-1]:.4g} at the end."
    return _framed(x, y, parts, "step", "energy", title)


def _plot_residual(steps: Floats, residual: Floats) -> str:
    positive = residual[residual > 0]
    if positive.size < 2:
        return ""
    x = Axis(steps[0], steps[-1], LEFT, WIDTH - RIGHT)
    y = Axis.around(positive, HEIGHT - BOTTOM, TOP, logarithmic=True)
    parts = [f'<path class="line" d="{path(x, y, steps, residual)}"/>']
    title = f"Relative residual of the solver by iteration, {residual[-1]:.1e} at the end."
    return _framed(x, y, parts, "iteration", "relative residual", title)


def signal_plot(before: tuple[Floats, Floats], mean: Floats, std: Floats | None, samples: Floats) -> str:
    """A signal: what was seen, the posterior mean, its 90 % interval, and a few samples.

    Parameters
    ----------
    before : pair of arrays, shape (K,)
        Positions on the restored signal's axis, and values; NaN where missing.
    mean, std : arrays, shape (M,)
    samples : array, shape (S, M)
    """
    places = np.arange(len(mean), dtype=np.float64)
    reach = np.zeros_like(mean) if std is None else 1.645 * std
    values = np.concatenate([before[1], mean - reach, mean + reach, samples.ravel()])
    x = Axis(-0.5, len(mean) - 0.5, LEFT, WIDTH - RIGHT)
    y = Axis.around(values, HEIGHT - BOTTOM, TOP)
    parts = []
    if std is not None:
        lower, upper = path(x, y, places, mean - reach), path(x, y, places[::-1], (mean + reach)[::-1])
        parts.append(f'<path class="band" d="{lower} L{upper[1:]} Z"/>')
    parts += [f'<path class="sample" d="{path(x, y, places, sample)}"/>' for sample in samples]
    parts.append(f'<path class="seen" d="{path(x, y, *before)}"/>')
    if len(before[0]) <= 200:
        dots = zip(x.place(before[0]), y.place(before[1]), strict=True)
        parts += [
            f'<circle class="dot" cx="{a:.1f}" cy="{b:.1f}" r="2.5"/>' for a, b in dots if math.isfinite(b)
        ]
    parts.append(f'<path class="line" d="{path(x, y, places, mean)}"/>')
    title = f"A signal of {len(mean)} samples: data, posterior mean and 90 % interval."
    return _framed(x, y, parts, "sample", "value", title)


def path(x: Axis, y: Axis, across: Floats, up: Floats) -> str:
    """An SVG path through the points, broken where a value is not finite."""
    across, up = thinned(across, up)
    pieces, pen_down = [], False
    for a, b in zip(x.place(across), y.place(up), strict=True):
        if math.isfinite(b):
            pieces.append(f"{'L' if pen_down else 'M'}{a:.1f} {b:.1f}")
        pen_down = math.isfinite(b)
    return " ".join(pieces)


def thinned(across: Floats, up: Floats) -> tuple[Floats, Floats]:
    """At most MOST_POINTS points: of each bin the lowest and the highest, so that no peak is lost."""
    if len(up) <= MOST_POINTS:
        return across, up
    kept: list[int] = []
    for part in np.array_split(np.arange(len(up)), MOST_POINTS // 2):
        values = up[part]
        if not np.isfinite(values).any():
            kept.append(int(part[0]))
            continue
        ends = {int(part[np.nanargmin(values)]), int(part[np.nanargmax(values)])}
        kept += sorted(ends)
    return across[kept], up[kept]


def colour_bar(top: float, low: float = 0.0, text: Callable[[float], str] = "{:.4g}".format) -> str:
    """The scale of a map in the colours of the uncertainty, from ``low`` to ``top``."""
    axis = Axis(low, top, 10, 350)
    colours = coloured(np.linspace(0, 1, 24)[None])[0]
    stops = "".join(
        f'<stop offset="{i / 23:.3f}" stop-color="rgb({r},{g},{b})"/>' for i, (r, g, b) in enumerate(colours)
    )
    ticks = "".join(
        f'<line class="tick" x1="{a:.1f}" x2="{a:.1f}" y1="16" y2="21"/>'
        + _text(a, 34, text(tick), "tick-text", anchor="middle")
        for tick, a in ((tick, float(axis.place(tick))) for tick in axis.ticks())
    )
    return (
        f'<svg class="bar" viewBox="0 0 372 40" role="img" aria-label="Colour scale from {escape(text(low))} to {escape(text(top))}">'
        f'<defs><linearGradient id="scale">{stops}</linearGradient></defs>'
        f'<rect x="10" y="2" width="340" height="14" fill="url(#scale)"/>{ticks}</svg>'
    )


def _spans_decades(values: Floats) -> bool:
    positive = values[np.isfinite(values) & (values > 0)]
    return positive.size == values.size > 0 and float(positive.max() / positive.min()) > LOGARITHMIC_FROM


def _framed(
    x: Axis, y: Axis, parts: list[str], across: str, up: str, title: str, under: Sequence[str] = ()
) -> str:
    """Grid, ticks and names around the parts of a plot; ``under`` lies below the grid."""
    floor = HEIGHT - BOTTOM
    grid = []
    for tick, a in ((tick, float(x.place(tick))) for tick in x.ticks()):
        grid.append(f'<line class="tick" x1="{a:.1f}" x2="{a:.1f}" y1="{floor}" y2="{floor + 5}"/>')
        grid.append(_text(a, floor + 18, f"{tick:g}", "tick-text", anchor="middle"))
    for tick, b in ((tick, float(y.place(tick))) for tick in y.ticks()):
        grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{b:.1f}" y2="{b:.1f}"/>')
        grid.append(_text(LEFT - 8, b + 4, f"{tick:g}", "tick-text", anchor="end"))
    names = _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, across, "axis-name", anchor="middle")
    middle = (TOP + floor) / 2
    names += _text(
        14, middle, up, "axis-name", anchor="middle", extra=f' transform="rotate(-90 14 {middle:.1f})"'
    )
    frame = f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>'
    body = "".join([*under, *grid, *parts, frame, names])
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{body}</svg>'


def _text(x: float, y: float, text: str, style: str, anchor: str = "start", extra: str = "") -> str:
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(text)}</text>'
    )
