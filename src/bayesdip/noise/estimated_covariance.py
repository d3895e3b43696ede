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
# Below TEXTURE, in periods a pixel, texture passes for noise of the brightness. Noise of sensors is independent in the three colours, whose
# differences are smoothed at most, and made larger by the camera's colour correction. So at these frequencies the brightness has no more noise
# than at those from there on up to HIGH, or than LESS times the colours' below LOW. If colours have less than OWN_COLOURS of the brightness,
# or go with it (SHARED), all channels share their noise. On ten simulated camera pictures this gained 0.1 dB over the most that
# colours have at each frequency; LESS of 0.6 and 0.8 came to the same within 0.06 dB.
TEXTURE, HIGH, LOW, LESS, OWN_COLOURS, SHARED = 0.375, 0.5, 0.1, 1.0, 0.06, 0.7
# Calm places understate fine frequencies, from FINE on, in pictures that the camera stored as JPEG or denoised itself. There texture has little
# power, least in the colours, so that the median window shows the noise: it counts up to these times the estimate, of brightness and colours.
# Of 51 simulated camera pictures the logarithms of its power and of the true noise's, over the estimate's, had a correlation of 0.8 in colours
# and 0.5 in brightness. Nine of them in which noise is recognised were restored 0.3 dB better in the mean, of -0.03 to 1.3.
FINE, MOST_TIMES = 0.25, (1.5, 4.0)
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
    if channels > 1 and _has_own_colours(parts):
        factor = _without_texture(parts) * _of_the_median_window(parts, windows.modes)
        parts = parts * factor[:, None] * factor
    return _table(np.einsum("ia,ijuv,jb->abuv", basis, parts, basis))


def opponent_basis(channels: int) -> Array:
    """Mean and differences of channels, orthonormal rows: a cosine transform."""
    basis = np.cos(np.pi * np.arange(channels)[:, None] * (np.arange(channels) + 0.5) / channels)
    found: Array = basis / np.linalg.norm(basis, axis=1, keepdims=True)
    return found


def _has_own_colours(parts: Array) -> bool:
    """Whether colours have noise of their own, as of sensors; `parts` are covariances of brightness and colours, (C, C, *frequencies).

    Where one channel is the noisiest, brightness and colours go together at high frequencies, and not at low ones.
    """
    of_ring, of_low = (parts[..., ring].mean(-1) for ring in (_ring(TEXTURE, HIGH), _ring(0.0, LOW)))
    low = np.diagonal(of_low).real[1:].max()
    shared = min(_coherence(of_ring), _coherence(of_low)) > SHARED
    return bool(low >= OWN_COLOURS * of_ring[0, 0].real and not shared)


def _coherence(parts: Array) -> float:
    """Of the brightness and the colour that goes with it most, by their covariances, (C, C)."""
    power = np.diagonal(parts).real
    found = np.abs(parts[0, 1:]) ** 2 / np.maximum(power[0] * power[1:], np.finfo(float).tiny)
    return float(found.max())


def _without_texture(parts: Array) -> Array:
    """Factors of the noise's amplitude, (C, *frequencies), that leave in the brightness what a camera's noise can have."""
    brightness = np.maximum(parts[0, 0].real, np.finfo(float).tiny)
    low = np.diagonal(parts).real[_ring(0.0, LOW)][:, 1:].mean()
    most = max(brightness[_ring(TEXTURE, HIGH)].mean(), LESS * low)
    factor = np.ones(parts.shape[1:])
    factor[0] = np.where(_length() < TEXTURE, np.sqrt(np.minimum(most / brightness, 1.0)), 1.0)
    return factor


def _of_the_median_window(parts: Array, modes: Array) -> Array:
    """The same that bring fine frequencies to the power that the median window has there; `modes` are (F, C, n)."""
    fine = _length() >= FINE
    basis = opponent_basis(modes.shape[1])
    power = np.abs(np.einsum("ia,fan->ifn", basis, modes[fine.ravel()[1:]])) ** 2
    estimate = np.diagonal(parts).real[fine].sum(0)
    factor = np.ones(parts.shape[1:])
    for part, most in zip((slice(0, 1), slice(1, None)), MOST_TIMES, strict=True):
        usual = np.median(power[part].sum((0, 1)))
        times = usual / max(float(estimate[part].sum()), np.finfo(float).tiny)
        factor[part] = np.where(fine, np.clip(times, 1.0, most) ** 0.5, 1.0)
    return factor


def _ring(low: float, high: float) -> Array:
    """Which frequencies have a length from the first to below the second."""
    length = _length()
    found: Array = (length >= low) & (length < high)
    return found


def _length() -> Array:
    """Of the wave vectors, in periods a pixel."""
    found: Array = np.hypot(*frequencies(SIDE))
    return found


def _table(spectrum: Array) -> Array:
    """Covariances at all lags of a spectrum, (C, C, *frequencies)."""
    lags = np.arange(-REACH, REACH + 1)
    table = np.fft.irfft2(spectrum.conj(), (SIDE, SIDE))[..., lags[:, None], lags]
    table = table / np.outer(*[overlap(SIDE, lags)] * 2)
    found: Array = (table + np.flip(table, (-2, -1)).swapaxes(0, 1)) / 2
    return found
