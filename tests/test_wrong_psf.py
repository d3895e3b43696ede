"""A point spread function that is not that of the blur does not go without a word."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.data import camera

import bayesdip as bd

CLEAN = camera()[100:148, 150:198].astype(np.float64)
BLURRED = gaussian_filter(CLEAN, 1.5) + np.random.default_rng(0).normal(0, 2, CLEAN.shape)


def kinds(psf: np.ndarray) -> set[str]:
    return {f.kind for f in bd.deblur(BLURRED, psf, sigma=2.0, effort="fast").findings}


@pytest.mark.slow
def test_a_plate_is_told_and_the_right_one_is_not() -> None:
    y, x = np.mgrid[-6:7, -6:7]
    assert "beyond the data" not in kinds(np.exp(-(x**2 + y**2) / (2 * 1.5**2)))
    assert "beyond the data" in kinds(np.ones((19, 19)))
