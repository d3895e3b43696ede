"""``batch.jsonl``: one line a picture, written as it is finished, by which a later run knows what is left to do.

The file is also the lock of its folder: the system takes it back when the program that holds it ends, however it ends.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayesdip.errors import FileError, one_line
from bayesdip.folder_lock import Taken, lock

JOURNAL = "batch.jsonl"

Record = dict[str, Any]


@dataclass
class Journal:
    """What was done in a folder.

    Attributes
    ----------
    folder : Path
    latest : dict
        The last record of each output, by its name in the folder.
    written : dict
        By path relative to the folder: the digests of every file that was written there.
    has_lock : bool
        Whether no other program can write here meanwhile; False where the file system has no locks.
    """

    folder: Path
    descriptor: int
    has_lock: bool = True
    latest: dict[str, Record] = field(default_factory=dict)
    written: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, record: Record) -> None:
        """Append a line, in one step, and make sure that it is on the disk."""
        line = (json.dumps(record, allow_nan=False) + "\n").encode("utf-8")
        before = os.fstat(self.descriptor).st_size
        if os.write(self.descriptor, line) < len(line):
            os.ftruncate(self.descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder / JOURNAL))
        os.fsync(self.descriptor)
        self._note(record)

    def relative(self, path: Path) -> str:
        """A path as the journal has it: relative to its folder, so that both can be moved together."""
        try:
            return Path(os.path.relpath(path, self.folder)).as_posix()
        except ValueError:  # on another drive
            return str(path)

    def wrote(self, path: Path) -> bool:
        """Whether the file is, to the byte, one that was written by a run in this folder."""
        digests = self.written.get(self.relative(path), set())
        return bool(digests) and digest_of(path) in digests

    def _note(self, record: Record) -> None:
        for path, digest in [(file["path"], file["sha256"]) for file in record["files"].values()]:
            self.written[path].add(digest)
        self.latest[record["output"]] = record

    def _read(self) -> None:
        """Take up what is there. A line that cannot be read, such as one cut short, is as if it were not there."""
        data = (self.folder / JOURNAL).read_bytes()
        for line in data.splitlines():
            try:
                self._note(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        if data and not data.endswith(b"\n"):
            os.write(self.descriptor, b"\n")


def digest_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's content; empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Lock a folder and read its journal; both are made where they are not there.

    Raises
    ------
    FileError
        Another run has locked it, or it cannot be written.
    """
    file = folder / JOURNAL
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise FileError(
            f"{one_line(file)}: cannot be written ({error.strerror}); a writable folder is expected: write elsewhere"
        ) from error
    try:
        journal = Journal(folder, descriptor, has_lock=_locked(descriptor, folder))
        journal._read()
        yield journal
    finally:
        os.close(descriptor)


def _locked(descriptor: int, folder: Path) -> bool:
    """Lock the file; False where the file system has no locks."""
    try:
        return lock(descriptor)
    except Taken:
        raise FileError(
            f"{one_line(folder)}: another run of bayesdip is writing there; a folder of its own is expected for each "
            "run: wait for it to end, or choose another one"
        ) from None
