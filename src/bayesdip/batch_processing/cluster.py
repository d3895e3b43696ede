"""Tasks by the workers of a Dask cluster, which see the same files as this machine."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import Any

from bayesdip.batch_processing.worker_pool import Failure, Task
from bayesdip.errors import BayesDipError, NoResultError, one_line

# Seconds to wait for the scheduler.
PATIENCE = 15
# So many tasks for each thread of the cluster are sent ahead, and at least so many; they are topped up when half of these, or
# that many more, have ended.
AHEAD, LEAST_AHEAD = 3, 64


def carried_out(tasks: Sequence[Task], address: str, threads: int) -> Generator[tuple[int, Any], None, None]:
    """The result of each task, or its `Failure`, with its place in ``tasks``, as they come.

    The cluster itself tries a task again whose worker died. Closed early, it cancels what is left.

    Parameters
    ----------
    tasks : sequence of callables
        Picklable.
    address : str
        Of the scheduler.
    threads : int
        Of each task.

    Raises
    ------
    BayesDipError
        Dask is not installed, no scheduler answers, or it goes away.
    """
    client, as_completed = _connected(address)
    waiting = iter(enumerate(tasks))
    futures: dict[Any, int] = {}
    coming = as_completed(loop=client.loop)

    def send() -> None:
        """As many as keep the workers busy: the scheduler would hold all of a million tasks."""
        ahead = max(LEAST_AHEAD, AHEAD * sum(client.nthreads().values()))
        for place, task in islice(waiting, max(0, ahead - len(futures))):
            future = client.submit(_attempted, pickle.dumps(task), threads, pure=False)
            futures[future] = place
            coming.add(future)

    try:
        send()
        for future in coming:
            place = futures.pop(future)
            error = future.exception() if future.status != "finished" else None
            found = future.result() if error is None else _failure(error)
            future.release()
            if len(futures) < LEAST_AHEAD / 2 or place % LEAST_AHEAD == 0:
                send()
            yield place, found
    except OSError as error:  # distributed's CommClosedError is one
        raise BayesDipError(
            f"the scheduler at {address} went away ({one_line(error)}): expected it to last; run the same command again, which "
            "goes on from what is done"
        ) from error
    finally:
        client.close(timeout=PATIENCE)


def worker_count(address: str) -> int:
    """How many tasks the cluster carries out at the same time.

    Raises
    ------
    BayesDipError
        As for :func:`carried_out`.
    """
    client, _ = _connected(address)
    try:
        return sum(client.nthreads().values())
    finally:
        client.close(timeout=PATIENCE)


def _connected(address: str) -> tuple[Any, Callable[..., Any]]:
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise BayesDipError(
            "--scheduler was given, and Dask is not installed: expected it for a cluster; pip install 'bayesdip[dask]', or "
            "leave --scheduler out"
        ) from error
    try:
        return Client(address, timeout=PATIENCE, set_as_default=False), as_completed
    except (OSError, ValueError, TimeoutError) as error:
        raise BayesDipError(
            f"no Dask scheduler answers at {address!r} ({one_line(error)[:200]}): expected the address that it printed when it "
            "was started, such as tcp://HOST:8786; check it"
        ) from error


def _failure(error: BaseException) -> Failure:
    """What to say of a task that the cluster gave up."""
    kind = type(error).__name__
    if kind == "KilledWorker":
        said = "its workers ended, again and again, perhaps for want of memory; give them more, or fewer threads each"
        return Failure(said, kind)
    return Failure.of(error)


def _attempted(pickled: bytes, threads: int) -> Any:
    """Runs on the cluster: one task with so many threads."""
    import torch

    torch.set_num_threads(threads)
    try:
        return pickle.loads(pickled)(lambda seconds: None)
    except NoResultError as error:
        if error.reason == "interrupted":
            raise  # the worker is going away: the cluster says so
        return Failure.of(error)
    except Exception as error:
        return Failure.of(error)
