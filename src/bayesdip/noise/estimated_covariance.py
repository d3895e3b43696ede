"""The covariance of noise between pixels and channels, from windows of a picture that has texture.

Texture is nearly the same in all channels, so that only what these have in common, the brightness, is overestimated, at low frequencies:
there it is bounded by the noise of the colours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.noise.tapered_windows import TaperedWindows, frequencies, overlap

Array = NDArray[Any]

# Side and step of the windows, fewest for the step not to be halved, most, and largest lag. Windows of 6 pixels beside these, of which more
# are calm, gained 0.2 dB in the mean of 10 simulated camera pictures, and lost up to 2 dB where strong noise was smooth or in streaks.
SIDE, STEP, FEWEST, MOST, REACH = 16, 8, 100, 400, 7
# Below this frequency, in periods a pixel, texture passes for noise of the brightness. There it has no more than at those up to HIGH, or
# than colours have at the same frequency or below LOW: noise of sensors is independent in the three colours, whose differences are
# smoothed at most. If colours have less than this share of the brightness, or go with it, all channels share their noise.
TEXTURE, HIGH, LOW, OWN_COLOURS, SHARED = 0.375, 0.5, 0.1, 0.06, 0.7
MOST_CHANNELS = 4


def estimated_autocovariance(picture: Tensor, seen: Tensor) -> Array:
    """Of the noise of a picture.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, H, W)
        At least 16 pixels a side. More than four channels are taken as independent.
    seen : Tensor of bool, shape (C, H, W)
        Windows with other entries are left out; there must be one with all.

    Returns
    -------
    array, shape (C, C, K, K)
        As :class:`bayesdip.noise.Correlated` takes it.
    """
    channels = len(picture)
    if channels > MOST_CHANNELS:
        each = [estimated_autocovariance(picture[c : c + 1], seen[c : c + 1]) for c in range(channels)]
        together = np.zeros((channels, channels, *each[0].shape[2:]))
        for channel, one in enumerate(each):
            together[channel, channel] = one[0, 0]
        return together
    windows = TaperedWindows.of(picture, seen, SIDE, STEP, MOST)
    if windows.modes.shape[2] < FEWEST:
        windows = TaperedWindows.of(picture, seen, SIDE, STEP // 2, MOST)
    spectrum = windows.noise()
    basis = opponent_basis(channels)
    parts = np.einsum("ia,abuv,jb->ijuv", basis, spectrum, basis)
    if channels > 1:
        brightness = np.maximum(parts[0, 0].real, np.finfo(float).tiny)
        factor = np.ones((channels, *brightness.shape))
        factor[0] = np.sqrt(_bounded_by_colours(parts, brightness) / brightness)
        parts = parts * factor[:, None] * factor
    return _table(np.einsum("ia,ijuv,jb->abuv", basis, parts, basis))


def opponent_basis(channels: int) -> Array:
    """Mean and differences of channels, orthonormal rows: a cosine transform."""
    basis = np.cos(np.pi * np.arange(channels)[:, None] * (np.arange(channels) + 0.5) / channels)
    found: Array = basis / np.linalg.norm(basis, axis=1, keepdims=True)
    return found


def _bounded_by_colours(parts: Array, brightness: Array) -> Array:
    """Power of the brightness, (*frequencies), without the texture at its low frequencies.

    `parts` are the covariances of the brightness and the colours, (C, C, *frequencies).
    """
    rows, columns = frequencies(SIDE)
    length = np.hypot(rows, columns)
    ring = (length >= TEXTURE) & (length < HIGH)
    of_ring = parts[..., ring].mean(-1)
    power = np.diagonal(of_ring).real
    colours = np.diagonal(parts).real[..., 1:]
    low = colours[length < LOW].mean(0).max()
    coherence = np.abs(of_ring[0, 1:]) ** 2 / np.maximum(power[0] * power[1:], np.finfo(float).tiny)
    if low < OWN_COLOURS * power[0] or coherence.max() > SHARED:
        return brightness
    most = np.maximum(colours.max(-1), max(power[0], low))
    return np.where(np.maximum(rows, columns) < TEXTURE, np.minimum(brightness, most), brightness)


def _table(spectrum: Array) -> Array:
    """Covariances at all lags of a spectrum, (C, C, *frequencies)."""
    lags = np.arange(-REACH, REACH + 1)
    table = np.fft.irfft2(spectrum.conj(), (SIDE, SIDE))[..., lags[:, None], lags]
    table = table / np.outer(*[overlap(SIDE, lags)] * 2)
    found: Array = (table + np.flip(table, (-2, -1)).swapaxes(0, 1)) / 2
    return found
