"""Rows measured side by side: one process and one thread for each at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context

from bayesdip.errors import BayesDipError
from bayesdip.lab.claim import Trial
from bayesdip.lab.results import Row
from bayesdip.processes import begin_worker, interrupts_ignored
from bayesdip.threads import one_thread

Job = tuple[Callable[[Trial], Row], Trial]


def measured(work: Sequence[Job], jobs: int) -> Generator[tuple[int, Row], None, None]:
    """The row of each job with its place in ``work``, as they come.

    Every row is measured by one thread, here or in a worker, so that its numbers do not depend on
    ``jobs``. Closed early, by an error or by Ctrl-C, it ends its workers.

    Parameters
    ----------
    work : sequence of (measure, trial)
        With several jobs ``measure`` must be picklable: a function of a module, or an instance of its classes.
    jobs : int
        How many rows at once; with one there is no worker.

    Raises
    ------
    BayesDipError
        A worker died.
    """
    workers = min(jobs, len(work))
    if workers > 1:
        yield from _by_workers(work, workers)
        return
    with one_thread():
        for place, job in enumerate(work):
            yield place, timed(*job)


def timed(measure: Callable[[Trial], Row], trial: Trial) -> Row:
    """The row, with the seconds that it took on the clock and on the processor."""
    start, cpu_start = time.perf_counter(), time.process_time()
    row = measure(trial)
    return {
        **row,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }


def _by_workers(work: Sequence[Job], workers: int) -> Generator[tuple[int, Row], None, None]:
    others = set(active_children())
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=begin_worker, initargs=(1,))
    try:
        with interrupts_ignored():
            places = {pool.submit(timed, *job): place for place, job in enumerate(work)}
        for done in as_completed(places):
            yield places[done], done.result()
    except BrokenProcessPool as error:
        raise BayesDipError(
            "a worker process ended before its row was measured, perhaps for want of memory: expected all of them to "
            "last; run the same command again with fewer --jobs, which continues from the saved rows"
        ) from error
    finally:
        # After the last row the workers are idle; before it, nobody waits for their result.
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(active_children()) - others:
            worker.terminate()
            worker.join()
