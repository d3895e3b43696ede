"""Short work on visitors' files in one other process, which is started again when a file ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from typing import Any, TypeVar

from bayesdip.errors import BayesDipError
from bayesdip.processes import begin_worker, interrupts_ignored
from bayesdip.studio.limits import Refused
from bayesdip.studio.looking import loaded

T = TypeVar("T")
# Seconds for one piece of work: reading 200 MB takes a few.
PATIENCE = 60.0
# Seconds for the process to load libraries, which a busy machine takes long for.
STARTING = 300.0
# The HTTP status that says that the process ended, or took too long.
ENDED = 422


class Aside:
    """One process for short work, one piece after the other."""

    def __init__(self) -> None:
        self._pool = self._new()
        self._turn = asyncio.Lock()

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Carry out ``work(*arguments)`` there.

        Raises
        ------
        BayesDipError
            What it raises; `Refused` where it ended the process or took too long.
        """
        async with self._turn:
            try:
                with interrupts_ignored():
                    ready, future = self._pool.submit(int), self._pool.submit(work, *arguments)
                await asyncio.wait_for(asyncio.wrap_future(ready), STARTING)
                return await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE)
            except (BrokenProcessPool, TimeoutError):
                self.close()
                self._pool = self._new()
                raise Refused(
                    "this could not be looked at (its decoder crashed, or took more than a minute): try another file",
                    ENDED,
                ) from None

    def interrupt(self) -> None:
        """End the work that goes on, if any; its caller is refused."""
        if self._turn.locked():
            self.close()

    def close(self) -> None:
        """End the process."""
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            with suppress(Exception):
                process.kill()

    @staticmethod
    def _new() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, get_context("spawn"), _begin)


def check_shared_memory() -> None:
    """Raise BayesDipError where this machine has no semaphores for a process beside its own, as some containers have not."""
    try:
        get_context("spawn").Lock()
    except OSError as error:
        raise BayesDipError(
            f"the page works in processes of its own, which need shared memory, and this machine refuses it ({error}): let /dev/shm "
            "be written, or use the command line"
        ) from error


def _begin() -> None:
    begin_worker(1)
    loaded()
