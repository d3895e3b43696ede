"""What a run by patches tells of its cost."""

from __future__ import annotations

import math

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.gp.memory import filling_memory, patches_memory
from bayesdip.patches.cost import Course, units_of_filling, units_of_noise, units_of_turns
from bayesdip.patches.patch_grid import LARGEST_PATCH, PATCH_VALUES, SMALL_PATCH
from bayesdip.progress import Estimate, Progress, Snapshot


class Clock(Progress):
    """A progress whose time is set."""

    now: float = 0.0

    @property
    def elapsed(self) -> float:
        return self.now


def walk(runs: list[list[float]], ready: float, pace: float, shares: int = 4) -> list[Snapshot]:
    """What is told of runs that take ``ready`` seconds before the first and ``pace`` seconds a unit."""
    told: list[Snapshot] = []
    clock = Clock(told.append)
    course = Course(clock, runs, memory=1000)
    clock.now += ready
    for run in runs:
        course.begin()
        for number, unit in enumerate(run):
            for share in range(shares):
                course.watch(number, share / shares)
                clock.now += unit * pace / shares
    return told


def test_a_steady_run_is_told_exactly() -> None:
    runs = [units_of_noise(passes, [PATCH_VALUES, SMALL_PATCH]) for passes in (3, 1)]
    told = walk(runs, ready=2.0, pace=3.0)
    end = 2.0 + 3.0 * sum(map(sum, runs))
    estimates = [p.estimate for p in told if p.estimate is not None]
    assert estimates == [Estimate(pytest.approx(end), 1000, 12)]
    known = [p for p in told if math.isfinite(p.remaining)]
    assert [p.elapsed + p.remaining for p in known] == pytest.approx([end] * len(known))
    assert len(known) > 0.9 * len(told)


def test_steps_count_through_both_runs() -> None:
    told = [p for p in walk([units_of_filling(3)] * 2, 0.0, 1.0, shares=1) if p.phase == "solve"]
    assert [(p.step, p.steps) for p in told] == [(k, 6) for k in range(1, 7)]


def test_units_are_those_of_the_first_pass() -> None:
    sizes = [PATCH_VALUES, SMALL_PATCH]
    larger = units_of_noise(4, sizes, (LARGEST_PATCH, 0.5))
    assert len(larger) == len(units_of_noise(4, sizes)) + 1
    for units in (larger, units_of_noise(4, sizes), units_of_filling(5), units_of_turns(8, 16)):
        assert units[0] == 1.0 and min(units) > 0


@pytest.mark.parametrize("task", ["noise", "missing"])
def test_a_real_run_tells_its_cost_once_and_then_the_time_left(task: str) -> None:
    rng = np.random.default_rng(0)
    image = np.clip(np.indices((64, 64)).sum(0) + rng.normal(0, 10, (64, 64)), 0, 255).astype(np.uint8)
    told: list[Snapshot] = []
    options = {"method": "gp", "kernel": "nonlocal", "effort": "fast", "callback": told.append}
    if task == "noise":
        bd.denoise(image, 10.0, **options)  # type: ignore[arg-type]
    else:
        bd.inpaint(image, rng.random((64, 64)) < 0.5, **options)  # type: ignore[arg-type]
    (estimate,) = [p.estimate for p in told if p.estimate is not None]
    assert estimate.seconds > 0 and estimate.memory > 2**20
    solving = [p for p in told if p.phase == "solve"]
    assert solving[-1].step == solving[-1].steps == estimate.steps
    assert math.isfinite(solving[-1].remaining)


def test_memory_grows_with_the_picture_and_its_channels() -> None:
    for memory in (filling_memory, patches_memory):
        assert memory((64, 64), 1) < memory((256, 256), 1) < memory((256, 256), 3) < memory((1024, 1024), 3)
        assert memory((500,), 1) > 0
