"""What visitors sent, each in a folder of their own that is removed when they are gone."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from bayesdip.studio.asked import Asked
from bayesdip.studio.limits import (
    CLOSED,
    DETACHED,
    IDLE,
    MOST_FILES,
    MOST_RUNS,
    MOST_VISITS,
    MOST_WAITING,
    Refused,
)
from bayesdip.studio.run_queue import Run, RunQueue
from bayesdip.studio.sent_file import SentFile

# Seconds between two looks for visitors that are gone.
SWEEP = 5.0


@dataclass(eq=False)
class Visit:
    """One tab of a browser.

    Attributes
    ----------
    folder : Path
    files : dict of SentFile
        By what the browser calls them.
    runs : dict of Run
    heard : float
        When the browser said something last, by ``time.monotonic``.
    closed : bool
        Whether it said that the tab was closed, and nothing since.
    detached : bool
        Whether runs shall go on without the tab.
    """

    folder: Path
    files: dict[str, SentFile] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    heard: float = field(default_factory=time.monotonic)
    closed: bool = False
    detached: bool = False

    def hear(self) -> None:
        self.heard, self.closed = time.monotonic(), False

    @property
    def is_gone(self) -> bool:
        """Whether nobody is expected to come back."""
        patience = DETACHED if self.detached else CLOSED if self.closed else IDLE
        return time.monotonic() - self.heard > patience

    def keep(self, key: str, file: SentFile) -> None:
        """Keep a file; the oldest go, but the one just sent."""
        self.files[key] = file
        while len(self.files) > MOST_FILES:
            oldest = next(iter(self.files))
            self.files.pop(oldest).path.unlink(missing_ok=True)

    def file(self, key: str) -> SentFile:
        try:
            return self.files[key]
        except KeyError:
            raise Refused("the file is no longer here: send it again", 404) from None

    def run(self, key: str) -> Run:
        try:
            return self.runs[key]
        except KeyError:
            raise Refused("this run is no longer here: start it again", 404) from None

    def begin(self, asked: Asked, queue: RunQueue) -> str:
        """Put a run in the line; gives its key.

        Raises
        ------
        Refused
            The visitor has too many runs in line.
        """
        going = [run for run in self.runs.values() if not run.is_over]
        if len(going) >= MOST_WAITING:
            raise Refused(f"{MOST_WAITING} of your runs are not over yet: stop one first", 429)
        for key in [key for key, run in self.runs.items() if run.is_over][
            : max(0, len(self.runs) - MOST_RUNS + 1)
        ]:
            shutil.rmtree(self.runs.pop(key).folder, ignore_errors=True)
        key = secrets.token_urlsafe(12)
        run = Run(self.folder / f"run-{key}", asked)
        run.folder.mkdir()
        queue.add(run)
        self.runs[key] = run
        return key


class Visits:
    """All visits.

    Parameters
    ----------
    root : Path
        The server's own temporary folder.
    queue : RunQueue
    """

    def __init__(self, root: Path, queue: RunQueue) -> None:
        self._root, self._queue = root, queue
        self._visits: dict[str, Visit] = {}

    def new(self) -> str:
        """A new visit; its key cannot be guessed, and is all that gives access to it.

        Raises
        ------
        Refused
            There are too many.
        """
        if len(self._visits) >= MOST_VISITS:
            raise Refused(f"{MOST_VISITS} visitors are here already: try again in a few minutes", 503)
        key = secrets.token_urlsafe(18)
        folder = self._root / f"visit-{secrets.token_hex(8)}"
        folder.mkdir()
        self._visits[key] = Visit(folder)
        return key

    def get(self, key: str) -> Visit:
        """The visit of that key, which was heard of now.

        Raises
        ------
        Refused
            There is none, or no longer.
        """
        try:
            visit = self._visits[key]
        except KeyError:
            raise Refused("this visit is over and its files are removed: load the page again", 404) from None
        visit.hear()
        return visit

    def close(self, key: str) -> None:
        """The tab was closed, or is being loaded again."""
        if key in self._visits:
            visit = self._visits[key]
            visit.heard, visit.closed = time.monotonic(), True

    async def sweep(self) -> None:
        """Again and again, remove what belongs to visitors that are gone."""
        while True:
            await asyncio.sleep(SWEEP)
            for key in [key for key, visit in self._visits.items() if visit.is_gone]:
                await self.remove(key)

    async def remove(self, key: str) -> None:
        """End a visit: its runs, then its files."""
        visit = self._visits.pop(key)
        for run in visit.runs.values():
            await self._queue.end(run)
        await asyncio.to_thread(shutil.rmtree, visit.folder, True)
