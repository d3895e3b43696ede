"""The covariance of noise between pixels and channels, from windows of two sizes of a picture that has texture.

Windows of 16 pixels resolve the frequencies of the noise; windows of 6, of which there are many more, find calm places in textured
pictures. Texture is nearly the same in all channels, so that only what these have in common, the brightness, is overestimated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.noise.tapered_windows import TaperedWindows, expected_squares, frequencies, overlap

Array = NDArray[Any]

# Sides and steps of the windows, fewest of the large ones for their step not to be halved, most windows, and largest lag.
LARGE, LARGE_STEP, SMALL, SMALL_STEP = 16, 8, 6, 2
FEWEST, MOST, REACH = 100, (400, 3000), 7
# Small windows are taken in so many parts by brightness, of at least so many windows, since noise may have another level in bright places
# than in dark ones; this quantile of the parts counts. On 8 simulated camera pictures 0.3 to 0.5 were alike.
PARTS, PER_PART, QUANTILE = 6, 60, 0.4
# They count where large windows find less noise than the first share of the power, and not at all from the second on: what is
# mostly noise is told better by large ones, and smooth noise is cut off by small ones.
MOSTLY_TEXTURE, MOSTLY_NOISE = 0.3, 0.6
# Below this frequency, in periods a pixel, texture passes for noise of the brightness. There it has no more than at those up to HIGH, or
# than colours have at the same frequency or below LOW: noise of sensors is independent in the three colours, whose differences are
# smoothed at most. If colours have less than this share of the brightness, all channels share their noise, which says nothing.
TEXTURE, HIGH, LOW, OWN_COLOURS = 0.375, 0.5, 0.1, 0.06
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
    windows = TaperedWindows.of(picture, seen, LARGE, LARGE_STEP, MOST[0])
    if len(windows.brightness) < FEWEST:
        windows = TaperedWindows.of(picture, seen, LARGE, LARGE_STEP // 2, MOST[0])
    spectrum = windows.noise()
    basis = opponent_basis(channels)
    parts = np.einsum("ia,abuv,jb->ijuv", basis, spectrum, basis)
    brightness = np.maximum(parts[0, 0].real, np.finfo(float).tiny)
    lower = brightness * _share_in_small_windows(brightness, picture, seen, basis[0])
    every = (np.abs(np.einsum("a,fan->fn", basis[0], windows.modes)) ** 2).mean(1)
    part = brightness / np.append(every[:1], every).reshape(brightness.shape)
    trusted = np.clip((part - MOSTLY_TEXTURE) / (MOSTLY_NOISE - MOSTLY_TEXTURE), 0.0, 1.0)
    lower = lower ** (1 - trusted) * brightness**trusted
    if channels > 1:
        lower = _as_in_colours(lower, parts[range(1, channels), range(1, channels)].real)
    factor = np.ones((channels, *brightness.shape))
    factor[0] = np.sqrt(lower / brightness)
    parts = parts * factor[:, None] * factor
    return _table(np.einsum("ia,ijuv,jb->abuv", basis, parts, basis))


def opponent_basis(channels: int) -> Array:
    """Mean and differences of channels, orthonormal rows: a cosine transform."""
    basis = np.cos(np.pi * np.arange(channels)[:, None] * (np.arange(channels) + 0.5) / channels)
    found: Array = basis / np.linalg.norm(basis, axis=1, keepdims=True)
    return found


def _share_in_small_windows(power: Array, picture: Tensor, seen: Tensor, mean: Array) -> Array:
    """Of that power by frequency, how much small windows show, one at most."""
    windows = TaperedWindows.of(picture, seen, SMALL, SMALL_STEP, MOST[1])
    parts = max(1, min(PARTS, len(windows.brightness) // PER_PART))
    found = [
        np.einsum("a,abuv,b->uv", mean, part.noise(), mean).real
        for part in windows.darkest_to_brightest(parts)
    ]
    least = np.finfo(float).tiny
    small = np.exp(np.quantile(np.log(np.maximum(found, least)), QUANTILE, axis=0))
    lags = np.arange(1 - SMALL, SMALL)
    table = np.fft.irfft2(power, (LARGE, LARGE))[np.ix_(lags, lags)] / np.outer(*[overlap(LARGE, lags)] * 2)
    expected = np.ones_like(small)
    expected.ravel()[1:] = np.maximum(expected_squares(table, SMALL), least)
    share = np.minimum(small / expected, 1.0)
    share[0, 0] = (share[0, 1] + share[1, 0]) / 2
    return _interpolated(share)


def _interpolated(share: Array) -> Array:
    """From the frequencies of small windows to those of large ones."""
    beyond = share[-np.arange(SMALL) % SMALL, -2:-3:-1]  # conjugate to those of the opposite direction
    columns = np.concatenate((share, beyond), 1)
    rows = np.concatenate((columns, columns[:1]))  # periodic
    place = np.arange(LARGE) / LARGE * SMALL
    along = np.stack([np.interp(place[: LARGE // 2 + 1], np.arange(rows.shape[1]), row) for row in rows])
    found: Array = np.stack([np.interp(place, np.arange(SMALL + 1), column) for column in along.T], 1)
    return found


def _as_in_colours(brightness: Array, colours: Array) -> Array:
    """Power of the brightness without the texture at its low frequencies, by that of the colours, (C - 1, *frequencies)."""
    rows, columns = frequencies(LARGE)
    length = np.hypot(rows, columns)
    high = brightness[(length >= TEXTURE) & (length < HIGH)].mean()
    low = colours[:, length < LOW].mean(1).max()
    if low < OWN_COLOURS * high:
        return brightness
    most = np.maximum(colours.max(0), max(high, low))
    return np.where(np.maximum(rows, columns) < TEXTURE, np.minimum(brightness, most), brightness)


def _table(spectrum: Array) -> Array:
    """Covariances at all lags of a spectrum, (C, C, *frequencies)."""
    lags = np.arange(-REACH, REACH + 1)
    table = np.fft.irfft2(spectrum.conj(), (LARGE, LARGE))[..., lags[:, None], lags]
    table = table / np.outer(*[overlap(LARGE, lags)] * 2)
    found: Array = (table + np.flip(table, (-2, -1)).swapaxes(0, 1)) / 2
    return found
