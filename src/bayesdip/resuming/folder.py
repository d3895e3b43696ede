"""The folder of one run's checkpoints: locked while it runs, and bound to what was asked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from bayesdip.errors import BayesDipError, FileError, one_line
from bayesdip.folder_lock import Taken, lock
from bayesdip.resuming.stages import Clock, Stages, is_checkpoint, kept_in, write_whole

REQUEST, LOCK = "request.json", "in-use.lock"
# Of the files: one that is written by another format is refused.
FORMAT = 1
T = TypeVar("T")


class OtherRequestError(BayesDipError):
    """The folder has the checkpoints of a run of another input, other settings or another version."""


class InUseError(FileError):
    """Another run keeps its checkpoints in the folder."""


@contextmanager
def run_folder(folder: Path, request: dict[str, Any], clock: Clock) -> Iterator[Stages]:
    """Keep the stages of a run in a folder, and take from there what an earlier run of the same request has kept.

    Parameters
    ----------
    folder : Path
        Is made where it is not there.
    request : dict
        All that decides the result, as plain JSON values.
    clock : Clock
        Of the run.

    Yields
    ------
    Stages

    Raises
    ------
    OtherRequestError
        Checkpoints of another request are there.
    FileError
        Another run uses the folder, or it cannot be written.
    """
    request = json.loads(json.dumps({"format": FORMAT, **request}))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        try:
            lock(descriptor)
        except Taken:
            raise InUseError(
                f"{one_line(folder)}: another run keeps its checkpoints there; a folder of its own is expected for each run: "
                "wait for it to end, or choose another one"
            ) from None
        _bind(folder, request)
        stages = Stages(folder, clock)
        with kept_in(stages):
            yield stages
    finally:
        os.close(descriptor)


def going_on(folder: Path, run: Callable[[Path], T], replace: bool) -> T:
    """What a run gives that keeps its checkpoints in a folder.

    Parameters
    ----------
    folder : Path
    run : callable
        Is given the folder.
    replace : bool
        Begin anew where it has the checkpoints of another request.

    Returns
    -------
    object
    """
    try:
        return run(folder)
    except OtherRequestError:
        if not replace:
            raise
        remove_checkpoints(folder)
        return run(folder)


def remove_checkpoints(folder: Path) -> None:
    """Remove what a run keeps in a folder, and the folder if nothing else is in it."""
    with suppress(OSError):
        for path in folder.iterdir():
            if is_checkpoint(path) or path.name in (REQUEST, LOCK):
                path.unlink(missing_ok=True)
        folder.rmdir()


def _bind(folder: Path, request: dict[str, Any]) -> None:
    """Write the request; where one is there, it has to be the same."""
    file = folder / REQUEST
    if not file.exists():
        content = json.dumps(request, indent=1).encode("utf-8")
        try:
            write_whole(file, file.with_name(f"{REQUEST}.part"), content)
        except OSError as error:
            raise _unwritable(folder, error) from error
        return
    try:
        there = json.loads(file.read_text(encoding="utf-8"))
        keys = dict.fromkeys([*there, *request])
    except (OSError, ValueError, TypeError) as error:
        raise OtherRequestError(
            f"{one_line(file)}: cannot be read ({type(error).__name__}): expected what a run has written there; remove the "
            "folder, or choose another one"
        ) from error
    differing = [key for key in keys if there.get(key) != request.get(key)]
    if differing:
        words = ", ".join(
            f"{key} is {there.get(key)!r} there, {request.get(key)!r} here" for key in differing[:3]
        )
        raise OtherRequestError(
            f"{one_line(folder)} holds checkpoints of another run ({one_line(words)}): expected the same input, settings and "
            "version, or an empty folder; choose another one, or remove it"
        )


def _unwritable(folder: Path, error: OSError) -> FileError:
    return FileError(
        f"{one_line(folder)}: nothing can be written there ({error.strerror}); a writable folder is expected: choose another"
    )
