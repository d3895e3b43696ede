"""Windows of a picture at each frequency: without their plane, under a taper that lets little of one frequency into others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.noise.texture_mixture import noise_covariances

Array = NDArray[Any]

# Ends of the rings of frequencies, in periods a pixel, each with strengths of texture of its own: a window may be smooth in one alone.
RINGS = (0.0, 0.1, 0.25, 0.375, 1.0)


@dataclass(frozen=True)
class TaperedWindows:
    """Modes of windows.

    Attributes
    ----------
    side : int
        Of a window, in pixels.
    modes : complex array, shape (F, C, n)
        At all frequencies but the mean, in the order of ``rfft2``. White noise of variance one has mean square one.
    """

    side: int
    modes: Array

    @classmethod
    def of(cls, picture: Tensor, seen: Tensor, side: int, step: int, most: int) -> Self:
        """Of a picture, (C, H, W), from where all of it was seen, and not blank in a channel.

        Parameters
        ----------
        picture, seen : Tensor, shape (C, H, W)
        side, step : int
            Of a window, and from one to the next along each axis, in pixels.
        most : int
            Of more windows, some spread evenly over the picture are taken.
        """
        cut = picture
        for axis in range(2):
            cut = cut.unfold(axis + 1, side, step)
        whole = _whole(seen, side, step).nonzero()
        whole = whole[:: max(1, -(-len(whole) // most))]
        windows = cut[:, whole[:, 0], whole[:, 1]].flatten(2).double().numpy()
        spread = np.ptp(windows, axis=2).min(0)
        windows = windows[:, spread > 0] if spread.any() else windows  # blank ones show no noise
        modes = (windows @ analysis(side)).transpose(2, 0, 1)
        return cls(side, np.ascontiguousarray(modes))

    def noise(self) -> Array:
        """Covariance of the noise between channels, (C, C, side, side // 2 + 1), as ``rfft2`` orders it; at the mean as beside it."""
        rows, columns = frequencies(self.side)
        length, counts = np.hypot(rows, columns).ravel()[1:], counted(self.side)
        channels = self.modes.shape[1]
        found = np.empty((self.side * (self.side // 2 + 1), channels, channels), complex)
        for low, high in pairwise(RINGS):
            ring = (length >= low) & (length < high)
            if ring.any():
                found[1:][ring] = noise_covariances(self.modes[ring], counts[ring])
        spectrum = found.reshape(*rows.shape, channels, channels)
        spectrum[0, 0] = (spectrum[0, 1] + spectrum[1, 0] + spectrum[-1, 0]) / 3
        return np.moveaxis(spectrum, (2, 3), (0, 1))


def whole_windows(seen: Tensor, side: int, step: int) -> int:
    """How many windows have no entry that was not seen, of (C, H, W)."""
    return int(_whole(seen, side, step).sum())


def _whole(seen: Tensor, side: int, step: int) -> Tensor:
    """Of each window of a side, whether all of it was seen."""
    complete = seen.all(0)
    for axis in range(2):
        complete = complete.unfold(axis, side, step)
    return complete.flatten(2).all(-1)


def frequencies(side: int) -> tuple[Array, Array]:
    """Periods a pixel along both axes without their sign, (side, side // 2 + 1) each."""
    rows, columns = np.abs(np.fft.fftfreq(side)), np.arange(side // 2 + 1) / side
    return np.repeat(rows[:, None], len(columns), 1), np.repeat(columns[None], side, 0)


def counted(side: int) -> Array:
    """Of each frequency but the mean: one half where ``rfft2`` has its conjugate, too, else one."""
    found = np.ones((side, side // 2 + 1))
    found[:, 0] = found[:, -1] = 0.5
    return found.ravel()[1:]


def overlap(side: int, lags: Array) -> Array:
    """Sum of the products of the taper with itself, that many pixels farther, over that of its squares."""
    taper = _taper(side)
    found: Array = np.correlate(taper, taper, "full")[side - 1 + lags] / (taper @ taper)
    return found


@lru_cache(maxsize=4)
def analysis(side: int) -> Array:
    """From the pixels of a window to its modes, (side^2, F)."""
    taper = np.outer(_taper(side), _taper(side))
    place = np.arange(side) - (side - 1) / 2
    plane = np.stack(
        [np.ones((side, side)), np.repeat(place[:, None], side, 1), np.repeat(place[None], side, 0)]
    )
    # Least squares of a plane, weighted by the taper.
    root = np.sqrt(taper).ravel()
    axes, _ = np.linalg.qr((plane.reshape(3, -1) * root).T)
    residual = np.eye(side**2) - (axes @ axes.T) * root / root[:, None]
    tapered = (residual * taper.ravel()[:, None]).T.reshape(-1, side, side)
    modes = np.fft.rfft2(tapered).reshape(side**2, -1)[:, 1:]
    found: Array = modes / np.sqrt((np.abs(modes) ** 2).sum(0))
    return found


def _taper(side: int) -> Array:
    taper: Array = np.sin(np.pi * (np.arange(side) + 0.5) / side)
    return taper
