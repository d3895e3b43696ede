"""Values that stand for "no data" are found in rasters and detector pictures, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

import bayesdip as bd
from bayesdip import no_data
from conftest import smooth_picture

HOLES = np.zeros((48, 48), bool)
HOLES[:, :3], HOLES[20:23, 30:36] = True, True


def marked(value: float, dtype: str = "float32", holes: np.ndarray = HOLES) -> np.ndarray:
    """A noisy picture of levels 50 to 230, with a mark in its holes."""
    picture = 30 + 200 * smooth_picture((48, 48)) + np.random.default_rng(0).normal(0, 4, (48, 48))
    return np.where(holes, np.asarray(value, dtype), picture.astype(dtype))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        *((v, "float32") for v in (-9999, -32768, -999, -3.4e38, -9.223372e18, 1e20, 1e30, 9.96921e36)),
        *((v, "float64") for v in (-1.7976931348623157e308, -3.4028234663852886e38, 1e36, -4.5e17)),
        *((v, "int16") for v in (-9999, -32768, -1)),
        *((v, "int32") for v in (-(2**31), -99999, -2)),
        (2**32 - 1, "uint32"),
    ],
)
def test_a_mark_that_stands_apart_is_found(value, dtype):
    flags, values = no_data.find(marked(value, dtype))
    np.testing.assert_array_equal(flags, HOLES)
    assert values == (float(np.asarray(value, dtype)),)


def test_several_marks_in_one_picture_are_found():
    gaps = marked(-1, "int32")
    gaps[40, 40] = gaps[41, 7] = -2
    assert no_data.find(gaps)[1] == (-1.0, -2.0)
    assert int(no_data.find(gaps)[0].sum()) == HOLES.sum() + 2
    both = marked(-9999)
    both[5, 5] = 1e30
    assert set(no_data.find(both)[1]) == {-9999.0, float(np.float32(1e30))}


@pytest.mark.parametrize(
    "name", ["astronaut", "camera", "coins", "moon", "page", "text", "horse", "coffee", "retina", "hubble_deep_field"]
)  # fmt: skip
def test_ordinary_pictures_have_no_marks(name):
    picture = np.asarray(getattr(skimage.data, name)())[:200, :200]
    rng = np.random.default_rng(0)
    noisy = picture + rng.normal(0, 20, picture.shape)
    whole = np.rint(noisy).astype(np.int16)
    for taken in (picture, noisy, noisy.astype(np.float32), noisy / 255, 1e6 * noisy, whole, 120 * whole):
        assert no_data.find(taken)[1] == ()
    assert no_data.find(np.rint(rng.normal(40, 12, (200, 200))).astype(np.int32))[1] == ()


def test_a_value_that_the_data_reach_by_themselves_is_data():
    heights = np.linspace(-1200, 800, 64 * 64).reshape(64, 64).round()
    heights[3, 3] = heights[3, 4] = -999
    assert no_data.find(heights)[1] == ()
    sound = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    sound[:5] = -32768
    assert no_data.find(sound)[1] == ()
    through_zero = np.linspace(-2, 60, 64 * 64).reshape(64, 64).round().astype(np.int16)
    assert no_data.find(through_zero)[1] == ()


def test_the_users_word_overrides_what_shows_itself():
    picture = marked(-9999, "float64")
    picture[30, 3] = np.nan
    assert no_data.find(picture, None)[1] == ()
    assert int(no_data.find(picture, "nan")[0].sum()) == HOLES.sum() + 1
    assert int(no_data.find(picture, -9999)[0].sum()) == HOLES.sum() + 1
    assert int(no_data.find(picture, float("nan"))[0].sum()) == 1
    for wrong in ("zero", True, [1]):
        with pytest.raises(bd.BayesDipError, match="missing is"):
            no_data.find(picture, wrong)


@pytest.mark.parametrize("value", [-9999, -3.4e38, -9.223372e18])
def test_denoising_fills_no_data_in_and_says_so(value):
    clean = 30 + 200 * smooth_picture((48, 48))
    r = bd.denoise(marked(value), method="gp")
    assert np.abs(r.mean - clean)[HOLES].mean() < 25 and np.abs(r.mean - clean)[~HOLES].mean() < 4
    assert r.sigma == pytest.approx((4,), rel=0.3)
    found = next(f for f in r.findings if f.kind == "no data")
    assert found.facts["count"] == HOLES.sum() and "missing=None" in found.text


def test_no_data_is_filled_in_by_the_other_tasks_too():
    picture = marked(-9999)
    psf = np.outer([1, 2, 1], [1, 2, 1])
    for r in (
        bd.inpaint(picture, sigma=4, method="gp"),
        bd.deblur(picture, psf, method="gp"),
        bd.upscale(picture, 2, sigma=4, method="gp"),
    ):
        assert r.mean.min() > 0 and r.mean.max() < 300
        assert [f.facts["count"] for f in r.findings if f.kind == "no data"] == [HOLES.sum()]


def test_no_data_under_the_mask_is_not_told():
    r = bd.inpaint(marked(-9999), HOLES, sigma=4, method="gp")
    assert not [f for f in r.findings if f.kind == "no data"]


def test_channels_lose_values_of_their_own():
    picture = np.stack([marked(50.0), marked(-9999), marked(50.0)], -1)
    r = bd.inpaint(picture, sigma=4, channel_axis=-1, method="gp")
    assert r.findings[0].facts["count"] == HOLES.sum()
    assert r.mean.min() > 0


def test_masked_arrays_mean_their_mask():
    clean = 30 + 200 * smooth_picture((48, 48))
    picture = np.ma.masked_array(np.where(HOLES, 0, clean), HOLES)
    for r in (
        bd.denoise(picture, 2, method="gp"),
        bd.inpaint(picture, method="gp"),
        bd.restore(picture, bd.Identity((48, 48)), bd.Gaussian(2), method="gp"),
    ):
        assert np.abs(np.asarray(r.mean) - clean)[HOLES].mean() < 25
