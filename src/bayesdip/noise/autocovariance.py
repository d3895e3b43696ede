"""Whether a picture has correlated noise, from its calmest places; :mod:`bayesdip.noise.estimated_covariance` estimates it.

In places where the picture is flat the power at every frequency is the noise's. The noise itself tells which these are: their
power, in units of the usual one at each frequency, is the least. Of noise it is nearly the same in many places, of texture
it grows quickly from the calmest ones on: that tells the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

# Side of a window, pixels from one to the next, and most windows. On parts of 128x128 pixels of tuning pictures, windows of 24
# pixels, of which fewer are flat, gave a restored picture that was 0.4 to 0.7 dB worse.
SIDE, STEP, MOST_WINDOWS = 16, 4, 20_000
# Largest lag: with 11 and 13 in place of 8, streaks gained 0.15 dB and smooth noise lost 0.07.
FARTHEST = 8
# Fewest windows to say anything of a spectrum, and the share of the calmest ones that it is taken from. Larger shares were
# worse: 0.1 by 0.1 to 1.2 dB.
# Where noise is nearly the same in more places, all those are taken whose power is below this one times the calmest ones': of 1, 1.2, 1.35
# and 1.5, on four tuning pictures, 1.2 was about the best for smooth noise and noise that falls with frequency, and 1.5 for streaks.
FEWEST, CALMEST, REACH = 24, 0.05, 1.25
# Fewest windows to tell correlated noise from the picture: of 12 tuning pictures with four kinds of noise, parts of 48 and 72 pixels (81 and
# 225 windows) were restored up to 14 and 10 dB worse than by a white model, parts of 128 (841) up to 1.1 dB.
TELLING = 500
# Power of the windows at these shares over that at the first one, up to which it is noise. Of 42 clean pictures, 24 of BSDS500 made
# half as large and 18 parts of scikit-image's, none was below both.
AT, STEADY = (0.025, 0.1, 0.2), (1.35, 2.0)
# Geometric over arithmetic mean of the power at frequencies from FINE periods a pixel on, along either axis: 1 for white noise.
# Texture shows at lower ones. On 12 tuning pictures with noise of 8, 15 and 30 it was 0.88 and more where that was white, 0.74 and
# less where it was smooth or in streaks, and 0.71 to 0.91 where power fell with frequency, for which the white model was better.
FINE, FLATNESS = 0.25, 0.8
# In a small picture, with fewer windows than FEW in each channel, white noise beneath texture has less. Of 192 parts of 64x64 and 96x96 pixels of
# tuning pictures, each clean and with white noise of 5 to 20, 42 of 768 passed for correlated noise, 12 of them with less than this; of 301 that passed rightly, with
# smooth noise or streaks, 291 had less.
FEW, FLATNESS_OF_FEW = 1000, 0.55
# The least level, as a share of the data's range.
LEAST_LEVEL = 0.02


@dataclass(frozen=True)
class NoiseSpectrum:
    """What the calmest windows of a picture show.

    Attributes
    ----------
    autocovariance : array, shape (C, C, K, K)
        As :class:`bayesdip.noise.Correlated` takes it.
    flatness : float
        One for white noise, less the more the power differs between fine frequencies.
    growth : tuple of float
        Of the power from the calmest windows to others.
    windows : int
        How many there were, those of each channel.
    """

    autocovariance: Array
    flatness: float
    growth: tuple[float, ...]
    windows: int

    @classmethod
    def of(cls, picture: Tensor, seen: Tensor) -> Self | None:
        """Of a picture.

        Parameters
        ----------
        picture : Tensor, float64, shape (C, H, W)
        seen : Tensor of bool, shape (C, H, W)
            Windows with other entries are left out.

        Returns
        -------
        NoiseSpectrum or None
            None where there are too few windows.
        """
        if picture.ndim != 3 or min(picture.shape[1:]) < SIDE:
            return None
        windows = _windows(picture, seen)
        if len(windows) < FEWEST:
            return None
        taper = np.sin(np.pi * (np.arange(SIDE) + 0.5) / SIDE)
        taper = taper[:, None] * taper
        scale = float(np.abs(windows).max()) or 1.0  # squares of any values are finite
        windows = windows / scale
        windows = windows - (windows * taper).sum((-2, -1), keepdims=True) / taper.sum()
        double = (2 * SIDE, 2 * SIDE)
        modes = np.fft.rfft2(windows * taper, double)
        power = np.abs(modes[..., ::2, ::2].reshape(*modes.shape[:2], -1)[..., 1:]) ** 2  # without the mean
        power = power.reshape(len(power), -1)
        if not power.any():
            return None
        usual = np.maximum(np.median(power, axis=0), 1e-12 * power.max())
        calm = np.argsort((power / usual).mean(1), kind="stable")[: max(FEWEST, round(CALMEST * len(power)))]
        relative = (power / np.maximum(power[calm].mean(0), 1e-300)).mean(1)
        first, *others = (np.sort(relative)[int(share * len(relative))] for share in AT)
        if not first > 0:  # the calmest are blank
            return None
        steady = relative < REACH * first
        calm = np.flatnonzero(steady) if steady.sum() > len(calm) else calm
        noise = power[calm].mean(0)
        spectrum = np.einsum("naij,nbij->abij", modes[calm].conj(), modes[calm]) / len(calm)
        overlap = np.fft.irfft2(np.abs(np.fft.rfft2(taper, double)) ** 2, double)
        table = _table(np.fft.irfft2(spectrum, double), overlap)
        return cls(
            scale**2 * table,
            _flatness(noise),
            tuple(float(other / first) for other in others),
            windows.shape[0] * windows.shape[1],
        )

    @property
    def levels(self) -> Array:
        """Standard deviation of the noise in each channel."""
        found: Array = np.maximum(np.diagonal(self.autocovariance[..., FARTHEST, FARTHEST]), 0.0) ** 0.5
        return found

    @property
    def is_white(self) -> bool:
        """Whether its fine frequencies have the same power, so that noise that is white explains them."""
        few = self.windows < FEW * len(self.autocovariance)
        return self.flatness >= (FLATNESS_OF_FEW if few else FLATNESS)

    def is_noise(self, value_range: float) -> bool:
        """Whether there are enough windows to tell that this is noise, and not the picture, and it is."""
        steady = all(growth < most for growth, most in zip(self.growth, STEADY, strict=True))
        strong = bool((self.levels > LEAST_LEVEL * value_range).all())
        return self.windows >= TELLING and steady and strong


def _flatness(power: Array) -> float:
    """Of fine frequencies, the mean of all channels, from the power at all but the mean of windows, channel by channel."""
    across, along = np.abs(np.fft.fftfreq(SIDE)), np.arange(SIDE // 2 + 1) / SIDE
    fine = (np.maximum(across[:, None], along).ravel() >= FINE)[1:]
    of_fine = np.maximum(power.reshape(-1, fine.size)[:, fine], 1e-300)
    return float((np.exp(np.log(of_fine).mean(1)) / of_fine.mean(1)).mean())


def _windows(picture: Tensor, seen: Tensor) -> Array:
    """Windows all of which was seen, (n, C, SIDE, SIDE)."""
    step = max(STEP, round((picture[0].numel() / MOST_WINDOWS) ** 0.5))
    cut, complete = picture, seen.all(0)
    for axis in range(2):
        cut, complete = cut.unfold(axis + 1, SIDE, step), complete.unfold(axis, SIDE, step)
    found: Array = cut.movedim(0, 2)[complete.flatten(2).all(-1)].double().numpy()
    return found


def _table(products: Array, overlap: Array) -> Array:
    """Covariances at all lags up to half a window, of mean products at each lag; those farther than half of that fade."""
    reach = FARTHEST
    lags = np.arange(-reach, reach + 1)
    at = np.ix_(lags, lags)
    fading = np.minimum(2 - 2 * np.abs(lags) / (reach + 1), 1)
    table = products[..., at[0], at[1]] / overlap[at] * (fading[:, None] * fading)
    found: Array = (table + np.flip(table, (-2, -1)).swapaxes(0, 1)) / 2
    return found
