"""``bayesdip compare``: from files to the ranking, and back to files."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from bayesdip import __version__
from bayesdip.cli import verbs
from bayesdip.cli.guard import TYPED
from bayesdip.cli.noise_choice import channel_axis, parse_sigma
from bayesdip.cli.options import CompareOptions
from bayesdip.cli.outputs import check_folder
from bayesdip.cli.summary import SCHEMA
from bayesdip.comparison import Comparison, compare
from bayesdip.comparison.candidates import all_names
from bayesdip.comparison.page import DOTS_PER_INCH, files_of, suffix_for, write_comparison
from bayesdip.errors import BayesDipError, FileError, one_line
from bayesdip.io import Picture, atomic_write, check_mask, mask_of, read_picture, read_psf
from bayesdip.report.facts import plain

FIGURES = (".png", ".svg", ".pdf")


def run(options: CompareOptions) -> None:
    """From files to the ranking; whatever can be refused is refused before the long part."""
    picture = read_picture(options.source)
    arguments = problem_arguments(options, picture)
    check_outputs(options, picture)
    for note in picture.notes:
        typer.echo(f"note: {note}", err=True)
    comparison = compare(
        picture.pixels,
        methods=[name for name in options.methods.split(",") if name],
        effort=options.effort,
        time_budget=options.time_budget,
        rounds=options.rounds,
        seed=options.seed,
        device=options.device,
        log=lambda line: print(line, file=sys.stderr, flush=True),
        **arguments,
    )
    write(options, comparison, picture)
    typer.echo(as_json(options, comparison) if options.json else as_text(options, comparison))


def problem_arguments(options: CompareOptions, picture: Picture) -> dict[str, Any]:
    """The picture's problem, from files to arrays, by the names of :func:`bayesdip.compare`.

    Raises
    ------
    BayesDipError
        A file is not what it should be, or does not fit the picture.
    """
    sigma = parse_sigma(options.sigma)
    missing = missing_of(options, picture)
    truth = None if options.truth is None else read_picture(options.truth)
    if truth is not None and truth.pixels.dtype != picture.pixels.dtype:
        raise FileError(
            f"{options.truth}: holds {truth.pixels.dtype} and the picture {picture.pixels.dtype}; "
            "the same type of numbers is expected: save it alike"
        )
    return {
        "mask": missing,
        "sigma": sigma,
        "psf": None if options.psf is None else read_psf(options.psf),
        "factor": options.factor,
        "kind": options.kind,
        "truth": None if truth is None else truth.pixels,
        "channel_axis": channel_axis(picture),
    }


def missing_of(options: CompareOptions, picture: Picture) -> NDArray[np.bool_] | None:
    """White in the mask, and where the picture is transparent; None without either."""
    transparent = None if picture.alpha is None else picture.alpha == 0
    if options.mask is None:
        return transparent if transparent is not None and transparent.any() else None
    mask = mask_of(options.mask, picture, options.invert_mask)
    check_mask(mask.missing, options.mask)
    for finding in mask.findings:
        typer.echo(f"note: {finding.text}", err=True)
    return mask.missing if transparent is None else verbs.as_channels(mask.missing, transparent)


def check_outputs(options: CompareOptions, picture: Picture) -> None:
    """Raise now what writing would raise after the long part."""
    if options.figure is not None:
        if options.figure.suffix.lower() not in FIGURES:
            raise BayesDipError(
                f"{options.figure} has an ending that no figure has: expected one of {', '.join(FIGURES)}; rename it"
            )
        check_folder(options.figure.parent, (options.figure.name,), options.force)
    if options.report is not None:
        check_folder(options.report, files_of(all_names(), suffix_for(picture)), options.force)


def write(options: CompareOptions, comparison: Comparison, picture: Picture) -> None:
    """Write what was asked for."""
    if options.report is not None:
        write_comparison(
            options.report,
            comparison,
            picture,
            title=f"What to use on {options.source.name}",
            command=shlex.join(["bayesdip", *TYPED.get()]),
            facts=as_json(options, comparison),
            force=options.force,
        )
    if options.figure is not None:
        with atomic_write(options.figure, options.force) as temporary:
            kind = options.figure.suffix[1:].lower()
            comparison.figure().savefig(temporary, format=kind, dpi=DOTS_PER_INCH)


def as_text(options: CompareOptions, comparison: Comparison) -> str:
    """The table, what was written, the sentence, and whether a network pays."""
    places = [f"  {name:<8} {one_line(place)}" for name, place in written(options).items() if place]
    return "\n".join(
        [comparison.table(), *([""] if places else []), *places, "", comparison.sentence, comparison.answer]
    )


def as_json(options: CompareOptions, comparison: Comparison) -> str:
    """The one JSON object of ``--json``."""
    facts = {
        "schema": SCHEMA,
        "version": __version__,
        "input": {"path": str(options.source), "dtype": str(comparison.setup.given.dtype)},
        "files": written(options),
        **comparison.summary(),
        "task": "compare",
        "compared": comparison.setup.task,
    }
    return json.dumps(plain(facts), allow_nan=False)


def written(options: CompareOptions) -> dict[str, str | None]:
    """Where the files are, None for what was not asked for."""
    places = {"figure": options.figure, "report": options.report}
    return {name: None if place is None else str(place) for name, place in places.items()}
