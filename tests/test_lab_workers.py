"""Rows measured by several processes: the same numbers, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from multiprocessing import active_children

import psutil
import pytest
import torch

from bayesdip.errors import BayesDipError
from bayesdip.lab.catalogue import named
from bayesdip.lab.claim import Size, Trial
from bayesdip.lab.running import run_claims
from bayesdip.lab.workers import measured

TINY = Size("quick", side=16, width=4, scales=1, steps=3, pictures=1, seeds=2)
COMMAND = [sys.executable, "-c", "from bayesdip.cli import main; main()"]


def all_ended(seconds: float = 30) -> bool:
    """No worker is left; two threads of this process may take a moment to agree on that."""
    end = time.monotonic() + seconds
    while active_children() and time.monotonic() < end:
        time.sleep(0.05)
    return not active_children()


def where(trial: Trial) -> dict[str, int]:
    return {"process": os.getpid(), "threads": torch.get_num_threads(), "seed": trial.seed}


def fail(trial: Trial) -> dict[str, int]:
    raise BayesDipError(f"seed {trial.seed} fails")


def die(trial: Trial) -> dict[str, int]:
    os._exit(1)


def trials(count: int) -> list[Trial]:
    return [Trial({}, seed, TINY) for seed in range(count)]


def untimed(rows):
    return [{k: v for k, v in row.items() if k not in ("seconds", "cpu_seconds")} for row in rows]


def test_each_row_is_measured_once_by_one_thread_of_another_process() -> None:
    found = dict(measured([(where, trial) for trial in trials(5)], jobs=2))
    assert [found[place]["seed"] for place in range(5)] == [0, 1, 2, 3, 4]
    assert {row["threads"] for row in found.values()} == {1}
    assert os.getpid() not in {row["process"] for row in found.values()}
    assert all_ended()


def test_one_job_needs_no_worker() -> None:
    threads = torch.get_num_threads()
    found = dict(measured([(where, trial) for trial in trials(2)], jobs=1))
    assert {row["process"] for row in found.values()} == {os.getpid()}
    assert {row["threads"] for row in found.values()} == {1}
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_jobs(tmp_path) -> None:
    claims = [*named("scales"), *named("layers")]
    alone, together = (
        list(run_claims(claims, TINY, jobs=jobs, folder=tmp_path / str(jobs))) for jobs in (1, 3)
    )
    for claim, results, _ in alone:
        other = next(found for name, found, _ in together if name is claim)
        assert untimed(results.rows) == untimed(other.rows)
        assert results.summary["criteria"] == other.summary["criteria"]
        assert other.environment["threads"] == 1


def test_an_error_in_a_worker_is_raised_and_ends_the_others() -> None:
    with pytest.raises(BayesDipError, match="fails"):
        list(measured([(fail, trial) for trial in trials(4)], jobs=2))
    assert all_ended()


def test_a_caller_that_stops_early_leaves_no_worker() -> None:
    with closing(measured([(where, trial) for trial in trials(4)], jobs=2)) as coming:
        next(coming)
        assert active_children()
    assert all_ended()


def test_a_worker_that_dies_is_one_line() -> None:
    with pytest.raises(BayesDipError, match="fewer --jobs"):
        list(measured([(die, trial) for trial in trials(4)], jobs=2))
    assert all_ended()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_saves_its_rows_and_leaves_no_process(tmp_path, ended_by) -> None:
    command = [*COMMAND, "lab", "run", "bases", "--jobs", "2", "--keep", str(tmp_path)]
    run = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # whoever runs the tests in the background ignores it, and children would do so too
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stderr is not None
    first = run.stderr.readline()  # a row was saved
    workers = psutil.Process(run.pid).children(recursive=True)
    # A terminal sends Ctrl-C to all of its processes.
    os.killpg(run.pid, ended_by) if ended_by == signal.SIGINT else run.kill()
    said = run.stderr.read()
    assert "seed 0" in first and "Traceback" not in said
    assert ("continues from there" in said) == (ended_by == signal.SIGINT)
    assert run.wait(60) == (130 if ended_by == signal.SIGINT else -signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert len(workers) >= 2 and not alive
    saved = json.loads((tmp_path / "quick" / "09-bases.json").read_text())
    assert saved["rows"]
