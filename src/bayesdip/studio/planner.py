"""What will run, said before it is started, as long as that keeps nobody waiting."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from bayesdip.studio.aside import ENDED, Aside
from bayesdip.studio.asked import Asked
from bayesdip.studio.limits import MEGA, Refused
from bayesdip.studio.run_queue import RunQueue

# Begins a run as the command line does, which this package stands below.
PLANS = "bayesdip.cli.studio_plan"
# Visitors that wait for an answer, and pixels of a picture that is begun only to be asked: beyond these Start says it.
MOST_WAITING, MOST_PIXELS = 3, 4 * MEGA


class Planner:
    """Asks, in a process of its own.

    Parameters
    ----------
    aside : Aside
    queue : RunQueue
        While runs go on, nothing is begun beside them.
    """

    def __init__(self, aside: Aside, queue: RunQueue) -> None:
        self._aside, self._queue = aside, queue
        self._waiting = 0

    async def ask(self, folder: Path, asked: Asked, pixels: int) -> dict[str, Any]:
        """The method, why it, and about how many seconds it takes; empty where nothing is begun to know it.

        Parameters
        ----------
        folder : Path
            The visitor's.
        asked : Asked
        pixels : int
            Of the result.

        Raises
        ------
        BayesDipError
            The run would be refused.
        """
        if self._queue.running or self._waiting >= MOST_WAITING or pixels > MOST_PIXELS:
            return {}
        self._waiting += 1
        try:
            return await self._aside.do(plan, folder, asked)
        except Refused as error:
            if error.status == ENDED:
                return {}
            raise
        finally:
            self._waiting -= 1

    def give_way(self) -> None:
        """End what is being asked: a run begins, and needs the cores."""
        self._aside.interrupt()


def plan(folder: Path, asked: Asked) -> dict[str, Any]:
    """What the program of `PLANS` says."""
    found: dict[str, Any] = import_module(PLANS).plan(folder, asked)
    return found
