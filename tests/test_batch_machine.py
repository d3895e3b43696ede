"""How many workers: as many as cores, pictures and memory allow, and as many threads as the environment says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayesdip import BayesDipError
from bayesdip.batch_processing import machine
from bayesdip.batch_processing.machine import crew, memory_of_a_worker, values_of_largest

GIB = 2**30


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 8)
    monkeypatch.setattr(machine, "available_memory", lambda device: 16 * GIB)
    monkeypatch.setattr(machine, "pick_device", lambda name: "cpu" if name == "auto" else name)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_workers_go_by_cores_pictures_and_memory_and_say_by_which():
    assert str(crew(None, 100, 256**2, "auto")) == "8 workers of 1 thread each (8 cores)"
    assert str(crew(None, 3, 256**2, "auto")) == "3 workers of 1 thread each (3 pictures)"
    large = crew(None, 100, 4 * 10**6, "auto")
    assert large.workers == 16 * GIB // memory_of_a_worker(4 * 10**6, "auto") < 8 and "GiB free" in large.why
    assert crew(None, 100, 4 * 10**6, "sgld").workers < crew(None, 100, 4 * 10**6, "gp").workers
    assert crew(None, 100, 10**9, "auto").workers == 1, "there is always one, which says what does not fit"


def test_threads_of_the_environment_leave_cores_for_fewer_workers(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert (crew(None, 100, 1, "auto").workers, crew(None, 100, 1, "auto").threads) == (2, 4)
    for nonsense in ("0", "many", ""):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert crew(None, 100, 1, "auto").threads == 1


def test_a_graphics_processor_has_one_worker_unless_more_are_asked_for():
    assert crew(None, 100, 1, "sgld", "cuda").workers == 1
    assert crew(2, 100, 1, "sgld", "cuda").workers == 2
    assert crew(20, 5, 1, "auto").workers == 5, "no more than there are pictures"
    with pytest.raises(BayesDipError, match="workers is -1"):
        crew(-1, 5, 1, "auto")


def test_the_largest_file_tells_the_size_and_one_that_is_no_picture_nothing(tmp_path):
    for name, shape in (("a.npy", (4, 5)), ("b.npy", (40, 50, 3))):
        np.save(tmp_path / name, np.zeros(shape))
    assert values_of_largest([tmp_path / "a.npy", tmp_path / "b.npy"]) == 6000
    (tmp_path / "c.npy").write_bytes(b"x" * 10**6)
    assert values_of_largest([tmp_path / "a.npy", tmp_path / "c.npy"]) == 0
    assert values_of_largest([Path("nowhere.npy")]) == 0
