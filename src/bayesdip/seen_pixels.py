"""Errors of pixels whose own noisy value was seen, from those of unseen ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.error_law import Array


def seen_variance(own: Array, variance: NDArray[Any], noise: NDArray[Any] | float) -> Array:
    """Mean squared error where a pixel's own value is seen, of an estimate that takes its error without it to have the variance `own`.

    It has the variance `variance` in fact: see :meth:`bayesdip.calibration.Calibration.std`.
    """
    odds = own / noise
    return np.asarray((own * odds + variance) / (1 + odds) ** 2)
