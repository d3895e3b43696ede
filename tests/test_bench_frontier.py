"""The frontier benchmark: what a kernel's distance is, who is on the frontier, and what is done to a network."""

from __future__ import annotations

import json

import pytest
import torch
from benchmarks import frontier, variants
from benchmarks.catalogue import Request, run_benchmark
from benchmarks.results import Results

from bayesdip import arch
from bayesdip.arch.layers import Convolution
from bayesdip.methods.map import pose
from bayesdip.settings import Settings

SMALL = arch.skip(scales=2, width=8, skip=2)


def test_the_papers_network_is_at_no_distance_and_width_at_infinite_width_counts_by_its_share_alone() -> None:
    assert frontier.kernel_distance(arch.skip()) == 0.0
    assert frontier.kernel_distance(arch.skip(width=64, skip=2)) == pytest.approx(0.0, abs=1e-9)
    assert (frontier.kernel_distance(arch.skip(scales=2)) or 0) > 0.1
    assert frontier.kernel_distance(arch.named("unet")) is None  # max pooling


def test_the_quarter_network_is_four_times_as_large_as_its_input() -> None:
    network = frontier.Quarter(scales=1, width=8, skip=2, shuffled=4).build(1)
    code = network.new_input((32, 24), torch.Generator().manual_seed(0))
    assert tuple(code.shape[2:]) == (8, 6) and network(code, (32, 24)).shape == (1, 1, 32, 24)


def test_rows_that_others_beat_in_both_are_off_the_frontier() -> None:
    rows = [
        {
            "seconds_a_step": s,
            "psnr": p,
            "task": "denoise",
            "candidate": str(i),
            "kernel_distance": d,
            "variant": "",
        }
        for i, (s, p, d) in enumerate(
            [(1.0, 30.0, 0.1), (2.0, 29.0, 0.2), (3.0, 31.0, 0.0), (0.5, 20.0, 0.3)]
        )
    ]
    found = frontier.conclusions(rows)
    assert found["denoise_frontier"] == ["0", "2", "3"] and found["denoise_best"] == "2"
    assert found["denoise_rank_correlation"] == pytest.approx(1.0)


def test_frozen_filters_stay_and_a_warm_start_is_near_the_process() -> None:
    _, tasks = frontier._tasks(24, 0)
    given = tasks["denoise"]
    problem, generator = pose(given, Settings(arch=SMALL))
    problem = variants.frozen(problem)
    strided = [m for m in problem.network.modules() if isinstance(m, Convolution) and m.record.stride > 1]
    before = [m.weight.clone() for m in strided]
    assert len(before) == 2 and len(problem.weights) == len(problem.stds)
    begun = problem.fit(problem.picture().detach())
    variants.warm_up(problem, given.y, generator, 60)
    assert all(torch.equal(m.weight, w) for m, w in zip(strided, before, strict=True))
    assert problem.fit(problem.picture().detach()) < begun


def test_it_runs_through_and_is_taken_up(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(frontier.SIDES, "fast", 24)
    monkeypatch.setitem(frontier.SECONDS, "fast", 0.01)
    few = [
        frontier.Candidate("skip", SMALL),
        frontier.Candidate("warm", SMALL, "from the process"),
        frontier.Candidate("frozen", SMALL, "frozen"),
    ]
    monkeypatch.setattr(frontier, "candidates", lambda: few)
    file, told = tmp_path / "frontier.json", []
    results = run_benchmark("frontier", Request(None, {}), file, told.append)
    kept = json.loads(file.read_text())
    assert [(r["candidate"], r["task"]) for r in kept["rows"]][:2] == [
        ("skip", "denoise"),
        ("skip", "inpaint"),
    ]
    assert all(row["steps"] >= frontier.FEWEST_STEPS and row["operations"] > 0 for row in kept["rows"])
    again: list[str] = []
    run_benchmark("frontier", Request(None, {}), file, again.append)
    assert len(again) == 1 and isinstance(results, Results)  # nothing but the conclusions
