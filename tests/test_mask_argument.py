"""The argument `mask` as people give it, and pictures of other types than arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.layout import Layout
from bayesdip.mask_argument import missing_pixels
from conftest import array, smooth_picture

GONE = np.zeros((12, 16), bool)
GONE[3:6, 4:9] = True
GRAY, COLOUR = Layout(None, np.dtype(float)), Layout(-1, np.dtype(float))


def of(mask, shape=GONE.shape, layout=GRAY):
    return missing_pixels(mask, shape, layout)


@pytest.mark.parametrize(
    "mask",
    [
        GONE,
        GONE.astype(int),
        255 * GONE.astype(np.uint8),
        GONE.astype(np.float16),
        0.4 * GONE,
        GONE[..., None],
        GONE[None],
        GONE.tolist(),
        torch.from_numpy(GONE),
        np.asfortranarray(GONE),
        GONE[::-1][::-1],
    ],
    ids=str,
)
def test_what_is_not_zero_is_missing(mask):
    missing, findings = of(mask)
    np.testing.assert_array_equal(missing.numpy(), GONE)
    assert not findings


def test_probabilities_of_at_least_a_half_are_missing_and_that_is_said():
    missing, findings = of(0.05 + 0.9 * GONE)
    np.testing.assert_array_equal(missing.numpy(), GONE)
    assert "at least 0.5" in findings[0].text


def test_a_mask_for_each_channel_is_kept_where_the_channels_differ():
    alike = np.stack([GONE] * 3, -1)
    assert of(alike, alike.shape, COLOUR)[0].shape == (12, 16)
    differing = np.stack([GONE, ~GONE, GONE], -1)
    missing = of(differing, differing.shape, COLOUR)[0]
    np.testing.assert_array_equal(missing.numpy(), np.moveaxis(differing, -1, 0))
    assert of(GONE[..., None], alike.shape, COLOUR)[0].shape == (12, 16)


@pytest.mark.parametrize(
    ("mask", "advice"),
    [
        (np.nonzero(GONE), "m[mask] = True"),
        (np.argwhere(GONE), "tuple(mask.T)"),
        (GONE.T, "give mask.T"),
        (GONE[:4], "from the picture itself"),
        (np.where(GONE, np.nan, 0), "NaN"),
        (GONE.astype(str), "the type"),
        ("mask.png", "read_picture"),
    ],
    ids=str,
)
def test_what_is_no_mask_is_refused_with_advice(mask, advice):
    with pytest.raises(bd.BayesDipError) as refusal:
        of(mask)
    assert advice in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_colour_picture_without_a_channel_axis_is_asked_for_one():
    with pytest.raises(bd.ShapeError, match="channel_axis=-1"):
        of(GONE, (*GONE.shape, 3), GRAY)


def test_nan_are_missing_where_no_mask_is_given():
    picture = smooth_picture((24, 24))
    holed = picture.copy()
    holed[3:6, 4:9] = np.nan
    restored = bd.inpaint(holed, method="gp")
    assert [f.facts["count"] for f in restored.findings if f.kind == "no data"] == [15]
    assert np.abs(restored.mean - picture).max() < 0.1
    with pytest.raises(bd.NonFiniteError):
        bd.inpaint(holed, np.eye(24, dtype=bool))


@pytest.mark.parametrize(
    "given",
    [
        lambda x: torch.tensor(x, requires_grad=True),
        lambda x: torch.tensor(x).bfloat16(),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(">f4"),
        lambda x: x[::-1][::-1],
        lambda x: x.tolist(),
    ],
)
def test_any_kind_of_array_is_taken(given):
    picture = 10 * smooth_picture((16, 16)) + array(16, 16)
    restored = bd.denoise(given(picture), 1.0, method="gp")
    expected = bd.denoise(picture, 1.0, method="gp").mean
    assert np.abs(restored.mean.astype(float) - expected).max() < 0.1


@pytest.mark.parametrize("given", ["in.png", Path("in.png"), b"abc", [[1, 2], [3]], None, 1e300 * np.eye(9)])
def test_what_is_no_picture_is_refused_in_one_line(given):
    with pytest.raises(bd.BayesDipError) as refusal:
        bd.denoise(given)
    assert "\n" not in str(refusal.value)


def test_options_of_the_wrong_type_are_refused():
    picture = smooth_picture((16, 16))
    with pytest.raises(bd.BayesDipError, match="time_budget is '1'"):
        bd.denoise(picture, 1.0, time_budget="1")
    with pytest.raises(bd.ShapeError, match="channel_axis is True"):
        bd.denoise(picture, 1.0, channel_axis=True)


def test_a_noisy_picture_of_true_and_false_is_restored_as_real_numbers():
    rng = np.random.default_rng(0)
    restored = bd.denoise(rng.random((24, 24)) < 0.3, 0.45, method="gp")
    assert restored.mean.dtype == np.float32 and 0.2 < restored.mean.mean() < 0.4
    assert "fractions" in [finding.kind for finding in restored.findings]
