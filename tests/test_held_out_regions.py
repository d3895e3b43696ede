"""Where pixels are missing in holes, known pixels are held out in holes of the same shapes."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import bayesdip as bd
from bayesdip.calibration import Calibration, calibrate
from bayesdip.error_law import Values, few_errors_factor
from bayesdip.held_out_regions import (
    FEWEST,
    SHARE,
    SMALL_SHARE,
    distances,
    in_holes,
    in_regions,
    numbered,
    regions,
)
from bayesdip.held_out_split import FEWEST_SINGLE, split
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem


def with_hole(shape, *slices):
    missing = np.zeros(shape, bool)
    missing[slices] = True
    return missing


def chosen_of(missing, seed=0):
    return regions(~missing, np.random.default_rng(seed))


@pytest.mark.parametrize(
    "missing",
    [
        with_hole((96, 96), slice(20, 40), slice(30, 50)),
        with_hole((400,), slice(100, 130)),
        with_hole((24, 24, 24), slice(8, 14), slice(8, 14), slice(8, 14)),
    ],
    ids=["picture", "signal", "volume"],
)
def test_regions_are_known_pixels_deep_inside_of_what_stays_known(missing):
    chosen = chosen_of(missing)
    assert chosen.any() and not (chosen & missing).any()
    assert chosen.sum() <= max(SHARE, SMALL_SHARE * (missing.ndim == 1)) * (~missing).sum()
    depth = distances(~missing & ~chosen)
    assert depth[chosen].max() > 2
    assert len(np.unique(numbered(chosen)[chosen])) >= 2
    assert depth[missing].max() == distances(~missing)[missing].max()  # the hole itself is not made larger


def test_small_holes_are_held_out_whole():
    missing = with_hole((128, 128), slice(20, 30), slice(30, 41))
    chosen = chosen_of(missing)
    sizes = np.bincount(numbered(chosen).ravel())[1:]
    assert len(sizes) >= FEWEST and set(sizes) == {110}


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("shape", [(64, 64), (7, 50), (8, 14, 14), (300,)], ids=str)
def test_scattered_missing_pixels_are_no_holes(shape, share):
    for seed in range(5):
        scattered = np.random.default_rng(seed).random(shape) < share
        assert in_holes(~scattered).sum() <= 0.05 * scattered.sum()


@pytest.mark.parametrize("wide", [1, 2, 3])
@pytest.mark.parametrize("axis", [0, 1])
def test_lines_are_held_out_as_lines(wide, axis):
    missing = np.indices((48, 50))[axis] % 10 < wide
    assert in_holes(~missing)[missing].all()
    chosen = chosen_of(missing)
    assert chosen.any()
    crossing = chosen.sum(axis)  # pixels of a region across the line
    assert set(np.unique(crossing[crossing > 0] % wide)) == {0}


def test_a_hole_as_wide_as_a_window_is_one_to_its_middle():
    """There a window has few known pixels, at its edges, and their neighbours beyond it."""
    rows, columns = np.indices((200, 200))
    for width in (44, 52, 60):
        edge = np.random.default_rng(width).integers(-2, 3, (200, 1))
        missing = (np.abs(columns - 100 - edge) < width / 2) & (abs(rows - 100) < 80)
        outside = missing & ~in_holes(~missing)  # a few at its ends
        assert outside.sum() <= 5 and not outside[45:155, 90:110].any()
    for share in (0.98, 0.99, 0.995):
        missing = np.random.default_rng(0).random((200, 200)) < share
        assert in_holes(~missing).mean() < 0.02


def test_what_is_missing_at_the_border_is_held_out_where_as_little_is_known():
    missing = with_hole((40, 40), slice(0, 3))
    chosen = chosen_of(missing)
    depth, number = distances(~missing & ~chosen), numbered(chosen)
    regions = [number == n for n in range(1, number.max() + 1)]
    # Known pixels on one side alone: as deep as what is missing there, 3 pixels.
    assert np.mean([depth[region].max() for region in regions]) > 2.5


def test_specks_and_scattered_pixels_of_one_mask_are_told_apart():
    rng = np.random.default_rng(0)
    missing = np.zeros((96, 192), bool)
    missing[:, 100:] = rng.random((96, 92)) < 0.1
    missing[30:50, 20:40] = True
    holes = in_holes(~missing)
    assert holes[30:50, 20:40].all() and holes[:, 120:].sum() < 0.1 * missing[:, 120:].sum()


def test_holes_among_scattered_missing_pixels_find_a_place():
    missing = np.random.default_rng(0).random((96, 96)) < 0.5
    missing[30:50, 30:50] = True
    chosen = chosen_of(missing)
    assert distances(~missing & ~chosen)[chosen].max() > 3


def test_the_split_has_single_pixels_and_regions_and_is_the_same_for_the_same_seed():
    missing = with_hole((96, 96), slice(20, 40), slice(30, 50))
    problem = Problem(torch.zeros(1, 96, 96), Mask(torch.from_numpy(missing), (96, 96)), Gaussian(0.0))
    first, again, other = split(problem, 0), split(problem, 0), split(problem, 1)
    assert torch.equal(first, again) and not torch.equal(first, other)
    together = in_regions(first.numpy())
    alone = int(first.sum()) - int(together.sum())
    assert 32 <= alone <= 64 < together.sum()


def test_as_many_single_pixels_are_held_out_as_missing_ones_are_alone():
    missing = np.random.default_rng(0).random((192, 192)) < 0.01
    missing[:40, :40] = False
    missing[10:30, 10:30] = True
    problem = Problem(torch.zeros(1, 192, 192), Mask(torch.from_numpy(missing), (192, 192)), Gaussian(0.0))
    chosen = split(problem, 0).numpy()
    alone = int(missing.sum()) - 400
    assert 0.7 * alone < (chosen & ~in_regions(chosen)).sum() <= alone


def test_single_pixels_beside_regions_touch_nothing():
    missing = with_hole((96, 96), slice(20, 40), slice(30, 50))
    problem = Problem(torch.zeros(1, 96, 96), Mask(torch.from_numpy(missing), (96, 96)), Gaussian(0.0))
    sizes = np.bincount(numbered(split(problem, 0).numpy()).ravel())[1:]
    # No missing pixel is alone: few single ones are held out, and of these none that touch others.
    assert FEWEST_SINGLE / 2 < (sizes == 1).sum() <= FEWEST_SINGLE
    assert (sizes > 1).sum() >= FEWEST and sizes[sizes > 1].min() > 20


def test_a_picture_with_no_place_for_a_region_says_so():
    missing = np.ones((48, 48), bool)
    missing[:, ::12] = np.arange(48)[:, None] % 3 > 0  # known pixels, of which no three hang together
    picture = np.linspace(0, 1, 48)[:, None] * np.ones(48)
    found = bd.inpaint(np.where(missing, 0, picture), missing, method="gp", effort="fast")
    assert [f.kind for f in found.findings].count("untested holes") == 1


def test_few_regions_make_intervals_wider():
    assert few_errors_factor(2) > few_errors_factor(5) > few_errors_factor(1000) == pytest.approx(1, abs=1e-2)


def test_a_widened_calibration_has_wider_intervals_and_the_coverage_that_was_counted():
    law = calibrate(drawn(400, 2.0), np.arange(400), 0)
    own = np.array([0.5, 1.0])
    np.testing.assert_allclose(law.widened(1.5).std(own), 1.5 * law.std(own), rtol=1e-6)
    assert law.widened(1.5).coverage == law.coverage


def drawn(count, size, seed=0):
    rng = np.random.default_rng(seed)
    std = rng.uniform(1, 2, (1, count))
    residual = size * std * rng.standard_normal(std.shape)
    return Values(np.zeros_like(std), std, residual, residual**2, np.zeros_like(std))


def test_near_pixels_and_holes_have_each_their_calibration():
    near = calibrate(drawn(2000, 1.0), np.arange(2000), 0)
    far = calibrate(drawn(2000, 5.0, seed=1), np.arange(2000), 0, np.arange(2000) // 100)
    both = near.with_far(far, 0.75)
    own = np.ones(3)
    hole = np.array([0.0, 0.5, 1.0])
    found = both.std(own, hole=hole)
    assert found[0] == pytest.approx(1.0, rel=0.1) and found[2] == pytest.approx(5.0, rel=0.1)
    assert found[0] < found[1] < found[2]
    assert both.count == 4000 and both.held_out.mean.shape == (1, 4000)
    assert both.coverage == pytest.approx(0.9, abs=0.03)


def test_a_calibration_with_holes_survives_its_file_and_a_change_of_units():
    far = calibrate(drawn(400, 5.0, seed=1), np.arange(400), 0)
    both = calibrate(drawn(400, 1.0), np.arange(400), 0).with_far(far, 0.5)
    again = Calibration.of(both.summary(), both.to_arrays())
    own, hole = np.full(2, 1.5), np.array([0.0, 1.0])
    np.testing.assert_allclose(again.std(own, hole=hole), both.std(own, hole=hole))
    tenfold = both.rescaled(3.0, 10.0)
    np.testing.assert_allclose(tenfold.std(10 * own, hole=hole), 10 * both.std(own, hole=hole), rtol=1e-5)


@pytest.mark.slow
def test_intervals_hold_in_holes():
    held = []
    for seed in range(4):
        texture = gaussian_filter(np.random.default_rng(seed).normal(size=(96, 96)), 2.5)
        missing = with_hole((96, 96), slice(30, 54), slice(40, 64))
        found = bd.inpaint(np.where(missing, 0, texture), missing, method="patches", seed=seed)
        low, high = found.interval(0.9)
        held.append(float(((low <= texture) & (texture <= high))[missing].mean()))
    assert 0.75 < np.mean(held) < 0.99
