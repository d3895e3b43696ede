"""Head to head: what each peer is given, and where it is ahead."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import peers
from benchmarks.peers_worker import FACTOR, PEERS, Task


@pytest.mark.parametrize("name", peers.ALL)
@pytest.mark.parametrize("picture", ["camera", "astronaut"])
def test_a_task_shows_less_than_the_truth_and_nothing_of_what_is_missing(name, picture):
    task = Task(name, picture, 24, 0)
    if name == "enlarging":
        assert task.data.shape[:2] == tuple(n // FACTOR for n in task.clean.shape[:2])
    else:
        assert task.data.shape == task.clean.shape and (task.data != task.clean).any()
        assert not task.data[task.mask].any()
    assert np.array_equal(task.data, Task(name, picture, 24, 0).data)


def test_every_peer_has_its_module_and_its_tasks():
    assert {*peers.NEEDS} == {*PEERS}
    assert {(t, p) for t, _, p in peers.jobs(("coins",))} == {
        (t, p) for p in PEERS for t in peers.NEEDS[p][1]
    }


@pytest.mark.parametrize("peer", ["scikit-image Richardson-Lucy (tuned)", "scikit-image unsupervised Wiener"])
def test_a_peer_that_is_called_rightly_sharpens(peer):
    pytest.importorskip("skimage")
    task = Task("blur", "camera", 48, 0)
    mean, _ = PEERS[peer](task)
    assert np.mean((mean - task.clean) ** 2) < np.mean((task.data - task.clean) ** 2)


def test_where_a_peer_is_ahead_is_said():
    def row(peer: str, psnr: float, seconds: float) -> dict:
        return {"task": "noise", "picture": "coins", "peer": peer, "psnr": psnr, "cpu_seconds": seconds}

    rows = [row("bayesdip fast", 30.0, 1.0), row("bayesdip", 30.5, 3.0)]
    rows += [row("a", 30.7, 9.0), row("b", 30.1, 0.5), row("c", 30.1, 2.0)]
    assert peers.ahead(rows) == [
        "noise, coins: a is 0.20 dB better",
        "noise, coins: b is as good as our fast, in less time",
    ]
