"""A few runs at a time, each in a process of its own; the others wait in line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayesdip.errors import FileError
from bayesdip.processes import cores
from bayesdip.studio.asked import Asked
from bayesdip.studio.limits import MOST_IN_QUEUE, Refused
from bayesdip.studio.run_files import write_json

# Two runs on one core take turns, and the first visitor waits twice as long for the same work.
CORES_EACH = 2
# Seconds that a run has to write its best result after it was asked to stop.
PATIENCE = 120.0
# The program of one run. It restores as the command line does, which this package stands below.
RUNS = "bayesdip.cli.studio_run"
# So many processes that ended while they were loading, and the run is given up.
STARTS = 3
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


@dataclass(eq=False)
class Run:
    """One run of a visitor.

    Attributes
    ----------
    folder : Path
        Inside of the visitor's folder.
    asked : Asked
    state : {"waiting", "running", "done", "failed"}
    """

    folder: Path
    asked: Asked
    state: str = WAITING
    stopping: bool = False
    process: asyncio.subprocess.Process | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        return self.state in (DONE, FAILED)

    def read(self, name: str) -> Any:
        """What a file of the run holds; an empty dict where it is not there yet."""
        with suppress(OSError, ValueError):
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        return {}

    def fail(self, text: str) -> None:
        with suppress(FileError):
            write_json(self.folder / "failed.json", {"text": text})

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class RunQueue:
    """Starts runs in the order in which they were asked for.

    Parameters
    ----------
    places : int, optional
        Runs that go on at a time; None: as many as there are pairs of cores.
    """

    def __init__(self, places: int | None = None) -> None:
        self.places = places or max(1, cores() // CORES_EACH)
        self._waiting: list[Run] = []
        self._running: set[Run] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spare: asyncio.Task[asyncio.subprocess.Process] | None = None

    @property
    def running(self) -> frozenset[Run]:
        """The runs that go on."""
        return frozenset(self._running)

    @property
    def spare(self) -> asyncio.subprocess.Process | None:
        """The process that is ready for the next run; None while it loads."""
        return self._spare.result() if self._spare is not None and self._spare.done() else None

    def prepare(self) -> None:
        """Have a process ready for the next run."""
        if self._spare is None or (self._spare.done() and _is_gone(self._spare)):
            self._spare = asyncio.create_task(self._loaded())

    async def ready(self) -> None:
        """Wait until a process is ready."""
        self.prepare()
        if self._spare is not None:
            await asyncio.shield(self._spare)

    def add(self, run: Run) -> None:
        """Put a run at the end of the line.

        Raises
        ------
        Refused
            The line is full.
        """
        if len(self._waiting) >= MOST_IN_QUEUE:
            raise Refused(f"{MOST_IN_QUEUE} runs wait already: try again in a few minutes", 503)
        write_json(run.folder / "asked.json", run.asked.to_dict())
        self._waiting.append(run)
        self._next()

    def place_of(self, run: Run) -> int:
        """How many runs go before it; 0 once it runs."""
        return self._waiting.index(run) + len(self._running) if run in self._waiting else 0

    def stop(self, run: Run) -> None:
        """End a run with its best result so far; one that waits is taken out of the line."""
        if run in self._waiting:
            self._waiting.remove(run)
            run.fail("stopped before it began")
            self._over(run, FAILED)
        elif not run.is_over and not run.stopping:
            run.stopping = True
            run.signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(PATIENCE, run.signal, signal.SIGKILL)

    async def end(self, run: Run) -> None:
        """End a run at once, without a result; when this returns nobody writes into its folder any more."""
        if run in self._waiting:
            self.stop(run)
        if not run.is_over:
            run.signal(signal.SIGKILL)
            await run.ended.wait()

    async def close(self) -> None:
        """End everything."""
        for run in [*self._waiting, *self._running]:
            await self.end(run)
        if self._spare is not None:
            with suppress(Exception):
                process = await self._spare
                process.kill()
                await process.wait()

    def _next(self) -> None:
        while self._waiting and len(self._running) < self.places:
            run = self._waiting.pop(0)
            run.state = RUNNING
            self._running.add(run)
            task = asyncio.create_task(self._carry_out(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, run: Run) -> None:
        state = FAILED
        try:
            run.process = await self._begun(run)
            self.prepare()
            code = await run.process.wait()
            if run.read("result.json"):
                state = DONE
            elif not run.read("failed.json"):
                run.fail(_ending(code))
        except OSError as error:
            run.fail(f"the run could not be started ({error})")
        finally:
            self._running.discard(run)
            self._over(run, state)
            self._next()

    def _over(self, run: Run, state: str) -> None:
        run.state = state
        run.process = None
        run.ended.set()

    async def _begun(self, run: Run) -> asyncio.subprocess.Process:
        """A loaded process that has been told its folder; one that has ended in the meantime is passed over."""
        for _ in range(STARTS):
            self.prepare()
            assert self._spare is not None
            spare, self._spare = self._spare, None
            process = await spare
            assert process.stdin is not None and process.stdout is not None
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(f"{run.folder}\n".encode())
                await process.stdin.drain()
                if await process.stdout.readline():  # it says so
                    return process
        raise OSError("its process ended while it was loading, again and again")

    async def _loaded(self) -> asyncio.subprocess.Process:
        threads = str(max(1, cores() // self.places))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            RUNS,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)},
            start_new_session=True,  # Ctrl-C in the server's terminal is the server's to answer
        )
        assert process.stdout is not None
        await process.stdout.readline()
        return process


def _is_gone(spare: asyncio.Task[asyncio.subprocess.Process]) -> bool:
    return spare.cancelled() or spare.exception() is not None or spare.result().returncode is not None


def _ending(code: int) -> str:
    """What to say of a process that left neither a result nor a reason."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"the run was ended by {name}, perhaps for want of memory: try a smaller picture"
    return f"the run ended with exit code {code} and no result: please report it"
