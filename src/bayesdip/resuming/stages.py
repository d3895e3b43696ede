"""A run as stages whose results and states are kept in a folder, so that a killed run goes on where it was.

A run without a time budget is a fixed sequence of stages: it asks for the same ones in the same order each time. Run again, it
takes those that are done from the folder, the state of the one that was under way too, and does the rest. What lies
between stages is computed anew. A stage within a stage is numbered below it: ``2``, ``2.1``, ``2.2``, ``3``.

Each stage is one file, written beside its name, brought to the disk, and only then renamed: it is whole or not there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bayesdip.errors import BayesDipError, one_line
from bayesdip.interruption import shall_stop
from bayesdip.resuming.encoding import decoded, encoded

# Seconds between two checkpoints of a stage; and so many times what the last one took, so that they cost 2% at most.
INTERVAL, TIMES_ITS_COST = 20.0, 50.0
# Seconds from which on a result is worth a file: what took less is computed again.
WORTH = 0.5
Key = tuple[int, ...]
T = TypeVar("T")
_NAME = re.compile(r"stage-(\d+(?:\.\d+)*)\.safetensors(\.part)?")


class Clock(Protocol):
    """A run's time, that of the parts it is in included."""

    def times(self) -> list[float]:
        """Seconds since the start of the part and of each whole around it."""

    def go_on_from(self, times: Sequence[float]) -> None:
        """Count on from such seconds."""


class Stages:
    """The stages of one run in a folder, which is locked and holds those of the same request alone.

    Parameters
    ----------
    folder : Path
    clock : Clock
        Of the whole run.

    Attributes
    ----------
    failure : str
        Why the latest checkpoint could not be written; empty if it could.
    resumed : bool
        Whether anything was taken from the folder.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder, self.clock = folder, clock
        self.failure, self.resumed = "", False
        self._files = {_key(path): path for path in folder.iterdir() if _is_whole(path)}
        self._outer: Key = ()
        self._asked = 0

    @contextmanager
    def stage(self, label: str, clock: Clock | None = None) -> Iterator[Stage]:
        """The next stage of the run, or of the stage in which it is asked for.

        Parameters
        ----------
        label : str
            What is done in it; another label than before means that another thing is done.
        clock : Clock, optional
            Of the part of the run that the stage belongs to.

        Yields
        ------
        Stage
        """
        self._asked += 1
        key, outer = (*self._outer, self._asked), (self._outer, self._asked)
        self._outer, self._asked = key, 0
        try:
            yield Stage(self, key, label, clock or self.clock)
        finally:
            self._outer, self._asked = outer

    def read(self, key: Key, label: str, classes: tuple[type, ...], device: str) -> dict[str, Any] | None:
        """What was kept of a stage; None where nothing was. Whatever came after another stage, or one half done, is removed."""
        path = self._files.get(key)
        found = None if path is None else _read(path, classes, device)
        if found is not None and found["label"] != label:
            found = None
            self._remove(lambda other: other >= key)
        if found is not None and not found["done"]:
            self._remove(lambda other: other > key and other[: len(key)] != key)
        self.resumed = self.resumed or found is not None
        return found

    def write(self, key: Key, content: bytes) -> None:
        """Keep a stage. Where that fails the run goes on, and `failure` says why; what was kept before stays."""
        path = self.folder / f"stage-{'.'.join(map(str, key))}.safetensors"
        part = path.with_name(path.name + ".part")
        try:
            write_whole(path, part, content)
        except OSError as error:
            self.failure = error.strerror or str(error)
            with suppress(OSError):
                part.unlink(missing_ok=True)
            return
        self.failure = ""
        self._files[key] = path
        # What the stage is made of counts no more; were this to be cut short, the next run would not ask for it.
        self._remove(lambda other: len(other) > len(key) and other[: len(key)] == key)

    def _remove(self, which: Callable[[Key], bool]) -> None:
        for key in [key for key in self._files if which(key)]:
            with suppress(OSError):
                self._files[key].unlink(missing_ok=True)
            del self._files[key]


class Stage:
    """One stage: what was kept of it, and where its state is to be kept."""

    def __init__(self, stages: Stages, key: Key, label: str, clock: Clock) -> None:
        self.stages, self.key, self.label, self.clock = stages, key, label, clock
        self._next = time.monotonic() + INTERVAL

    def load(self, classes: tuple[type, ...] = (), device: str = "cpu") -> tuple[Any, bool] | None:
        """Its state and whether it is done; None where nothing was kept. The time that it had taken counts as spent."""
        found = self.stages.read(self.key, self.label, classes, device)
        if found is None:
            return None
        self.clock.go_on_from(found["times"])
        return found["value"], found["done"]

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() >= self._next

    def keep(self, value: Any, *, done: bool) -> None:
        """Keep its state, or its result when it is done."""
        began = time.monotonic()
        kept = {"label": self.label, "done": done, "times": self.clock.times(), "value": value}
        self.stages.write(self.key, encoded(kept))
        ended = time.monotonic()
        self._next = ended + max(INTERVAL, TIMES_ITS_COST * (ended - began))


_STAGES: ContextVar[Stages | None] = ContextVar("stages", default=None)


@contextmanager
def kept_in(stages: Stages | None) -> Iterator[None]:
    """Let the stages that are asked for in the block be kept there; None keeps none."""
    token = _STAGES.set(stages)
    try:
        yield
    finally:
        _STAGES.reset(token)


def keeps_stages() -> bool:
    """Whether stages of the run are kept: they follow each other in one thread.

    Returns
    -------
    bool
    """
    return _STAGES.get() is not None


@contextmanager
def next_stage(label: str, clock: Clock | None = None) -> Iterator[Stage | None]:
    """The next stage of the run; None where none are kept."""
    stages = _STAGES.get()
    if stages is None:
        yield None
        return
    with stages.stage(label, clock) as stage:
        yield stage


def kept(
    label: str, compute: Callable[[], T], classes: tuple[type, ...] = (), clock: Clock | None = None
) -> T:
    """What a stage gives: from the folder where it is done, else computed and kept, unless the run was stopped in it.

    Parameters
    ----------
    label : str
        With a time budget the stages of a run are not always the same: it has to tell this one from others like it.
    compute : callable
        Gives values that :func:`~bayesdip.resuming.encoding.encoded` takes, the same each time.
    classes : tuple of type
        The dataclasses that may be among them.
    clock : Clock, optional
        Of the part of the run that the stage belongs to.

    Returns
    -------
    object
    """
    with next_stage(label, clock) as stage:
        if stage is None:
            return compute()
        found = stage.load(classes)
        if found is not None and found[1]:
            value: T = found[0]
            return value
        began = time.monotonic()
        value = compute()
        if time.monotonic() - began >= WORTH and not shall_stop():
            stage.keep(value, done=True)
        return value


def _read(path: Path, classes: tuple[type, ...], device: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = decoded(path.read_bytes(), classes, device)
        if {"label", "done", "times", "value"} <= set(found):
            return found
        raise ValueError("it has no stage in it")
    except (OSError, ValueError, TypeError) as error:
        raise BayesDipError(
            f"{one_line(path)}: cannot be read as a checkpoint ({one_line(error)[:80]}): expected what a run has written "
            "there; remove the folder, and the run begins anew"
        ) from error


def write_whole(path: Path, part: Path, content: bytes) -> None:
    """Write a file under another name, bring it to the disk, and give it its name."""
    with open(part, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def is_checkpoint(path: Path) -> bool:
    """Whether a file has the name of a stage, half written or whole."""
    return _NAME.fullmatch(path.name) is not None


def _is_whole(path: Path) -> bool:
    """Whether it is a stage; what a killed run left half written is removed."""
    name = _NAME.fullmatch(path.name)
    if name is not None and name[2]:
        with suppress(OSError):
            path.unlink()
    return name is not None and not name[2]


def _key(path: Path) -> Key:
    name = _NAME.fullmatch(path.name)
    assert name is not None
    return tuple(map(int, name[1].split(".")))
