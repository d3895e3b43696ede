"""The speed benchmark: whose clock runs, what a ratio is, and how operations are counted."""

import json
import threading
import time

import numpy as np
import pytest
import torch
from benchmarks import roofline, speed, speed_curves
from benchmarks.interleaved_timing import OwnClock, Turns, take_turns
from benchmarks.results import Results

from bayesdip import arch
from bayesdip.progress import Snapshot


def test_only_one_run_goes_on_at_a_time_and_only_its_clock_runs():
    turns = Turns(("a", "b"), 0.02)
    clocks = {run: OwnClock(turns=turns, run=run) for run in "ab"}
    busy, overlaps, order = threading.Lock(), [], []

    def job(clock):
        for _ in range(8):
            clock.should_stop()
            overlaps.append(not busy.acquire(blocking=False))
            order.append(clock.run)
            time.sleep(0.01)
            busy.release()

    begun = time.perf_counter()
    take_turns({run: job for run in "ab"}, clocks)
    assert not any(overlaps)
    assert "b" in order[:6] and "a" in order[6:]  # turns, not one after the other
    assert sum(clock.elapsed for clock in clocks.values()) <= (time.perf_counter() - begun) * 1.01
    assert all(clock.elapsed >= 0.07 for clock in clocks.values())


def test_the_clock_stands_while_the_picture_is_looked_at():
    clock = OwnClock(turns=Turns(("a",), 100.0), run="a", look=lambda seconds, snapshot: time.sleep(0.05))
    clock.begin()
    clock.report(Snapshot("fit", 1, 2, 0.0, 0.0, mean=lambda: torch.zeros(1)))
    assert clock.elapsed < 0.05


def test_an_error_in_one_run_ends_the_others_and_is_told():
    turns = Turns(("a", "b"), 0.01)
    clocks = {run: OwnClock(turns=turns, run=run) for run in "ab"}

    def endless(clock):
        while not clock.should_stop():
            time.sleep(0.002)

    def failing(clock):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        take_turns({"a": endless, "b": failing}, clocks)


def test_the_ratio_is_that_of_the_worst_moment():
    slow = ([10.0, 20.0, 30.0, 40.0], [5.0, 6.0, 5.5, 8.0])
    quick = ([1.0, 2.0, 8.0], [4.0, 6.5, 9.0])
    found = speed_curves.least_ratio(slow, quick)  # 5 after 2 s, 6 after 2 s, 8 after 8 s
    assert found == {"ratio": 5.0, "at_quality": 5.0, "at_seconds": 10.0, "ratio_last": 5.0}


def test_a_quality_that_is_never_reached_makes_the_ratio_zero():
    found = speed_curves.least_ratio(([1.0, 2.0], [1.0, 3.0]), ([0.1, 0.2], [1.0, 2.0]))
    assert found["ratio"] == 0.0 and found["at_quality"] == 3.0


def test_both_runs_are_followed_and_plotted(tmp_path, monkeypatch, quick):
    from bayesdip import presets

    small = arch.skip(scales=1, width=4, skip=2)
    monkeypatch.setitem(presets.PRESETS, "paper", presets.Preset(small, "adam-noise", 60))
    monkeypatch.setattr("bayesdip.methods.registry.default_architecture", lambda *_: small)
    results = Results("speed", {}, tmp_path / "speed.json")
    monkeypatch.setattr(roofline, "PRODUCT_SIDE", {"cpu": 64})
    monkeypatch.setattr(roofline, "COPIED_BYTES", {"cpu": 2**16})
    monkeypatch.setattr(speed, "TURN", 0.1)
    speed.bench_speed(results, None, {"effort": "fast"}, sides=(24,))
    kept = json.loads((tmp_path / "speed.json").read_text())
    runs = {row["run"]: row for row in kept["rows"] if row["part"] == "speed"}
    assert set(runs) == {"paper", "fast", "stack"}
    for row in runs.values():
        curve = row["curve"]
        assert curve["seconds"] == sorted(curve["seconds"])
        assert len(curve["psnr"]) == len(curve["held_out"]) == len(curve["steps"]) > 1
    curve = runs["paper"]["curve"]
    assert curve["psnr"][-1] > curve["psnr"][0] and curve["held_out"][-1] < curve["held_out"][0]
    for run in ("fast", "stack"):  # the data and the process come before the first step
        curve = runs[run]["curve"]
        assert curve["steps"][:2] == [0, 0] and curve["psnr"][1] > curve["psnr"][0]
    assert runs["paper"]["curve"]["steps"][0] > 0  # the paper's recipe has nothing before it
    sooner = kept["summary"]["24-fast"]
    assert "ratio" in sooner["sooner_by_psnr"] and sooner["sooner_by_held_out"]["at_quality"] > 0
    assert "<svg" in (tmp_path / "speed-curves.svg").read_text()


def test_the_benchmark_picture_has_the_side_and_the_noise_that_were_asked_for():
    for side in (64, 600):
        _, clean, noisy = speed.picture_of(side, None, 0)
        assert clean.shape == noisy.shape == (side, side, 3) and clean.dtype == noisy.dtype == np.uint8
        inner = (clean > 80) & (clean < 170)  # where nothing is clipped
        assert np.std((noisy.astype(float) - clean)[inner]) == pytest.approx(25, rel=0.05)


def test_operations_are_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    for network in (arch.shuffle(scales=2, width=8), arch.decoder(scales=2, width=8, upsample="transposed")):
        problem = roofline.colour_problem(network, 32, "cpu")
        with FlopCounterMode(display=False) as counter:
            problem.negative_log_likelihood(problem.picture()).backward()
        costs = roofline.layer_costs(problem.network, problem.code, (32, 32))
        assert sum(cost.operations for cost in costs) == counter.get_total_flops()


def test_bytes_of_a_convolution_are_its_tensors_once_forward_and_twice_back():
    problem = roofline.colour_problem(arch.skip(scales=1, width=8, skip=0), 32, "cpu")
    last = roofline.layer_costs(problem.network, problem.code, (32, 32))[-2]  # the last is the sigmoid
    assert last.layer.endswith("Convolution")
    assert last.bytes == 3 * 4 * (8 * 32 * 32 + 3 * 32 * 32 + 3 * 8 + 3)


def test_a_step_is_bound_by_the_slower_of_arithmetic_and_memory():
    ceilings = roofline.Ceilings(operations=100.0, bytes=10.0)
    assert roofline.LayerCost("", operations=200, bytes=10).seconds(ceilings) == 2.0
    assert roofline.LayerCost("", operations=200, bytes=50).seconds(ceilings) == 5.0


def test_the_roofline_of_both_networks_is_kept(monkeypatch):
    from bayesdip import presets

    small = arch.skip(scales=1, width=4, skip=2)
    monkeypatch.setitem(presets.PRESETS, "paper", presets.Preset(small, "adam-noise", 10))
    monkeypatch.setattr("bayesdip.methods.registry.default_architecture", lambda *_: small)
    monkeypatch.setattr(roofline, "PRODUCT_SIDE", {"cpu": 64})
    monkeypatch.setattr(roofline, "COPIED_BYTES", {"cpu": 2**16})
    results = Results("roofline", {})
    roofline.roofline(results, (16,))
    assert [row["run"] for row in results.rows] == ["paper", "ours"]
    for row in results.rows:
        assert row["bound_seconds"] == pytest.approx(sum(layer["bound_seconds"] for layer in row["layers"]))
        assert row["share"] == row["bound_seconds"] / row["seconds"] > 0
