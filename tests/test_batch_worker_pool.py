"""Workers that are killed, hang, fail or cannot start: each costs its task at most, never the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path

import pytest

from bayesdip.batch_processing import worker_pool
from bayesdip.batch_processing.worker_pool import Failure, carried_out
from bayesdip.errors import BayesDipError, NoResultError, ResourceError
from bayesdip.snapshot import Estimate, Snapshot

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


def give(value, tell):
    return value


def where(tell):
    import torch

    tell(7.0)
    return os.getpid(), torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


HELD = []


def hold_a_lock(tell):
    """As numcodecs does, which reads and writes Zarr."""
    HELD.append(get_context().Lock())
    return "held"


def fail(error, tell):
    raise error


def is_first(marker: Path) -> bool:
    """Whether this is the first try; the next one is the second."""
    first = not marker.exists()
    marker.touch()
    return first


def die(marker: Path | None, number: int, tell):
    """Killed at the first try; without a marker at every one."""
    if marker is None or is_first(marker):
        os.kill(os.getpid(), number)
        time.sleep(60)
    return "alive"


def hang(marker: Path | None, tell):
    if marker is None or is_first(marker):
        time.sleep(600)
    return "awake"


def no_room(marker: Path, tell):
    if is_first(marker):
        raise ResourceError("no room")
    return "room"


def results(tasks, workers=2, limit=None, told=lambda place, seconds: None):
    found = dict(carried_out(tasks, workers, 1, limit, told))
    assert not active_children()
    return [found[place] for place in range(len(tasks))]


def test_tasks_are_done_once_in_other_processes_of_one_thread_which_say_what_they_cost():
    told = []
    found = results([where] * 5, told=lambda place, seconds: told.append((place, seconds)))
    assert os.getpid() not in {pid for pid, _, _ in found} and len({pid for pid, _, _ in found}) <= 2
    assert {(threads, variable) for _, threads, variable in found} == {(1, "1")}
    assert sorted(told) == [(place, 7.0) for place in range(5)]


def test_an_error_is_one_line_and_stops_nothing():
    found = results(
        [
            partial(fail, BayesDipError("a\nb")), partial(fail, ZeroDivisionError("by zero")), partial(give, 3),
            partial(fail, NoResultError("too early", "time budget")), lambda tell: 1, partial(give, lambda: 1),
        ],
        workers=1,
    )  # fmt: skip
    assert found[0] == Failure("a b", "BayesDipError") and found[2] == 3
    assert "please report" in found[1].text and "Traceback" in found[1].traceback
    assert found[3] == Failure("too early", "NoResultError")
    assert "cannot be sent to another process" in found[4].text and isinstance(found[5], Failure)


@posix
def test_a_killed_worker_costs_its_task_a_second_try_and_the_others_nothing(tmp_path):
    killed, ended = (partial(die, tmp_path / str(number), number) for number in (9, signal.SIGTERM))
    assert results([killed, partial(give, 1), ended, partial(give, 2)]) == ["alive", 1, "alive", 2]


@posix
def test_a_task_that_kills_every_worker_is_reported(tmp_path):
    found = results([partial(give, 1), partial(die, None, signal.SIGKILL), partial(give, 2)])
    assert found[0] == 1 and found[2] == 2
    assert found[1].kind == "WorkerEnded" and "SIGKILL, 4 times" in found[1].text


@posix
def test_workers_that_are_killed_while_they_load_cost_their_tasks_nothing(monkeypatch):
    started, start = [], worker_pool._Worker.start.__func__

    def killed_twice(kind, threads):
        worker = start(kind, threads)
        started.append(worker)
        if len(started) <= 3:
            worker.process.kill()
        return worker

    monkeypatch.setattr(worker_pool._Worker, "start", classmethod(killed_twice))
    assert results([partial(give, 1), partial(give, 2)], workers=1) == [1, 2]
    assert len(started) == 4


@posix
def test_workers_that_are_always_killed_while_they_load_are_reported(monkeypatch):
    start = worker_pool._Worker.start.__func__

    def killed(kind, threads):
        worker = start(kind, threads)
        worker.process.kill()
        return worker

    monkeypatch.setattr(worker_pool._Worker, "start", classmethod(killed))
    assert "was ended by SIGKILL" in results([partial(give, 1)], workers=1)[0].text


def test_a_worker_that_hangs_is_ended_where_a_limit_is_given(tmp_path):
    found = results([partial(hang, None), partial(hang, tmp_path / "once"), partial(give, 1)], limit=1.0)
    assert found[1:] == ["awake", 1] and "longer than 1 s, 2 times" in found[0].text


def test_a_task_without_room_beside_another_is_tried_again(tmp_path):
    assert results([partial(no_room, tmp_path / "a"), partial(give, 1)]) == ["room", 1]
    assert results([partial(no_room, tmp_path / "b")], workers=1)[0].text == "no room"


def test_a_caller_that_stops_early_leaves_no_worker():
    with closing(carried_out([partial(give, 1), partial(hang, None), partial(hang, None)], 2, 1)) as coming:
        assert next(coming) == (0, 1)
        assert active_children()
    assert not active_children()


HOLDS = """
from test_batch_worker_pool import carried_out, hold_a_lock
if __name__ == "__main__":
    print(*carried_out([hold_a_lock], 1, 1))
"""


def test_locks_of_a_library_in_a_worker_are_no_warning_in_the_end(tmp_path):
    script = tmp_path / "holds.py"
    script.write_text(HOLDS)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    ran = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert (ran.stdout, ran.stderr) == ("(0, 'held')\n", "")


def test_workers_that_cannot_start_are_one_line(monkeypatch):
    monkeypatch.setattr(
        worker_pool, "_serve", sys.exit
    )  # of this process; the worker imports its own by name
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/nowhere/script.py", raising=False)
    with pytest.raises(BayesDipError, match="if __name__ == '__main__'"):
        list(carried_out([partial(give, 1)], 1, 1))
    assert not active_children()


def test_what_compiling_takes_is_not_told_as_what_a_picture_takes():
    cost = Snapshot("estimate", 0, 0, 1.0, 2.0, float("nan"), Estimate(3.0, 0, 0))
    for phases, expected in (["patches"], [3.0]), (["compiling", "patches"], []):
        told = []
        follow = worker_pool.passing_on(told.append)
        for phase in phases:
            follow(Snapshot(phase, 0, 0, 1.0, 2.0, float("nan")))
        follow(cost)
        assert told == expected
