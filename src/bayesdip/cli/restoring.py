"""The path that all restoring verbs share: read, check, run, write, tell."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import typer

from bayesdip import io, pipeline
from bayesdip.cli import summary
from bayesdip.cli.guard import TYPED
from bayesdip.cli.outputs import Written, check_outputs, write_all
from bayesdip.cli.progress import watching
from bayesdip.cli.resume import Shelf, request_of
from bayesdip.cli.shared import Shared
from bayesdip.cli.verbs import Work
from bayesdip.memory import check_memory
from bayesdip.result import Restoration

TITLES = {"denoise": "Denoising", "inpaint": "Inpainting", "upscale": "Upscaling", "deblur": "Deblurring"}


@dataclass(frozen=True)
class Run:
    """Everything there is to say about one run of a restoring verb."""

    task: str
    shared: Shared
    picture: io.Picture
    work: Work
    restoration: Restoration
    written: Written
    resumed: bool
    notes: tuple[str, ...]


def carry_out(task: str, shared: Shared, prepare: Callable[[io.Picture], Work]) -> None:
    """Run one verb from file to files; whatever can be refused is refused before the long part."""
    options = pipeline.Options(**shared.method_options())  # type: ignore[typeddict-item]
    settings = pipeline.settings_of(options)
    picture = io.read_picture(shared.source)
    work = prepare(picture)
    check_room(work.shape, settings.samples)
    notes = (*picture.notes, *check_outputs(shared, picture, work.shape))
    shelf = None
    if shared.resume is not None:
        request = request_of(task, picture, work.request, shared.method_options())
        shelf = Shelf(shared.resume, request, shared.force)
    kept = shelf.take() if shelf else None
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if kept is None:
        with watching(summary.unit_of_fit(work.exact)) as callback:
            options["callback"] = callback
            restoration = work.run(**options)
    else:
        restoration = kept
    places = written(shared, restoration)
    if places.std != shared.std:
        notes = (*notes, f"{shared.std} is not written: the run ended before its second sample")
        typer.echo(f"note: {notes[-1]}", err=True)
    run = Run(task, shared, picture, work, restoration, places, kept is not None, notes)
    write(run, shelf)
    typer.echo(summary.as_json(run) if shared.json else summary.as_text(run))


def check_room(shape: tuple[int, ...], samples: int) -> None:
    """Refuse a result that would not fit in memory; the methods check their own work besides.

    Mean, standard deviation, data and a copy each stand in double precision, and so do the samples.
    """
    what = f"a result of {' x '.join(map(str, shape))} with {samples} samples"
    check_memory(
        8 * prod(shape) * (4 + samples), "cpu", what, "ask for fewer --samples, or a smaller picture"
    )


def written(shared: Shared, restoration: Restoration) -> Written:
    """Where everything will be; the standard deviation nowhere if there is none."""
    std = shared.std if restoration.std is not None else None
    report = None
    if shared.report is not None:
        from bayesdip.report import PAGE

        report = shared.report / PAGE
    return Written(shared.output, std, report, shared.resume)


def write(run: Run, shelf: Shelf | None) -> None:
    """Write all files, the shelf first: with it, a failure of the others costs nothing but their writing."""
    shared, restoration = run.shared, run.restoration
    tasks: list[Callable[[], object]] = []
    if shelf is not None and not run.resumed:
        tasks.append(lambda: shelf.keep(restoration))
    tasks.append(
        lambda: io.write_picture(
            shared.output, restoration.mean, run.picture, shared.force, alpha=run.work.alpha
        )
    )
    std = restoration.best_std
    if run.written.std is not None and std is not None:
        place = run.written.std
        tasks.append(lambda: io.write_picture(place, std, force=shared.force))
    if shared.report is not None:
        folder, command = shared.report, shlex.join(["bayesdip", *TYPED.get()])
        tasks.append(lambda: report_on(run, folder, command))
    write_all(tasks)


def report_on(run: Run, folder: Path, command: str) -> None:
    from bayesdip.report import write_report  # 20 ms that a run without a report does not need

    write_report(
        folder,
        run.picture.pixels,
        run.restoration,
        title=f"{TITLES[run.task]} {run.shared.source.name}",
        task=run.task,
        command=command,
        force=run.shared.force,
        like=run.picture,
        missing=run.work.missing,
    )
