"""A run that is stopped, wherever that falls, has a picture; and it looks at the clock while it works."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip import simple
from bayesdip.interruption import Stopped, look, stoppable
from bayesdip.noise import Gaussian, in_time
from bayesdip.operators import Downsample, Identity, Mask, from_function
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.quick_picture import filled, quick_picture
from bayesdip.simple_comparison import Average
from conftest import smooth_picture

RNG = np.random.default_rng(0)
CLEAN = 60 + 100 * np.add.outer(np.sin(np.linspace(0, 6, 24)), np.linspace(0, 1, 24))
NOISY = CLEAN + RNG.normal(0, 10, CLEAN.shape)
HOLES = RNG.random(CLEAN.shape) < 0.5
SUMS = from_function(lambda x: x.cumsum(-1), CLEAN.shape)
QUICK = {
    "patches": bd.Patches(effort="fast"),
    "gp": bd.GP(effort="fast"),
    "gp with a learnt kernel": bd.GP(effort="fast", kernel="auto"),
    "sgld": bd.SGLD(arch="skip(scales=2, width=4)", steps=12, samples=2),
    "map": bd.MAP(arch="skip(scales=2, width=4)", steps=6),
    "stack": bd.Stack(effort="fast", sgld=bd.SGLD(arch="skip(scales=2, width=4)", steps=8), samples=2),
}
TASKS = {
    "denoise": lambda **options: bd.denoise(NOISY, 10.0, **options),
    "inpaint": lambda **options: bd.inpaint(CLEAN, HOLES, **options),
    "upscale": lambda **options: bd.upscale(CLEAN[:8, :8], 3, **options),
    "restore": lambda **options: bd.restore(NOISY.cumsum(-1), SUMS, Gaussian(10.0), **options),
}
PAIRS = [
    (task, method)
    for task in TASKS
    for method in QUICK
    if not (task in ("upscale", "restore") and method == "stack")
    and not (task == "restore" and method == "gp with a learnt kernel")
]


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_without_any_time_there_is_a_simple_picture_and_it_is_said(task, method):
    found = TASKS[task](method=QUICK[method], time_budget=1e-9)
    assert np.isfinite(found.mean).all() and found.stopped == "time budget"
    if not found.info:
        assert [f.kind for f in found.findings if f.kind == "no picture yet"]


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_whenever_it_is_stopped_there_is_a_picture_soon(monkeypatch, task, method):
    """By a clock that every look moves on by a second: budgets end in all phases of a run."""
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(time, "monotonic", clock)
    for budget in (5, 12, 40, 120, 300):
        now[0] = 0.0
        found = TASKS[task](method=QUICK[method], time_budget=float(budget))
        assert np.isfinite(found.mean).all()
        assert now[0] <= budget + 40  # looks that there are anyway, to tell the time
        if found.stopped == "finished":
            break


def test_it_looks_at_the_clock_often_within_one_pass():
    """The more there is to do, the more looks: no phase takes the whole picture in one."""
    counts = []
    for side in (64, 192):
        looks = [0]

        def count(looks=looks) -> bool:
            looks[0] += 1
            return False

        with stoppable(count):
            y = torch.rand(1, side, side, dtype=torch.float64)
            bd.Patches(effort="fast", device="cpu").fit(
                Problem(y, Identity((side, side)), Gaussian(0.1)), bd.progress.Progress()
            )
        counts.append(looks[0])
    assert counts[1] > counts[0]
    assert counts[0] > 5  # of some 0.1 seconds


def test_a_look_ends_work_inside_the_innermost_block_alone():
    look()  # nobody asks
    with stoppable(lambda: True):
        with stoppable(lambda: False):
            look()
        with pytest.raises(Stopped):
            look()
    look()


# --- the quick picture -----------------------------------------------------------------------------


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def test_the_quick_picture_of_noise_is_better_than_the_data():
    found = bd.denoise(NOISY, 10.0, time_budget=1e-9)
    assert rms(found.mean - CLEAN) < 0.7 * rms(NOISY - CLEAN)


def test_the_quick_picture_of_holes_keeps_the_known_pixels_and_is_close_in_them():
    found = bd.inpaint(CLEAN, HOLES, time_budget=1e-9)
    np.testing.assert_allclose(found.mean[~HOLES], CLEAN[~HOLES])
    assert rms((found.mean - CLEAN)[HOLES]) < 0.3 * CLEAN.std()


@pytest.mark.parametrize("grid", [(40,), (12, 17), (5, 6, 7), (1, 9), (1, 1)])
def test_holes_are_filled_on_grids_of_any_size(grid):
    y = torch.rand(2, *grid, dtype=torch.float64)
    seen = torch.zeros(2, *grid, dtype=torch.bool)
    seen[(slice(None), *(0 for _ in grid))] = True
    found = filled(y, seen)
    torch.testing.assert_close(found, y[(slice(None), *(slice(0, 1) for _ in grid))].expand(y.shape))


def test_a_channel_without_data_gets_a_picture_too():
    y = torch.rand(2, 8, 8, dtype=torch.float64)
    seen = torch.ones(2, 8, 8, dtype=torch.bool)
    seen[1] = False
    assert bool(filled(y, seen).isfinite().all())


@pytest.mark.parametrize(
    "operator", [Downsample((24, 24), 3), from_function(lambda x: x.cumsum(-1), (24, 24))]
)
def test_the_quick_picture_of_other_data_explains_them(operator):
    clean = torch.from_numpy(CLEAN[None])
    problem = Problem.from_data(operator.forward(clean), operator, Gaussian(0.0))
    found = quick_picture(problem)
    left = problem.y - operator.forward(found)
    assert float(left.square().mean().sqrt()) < 0.05 * float(problem.y.std())


def test_an_operator_that_is_not_linear_has_a_quick_picture_too():
    squares = from_function(lambda x: x.square(), (24, 24), linear=False)
    problem = Problem.from_data(torch.from_numpy(CLEAN[None] ** 2), squares, Gaussian(1.0))
    found = quick_picture(problem)
    left = problem.y - problem.operator.forward(found)
    assert float(left.square().mean().sqrt()) < 0.2 * float(problem.y.std())


def test_a_masked_quick_picture_does_not_read_missing_values():
    y = torch.full((1, 8, 8), 0.25, dtype=torch.float64)
    gone = torch.zeros(8, 8, dtype=torch.bool)
    gone[2:5, 3] = True
    y[:, gone] = 1e30
    found = quick_picture(Problem(y, Mask(gone, (8, 8)), Gaussian(0.1)))
    torch.testing.assert_close(found, torch.full_like(found, 0.25))


def test_a_step_that_would_not_end_in_time_is_not_begun():
    progress = Progress(time_budget=60.0)
    with stoppable(progress.should_stop, progress.has_time):
        look(1.0)
        with pytest.raises(Stopped):
            look(100.0)
    assert not progress.stop_reason  # the run goes on without that step
    look(100.0)  # outside of a run nothing ends


@pytest.mark.parametrize("fill", [simple.biharmonic, simple.harmonic])
def test_simple_fillers_end_with_the_run(fill):
    y, missing = smooth_picture((24, 24)), np.zeros((24, 24), bool)
    missing[4:20, 4:20] = True
    with stoppable(lambda: True), pytest.raises(Stopped):
        fill(y, missing)


def test_without_time_for_the_average_the_fit_that_was_compared_stands(monkeypatch):
    y, missing = smooth_picture((32, 32)), np.zeros((32, 32), bool)
    missing[8:20, 8:20] = True
    monkeypatch.setattr(Average, "of", stopped_in_the_end(Average.of))
    restored = bd.inpaint(y, missing, sigma=0, time_budget=60, effort="fast")
    assert np.isfinite(restored.mean).all() and np.abs(restored.mean - y).max() < 0.3
    np.testing.assert_allclose(restored.mean[~missing], y[~missing], atol=1e-6)


def stopped_in_the_end(average):
    def of(self, posterior, problem, pictures=None):
        if pictures is None:
            raise Stopped
        return average(self, posterior, problem, pictures)

    return of


def test_where_an_inspection_would_take_too_long_the_noise_of_the_middle_is_taken_and_said(monkeypatch):
    monkeypatch.setattr(in_time, "SECONDS_OF_A_VALUE", 1.0)
    monkeypatch.setattr(in_time, "PART", 20 * 20)
    found = bd.denoise(NOISY, time_budget=60, effort="fast")
    assert found.sigma[0] == pytest.approx(10, rel=0.3)
    assert "noise in haste" in [finding.kind for finding in found.findings]
    plain = bd.denoise(NOISY, effort="fast")
    assert "noise in haste" not in [finding.kind for finding in plain.findings]
    assert "noise in haste" not in [
        f.kind for f in bd.denoise(NOISY, 10.0, time_budget=60, effort="fast").findings
    ]
