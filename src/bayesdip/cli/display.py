"""Progress on standard error: the cost first, then where the run stands, and how the fit stands to the noise."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bayesdip.snapshot import Callback, Snapshot, clock

if TYPE_CHECKING:
    from rich.live import Live

# The gauge goes from 0 to twice the noise level; its mark stands in the middle.
GAUGE_CELLS = 40
# Within this share of the noise level a fit counts as being there.
AT_THE_NOISE = 0.1
# Without a terminal, lines at most this often (seconds).
PLAIN_EVERY = 10.0


@contextmanager
def watching(unit: str = "noise level", label: str = "") -> Iterator[Callback]:
    """A callback that shows how far a run is: live on a terminal, else in a few plain lines.

    Parameters
    ----------
    unit : str
        What a fit of 1 stands for.
    label : str
        Put before every line, to tell several runs apart.
    """
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield PlainDisplay(unit, label)
        return
    from rich.live import Live

    shown = LiveDisplay(unit, label)
    with Live(shown, console=console, transient=True, refresh_per_second=8, redirect_stdout=False) as live:
        shown.live = live
        yield shown


@dataclass
class PlainDisplay:
    """A line for the cost, one for each phase, and one now and then."""

    unit: str
    label: str = ""
    phase: str = ""
    told: bool = False
    said: float = field(default_factory=time.monotonic)

    def __call__(self, snapshot: Snapshot) -> None:
        if snapshot.estimate is not None:
            if not self.told:
                self._say(f"estimate: {snapshot.estimate}")
            self.told = True
        elif snapshot.phase == "initial estimate" and not snapshot.steps:
            return  # there before any work that takes time
        elif snapshot.phase != self.phase or time.monotonic() - self.said >= PLAIN_EVERY:
            self.phase = snapshot.phase
            self._say(line(snapshot, self.unit))

    def _say(self, text: str) -> None:
        self.said = time.monotonic()
        print(f"{self.label}{text}", file=sys.stderr, flush=True)


@dataclass
class LiveDisplay:
    """The cost, a bar, and a gauge; drawn again whenever Rich asks."""

    unit: str
    label: str = ""
    live: Live | None = None
    latest: Snapshot | None = None
    told: bool = False

    def __call__(self, snapshot: Snapshot) -> None:
        if snapshot.estimate is None:
            self.latest = snapshot
        elif self.live is not None and not self.told:
            self.told = True
            self.live.console.print(f"{self.label}estimate: {snapshot.estimate}", style="dim")

    def __rich__(self) -> RenderableType:
        if self.latest is None:
            return Text(f"{self.label}getting ready ...", style="dim")
        bar = Table.grid(padding=(0, 1))
        snapshot = self.latest
        known = snapshot.steps > 0
        bar.add_row(
            f"{self.label}{snapshot.phase}",
            ProgressBar(snapshot.steps if known else None, snapshot.step, width=GAUGE_CELLS, pulse=not known),
            count(snapshot),
            left(snapshot),
        )
        if not math.isfinite(snapshot.fit):
            return bar
        return Group(bar, gauge(snapshot.fit, self.unit))


def line(snapshot: Snapshot, unit: str) -> str:
    """One plain line: ``burn-in 350/1000, fit 1.02 x noise level, 2 min left``."""
    if snapshot.phase == "compiling":
        return "compiling, once after an installation"
    fit = f"fit {snapshot.fit:.2f} x {unit}" if math.isfinite(snapshot.fit) else ""
    return ", ".join(part for part in (f"{snapshot.phase} {count(snapshot)}", fit, left(snapshot)) if part)


def count(snapshot: Snapshot) -> str:
    return f"{snapshot.step}/{snapshot.steps}" if snapshot.steps > 0 else f"step {snapshot.step}"


def left(snapshot: Snapshot) -> str:
    return f"{clock(max(snapshot.remaining, 0))} left" if math.isfinite(snapshot.remaining) else ""


def gauge(fit: float, unit: str) -> Text:
    """How the fit stands to the noise: a scale from 0 to twice the noise level, marked in the middle."""
    if fit > 1 + AT_THE_NOISE:
        style, words = "yellow", "above it"
    elif fit < 1 - AT_THE_NOISE:
        style, words = "magenta", "below it: the noise is being fitted"
    else:
        style, words = "green", "there"
    filled = round(min(fit / 2, 1.0) * GAUGE_CELLS)
    middle = GAUGE_CELLS // 2
    scale = "".join("|" if i == middle else "=" if i < filled else "." for i in range(GAUGE_CELLS))
    arrow = ">" if fit > 2 else " "
    return Text.assemble("fit ", (scale + arrow, style), (f" {fit:.2f} x {unit}", "bold"), f" ({words})")
