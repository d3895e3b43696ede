"""Budget, interruption, parts and pace of a run."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.errors import BayesDipError
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Identity, Operator, from_matrix
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.simulation import OF_ONE_FIT, expected_work
from bayesdip.snapshot import Snapshot, clock


class Clock:
    """Seconds that the test decides."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def heard(**options: object) -> tuple[Progress, list[Snapshot]]:
    found: list[Snapshot] = []
    return Progress(lambda s: found.append(s), **options), found  # type: ignore[arg-type, func-returns-value]


def test_time_left_follows_the_pace_of_the_work(tick: Clock) -> None:
    progress, found = heard()
    tick.now = 5.0  # getting ready does not count
    progress.advance(0.0, "fit")
    tick.now = 7.0
    progress.advance(0.25, "fit")
    assert found[-1].remaining == pytest.approx(6.0) and found[-1].elapsed == 7.0


def test_the_estimate_is_told_once_as_soon_as_the_pace_is_known(tick: Clock) -> None:
    progress, found = heard(memory=100)
    for i in range(11):
        tick.now = float(i)
        progress.advance(i / 100, "fit", step=i, steps=100)
    (told,) = [s.estimate for s in found if s.estimate is not None]
    assert told is not None and told.seconds == pytest.approx(100, rel=0.02) and told.memory == 100
    assert [s.phase for s in found].index("estimate") <= 3


def test_a_part_s_work_is_a_share_of_the_whole(tick: Clock) -> None:
    progress, found = heard()
    second = progress.part((0.5, 1.0))
    progress.part((0.0, 0.5)).advance(0.0, "fit")
    tick.now = 30.0
    second.advance(0.5, "fit")  # three quarters of the whole in 30 seconds
    assert found[-1].remaining == pytest.approx(10.0)


def test_what_comes_after_a_part_is_added_to_its_time(tick: Clock) -> None:
    progress, found = heard()
    first = progress.part(later=40.0)
    first.advance(0.0, "patches")
    tick.now = 2.0
    first.advance(0.5, "patches")
    assert found[-1].remaining == pytest.approx(42.0)


def test_the_time_left_is_never_more_than_the_budget_has(tick: Clock) -> None:
    progress, found = heard(time_budget=10.0)
    progress.advance(0.0, "fit")
    tick.now = 4.0
    progress.advance(0.1, "fit")
    assert found[-1].remaining == pytest.approx(6.0)


def test_a_part_has_its_share_of_the_time_that_is_left(tick: Clock) -> None:
    progress = Progress(time_budget=10.0, started=0.0)
    tick.now = 2.0
    part = progress.part(time_share=0.5)
    tick.now = 5.9
    assert not part.should_stop()
    tick.now = 6.0
    assert part.should_stop() and part.stop_reason == "time budget"
    assert not progress.should_stop()
    tick.now = 10.0
    assert progress.should_stop()


def test_parts_end_with_the_whole() -> None:
    progress = Progress()
    part = progress.part().part()
    progress.stop_reason = "interrupted"
    assert part.should_stop() and part.stop_reason == "interrupted"


def test_a_picture_is_shown_as_the_whole_s_and_in_the_user_s_units() -> None:
    progress, found = heard(to_user=lambda picture: 255 * picture)
    part = progress.part((0.0, 0.5), to_whole=lambda picture: picture + 1)
    part.advance(0.1, "fit", mean=lambda: torch.tensor(1.0))
    assert found[-1].mean is not None and float(found[-1].mean()) == 510


def test_a_callback_that_returns_true_stops_the_run() -> None:
    progress = Progress(lambda snapshot: True)
    progress.part().advance(0.5, "fit")
    assert progress.should_stop() and progress.stop_reason == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_the_run_and_handlers_come_back(number: signal.Signals) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    progress = Progress()
    with progress.interruptible():
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert progress.should_stop() and progress.stop_reason == "interrupted"
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_a_budget_must_be_above_zero(budget: float) -> None:
    with pytest.raises(BayesDipError, match="time_budget"):
        Progress(time_budget=budget)


def test_durations_are_written_for_people() -> None:
    assert [clock(s) for s in (0.25, 75, 3600, 60)] == ["0.2 s", "1 min 15 s", "1 h 0 min", "1 min 0 s"]


def test_a_callback_sees_a_picture_and_what_runs_before_the_work():
    seen = []
    picture = np.random.default_rng(0).normal(100, 20, (24, 24))
    bd.denoise(picture, 20.0, callback=seen.append)
    first = seen[0]
    assert first.phase == "initial estimate" and first.method == "patches" and "patches" in first.why
    assert first.mean().shape == picture.shape and first.mean().std() < picture.std()
    assert {snapshot.method for snapshot in seen} == {"patches"}


def test_the_first_picture_costs_nothing_where_nobody_looks(monkeypatch):
    from bayesdip import api

    monkeypatch.setattr(api, "quick_picture", lambda problem: pytest.fail("nobody asked for it"))
    bd.denoise(np.random.default_rng(0).normal(100, 20, (24, 24)), 20.0, callback=lambda snapshot: None)


def test_a_standard_deviation_so_far_stands_where_its_part_stands(tick: Clock) -> None:
    progress, found = heard(std_to_user=lambda std: 10 * std)
    part = progress.part((0.0, 1.0), to_whole=lambda picture: torch.cat([torch.full((2,), 7.0), picture]))
    mean = torch.tensor([1.0, 2.0])
    part.advance(0.1, "sampling", mean=lambda: mean, upper=lambda: mean + 0.5, sample=lambda: mean - 1)
    part.advance(0.2, "sampling", mean=lambda: mean)
    with_std, without = [s for s in found if s.estimate is None]
    assert with_std.std is not None and with_std.std().tolist() == [0.0, 0.0, 5.0, 5.0]
    assert with_std.sample is not None and with_std.sample().tolist() == [7.0, 7.0, 0.0, 1.0]
    assert without.std is None and without.sample is None


def test_a_callback_sees_deviations_and_samples_in_the_picture_s_scale_while_a_network_is_sampled() -> None:
    rng = np.random.default_rng(0)
    noisy = (1000 + 50 * rng.standard_normal((16, 16))).astype(np.uint16)
    seen = []

    def listen(snapshot: Snapshot) -> None:
        if snapshot.std is not None and snapshot.sample is not None and snapshot.mean is not None:
            seen.append((snapshot.phase, snapshot.mean(), snapshot.std(), snapshot.sample()))

    method = bd.SGLD(effort="fast", arch=bd.arch.Skip(scales=2, width=4))
    found = bd.denoise(noisy, 50.0, method=method, callback=listen)
    assert {phase for phase, *_ in seen} == {"sampling"}
    _, mean, std, sample = seen[-1]
    assert mean.dtype == sample.dtype == np.uint16 and mean.shape == sample.shape == (16, 16)
    assert std.dtype == np.float32 and np.isfinite(std).all() and (std >= 0).all()
    assert 0.3 < np.median(std) / np.median(found.raw_std) < 3
    assert (sample != mean).any()


def test_work_that_follows_the_method_is_counted_in_the_time_that_is_left(tick: Clock) -> None:
    progress, found = heard()
    progress.expect(0.5)
    progress.advance(0.0, "fit")
    tick.now = 10.0
    progress.advance(0.25, "fit")
    assert found[-1].remaining == 50.0  # a quarter of the work took ten seconds


def test_a_simulation_is_expected_where_there_will_be_one() -> None:
    def work(operator: Operator) -> float:
        y = torch.zeros(1, *operator.output_shape, dtype=torch.float64)
        return expected_work(Problem(y, operator, Gaussian(0.1)))

    psf = torch.full((3, 3), 1 / 9, dtype=torch.float64)
    assert work(Identity((32, 32))) == 0
    assert work(from_matrix(np.eye(16), (4, 4))) == OF_ONE_FIT
    assert work(Blur((128, 128), psf)) == pytest.approx(OF_ONE_FIT / 4)
