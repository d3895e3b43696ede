"""``bayesdip demo`` as the command line shows it."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from bayesdip.cli import demo
from bayesdip.cli.progress import watching
from bayesdip.cli.summary import SCHEMA, plain, unit_of_fit
from bayesdip.errors import one_line
from bayesdip.progress import clock

WHAT = {
    "denoise": "colour, 256 x 256, noise of sigma 25",
    "inpaint": "gray, 512 x 512, half its pixels and a scratch missing",
}


def show_demo(folder: Path, *, quick: bool, seed: int, as_json: bool) -> None:
    """Run the demo and say what came of it."""
    outcomes = []
    for outcome in demo.run_demo(
        folder, lambda label, exact: watching(unit_of_fit(exact), label), seed=seed, quick=quick
    ):
        outcomes.append(outcome)
        typer.echo(f"{outcome.method} {outcome.task}: {gain(outcome)}", err=True)
    if as_json:
        told = {
            "schema": SCHEMA,
            "task": "demo",
            "folder": str(folder),
            "results": [demo.facts(o) for o in outcomes],
        }
        typer.echo(json.dumps(plain(told), allow_nan=False))
        return
    typer.echo(table(outcomes))
    if any(outcome.restoration.stopped == "interrupted" for outcome in outcomes):
        typer.echo("interrupted: what was done by then is in the table")
    typer.echo(f"Pictures and reports are in {one_line(folder)}; open one of these in a browser:")
    for outcome in outcomes:
        typer.echo(f"  {one_line(outcome.report)}")


def gain(outcome: demo.Outcome) -> str:
    return f"{outcome.before:.2f} dB -> {outcome.after:.2f} dB in {clock(outcome.restoration.seconds)}"


def table(outcomes: list[demo.Outcome]) -> str:
    """PSNR before and after, in columns."""
    lines = []
    for task in dict.fromkeys(outcome.task for outcome in outcomes):
        lines += [f"{task} ({WHAT[task]})", "  method  PSNR before   after    gain      time"]
        lines += [
            f"  {o.method:<6}  {o.before:8.2f} dB {o.after:8.2f} {o.after - o.before:+7.2f} {clock(o.restoration.seconds):>9}"
            for o in outcomes
            if o.task == task
        ]
    return "\n".join(lines)
