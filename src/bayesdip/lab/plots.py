"""Figures made from the rows of a claim."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.results import Row

from bayesdip.lab.statistics import level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of so many axes in one row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 4.2 * count, 3.4), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def values(rows: Sequence[Row], name: str) -> list[Any]:
    """What the column holds, each once, in the order of the rows."""
    return list(dict.fromkeys(row[name] for row in rows if name in row))


def dots(axes: Axes, rows: Sequence[Row], column: str, by: str, xlabel: str, **where: Any) -> None:
    """The column's mean over seeds for each value of ``by``, with its 95% interval, one line each."""
    labels = values(rows, by)
    for place, label in enumerate(reversed(labels)):
        i = level(rows, column, **{by: label}, **where)
        reach = i.high - i.mean if np.isfinite(i.high) else 0.0
        axes.errorbar(i.mean, place, xerr=reach, fmt="o", capsize=3, color="C0")
    axes.set_yticks(range(len(labels)), [str(label) for label in reversed(labels)])
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.3)


def against(axes: Axes, rows: Sequence[Row], column: str, by: str, label: str = "", **where: Any) -> None:
    """The column's mean over seeds against the numbers of ``by``, with its 95% interval."""
    found = sorted(values([r for r in rows if all(r.get(k) == v for k, v in where.items())], by))
    intervals = [level(rows, column, **{by: x}, **where) for x in found]
    reach = [i.high - i.mean if np.isfinite(i.high) else 0.0 for i in intervals]
    axes.errorbar(found, [i.mean for i in intervals], yerr=reach, marker="o", capsize=3, label=label or None)
    axes.grid(alpha=0.3)


def curves(
    axes: Axes, rows: Sequence[Row], column: str, by: str, ylabel: str, *, over: str = "steps", **where: Any
) -> None:
    """A curve for each value of ``by``: the mean over all its rows, and the range between them."""
    mine = [r for r in rows if all(r.get(k) == v for k, v in where.items())]
    for number, label in enumerate(values(mine, by)):
        chosen = [r for r in mine if r[by] == label]
        length = min(len(r[column]) for r in chosen)
        table = np.array([r[column][:length] for r in chosen], dtype=float)
        x = np.asarray(chosen[0][over][:length], dtype=float)
        axes.plot(x, table.mean(0), label=str(label), color=f"C{number}")
        axes.fill_between(x, table.min(0), table.max(0), alpha=0.15, color=f"C{number}", linewidth=0)
    axes.set(xlabel="step" if over == "steps" else over, ylabel=ylabel)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def to_svg(figure: Figure, title: str) -> str:
    """The figure as SVG text, the same bytes for the same figure."""
    import matplotlib

    out = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": title})
    return out.getvalue()
