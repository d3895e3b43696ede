"""A verb for a picture or stack that stays on the disk: Zarr, large TIFF files and hyperstacks."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bayesdip import __version__, io
from bayesdip.batch_processing.journal import Record
from bayesdip.cli.display import PLAIN_EVERY
from bayesdip.cli.method import api_options
from bayesdip.cli.noise_choice import NoiseChoice, parse_if_clear
from bayesdip.cli.options import Options
from bayesdip.cli.summary import DONE, SCHEMA, WIDTH
from bayesdip.cli.verbs import parse_missing
from bayesdip.errors import BayesDipError, one_line
from bayesdip.findings import Finding
from bayesdip.io.raw import is_raw_file
from bayesdip.io.stored import is_stack, is_tiff, is_zarr, open_stored
from bayesdip.snapshot import clock
from bayesdip.tile_processing import Tiled
from bayesdip.tile_processing import tiled as restore_tiled
from bayesdip.tile_processing.tile_restoration import TASKS
from bayesdip.tile_processing.tiled_run import working_folder

# A TIFF file of more pixels is restored in tiles, unless an option is given that only whole pictures have.
LARGE = 4096**2
WHOLE_ONLY = ("report", "resume", "samples", "time_budget")


def takes(options: Options) -> bool:
    """Whether the picture is restored in tiles: Zarr, what has axes of time or depth, what is asked for, and large TIFF files."""
    source = options.source
    if is_zarr(source) or options.output.suffix.lower() == ".zarr" or options.tile_options:
        return True
    if not is_tiff(source) or is_raw_file(source) or options.given(*WHOLE_ONLY):
        return False
    return is_stack(source) or _is_large(source)


def _is_large(path: Path) -> bool:
    try:
        axes = open_stored(path).description.axes
    except BayesDipError:
        return False  # reading it as a whole says what is wrong
    rows = {axis.name: axis.length for axis in axes}
    return rows.get("y", 1) * rows["x"] > LARGE


def carry_out(task: str, options: Options, own: dict[str, Any]) -> None:
    """Run one verb in tiles and say what came of it."""
    _refuse_whole_only(task, options)
    asked = {name: value for name, value in api_options(options).items() if value is not None}
    words = _denoising(own) if task == "denoise" else _inpainting(own, options)
    display = Display()
    try:
        with display.shown():
            found = restore_tiled(
                options.source,
                task,
                output=options.output,
                std=options.std,
                overwrite=options.force,
                begins=display.begins,
                callback=display.ended,
                missing=parse_missing(options.missing, io.Picture(np.zeros((1, 1)))),
                **options.tile_options,
                **words,
                **asked,
            )
    except KeyboardInterrupt:
        if not display.total:
            raise
        print(
            f"bayesdip: interrupted: {display.count} of {display.total} tiles are done, and are kept in "
            f"{one_line(working_folder(options.output))}; the same command goes on from there",
            file=sys.stderr,
        )
        raise SystemExit(130) from None
    typer.echo(as_json(task, options, found) if options.json else as_text(task, options, found))


def _refuse_whole_only(task: str, options: Options) -> None:
    if task not in TASKS:
        raise BayesDipError(
            f"{task} was asked of a picture that is restored in tiles: expected denoise or inpaint; {task} a part of it, saved as a "
            "picture by itself"
        )
    for name in options.given(*WHOLE_ONLY):
        raise BayesDipError(
            f"--{name.replace('_', '-')} was given with a picture that is restored in tiles, which do not have it: expected "
            "denoise or inpaint without it; leave it out"
        )


def _denoising(own: dict[str, Any]) -> dict[str, Any]:
    choice = NoiseChoice.parse(
        own["noise"], own["sigma"], gain=own["gain"], offset=own["offset"], looks=own["looks"]
    )
    if choice.kind == "correlated":
        raise BayesDipError(
            "--noise correlated was given for a picture that is restored in tiles: its covariance is estimated from whole pictures; "
            "leave the noise to be found (--noise auto)"
        )
    if choice.is_estimated and choice.kind != "auto":
        size = "--looks" if choice.kind == "speckle" else "--sigma"
        raise BayesDipError(
            f"--noise {choice.kind} was given for a picture that is restored in tiles, without its size: expected {size} too; give "
            "it, or leave the noise to be found (--noise auto)"
        )
    sigma = choice.facts.get("sigma") if choice.kind in ("auto", "gaussian") else None
    return {"sigma": sigma, "noise": choice.model(io.Picture(np.zeros((1, 1))))}


def _inpainting(own: dict[str, Any], options: Options) -> dict[str, Any]:
    if own["mosaic"] is not None:
        raise BayesDipError(
            "--mosaic was given with a picture that is restored in tiles: expected whole pictures; leave it out, or spread the colours "
            "over three channels, with NaN where one was not seen"
        )
    mask: Any = own["mask"]
    if mask is not None and not is_zarr(mask) and not is_tiff(mask):
        axes = open_stored(options.source, options.axes).description.axes
        mask = io.read_mask(mask, tuple(axis.length for axis in axes if axis.name in "yx"))
    return {
        "mask": mask,
        "invert_mask": own["invert_mask"],
        "sigma": parse_if_clear(own["sigma"]),
        "grow_mask": not own["no_grow"],
    }


@dataclass
class Display:
    """Progress on standard error: what was found, then a bar over the tiles, or a line now and then."""

    total: int = 0
    count: int = 0
    began: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)
    bar: Progress | None = None

    def shown(self) -> Any:
        """To be entered around the run."""
        console = Console(stderr=True, highlight=False)
        if not console.is_terminal:
            return nullcontext()
        columns = (TextColumn("tiles"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        return self.bar

    def begins(self, tiles: int, done: int, findings: Sequence[Finding]) -> None:
        """The sample was looked at."""
        for finding in findings:
            self._say(f"found: {finding.text}")
        before = f", {done} of them done before" if done else ""
        self._say(f"{tiles} tile{'s' * (tiles != 1)} to restore{before}")
        self.total, self.count, self.began = tiles, done, time.monotonic()
        if self.bar is not None:
            self.bar.add_task("tiles", total=tiles, completed=done)

    def ended(self, record: Record) -> None:
        """One more tile."""
        self.count += 1
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.count)
        elif time.monotonic() - self.said >= PLAIN_EVERY or self.count == self.total:
            self._say(f"tiles {self.count}/{self.total}")

    def _say(self, text: str) -> None:
        self.said = time.monotonic()
        write: Callable[[str], None] = (
            (lambda line: self.bar.console.print(line, markup=False))  # type: ignore[union-attr]
            if self.bar is not None
            else (lambda line: print(line, file=sys.stderr, flush=True))
        )
        write(text)


def as_text(task: str, options: Options, found: Tiled) -> str:
    """The summary on one screen."""
    before = f", {found.done_before} of them by an earlier run" if found.done_before else ""
    rows = [
        ("tiles", f"{found.tiles}{before}, in {clock(found.seconds)}"),
        ("method", found.method),
        ("noise", "; ".join(found.noise)),
        ("held-out error", "" if found.held_out is None else f"{found.held_out:.4g}"),
        (
            "coverage",
            ""
            if found.coverage is None
            else f"90% intervals hold {found.coverage:.0%} of the values of a sample",
        ),
        *(("found", finding.text) for finding in found.findings),
        ("written", one_line(found.output)),
        ("std", "" if found.std is None else one_line(found.std)),
    ]
    lines = [f"{DONE[task]} {one_line(options.source)}"]
    for name, value in rows:
        if value:
            lines += textwrap.wrap(f"  {name:<15} {value}", WIDTH, subsequent_indent=" " * 18)
    return "\n".join(lines)


def as_json(task: str, options: Options, found: Tiled) -> str:
    """One JSON object."""
    facts = {
        "schema": SCHEMA,
        "version": __version__,
        "task": task,
        "input": {"path": str(options.source)},
        "files": {"output": str(found.output), "std": None if found.std is None else str(found.std)},
        "tiles": found.tiles,
        "done_before": found.done_before,
        "method": found.method,
        "noise": list(found.noise),
        "held_out_rmse": found.held_out,
        "coverage": found.coverage,
        "seconds": round(found.seconds, 3),
        "memory_of_a_worker": found.memory,
        "findings": [finding.to_dict() for finding in found.findings],
    }
    return json.dumps(facts, allow_nan=False)
