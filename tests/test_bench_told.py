"""What is told of a run's cost is kept beside what it took."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.estimate_accuracy import watched, worst_ratios

import bayesdip as bd


def test_a_run_that_tells_its_cost_has_it_in_its_row(quick) -> None:
    image = np.random.default_rng(0).random((24, 24))
    options = {"sigma": 0.1, "arch": "skip(scales=1,width=4,skip=2)", "method": "sgld", "effort": "fast"}
    r, row = watched(lambda **given: bd.denoise(image, **given), options)
    assert r.info["steps"] == 40
    assert row["told_seconds"] > 0 and row["told_memory"] > 0 and row["memory"] >= 0


def test_the_ratio_farthest_from_one_is_the_worst() -> None:
    rows = [
        {"seconds": 10.0, "told_seconds": 11.0, "told_memory": 90, "memory": 100},
        {"seconds": 10.0, "told_seconds": 8.0, "told_memory": 900, "memory": 1},
        {"seconds": 1.0, "memory": 5},
    ]
    assert worst_ratios(rows) == {
        "told_over_taken_seconds": pytest.approx(0.8),
        "told_over_taken_memory": pytest.approx(0.9),
    }
    assert worst_ratios([]) == {}
