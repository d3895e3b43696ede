"""The growth benchmark: a process for each size, a line that ends where a size fails, a plot."""

import json

import pytest
from benchmarks import fit_worker as one_fit
from benchmarks import restoring_growth
from benchmarks.results import Results

NETWORK = "skip(scales=1, width=8, skip=2)"


def test_a_process_of_its_own_measures_time_and_memory():
    spec = {"arch": NETWORK, "side": 128, "pictures": 2, "steps": 3}
    found = restoring_growth.in_own_process(spec, 120)
    assert found["seconds"] > 0 and found["peak_bytes"] > 2 * 8 * 128 * 128 * 2
    assert found["memory_error"] == pytest.approx(found["estimated_bytes"] / found["peak_bytes"] - 1)


def test_a_fit_that_fails_says_why():
    found = restoring_growth.in_own_process({"arch": "nothing", "side": 16}, 120)
    assert found["failed"] and "nothing" in found["why"]


def test_a_line_ends_at_the_first_size_that_fails(tmp_path, monkeypatch):
    asked = []

    def measured(spec, limit):
        asked.append((spec["side"], spec["pictures"], spec["sparing"]))
        if spec["side"] > 32:
            return {"failed": True, "why": "too large"}
        told, took = 110 * spec["side"], 100 * spec["side"]
        return {"seconds": 0.1, "peak_bytes": took, "estimated_bytes": told, "memory_error": told / took - 1}

    monkeypatch.setattr(restoring_growth, "in_own_process", measured)
    monkeypatch.setattr(restoring_growth, "BATCH_SIDE", 16)
    results = Results("growth", {}, tmp_path / "growth.json")
    restoring_growth.restoring_growth(results, sides=(32, 64, 128), pictures=(1, 2))
    assert asked == [
        (32, 1, False),
        (64, 1, False),
        (32, 1, True),
        (64, 1, True),
        (16, 1, False),
        (16, 2, False),
    ]
    kept = json.loads((tmp_path / "growth.json").read_text())
    assert [check["measured"] for check in kept["summary"]["checks"]] == pytest.approx([0.1, 0.1])
    assert "<svg" in (tmp_path / "growth-plot.svg").read_text()


def test_the_quickest_step_but_the_first_counts():
    found = one_fit.measure(NETWORK, 16, steps=3)
    assert found["seconds"] > 0 and found["first"] > 0
