"""One run in a process of its own, started before it is needed: libraries take seconds to load.

It waits for a line that names the run's folder, carries out what ``asked.json`` says there, and ends. Its state is in
``state.json``, its result in ``result.json`` or ``failed.json``; every file is complete when it is there.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesdip.errors import explanation
from bayesdip.snapshot import Snapshot
from bayesdip.studio.asked import COMPARED, Asked
from bayesdip.studio.repeating import ReadAs, command_of, has_std, python_of
from bayesdip.studio.run_files import write_json

if TYPE_CHECKING:
    from bayesdip.cli.options import Options
    from bayesdip.cli.restoring import Run
    from bayesdip.cli.verbs import Prepare

# Seconds between two pictures of a run that goes on, and the largest share of its time that making them may take.
EVERY, SHARE = 0.5, 0.1
# Points of the trace that the page draws.
TRACE = 400


class Display:
    """The progress of a run, written into its folder.

    Parameters
    ----------
    folder : Path
    like : Picture
        What is restored.
    """

    def __init__(self, folder: Path, like: Any) -> None:
        self._folder, self._like = folder, like
        self._trace: list[tuple[int, float]] = []
        self._shown, self._cost, self._pictures = -math.inf, 0.0, 0
        self._layers: list[str] = []
        self._estimate: dict[str, float] | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        now = time.monotonic()
        if snapshot.estimate is not None:
            self._estimate = {"seconds": snapshot.estimate.seconds, "memory": snapshot.estimate.memory}
        if math.isfinite(snapshot.fit):
            self._trace.append((snapshot.step, snapshot.fit))
            if len(self._trace) > TRACE:
                self._trace = self._trace[::2]
        due = now - self._shown >= max(EVERY, self._cost / SHARE)
        if not due and snapshot.estimate is None:
            return
        if snapshot.mean is not None and due:
            from bayesdip.studio.shown import write_live

            std, sample = (None if made is None else made() for made in (snapshot.std, snapshot.sample))
            write_live(self._folder, snapshot.mean(), std, sample, self._like)
            self._pictures += 1
            self._layers = [name for name, part in (("std", std), ("sample", sample)) if part is not None]
        self._shown = time.monotonic()
        self._cost = self._shown - now
        write_json(self._folder / "state.json", self._state(snapshot))

    def _state(self, snapshot: Snapshot) -> dict[str, Any]:
        return {
            "phase": snapshot.phase,
            "step": snapshot.step,
            "steps": snapshot.steps,
            "elapsed": snapshot.elapsed,
            "remaining": snapshot.remaining if math.isfinite(snapshot.remaining) else None,
            "estimate": self._estimate,
            "method": snapshot.method,
            "why": snapshot.why,
            "pictures": self._pictures,
            "layers": self._layers,
            "trace": self._trace,
        }


def prepared(files: Path, folder: Path, asked: Asked) -> tuple[Options, Prepare]:
    """A run as the command line has it: its options, and what makes its work of a picture.

    Parameters
    ----------
    files, folder : Path
        The visitor's folder, and that of the run.
    asked : Asked
    """
    from bayesdip.cli import commands
    from bayesdip.cli.options import Options

    own: dict[str, Any] = dict(asked.own())
    for name in ("mask", "psf"):
        if name in own:
            own[name] = files / str(own[name])
    if asked.mask:
        own["invert_mask"] = asked.invert_mask
    options = Options(
        source=files / asked.picture,
        output=folder / asked.restored,
        std=folder / "std.tif" if has_std(asked) else None,
        report=folder / "report",
        method=asked.method,
        effort=None if asked.effort == "balanced" else asked.effort,
        samples=asked.samples or None,
    )
    return options, getattr(commands, asked.task)(options=options, **own)


def restore(folder: Path, asked: Asked) -> dict[str, Any]:
    """Restore as the command line does, with its own functions; gives the facts for the page."""
    from bayesdip import io
    from bayesdip.cli import restoring
    from bayesdip.studio.limits import check_pixels
    from bayesdip.studio.shown import write_result

    options, prepare = prepared(folder.parent, folder, asked)
    like = io.read_picture(options.source)
    check_pixels(like.grid, asked.factor if asked.task == "upscale" else 1)
    run = restoring.restore(asked.task, options, prepare, command_of(asked), quiet=Display(folder, like))
    found = run.restoration
    facts = write_result(folder, found, like)
    from bayesdip.report.facts import coverage_of, plain

    said = coverage_of(found) if found.std is not None else ""
    facts |= {"summary": plain(found.summary()), "coverage": said, "notes": list(run.notes)}
    facts["files"] = {"picture": asked.restored, "std": "std.tif" if (folder / "std.tif").exists() else None}
    facts["given"] = {role: name for role, (_, name) in asked.files().items()}
    return facts | {"python": python_of(asked, _read_as(run))}


def _read_as(run: Run) -> ReadAs:
    """What the function was told of the files."""
    from bayesdip.cli.restoring import sample_type

    picture, told, mean = run.picture, run.work.run, run.restoration.mean
    given = told.keywords if isinstance(told, partial) else {}
    mask = told.args[1] if isinstance(told, partial) and run.task == "inpaint" else None
    is_whole = picture.pixels.dtype.kind in "ui"
    return ReadAs(
        has_channels=picture.has_channels,
        is_transparent=picture.alpha is not None and bool((picture.alpha == 0).any()),
        by_channel=getattr(mask, "ndim", 0) == 3,
        has_no_data=isinstance(given.get("missing"), float),
        is_compressed=given.get("noise") is not None,
        is_real=is_whole and mean.dtype.kind == "f" and sample_type(run.options, picture) is not None,
    )


def compare(folder: Path, asked: Asked) -> dict[str, Any]:
    """Rank methods on the picture, as ``bayesdip compare`` does; gives the facts for the page."""
    from bayesdip import io
    from bayesdip.cli.compare import problem_arguments
    from bayesdip.cli.options import CompareOptions
    from bayesdip.comparison import compare as comparing
    from bayesdip.comparison.page import DOTS_PER_INCH
    from bayesdip.report.facts import plain

    files, lines = folder.parent, []

    def log(line: str) -> None:
        lines.append(line)
        write_json(folder / "state.json", {"phase": "comparing", "lines": lines[-12:], "pictures": 0})

    picture = io.read_picture(files / asked.picture)
    options = CompareOptions(
        source=files / asked.picture,
        mask=files / asked.mask if asked.mask else None,
        invert_mask=asked.invert_mask if asked.mask else None,
        sigma=asked.sigma or "auto",
        psf=files / asked.psf if asked.psf else None,
        factor=asked.factor if asked.task == "upscale" else None,
        kind=asked.kind,
    )
    found = comparing(
        picture.pixels,
        log=log,
        methods=asked.compared,
        effort="fast",
        time_budget=COMPARED,
        **problem_arguments(options, picture),
    )
    found.figure().savefig(folder / "comparison.png", dpi=DOTS_PER_INCH)
    return {"comparison": plain(found.summary()), "table": found.table()}


def carry_out(folder: Path) -> None:
    """Do what ``asked.json`` says, and leave a result or the one line why there is none."""
    asked = Asked(**json.loads((folder / "asked.json").read_text(encoding="utf-8")))
    try:
        facts = compare(folder, asked) if asked.compares else restore(folder, asked)
    except BaseException as error:
        text = (
            explanation(error)
            or f"a defect of the program ({type(error).__name__}: {error}); please report it"
        )
        if isinstance(error, KeyboardInterrupt):
            text = "stopped before there was a picture"
        write_json(folder / "failed.json", {"text": text.replace(f"{folder.parent}{os.sep}", "")})
        if explanation(error) is None and not isinstance(error, KeyboardInterrupt):
            raise
    else:
        facts |= {"command": command_of(asked)}
        write_json(folder / "result.json", facts)


def _end_with_parent() -> None:
    """The server holds the other end of standard input; when it is gone, so is whoever wanted the result."""
    with suppress(OSError, ValueError):
        sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Load, say so, wait for a folder, carry out."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    import bayesdip.cli.restoring
    import bayesdip.report.content
    import bayesdip.studio.shown  # noqa: F401

    print("ready", flush=True)
    folder = sys.stdin.readline().strip()
    if folder:
        print("begun", flush=True)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        try:
            carry_out(Path(folder))
        except Exception:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(0)  # without waiting for the thread that reads standard input


if __name__ == "__main__":
    main()
