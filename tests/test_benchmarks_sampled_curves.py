"""The benchmark of quality against time of the sampled network: its curves, and what it concludes."""

import numpy as np
import pytest
from benchmarks import sampled_curves, sampled_curves_worker
from benchmarks.results import Results
from benchmarks.sampled_curves import least_margin


def curve(*points):
    return {"seconds": [t for t, _ in points], "psnr": [q for _, q in points]}


def test_the_margin_is_that_at_the_worst_moment():
    other = curve((2, 20.0), (10, 26.0))
    assert least_margin(curve((1, 25.0), (20, 30.0)), other) == -1.0  # from 10 to 20 seconds
    assert least_margin(curve((1, 25.0), (9, 30.0)), other) == 4.0
    assert least_margin(curve((3, 30.0)), other) == -np.inf  # there was none when the other had one


def test_each_other_run_has_a_target():
    results = Results("sampled-curves", {})
    for run, psnr in (("now", 30.0), ("paper", 24.0), ("before", 30.5)):
        row = {"part": "curve", "problem": "blur", "run": run, "psnr": psnr, "curve": curve((1, psnr))}
        results.rows.append(row)
    sampled_curves.conclude(results, budget=1.0, side=32)
    assert [(check["measured"], check["met"]) for check in results.summary["checks"]] == [
        (6.0, True),
        (-0.5, False),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("problem", sampled_curves.PROBLEMS)
def test_a_run_is_scored_while_it_goes_on_and_at_its_end(problem, quick):
    row = next(sampled_curves_worker.measure(problem, paper=False, side=48, seconds=0.5, seed=0, data=None))
    seconds, psnr = row["curve"]["seconds"], row["curve"]["psnr"]
    assert len(seconds) == len(psnr) >= 1 and seconds == sorted(seconds)
    assert row["psnr"] == psnr[-1] and 8 < row["psnr"] < 60
