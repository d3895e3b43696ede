"""The files that a run shall write: tried before the long part, written after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from bayesdip.cli.options import Options
from bayesdip.cli.resume import KEPT
from bayesdip.errors import BayesDipError, FileError
from bayesdip.io import Picture, check_writable
from bayesdip.io.encoding import REAL_SUFFIXES, suffix_of
from bayesdip.methods import Method
from bayesdip.report import PAGE


def outputs(options: Options) -> dict[str, Path | None]:
    """What is to be written where, by the name of the option; None for what was not asked for."""
    page = None if options.report is None else options.report / PAGE
    return {"output": options.output, "std": options.std, "report": page, "resume": options.resume}


def check_outputs(
    options: Options, method: str | Method, picture: Picture, shape: tuple[int, ...]
) -> tuple[str, ...]:
    """Raise now what writing would raise later; gives what the output's format cannot keep.

    Parameters
    ----------
    options : Options
    method : Method or str
        A string is a name that stands for a method with a standard deviation.
    picture : Picture
        What was read.
    shape : tuple of int
        Of the picture that will be written.

    Raises
    ------
    FileError
        A file exists and ``--force`` was not given, a folder cannot be written, a format
        cannot hold the picture, or two outputs are one file.
    BayesDipError
        A standard deviation is asked of a method that has none.
    """
    notes = check_writable(options.output, options.force, shape=shape, like=picture)
    if options.std is not None:
        check_std(options.std, method)
        if suffix_of(options.std) not in REAL_SUFFIXES:
            raise FileError(
                f"{options.std}: a file with the extension {suffix_of(options.std)!r} holds no floating-point numbers; "
                f"one of {', '.join(REAL_SUFFIXES)} is expected: choose another name"
            )
        check_writable(options.std, options.force, shape=shape, dtype=np.float32)
    if options.report is not None:
        check_folder(options.report, (PAGE,), options.force)
    files = [path for name, path in outputs(options).items() if path is not None and name != "resume"]
    if options.resume is not None:
        files += [options.resume / name for name in KEPT]
        check_folder(options.resume, KEPT, force=True)  # whether it may be replaced goes by what lies there
    if len({file.resolve() for file in files}) < len(files):
        raise FileError("two of the outputs are the same file: expected a name for each; rename one")
    return notes


def check_std(std: Path | None, method: str | Method) -> None:
    """Raise if a standard deviation is asked of a method that has none."""
    if std is not None and isinstance(method, Method) and not method.has_std:
        raise BayesDipError(
            f"--std was given with --method {method.name}, which has no standard deviation: expected a method that "
            "has one; use --method auto"
        )


def check_folder(folder: Path, names: tuple[str, ...], force: bool) -> None:
    """Raise unless files of these names can be written into the folder, which may not exist yet.

    Nothing is left behind: a folder that does not exist is tried in the nearest one that does.
    """
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise FileError(f"{existing}: is a file; a folder is expected: choose another name than {folder}")
    for name in names:
        if (folder / name).is_dir():
            raise FileError(
                f"{folder / name}: is a directory; a file is to be written there: choose another folder"
            )
        if (folder / name).exists() and not force:
            raise FileError(
                f"{folder / name}: exists already; a new name is expected: choose another folder, or replace it with --force"
            )
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise FileError(
            f"{folder}: nothing can be written there ({error.strerror}); a writable folder is expected: write elsewhere"
        ) from error


def write_all(tasks: list[Callable[[], object]]) -> None:
    """Do every task, even when one before it failed, so that a long run's result is not lost.

    Raises
    ------
    Exception
        The first error, after the rest is done.
    """
    first: Exception | None = None
    for task in tasks:
        try:
            task()
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
