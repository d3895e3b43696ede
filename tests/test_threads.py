"""One thread for each of torch's operations, and independent pieces of work beside each other."""

import threading

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.threads import in_order, one_for_each_operation, workers


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_operations_have_one_thread_and_pieces_of_work_as_many_as_before():
    with one_for_each_operation():
        assert (torch.get_num_threads(), workers()) == (1, 3)
        together = threading.Barrier(3, timeout=60)  # broken unless three run at once
        numbers = list(
            in_order([lambda n=n: (together.wait(), n, torch.get_num_threads())[1:] for n in range(3)])
        )
        assert numbers == [(0, 1), (1, 1), (2, 1)]
        assert torch.get_num_threads() == 1
        with one_for_each_operation():
            assert (torch.get_num_threads(), workers()) == (1, 3)
        assert (torch.get_num_threads(), workers()) == (1, 3)
    assert (torch.get_num_threads(), workers()) == (3, 3)


def test_a_run_that_begins_beside_another_leaves_the_setting_as_it_was_before_both():
    begun, ended, found = threading.Event(), threading.Event(), []

    def second():
        with one_for_each_operation():
            found.append(workers())
            begun.set()
            ended.wait(60)
        found.append(torch.get_num_threads())

    thread = threading.Thread(target=second)
    with one_for_each_operation():
        thread.start()
        begun.wait(60)
    ended.set()
    thread.join(60)
    assert found == [3, 3]
    assert torch.get_num_threads() == 3


def test_threads_come_back_after_an_error():
    with pytest.raises(KeyError), one_for_each_operation():
        raise KeyError
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("method", ["patches", "gp"])
def test_a_picture_does_not_depend_on_the_number_of_threads(method):
    noisy = np.random.default_rng(0).normal(100, 20, (40, 48))
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        r = bd.denoise(noisy, sigma=20, method=method, effort="fast", device="cpu")
        found.append((r.mean, r.std))
        assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(found[0], found[1])
