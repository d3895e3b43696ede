"""What replicas of a hole tell of held-out regions that lie where a picture is flat, or where it is not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdip.hole_replicas import OVERLAP, replicas, typical_ratio
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem

HOLE = (slice(30, 40), slice(30, 40))


def half_flat(held_at: tuple[int, int], sigma: float = 0.0) -> Problem:
    """Flat on the left, a smooth texture on the right; a hole of 10x10 in the middle and one region held out."""
    rng = np.random.default_rng(0)
    picture = np.ones((64, 80))
    picture[:, 40:] += np.sin(np.arange(40) / 2.0) * np.cos(np.arange(64) / 2.0)[:, None]
    picture[:, :40] += 0.01 * np.sin(np.arange(40) / 3.0)
    missing, held_out = torch.zeros(64, 80, dtype=torch.bool), torch.zeros(64, 80, dtype=torch.bool)
    missing[HOLE] = True
    row, column = held_at
    held_out[row : row + 10, column : column + 10] = True
    data = torch.from_numpy(picture + sigma * rng.normal(size=picture.shape))[None]
    problem = Problem.from_data(data, Mask(missing, (64, 80)), Gaussian(sigma))
    return replace(problem, held_out=held_out)


@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_a_region_in_a_flat_place_is_told_to_be_easy(sigma):
    assert typical_ratio(half_flat((10, 8), sigma), seed=0) > 2


def test_a_region_in_the_hardest_place_is_told_to_be_hard():
    assert typical_ratio(half_flat((10, 60)), seed=0) < 0.95


def test_without_a_hole_or_a_region_nothing_is_told():
    problem = half_flat((10, 8))
    assert typical_ratio(replace(problem, held_out=torch.zeros(64, 80, dtype=torch.bool)), seed=0) is None
    whole = Problem.from_data(problem.y, Mask(torch.zeros(64, 80, dtype=torch.bool), (64, 80)), Gaussian(0.0))
    assert typical_ratio(replace(whole, held_out=problem.held_out), seed=0) is None


def test_where_no_replica_has_room_nothing_is_told():
    data = torch.rand(1, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    missing, held_out = torch.zeros(20, 20, dtype=torch.bool), torch.zeros(20, 20, dtype=torch.bool)
    missing[3:17, 3:17], held_out[:2, 4:9] = True, True
    problem = replace(Problem.from_data(data, Mask(missing, (20, 20)), Gaussian(0.0)), held_out=held_out)
    assert typical_ratio(problem, seed=0) is None


def test_replicas_are_known_pixels_in_the_holes_shape():
    known = np.ones((50, 60), dtype=bool)
    known[20:26, 20:31] = False
    rounds = list(replicas(known, ~known, np.random.default_rng(1)))
    assert rounds
    for held in rounds:
        assert not (held & ~known).any()
        assert 0 < held.sum() <= 0.25 * known.sum() + 66
        assert held.sum() % 66 == 0 or held.sum() >= (1 - OVERLAP) * 66
