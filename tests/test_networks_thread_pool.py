"""Several networks, each on cores of its own."""

import threading

import pytest
import torch

from bayesdip.networks import thread_pool


@pytest.fixture
def threads():
    """Two threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_two_are_worked_on_at_a_time_with_a_thread_each(threads):
    """The first waits for the second: in turn they would never end."""
    both = threading.Barrier(2, timeout=30)

    def work(item):
        both.wait()
        return item**2, torch.get_num_threads()

    assert thread_pool.at_once(5) == threads
    assert thread_pool.on_own_cores(work, range(4)) == [(k**2, 1) for k in range(4)]
    assert torch.get_num_threads() == threads


def test_one_has_all_the_threads(threads):
    assert thread_pool.at_once(1) == 1
    assert thread_pool.on_own_cores(lambda item: (item, torch.get_num_threads()), [7]) == [(7, threads)]


def test_an_error_in_a_thread_is_raised(threads):
    def work(item):
        raise ZeroDivisionError(f"at {item}")

    with pytest.raises(ZeroDivisionError, match="at 0"):
        thread_pool.on_own_cores(work, range(2))
    assert torch.get_num_threads() == threads


def timed_trial(seconds):
    """Threads of the steps of a trial by a clock of its own: a step with n threads takes seconds[n]."""
    now = [0.0]
    trial, taken = thread_pool.ThreadTrial(threads=2, clock=lambda: now[0]), []
    for _ in range(2 * thread_pool.TRIED + 4):
        with trial.step():
            taken.append(torch.get_num_threads())
            now[0] += seconds[taken[-1]]
    return taken


def test_steps_go_on_with_one_thread_where_two_wait_for_each_other(threads):
    assert timed_trial({2: 1.0, 1: 0.3})[2 * thread_pool.TRIED :] == [1] * 4
    assert torch.get_num_threads() == threads


def test_steps_go_on_with_all_threads_where_these_are_quicker(threads):
    taken = timed_trial({2: 0.6, 1: 1.0})
    assert taken[: thread_pool.TRIED] == [2] * thread_pool.TRIED
    assert taken[thread_pool.TRIED : 2 * thread_pool.TRIED] == [1] * thread_pool.TRIED
    assert taken[2 * thread_pool.TRIED :] == [2] * 4


def test_threads_are_tried_again_when_other_programs_come(threads, monkeypatch):
    monkeypatch.setattr(thread_pool, "AGAIN", 10)
    now, cost = [0.0], {2: 0.6, 1: 1.0}
    trial, taken = thread_pool.ThreadTrial(threads=2, clock=lambda: now[0]), []
    for number in range(20):
        if number == 10:
            cost = {2: 3.0, 1: 1.0}
        with trial.step():
            taken.append(torch.get_num_threads())
            now[0] += cost[taken[-1]]
    assert (taken[9], taken[19]) == (2, 1)


def test_a_process_of_one_thread_tries_nothing():
    trial = thread_pool.ThreadTrial(threads=1)
    assert [trial.now for _ in range(3)] == [1] * 3
