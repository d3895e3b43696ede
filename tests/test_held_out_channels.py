"""Of a picture some of whose channels lack pixels, these alone are held out: the others are seen at missing pixels too."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.held_out_split import channels_with_missing, split
from bayesdip.hole_replicas import typical_ratio
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Mask
from bayesdip.problem import Problem
from conftest import smooth_picture

SIDE = 48


def with_a_hole(channels, sigma=0.0, seed=0):
    """Three channels, of which some lack a square and scattered pixels."""
    generator = np.random.default_rng(seed)
    missing = np.zeros((3, SIDE, SIDE), dtype=bool)
    missing[channels, 20:30, 18:28] = True
    missing[channels] |= generator.random((SIDE, SIDE)) < 0.05
    y = torch.from_numpy(generator.normal(size=missing.shape))
    return Problem(y, Mask(torch.from_numpy(missing), shape=(SIDE, SIDE)), Gaussian(sigma))


def test_channels_that_lack_pixels_are_named_where_others_are_whole():
    assert channels_with_missing(with_a_hole([0, 2])).tolist() == [True, False, True]
    assert channels_with_missing(with_a_hole([0, 1, 2])) is None
    assert channels_with_missing(with_a_hole([1], sigma=0.1)) is None
    blurred = Blur((8, 8), np.full((3, 3), 1 / 9))
    assert channels_with_missing(Problem(torch.zeros(3, 8, 8).double(), blurred, Gaussian(0.0))) is None


def test_the_others_stay_seen_where_entries_are_held_out_and_regions_have_the_shape_of_the_hole():
    problem = with_a_hole([1])
    problem = replace(problem, held_out_channels=channels_with_missing(problem))
    problem = replace(problem, held_out=split(problem, 0))
    hidden = problem.whole.observed & ~problem.training.observed
    assert torch.equal(hidden, problem.held_out_entries)
    assert hidden[1].sum() > 100 and not hidden[[0, 2]].any()
    assert torch.equal(problem.training.held_out_entries, problem.held_out_entries)
    # A region that hangs together among them.
    windows = torch.nn.functional.avg_pool2d(hidden[1:2].double(), 5, stride=1)
    assert float(windows.max()) > 0.9  # single pixels are some hundredths of all


def correlated_channels(seed=0):
    """A picture in colour whose green has what red has, and a little of its own; a hole in green where the picture is rough."""
    generator = np.random.default_rng(seed)
    rough = generator.normal(size=(SIDE, SIDE)) * (np.indices((SIDE, SIDE))[1] > 16)
    base = smooth_picture((SIDE, SIDE)) + 0.3 * rough
    own = 0.02 * np.random.default_rng(seed + 1).normal(size=(SIDE, SIDE))
    return np.stack([base, 0.8 * base + own, 0.5 * base], -1)


@pytest.mark.parametrize("method", ["patches", "gp"])
def test_what_whole_channels_tell_of_missing_pixels_is_told_of_held_out_ones_too(method):
    truth = correlated_channels()
    missing = np.zeros(truth.shape, dtype=bool)
    missing[20:30, 24:34, 1] = True
    found = bd.inpaint(
        np.where(missing, np.nan, truth), missing="nan", channel_axis=-1, method=method, effort="fast"
    )
    error = np.sqrt(np.mean((found.mean - truth)[missing] ** 2))
    assert error < 0.1  # 0.24 of it is rough
    assert found.held_out < 0.15 and found.held_out_count < 1000
    assert np.array_equal(found.mean[~missing], truth[~missing])


def test_places_are_as_hard_as_what_the_whole_channels_leave_of_them():
    truth = correlated_channels()
    missing = np.zeros((3, SIDE, SIDE), dtype=bool)
    missing[1, 20:30, 30:40] = True
    held_out = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    held_out[20:30, 2:12] = True  # where it is smooth
    y = torch.from_numpy(np.moveaxis(truth, -1, 0).copy())
    problem = Problem(
        y, Mask(torch.from_numpy(missing), shape=(SIDE, SIDE)), Gaussian(0.0), held_out=held_out
    )
    of_all = typical_ratio(problem, 0)
    of_green = typical_ratio(replace(problem, held_out_channels=torch.tensor([False, True, False])), 0)
    assert of_all > 2 and of_green == pytest.approx(1.0, abs=0.3)
