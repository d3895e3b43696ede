"""The benchmark of methods in one hole: its masks, its rows, and what it concludes."""

import numpy as np
import pytest
from benchmarks import hole_methods
from benchmarks.options import Options
from benchmarks.results import Results


@pytest.mark.parametrize("seed", range(5))
def test_a_hole_is_a_square_that_keeps_its_distance_from_the_border(seed):
    missing = hole_methods.hole(64, 20, np.random.default_rng(seed))
    rows, columns = np.flatnonzero(missing.any(1)), np.flatnonzero(missing.any(0))
    assert missing.sum() == 400 and len(rows) == len(columns) == 20
    assert min(rows[0], columns[0], 63 - rows[-1], 63 - columns[-1]) >= hole_methods.BORDER


def test_each_method_is_scored_in_the_hole_alone(monkeypatch):
    monkeypatch.setattr(hole_methods, "METHODS", ("gp",))
    clean = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (30, 1))
    missing = hole_methods.hole(30, 6, np.random.default_rng(0))
    row = hole_methods.measured(clean, missing, Options())
    assert row["channels"] == 1 and min(row["gp"], row["biharmonic"]) > 35
    assert 0 <= row["gp_coverage"] <= 1 and row["gp_seconds"] > 0


def test_gains_are_means_by_size_and_over_all():
    results = Results("hole-methods", {})
    for side, sgld in ((16, 20.0), (64, 23.0)):
        held = {"patches_coverage": 0.9, "sgld_coverage": 0.8}
        results.add({"side": side, "biharmonic": 18.0, "patches": 21.0, "sgld": sgld} | held)
    hole_methods.conclude(results)
    assert results.summary["sgld_over_patches_16"] == -1 and results.summary["sgld_over_patches_64"] == 2
    assert results.summary["sgld_over_patches"] == 0.5 and results.summary["sgld_ahead"] == "1 of 2"
    assert [check["met"] for check in results.summary["checks"]] == [True, False]
