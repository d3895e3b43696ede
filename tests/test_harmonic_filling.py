"""Harmonic filling against the dense answer, and what it leaves behind in memory."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bayesdip.membrane import harmonic


def dense(y, missing):
    """Every missing pixel is the mean of its neighbours on the grid: all these equations, solved at once."""
    places = {tuple(place): number for number, place in enumerate(np.argwhere(missing))}
    matrix, right = np.zeros((len(places), len(places))), np.zeros(len(places))
    for place, number in places.items():
        for axis in range(y.ndim):
            for step in (-1, 1):
                beside = tuple(np.add(place, step * np.eye(y.ndim, dtype=int)[axis]))
                if not all(0 <= i < n for i, n in zip(beside, y.shape, strict=True)):
                    continue
                matrix[number, number] += 1
                if beside in places:
                    matrix[number, places[beside]] -= 1
                else:
                    right[number] += y[beside]
    found = y.copy()
    found[missing] = np.linalg.solve(matrix, right)
    return found


@pytest.mark.parametrize("shape", [(60,), (17, 23)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_scattered_pixels_are_filled_as_by_the_dense_equations(shape, share):
    rng = np.random.default_rng(0)
    y, missing = rng.normal(size=shape), rng.random(shape) < share
    np.testing.assert_allclose(harmonic(y, missing), dense(y, missing), atol=1e-10)


def test_a_hole_at_the_border_is_filled_as_by_the_dense_equations():
    y = np.random.default_rng(0).normal(size=(20, 24))
    missing = np.zeros(y.shape, dtype=bool)
    missing[:9, 5:17] = missing[15, 2:20] = True
    np.testing.assert_allclose(harmonic(y, missing), dense(y, missing), atol=1e-10)


def test_a_picture_that_misses_nothing_stays_as_it_is():
    y = np.random.default_rng(0).normal(size=(5, 6))
    np.testing.assert_array_equal(harmonic(y, np.zeros(y.shape, dtype=bool)), y)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory in use from /proc")
def test_no_memory_is_lost_where_many_threads_fill_masks_of_their_own():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(140, 140))

    def fill(number):
        missing = np.zeros(y.shape, dtype=bool)
        missing[5:-5, 5 : -5 - number] = True
        return harmonic(y, missing)[0, 0]

    def fill_in_new_threads(numbers):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fill, numbers))

    for begin in (0, 8):  # the masks of the last eight are kept
        fill_in_new_threads(range(begin, begin + 8))
    before = _memory()
    for begin in range(16, 64, 8):
        fill_in_new_threads(range(begin, begin + 8))
    assert _memory() - before < 100 * 2**20  # 48 factors of about 10 MB


def _memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
