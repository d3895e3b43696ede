"""Tasks by several processes of this machine: one that dies or hangs costs its task a second try, and nothing else.

``concurrent.futures`` gives up all tasks when one worker is killed, and does not say which task it had.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context, set_start_method
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from bayesdip.errors import (
    BayesDipError,
    NoResultError,
    ResourceError,
    explanation,
    is_out_of_memory,
    one_line,
)
from bayesdip.processes import begin_worker, interrupts_ignored
from bayesdip.snapshot import Callback, Snapshot

# Called with the seconds that a task will take, once that is known.
Tell = Callable[[float], None]
Task = Callable[[Tell], Any]
# How often a task is tried that hangs, or which found too little memory beside the others.
TRIES = 2
# And how often where the worker was ended from outside: of 500 pictures by workers of which one is killed every 20 s, some are
# met twice.
TRIES_OF_ENDED = 4
# A task that takes so many times the time budget of a picture, and so many seconds more, hangs: reading, compiling and
# writing do not count against a budget.
HANGING, BESIDES = 3.0, 120.0
# What libraries read, when they are loaded, to know how many threads they may use.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
WORKER_ENDED = "WorkerEnded"
READY, TOLD, DONE, ENDED, NEVER_BEGAN = "ready", "told", "done", "ended", "never began"
# So many workers in a row that were ended while they loaded, and no more are started.
STARTS = 5


@dataclass(frozen=True)
class Failure:
    """Why there is no result.

    Attributes
    ----------
    text : str
        One line.
    kind : str
        The name of the error's class.
    traceback : str
        Only where the error is a defect of the program.
    """

    text: str
    kind: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an error is."""
        kind = MemoryError.__name__ if is_out_of_memory(error) else type(error).__name__
        text = explanation(error)
        if text is not None:
            return cls(text, kind)
        said = one_line(f"{kind}: {error}")
        trace = "".join(traceback.format_exception(error))
        return cls(
            f"{said} (a defect of the program: please report it with the traceback in the record)",
            kind,
            trace,
        )

    @property
    def of_memory(self) -> bool:
        """Whether there was, or may have been, too little memory: the system ends a process that takes too much."""
        return self.kind in (MemoryError.__name__, ResourceError.__name__, WORKER_ENDED)


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    place: int = 0
    task: bytes = b""
    since: float = math.inf
    ready: bool = False

    @classmethod
    def start(cls, threads: int) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        with interrupts_ignored(), _thread_variables(threads):
            process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
            process.start()
        theirs.close()  # else its end would not be seen
        return cls(process, ours)

    def take(self, place: int, task: bytes) -> None:
        """A worker that is still loading gets its task when it has loaded: a large one would fill the pipe."""
        self.place, self.task = place, task
        if self.ready:
            self.begin()

    def begin(self) -> None:
        self.ready, self.since = True, time.monotonic()
        with suppress(OSError):  # its end is noticed when it is looked at
            self.connection.send_bytes(self.task)
        self.task = b""

    def end(self, patience: float = 0) -> str:
        """End it, if it has not ended by itself within so many seconds; says how it ended."""
        self.process.join(patience)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        self.connection.close()
        if code is None:
            return "was stopped"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def carried_out(
    tasks: Sequence[Task],
    workers: int,
    threads: int,
    limit: float | None = None,
    told: Callable[[int, float], None] = lambda place, seconds: None,
) -> Generator[tuple[int, Any], None, None]:
    """The result of each task, or its `Failure`, with its place in ``tasks``, as they come.

    Closed early, by an error or by Ctrl-C, it ends its workers at once.

    Parameters
    ----------
    tasks : sequence of callables
        Picklable: functions of a module with their arguments.
    workers : int
        How many at the same time.
    threads : int
        Of each worker.
    limit : float, optional
        Seconds after which a task counts as hanging.
    told : callable
        Called with the place of a task and the seconds that it will take.

    Raises
    ------
    BayesDipError
        No worker can be started.
    """
    waiting, tries, false_starts = deque(range(len(tasks))), Counter[int](), 0
    busy: list[_Worker] = []
    idle: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                place = waiting.popleft()
                data = _pickled(tasks[place])
                if isinstance(data, Failure):
                    yield place, data
                    continue
                tries[place] += 1
                busy.append(idle.pop() if idle else _Worker.start(threads))
                busy[-1].take(place, data)
            for worker in _worth_a_look(busy, limit):
                kind, value = _received(worker, limit)
                if kind == READY:
                    false_starts = 0
                    worker.begin()
                elif kind == TOLD:
                    told(worker.place, value)
                else:
                    busy.remove(worker)
                    if kind == DONE:
                        false_starts = 0
                        idle.append(worker)
                    if kind == NEVER_BEGAN and false_starts < STARTS:
                        false_starts += 1
                        tries[worker.place] -= 1  # it was not the task
                        waiting.appendleft(worker.place)
                        continue
                    if _deserves_another_try(kind, value, workers) and tries[worker.place] < most_tries(
                        value
                    ):
                        waiting.append(worker.place)  # last, when fewer others need memory
                    else:
                        yield worker.place, value
    finally:
        for worker in (*busy, *idle):
            worker.end()


def time_limit(time_budget: float | None) -> float | None:
    """Seconds after which a task of that time budget hangs; None without one."""
    return None if time_budget is None else HANGING * time_budget + BESIDES


def _pickled(task: Task) -> bytes | Failure:
    try:
        return pickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        said = f"it cannot be sent to another process ({one_line(error)}): expected options that can be pickled; "
        return Failure(f"{said}define functions and classes at the top of a module", BayesDipError.__name__)


def most_tries(value: Any) -> int:
    """How often a task is tried that ended so."""
    return TRIES_OF_ENDED if isinstance(value, Failure) and value.kind == WORKER_ENDED else TRIES


def _deserves_another_try(kind: str, value: Any, workers: int) -> bool:
    return kind == ENDED or (workers > 1 and isinstance(value, Failure) and value.of_memory)


def _worth_a_look(busy: list[_Worker], limit: float | None) -> list[_Worker]:
    """Those that have said something, have ended, or have worked for too long; waits for one of these."""
    if not busy:
        return []
    left = None
    if limit is not None:
        first = min(worker.since for worker in busy)
        left = None if math.isinf(first) else max(0.0, first + limit - time.monotonic())
    speaking = wait([worker.connection for worker in busy], left)
    late = -math.inf if limit is None else time.monotonic() - limit
    return [worker for worker in busy if worker.connection in speaking or worker.since <= late]


def _received(worker: _Worker, limit: float | None) -> tuple[str, Any]:
    """What a worker says; of one that ended, or is ended because it hangs, a `Failure` in place of it."""
    if not worker.connection.poll():
        worker.end()
        return ENDED, Failure(f"it took longer than {limit:g} s, {TRIES} times: it hangs", "TimeoutError")
    try:
        kind, value = worker.connection.recv()
        return kind, value
    except (EOFError, OSError, pickle.UnpicklingError):
        how = worker.end(patience=5)
        if not worker.ready and "exit code" in how:
            raise BayesDipError(
                f"a worker process {how} before it could begin: expected a script that is a file and calls batch under "
                "if __name__ == '__main__'; the worker's own message stands above"
            ) from None
        when = (
            f", {TRIES_OF_ENDED} times"
            if worker.ready
            else f" while it loaded the program, {STARTS + 1} times"
        )
        said = f"its worker process {how}{when}, perhaps for want of memory; run again with fewer workers"
        return (ENDED if worker.ready else NEVER_BEGAN), Failure(said, WORKER_ENDED)


@contextmanager
def _thread_variables(threads: int) -> Iterator[None]:
    """Processes started in here find these in their environment before they load anything."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serve(connection: Connection, threads: int) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if "fork" in get_all_start_methods():
        # Locks of libraries, as of numcodecs, then have no name. A named one is left behind by a worker that is killed, and Python warns of it.
        set_start_method("fork", force=True)
    begin_worker(threads)
    connection.send((READY, None))
    while True:
        try:
            data = connection.recv_bytes()
        except (EOFError, OSError):
            return
        answer = attempted(data, lambda seconds: connection.send((TOLD, seconds)))
        try:
            connection.send((DONE, answer))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            connection.send((DONE, Failure.of(error)))


def attempted(pickled: bytes, tell: Tell) -> Any:
    """The result of a pickled task, or its `Failure`; a run that was told to stop ends the process."""
    try:
        return pickle.loads(pickled)(tell)
    except NoResultError as error:
        if error.reason == "interrupted":
            end_this_worker()
        return Failure.of(error)
    except Exception as error:
        return Failure.of(error)


def passing_on(tell: Tell) -> Callback:
    """A callback for a run that tells what it will take, unless it compiles first: no later run does that again."""
    compiles = False

    def follow(snapshot: Snapshot) -> None:
        nonlocal compiles
        compiles = compiles or snapshot.phase == "compiling"
        if snapshot.estimate is not None and not compiles:
            tell(snapshot.estimate.seconds)

    return follow


def end_this_worker() -> None:
    """What a task does whose run was interrupted by a signal to this process alone: it shall be done again elsewhere."""
    os._exit(128 + signal.SIGTERM)
