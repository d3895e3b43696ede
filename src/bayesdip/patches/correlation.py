"""The noise's correlation between pixels as group filters need it: of components of the channels, of patches, on coarser grids.

A correlation is an array (C, C, K, K), K odd: of one channel's noise at a pixel with another's at each lag, zero lag in the
middle, at unit variance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.noise.correlated import LEAST_POWER

Array = NDArray[Any]


def of_components(correlation: Array, basis: Array) -> Array:
    """Autocovariance of the noise in each component by itself.

    Parameters
    ----------
    correlation : array, shape (C, C, K, L)
    basis : array, shape (C, B)
        Its columns are the components.

    Returns
    -------
    array, shape (B, 1, 1, K, L)
    """
    found: Array = np.einsum("ik,ijuv,jk->kuv", basis, correlation, basis)[:, None, None]
    return found


def patch_covariances(correlation: Array, side: int) -> Array:
    """Covariance of the noise in a patch; what is below `LEAST_POWER`, as a correlation that is not quite one has it, is raised to that.

    Parameters
    ----------
    correlation : array, shape (..., C, C, K, L)
    side : int
        Of a patch.

    Returns
    -------
    array, float32, shape (..., C side^2, C side^2)
    """
    *lead, channels, _, rows, columns = correlation.shape
    grown = [(max(0, side - 1 - n // 2),) * 2 for n in (rows, columns)]
    wide = np.pad(correlation, [(0, 0)] * (len(lead) + 2) + grown)
    places = np.arange(side)
    lags = places[None, :] - places[:, None]
    # (..., C, C, u, u', v, v'): rows u and u', columns v and v' of two pixels
    table = wide[..., lags + wide.shape[-2] // 2, :][..., lags + wide.shape[-1] // 2]
    table = table.reshape(-1, channels, channels, side, side, side, side).transpose(0, 1, 3, 5, 2, 4, 6)
    size = channels * side**2
    values, vectors = np.linalg.eigh(table.reshape(*lead, size, size))
    values = np.maximum(values, LEAST_POWER)
    found = (vectors * values[..., None, :]) @ vectors.swapaxes(-1, -2)
    return np.ascontiguousarray(found, dtype=np.float32)


def halved(correlation: Array) -> Array:
    """The same on a grid of half the size, on which every frequency of the picture is twice as high.

    Only the lower half of the frequencies is left of it, each with its own variance: white noise stays as it is.
    """
    axes = (-2, -1)
    reach = [n // 2 for n in correlation.shape[-2:]]
    sizes = [4 * (r + 1) for r in reach]
    wide = np.zeros((*correlation.shape[:-2], *sizes))
    wide[..., : correlation.shape[-2], : correlation.shape[-1]] = correlation
    spectrum = np.fft.fft2(np.roll(wide, [-r for r in reach], axes))
    lower = [np.r_[0 : n // 4, n - n // 4 : n] for n in sizes]
    coarse = np.fft.ifft2(spectrum[..., lower[0][:, None], lower[1]]).real
    middle = [n // 4 - 1 + n % 2 for n in sizes]
    found: Array = np.roll(coarse, middle, axes)[..., : 2 * middle[0] + 1, : 2 * middle[1] + 1]
    return found


def of_differences(correlation: Array, axis: int) -> Array:
    """Covariance between channels of the noise's differences of neighbouring pixels along an axis, (C, C)."""
    middle = [n // 2 for n in correlation.shape[-2:]]
    if correlation.shape[axis] < 3:
        return 2 * correlation[..., middle[0], middle[1]]
    before, after = list(middle), list(middle)
    before[axis], after[axis] = before[axis] - 1, after[axis] + 1
    at = [correlation[..., p[0], p[1]] for p in (middle, before, after)]
    found: Array = 2 * at[0] - at[1] - at[2]
    return found
