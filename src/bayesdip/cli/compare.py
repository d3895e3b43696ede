"""``bayesdip compare``: from files to the ranking, and back to files."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from bayesdip import __version__
from bayesdip.cli import verbs
from bayesdip.cli.guard import TYPED
from bayesdip.cli.outputs import check_folder
from bayesdip.cli.summary import SCHEMA, plain
from bayesdip.comparison import Comparison, compare
from bayesdip.comparison.candidates import all_names
from bayesdip.comparison.page import DOTS_PER_INCH, files_of, suffix_for, write_comparison
from bayesdip.errors import BayesDipError, FileError, one_line
from bayesdip.io import Picture, atomic_write, check_mask, read_mask, read_picture, read_psf

FIGURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Request:
    """The options of ``bayesdip compare``, as typed."""

    source: Path
    mask: Path | None
    sigma: str
    psf: Path | None
    factor: int | None
    kind: str
    truth: Path | None
    methods: str
    effort: str
    time_budget: float | None
    rounds: int
    seed: int
    device: str
    figure: Path | None
    report: Path | None
    json: bool
    force: bool


def run(request: Request) -> None:
    """From files to the ranking; whatever can be refused is refused before the long part."""
    picture = read_picture(request.source)
    arguments = problem_arguments(request, picture)
    check_outputs(request, picture)
    for note in picture.notes:
        typer.echo(f"note: {note}", err=True)
    comparison = compare(
        picture.pixels,
        methods=[name for name in request.methods.split(",") if name],
        effort=request.effort,
        time_budget=request.time_budget,
        rounds=request.rounds,
        seed=request.seed,
        device=request.device,
        log=lambda line: print(line, file=sys.stderr, flush=True),
        **arguments,
    )
    write(request, comparison, picture)
    typer.echo(as_json(request, comparison) if request.json else as_text(request, comparison))


def problem_arguments(request: Request, picture: Picture) -> dict[str, Any]:
    """The picture's problem, from files to arrays, by the names of :func:`bayesdip.compare`.

    Raises
    ------
    BayesDipError
        A file is not what it should be, or does not fit the picture.
    """
    sigma = verbs.parse_sigma(request.sigma)
    verbs.check_channels(sigma, picture)
    missing = missing_of(request, picture)
    truth = None if request.truth is None else read_picture(request.truth)
    if truth is not None and truth.pixels.dtype != picture.pixels.dtype:
        raise FileError(
            f"{request.truth}: holds {truth.pixels.dtype} and the picture {picture.pixels.dtype}; "
            "the same type of numbers is expected: save it alike"
        )
    return {
        "mask": missing,
        "sigma": sigma,
        "psf": None if request.psf is None else read_psf(request.psf),
        "factor": request.factor,
        "kind": request.kind,
        "truth": None if truth is None else truth.pixels,
        "channel_axis": verbs.channel_axis(picture),
    }


def missing_of(request: Request, picture: Picture) -> NDArray[np.bool_] | None:
    """White in the mask, and where the picture is transparent; None without either."""
    transparent = None if picture.alpha is None else picture.alpha == 0
    if request.mask is None:
        return transparent if transparent is not None and transparent.any() else None
    missing = read_mask(request.mask, picture.pixels.shape, picture.orientation)
    check_mask(missing, request.mask)
    return missing if transparent is None else missing | transparent


def check_outputs(request: Request, picture: Picture) -> None:
    """Raise now what writing would raise after the long part."""
    if request.figure is not None:
        if request.figure.suffix.lower() not in FIGURES:
            raise BayesDipError(
                f"{request.figure} has an ending that no figure has: expected one of {', '.join(FIGURES)}; rename it"
            )
        check_folder(request.figure.parent, (request.figure.name,), request.force)
    if request.report is not None:
        check_folder(request.report, files_of(all_names(), suffix_for(picture)), request.force)


def write(request: Request, comparison: Comparison, picture: Picture) -> None:
    """Write what was asked for."""
    if request.report is not None:
        write_comparison(
            request.report,
            comparison,
            picture,
            title=f"What to use on {request.source.name}",
            command=shlex.join(["bayesdip", *TYPED.get()]),
            facts=as_json(request, comparison),
            force=request.force,
        )
    if request.figure is not None:
        with atomic_write(request.figure, request.force) as temporary:
            kind = request.figure.suffix[1:].lower()
            comparison.figure().savefig(temporary, format=kind, dpi=DOTS_PER_INCH)


def as_text(request: Request, comparison: Comparison) -> str:
    """The table, what was written, and the sentence at the end."""
    places = [f"  {name:<8} {one_line(place)}" for name, place in written(request).items() if place]
    return "\n".join([comparison.table(), *([""] if places else []), *places, "", comparison.sentence])


def as_json(request: Request, comparison: Comparison) -> str:
    """The one JSON object of ``--json``."""
    facts = {
        "schema": SCHEMA,
        "version": __version__,
        "input": {"path": str(request.source), "dtype": str(comparison.setup.given.dtype)},
        "files": written(request),
        **comparison.summary(),
        "task": "compare",
        "compared": comparison.setup.task,
    }
    return json.dumps(plain(facts), allow_nan=False)


def written(request: Request) -> dict[str, str | None]:
    """Where the files are, None for what was not asked for."""
    places = {"figure": request.figure, "report": request.report}
    return {name: None if place is None else str(place) for name, place in places.items()}
