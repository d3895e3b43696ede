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
