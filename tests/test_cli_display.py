"""What is shown on standard error while a run goes on."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from bayesdip.cli.display import (
    AT_THE_NOISE,
    GAUGE_CELLS,
    LiveDisplay,
    PlainDisplay,
    gauge,
    line,
    watching,
)
from bayesdip.snapshot import Estimate, Snapshot


def at(step, fit=1.0, phase="burn-in", steps=100, remaining=75.0, estimate=None):
    return Snapshot(phase, step, steps, 1.0, remaining, fit, estimate)


@pytest.mark.parametrize(
    ("fit", "words"), [(1.04, "there"), (2.7, "above it"), (0.3, "the noise is being fitted")]
)
def test_the_gauge_says_how_the_fit_stands_to_the_noise(fit, words):
    said = gauge(fit, "noise level").plain
    assert f"{fit:.2f} x noise level" in said and words in said
    scale = said.split()[1]
    assert scale.count("=") == pytest.approx(min(fit / 2, 1) * GAUGE_CELLS, abs=1.5)
    assert scale[GAUGE_CELLS // 2] == "|"
    assert scale.endswith(">") == (fit > 2)


def test_the_gauge_takes_ten_percent_for_being_there():
    assert "there" in gauge(1 + AT_THE_NOISE, "noise level").plain


def test_a_plain_line_leaves_out_what_is_not_known():
    assert line(at(35), "noise level") == "burn-in 35/100, fit 1.00 x noise level, 1 min 15 s left"
    assert line(at(35, math.nan, "solve", 0, math.nan), "noise level") == "solve step 35"


def test_without_a_terminal_there_are_few_plain_lines(capsys):
    with watching(label="demo: ") as tell:
        tell(at(1, phase="warm-up"))
        tell(at(5, estimate=Estimate(60.0, 2**20, 100)))
        for step in range(10, 60):
            tell(at(step))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "demo: warm-up 1/100, fit 1.00 x noise level, 1 min 15 s left",
        "demo: estimate: 100 steps, about 1 min 0 s, at most 1 MiB",
        "demo: burn-in 10/100, fit 1.00 x noise level, 1 min 15 s left",
    ]


def test_plain_lines_come_now_and_then(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("bayesdip.cli.display.time.monotonic", lambda: now[0])
    tell = PlainDisplay("noise level")
    for step in range(1, 61):
        now[0] = float(step)
        tell(at(step))
    assert len(capsys.readouterr().err.splitlines()) == 6


def test_on_a_terminal_bar_and_gauge_are_drawn():
    shown = LiveDisplay("noise level")
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    console.print(shown)
    shown(at(35, 1.04))
    console.print(shown)
    shown(at(7, math.nan, "solve", 0, math.nan))
    console.print(shown)
    drawn = console.file.getvalue()
    for words in ("getting ready", "burn-in", "35/100", "1 min 15 s left", "1.04 x noise level", "step 7"):
        assert words in drawn
