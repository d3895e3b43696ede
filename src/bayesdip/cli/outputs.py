"""The files that a run shall write: tried before the long part, written after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from bayesdip.cli.resume import KEPT
from bayesdip.cli.shared import Shared
from bayesdip.errors import BayesDipError, FileError
from bayesdip.io import Picture, check_writable
from bayesdip.report import PAGE

STD_SUFFIXES = (".tif", ".tiff", ".npy")


@dataclass(frozen=True)
class Written:
    """Where everything is, once it is written; None for what was not asked for or could not be made."""

    output: Path
    std: Path | None = None
    report: Path | None = None
    resume: Path | None = None


def check_outputs(shared: Shared, picture: Picture, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Raise now what writing would raise later; gives what the output's format cannot keep.

    Raises
    ------
    FileError
        A file exists and ``--force`` was not given, a folder cannot be written, a format
        cannot hold the picture, or two outputs are one file.
    """
    notes = check_writable(shared.output, shared.force, shape=shape, like=picture)
    if shared.std is not None:
        _check_std(shared, shape)
    files = [shared.output, *([shared.std] if shared.std else [])]
    if shared.report is not None:
        files.append(shared.report / PAGE)
        check_folder(shared.report, (PAGE,), shared.force)
    if shared.resume is not None:
        files += [shared.resume / name for name in KEPT]
        check_folder(shared.resume, KEPT, force=True)  # the shelf itself judges what lies there
    places = [file.resolve() for file in files]
    if len(set(places)) < len(places):
        raise FileError("two of the outputs are the same file: expected a name for each; rename one")
    return notes


def _check_std(shared: Shared, shape: tuple[int, ...]) -> None:
    assert shared.std is not None
    if shared.method == "map":
        raise BayesDipError(
            "--std was given with --method map, which has no standard deviation: use gp or sgld"
        )
    if shared.std.suffix.lower() not in STD_SUFFIXES:
        raise FileError(
            f"{shared.std}: a file with the extension {shared.std.suffix!r} holds no floating-point numbers; "
            f"one of {', '.join(STD_SUFFIXES)} is expected: choose another name"
        )
    check_writable(shared.std, shared.force, shape=shape, dtype=np.float32)


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
    """Do every task, even when one before it failed: a long run's result is too dear to lose.

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
