"""The step of the lattice on which data lie, and an estimate of the noise that is never finer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesdip.errors import BayesDipError
from bayesdip.inputs import Inputs
from bayesdip.noise import inspect
from bayesdip.noise.rounding import rounding_step
from bayesdip.noise_argument import given_level


@pytest.mark.parametrize(
    ("scale", "shift"), [(1.0, 0.0), (1 / 255, 0.0), (257.0, 0.0), (0.25, 1000.0), (7.0, -300.0)]
)
def test_the_step_of_whole_numbers_is_found_in_any_units(scale: float, shift: float) -> None:
    whole = np.random.default_rng(0).integers(0, 200, (40, 40))
    values = (shift + scale * whole).astype(np.float32)
    assert rounding_step(torch.from_numpy(values)) == pytest.approx(scale, rel=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_continuous_data_have_the_spacing_of_their_floating_point_numbers(dtype: type) -> None:
    values = np.random.default_rng(0).normal(0, 1, (200, 200)).astype(dtype)
    expected = np.finfo(dtype).eps * abs(values).max()
    assert rounding_step(torch.from_numpy(values)) == pytest.approx(expected)


def test_an_estimate_is_not_below_the_rounding_of_counts_that_are_nearly_all_zero() -> None:
    counts = np.zeros((64, 64), np.uint16)
    counts[20:24, 30:34] = 5
    for image in (counts, counts.astype(np.float32)):
        sigma = Inputs.denoising(image, None, None, None).sigma
        assert sigma is None or min(sigma) >= 12**-0.5


def test_the_word_auto_asks_for_an_estimate() -> None:
    assert given_level("auto") is None and given_level(None) is None and given_level(0.0) == 0.0
    noisy = np.random.default_rng(0).normal(100, 10, (48, 48))
    assert (
        Inputs.denoising(noisy, "auto", None, None).noise == Inputs.denoising(noisy, None, None, None).noise
    )
    with pytest.raises(BayesDipError, match="'auto'"):
        Inputs.denoising(noisy, "much", None, None)  # type: ignore[arg-type]


def test_each_channel_has_its_own_level_where_they_differ() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (3, 64, 64)))
    found = inspect(100 + torch.tensor([2.0, 40.0, 5.0]).reshape(3, 1, 1) * noise).noise
    assert found.sigma == pytest.approx((2, 40, 5), rel=0.1)
    assert isinstance(inspect(100 + 5 * noise).noise.sigma, float)
