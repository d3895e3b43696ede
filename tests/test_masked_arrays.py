"""Masks for each channel, and NumPy masked arrays, wherever a mask goes."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import astronaut

import bayesdip as bd
from bayesdip.comparison.setup import set_up
from bayesdip.problem import Problem

COLOUR = astronaut()[150:182, 200:232]
BAYER = np.ones(COLOUR.shape, bool)  # each pixel misses two of its three colours
BAYER[0::2, 0::2, 0] = BAYER[0::2, 1::2, 1] = BAYER[1::2, 0::2, 1] = BAYER[1::2, 1::2, 2] = False


def psnr(restored, where=BAYER) -> float:
    error = (np.asarray(restored, float) - COLOUR)[where]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def nearest_of_its_colour() -> float:
    """The simplest demosaicing: the mean of the known values around, channel by channel."""
    from scipy.ndimage import uniform_filter

    known = (~BAYER).astype(float)
    filled = [
        uniform_filter(COLOUR[..., c] * known[..., c], 3) / uniform_filter(known[..., c], 3) for c in range(3)
    ]
    return psnr(np.stack(filled, axis=-1))


# A stationary process does not follow edges.
@pytest.mark.parametrize(
    ("method", "gain"), [("patches", 3), (bd.GP(effort="fast"), 0.5)], ids=["patches", "gp"]
)
def test_a_mosaic_of_colours_is_filled_in_and_calibrated(method, gain) -> None:
    r = bd.inpaint(COLOUR, BAYER, sigma=0, channel_axis=-1, method=method)
    assert psnr(r.mean) > nearest_of_its_colour() + gain
    np.testing.assert_array_equal(r.mean[~BAYER], COLOUR[~BAYER])
    assert r.held_out_count > 0 and r.calibration is not None
    low, high = r.interval(0.9)
    assert 0.8 <= ((low <= COLOUR) & (high >= COLOUR))[BAYER].mean() <= 0.99


@pytest.mark.parametrize(
    "method",
    [bd.SGLD(steps=8), bd.MAP(steps=8), bd.MAP(steps=8, stop="held-out"), bd.Stack(sgld=bd.SGLD(steps=8))],
    ids=["sgld", "map", "map, held-out", "stack"],
)
def test_networks_take_a_mask_for_each_channel(method) -> None:
    r = bd.inpaint(COLOUR, BAYER, sigma=5, channel_axis=-1, method=method)
    assert np.isfinite(r.mean).all() and r.held_out_count > 0


def test_nan_in_some_channels_and_a_masked_array_mean_the_same() -> None:
    values = COLOUR.astype(float)
    nan = np.where(BAYER, np.nan, values)
    options = {"sigma": 0, "channel_axis": -1, "effort": "fast"}
    expected = bd.inpaint(values, BAYER, **options).mean
    np.testing.assert_array_equal(bd.inpaint(nan, missing="nan", **options).mean, expected)
    np.testing.assert_array_equal(bd.inpaint(np.ma.masked_array(values, BAYER), **options).mean, expected)
    some = BAYER & (np.arange(32) < 16)[:, None]
    masked = np.ma.masked_array(values, some)
    np.testing.assert_array_equal(bd.inpaint(masked, BAYER & ~some, **options).mean, expected)


def test_denoising_fills_masked_entries_in() -> None:
    gray = COLOUR[..., 1].astype(float)
    gone = np.zeros(gray.shape, bool)
    gone[10:13, 8:20] = True
    noisy = gray + np.random.default_rng(0).normal(0, 8, gray.shape)
    r = bd.denoise(np.ma.masked_array(np.where(gone, 1e3, noisy), gone), 8, effort="fast")
    assert np.abs(r.mean - gray)[gone].mean() < 20 and isinstance(r.mean, np.ndarray)
    assert not isinstance(r.mean, np.ma.MaskedArray)


def test_only_the_channels_that_were_seen_are_judged() -> None:
    import torch

    from bayesdip.holdout import root_mean_square_error, split
    from bayesdip.noise import Gaussian
    from bayesdip.operators import Mask
    from bayesdip.result import Posterior

    y = torch.from_numpy(COLOUR.astype(float)).movedim(-1, 0)
    problem = Problem.from_data(y, Mask(np.moveaxis(BAYER, -1, 0), y.shape[1:]), Gaussian(0.0))
    held_out = split(problem, 0)
    assert held_out is not None and held_out.any()
    from dataclasses import replace

    problem = replace(problem, held_out=held_out)
    entries = problem.held_out_entries
    assert int(entries.sum()) == int(held_out.sum())  # one colour of each pixel
    off = torch.where(problem.observed, problem.y + 0.5, torch.full_like(problem.y, 99.0))
    assert root_mean_square_error(Posterior(off), problem) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["mask", "psf"])
def test_a_masked_array_where_it_means_nothing_is_refused(name) -> None:
    odd = np.ma.masked_less(np.ones((5, 5)), 2)
    picture = COLOUR[:5, :5, 0]
    with pytest.raises(bd.BayesDipError, match=f"{name} is a masked array"):
        bd.inpaint(picture, odd) if name == "mask" else bd.deblur(picture, odd)


def test_methods_are_compared_on_a_mosaic_of_colours() -> None:
    found = bd.compare(
        np.where(BAYER, 0, COLOUR),
        BAYER,
        methods=["biharmonic", "tv"],
        rounds=2,
        truth=COLOUR,
        channel_axis=-1,
    )
    assert "not applicable" not in found.table()
    assert found.best.name in ("biharmonic", "tv")


def test_a_masked_array_is_compared_as_one_with_a_mask() -> None:
    gone = np.random.default_rng(0).random(COLOUR.shape[:2]) < 0.3
    masked = np.ma.masked_array(COLOUR[..., 0], gone)
    setup = set_up(masked)
    assert setup.task == "inpaint" and (setup.missing == gone).all()
