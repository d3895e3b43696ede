"""Figures made from the rows of a claim, by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdip.lab.results import Row
from bayesdip.lab.statistics import LARGEST, Column, level, where

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What draws the rows of a claim into one pair of axes.
Panel = Callable[["Axes", Sequence[Row]], None]
STEPS = Column("steps", "step")
LINE = 36  # characters of a label in one line, as many as stand along the shorter side of a panel


def figure_of(panels: Sequence[Panel], rows: Sequence[Row]) -> Figure:
    """The panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 4.2 * len(panels), 3.4), layout="constrained")
    for axes, draw in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw(axes, rows)
        axes.grid(alpha=0.3)
    return figure


def values(rows: Sequence[Row], name: str) -> list[Any]:
    """What the column holds, each once, in the order of the rows."""
    return list(dict.fromkeys(row[name] for row in rows if name in row))


def dots(column: Column, by: str, *, line: float | None = None, **chosen: Any) -> Panel:
    """The column's mean over seeds for each value of ``by``, with its 95% interval, one line each.

    Parameters
    ----------
    column : Column
    by : str
    line : float or None
        Where a dotted line is drawn: the value to compare with.
    **chosen
        Only rows with these values count.
    """

    def draw(axes: Axes, rows: Sequence[Row]) -> None:
        labels = values(rows, by)[::-1]
        for place, label in enumerate(labels):
            i = level(rows, column.name, **{by: label}, **chosen)
            axes.errorbar(i.mean, place, xerr=i.half_width, fmt="o", capsize=3, color="C0")
        axes.set_yticks(range(len(labels)), [str(label) for label in labels])
        axes.set(xlabel=_labelled(column, chosen), ylabel=by, ylim=(-0.6, len(labels) - 0.4))
        if line is not None:
            axes.axvline(line, color="gray", linestyle=":")

    return draw


def against(column: Column, by: Column, *, split: str | None = None, line: float | None = None) -> Panel:
    """The column's mean over seeds against the numbers of ``by``, with its 95% interval.

    Parameters
    ----------
    column, by : Column
    split : str or None
        A line of its own for each value of this column.
    line : float or None
        Where a dotted line is drawn: the value to compare with.
    """

    def draw(axes: Axes, rows: Sequence[Row]) -> None:
        for label in [None] if split is None else values(rows, split):
            mine = list(rows) if split is None else where(rows, **{split: label})
            found = sorted(values(mine, by.name))
            intervals = [level(mine, column.name, **{by.name: x}) for x in found]
            means, half_widths = [i.mean for i in intervals], [i.half_width for i in intervals]
            axes.errorbar(found, means, yerr=half_widths, marker="o", capsize=3, label=str(label))
        axes.set(xlabel=by.label, ylabel=_labelled(column, {}))
        if split is not None:
            axes.legend(title=split, fontsize=8, title_fontsize=8)
        if line is not None:
            axes.axhline(line, color="gray", linestyle=":")

    return draw


def curves(column: Column, by: str, *, over: Column = STEPS, log: bool = False, **chosen: Any) -> Panel:
    """A curve for each value of ``by``: the mean over all its rows, and the range between them.

    Parameters
    ----------
    column : Column
    by : str
    over : Column
        The abscissa.
    log : bool
        A logarithmic ordinate.
    **chosen
        Only rows with these values count.
    """

    def draw(axes: Axes, rows: Sequence[Row]) -> None:
        mine = where(rows, **chosen)
        for number, label in enumerate(values(mine, by)):
            own = where(mine, **{by: label})
            length = min(len(row[column.name]) for row in own)
            table = np.array([row[column.name][:length] for row in own], dtype=float)
            x = np.asarray(own[0][over.name][:length], dtype=float)
            axes.plot(x, table.mean(0), label=str(label), color=f"C{number}")
            axes.fill_between(x, table.min(0), table.max(0), alpha=0.15, color=f"C{number}", linewidth=0)
        axes.set(xlabel=over.label, ylabel=_labelled(column, chosen), yscale="log" if log else "linear")
        axes.legend(title=by, fontsize=8, title_fontsize=8)

    return draw


def _labelled(column: Column, chosen: dict[str, Any]) -> str:
    words = [column.label, *(f"{name} {value}" for name, value in chosen.items() if value is not LARGEST)]
    return fill(", ".join(words), LINE)


def to_svg(figure: Figure, title: str) -> str:
    """The figure as SVG text, the same bytes for the same figure."""
    import matplotlib

    out = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": title})
    return out.getvalue()
