"""The benchmark of holes: its masks, and what it concludes."""

import numpy as np
import pytest
from benchmarks import holes
from benchmarks.options import Options
from benchmarks.results import Results


def test_there_is_one_hole_of_that_size_in_each_quarter():
    missing = holes.holes(96, 8, np.random.default_rng(0))
    quarters = [missing[i : i + 48, j : j + 48] for i in (0, 48) for j in (0, 48)]
    assert [q.sum() for q in quarters] == [64] * 4


@pytest.mark.slow
def test_a_small_run_has_gain_and_coverage_of_each_picture():
    results = Results("holes", {})
    holes.run(results, Options(sides=(8,), pictures=("grass", "cat")))
    assert sorted(row["channels"] for row in results.rows) == [1, 3]
    for row in results.rows:
        assert row["gain"] == row["psnr"] - row["biharmonic"]
        assert 0.5 < row["coverage"] <= 1
    assert results.summary["gain_8"] == np.mean([row["gain"] for row in results.rows])
    assert {check["met"] for check in results.summary["checks"]} <= {True, False}
