"""The path that all restoring verbs share: read, check, run, write, tell."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import typer

from bayesdip import io
from bayesdip.cli import summary
from bayesdip.cli.display import watching
from bayesdip.cli.guard import TYPED
from bayesdip.cli.method import api_options, decisive
from bayesdip.cli.options import Options
from bayesdip.cli.outputs import check_outputs, outputs, write_all
from bayesdip.cli.resume import SavedRun, request_of
from bayesdip.cli.verbs import Prepare, Work
from bayesdip.errors import BayesDipError, FileError, one_line
from bayesdip.memory import check_memory
from bayesdip.result import Restoration
from bayesdip.resuming import going_on
from bayesdip.snapshot import Callback

TITLES = {"denoise": "Denoising", "inpaint": "Inpainting", "upscale": "Upscaling", "deblur": "Deblurring"}
# Bytes of a value of the result: the resident memory grew by 43 to 48 while a colour picture of 2400x2400 pixels with one
# scratch was restored in Python. Samples stand in double precision besides.
BYTES_OF_A_VALUE = 48


@dataclass(frozen=True)
class Run:
    """Everything there is to say about one run of a restoring verb.

    Attributes
    ----------
    files : dict
        What is written where, by the name of the option; None for what was not asked for or cannot be made.
    resumed : bool
        Whether the result was taken from the folder of ``--resume``.
    notes : tuple of str
        What was changed on reading, and what the output cannot keep.
    """

    task: str
    options: Options
    picture: io.Picture
    work: Work
    restoration: Restoration
    files: dict[str, Path | None]
    resumed: bool
    notes: tuple[str, ...]


def carry_out(task: str, options: Options, prepare: Prepare) -> None:
    """Run one verb and say what came of it."""
    run = restore(task, options, prepare, shlex.join(["bayesdip", *TYPED.get()]))
    piped = str(options.output) == io.PIPE
    typer.echo(summary.as_json(run) if options.json else summary.as_text(run), err=piped)


def restore(
    task: str,
    options: Options,
    prepare: Prepare,
    command: str,
    label: str = "",
    quiet: Callback | None = None,
    checkpoints: Path | None = None,
) -> Run:
    """Run one verb from file to files; whatever can be refused is refused before the long part.

    Parameters
    ----------
    task : {"denoise", "inpaint", "upscale", "deblur"}
    options : Options
    prepare : callable
        Makes of the picture that was read what is to be done.
    command : str
        The command line that repeats the run, for the report.
    label : str
        Put before every line of the progress.
    quiet : callable, optional
        Is given the progress, and then nothing is printed.
    checkpoints : Path, optional
        Where a run that may be killed keeps its checkpoints; those of another request are replaced.
    """
    asked = api_options(options)
    if options.json and str(options.output) == io.PIPE:
        raise BayesDipError(
            "--json and -o - were both given, and both write to standard output: expected one of them; name a file after -o"
        )
    if options.source.is_dir():
        raise FileError(
            f"{one_line(options.source)}: is a directory; one picture is expected: name a file, or restore all of them with "
            f"bayesdip batch {task} {one_line(options.source)} -o OUT"
        )
    picture = io.read_picture(options.source)
    if picture.volume and options.report is not None:
        raise BayesDipError(
            f"--report was given, and {one_line(options.source)} is a volume: expected a picture; leave it out, or take one slice"
        )
    work = prepare(picture)
    picture = work.colours or picture
    check_room(work.shape, options.samples or 0)
    notes = (*picture.notes, *check_outputs(options, asked["method"], picture, work.shape))
    saved = None
    if options.resume is not None:
        request = request_of(task, picture, work.request, decisive(asked))
        saved = SavedRun(options.resume, request, options.force)
    found = saved.load() if saved else None
    say = partial(_say, quiet is None)
    for note in notes:
        say(note)
    resumed = found is not None
    if saved is not None and not resumed and saved.has_checkpoints:
        say(f"going on from the checkpoints in {one_line(saved.folder)}")
    if found is None:
        display = watching(summary.unit_of_fit(work.exact), label) if quiet is None else nullcontext(quiet)
        with display as callback:
            run_in = partial(work.run, **asked, callback=callback)
            if saved is not None:
                found = saved.carry_out(lambda folder: run_in(resume=folder))
            elif checkpoints is not None:
                found = going_on(checkpoints, lambda folder: run_in(resume=folder), replace=True)
            else:
                found = run_in()
        found = replace(found, findings=(*picture.findings, *work.findings, *found.findings))
    files = outputs(options)
    if options.std is not None and found.std is None:
        files["std"] = None
        notes = (
            *notes,
            f"{options.std.name} is not written: the run ended before it had a standard deviation",
        )
        say(notes[-1])
    if (
        found.mean.dtype.kind == "f"
        and picture.pixels.dtype.kind in "ui"
        and sample_type(options, picture) is None
    ):
        rounded = f"{options.output} holds whole numbers: the restored values were rounded; write .tif or .npy to keep them"
        notes = (*notes, rounded)
        say(rounded)
    run = Run(task, options, picture, work, found, files, resumed, notes)
    write(run, None if resumed else saved, command)
    return run


def _say(aloud: bool, note: str) -> None:
    if aloud:
        typer.echo(f"note: {note}", err=True)


def sample_type(options: Options, picture: io.Picture) -> type[np.float32] | None:
    """The type for real numbers restored from whole ones, where the output's format has one; None for that of the input."""
    return np.float32 if io.holds_real_numbers(options.output, picture) else None


def check_room(shape: tuple[int, ...], samples: int) -> None:
    """Refuse a result that would not fit in memory; the methods check their own work besides."""
    size = " x ".join(map(str, shape))
    what, instead = f"a result of {size}", "restore a part of the picture"
    if samples:
        what, instead = f"{what} with {samples} samples", "ask for fewer --samples, or a smaller picture"
    check_memory(prod(shape) * (BYTES_OF_A_VALUE + 8 * samples), "cpu", what, instead)


def write(run: Run, saved: SavedRun | None, command: str) -> None:
    """Write all files, that of ``--resume`` first: with it, a failure of the others costs only their writing."""
    found, options, std = run.restoration, run.options, run.files["std"]
    tasks: list[Callable[[], object]] = []
    if saved is not None:
        tasks.append(partial(saved.save, found))
    picture = partial(io.write_picture, options.output, found.mean, run.picture, alpha=run.work.alpha)
    if found.mean.dtype.kind == "f" and run.picture.pixels.dtype.kind in "ui":
        picture = partial(picture, dtype=sample_type(options, run.picture))
    tasks.append(partial(picture, force=options.force))
    if std is not None and found.std is not None:
        tasks.append(partial(io.write_std, std, found.std, run.picture, force=options.force))
    if options.report is not None:
        from bayesdip.report import write_report  # 20 ms that a run without a report does not need

        report = partial(
            write_report,
            options.report,
            run.picture.pixels,
            found,
            title=f"{TITLES[run.task]} {options.source.name}",
            task=run.task,
            command=command,
            force=options.force,
            like=run.picture,
            missing=run.work.missing,
        )
        tasks.append(report)
    write_all(tasks)
