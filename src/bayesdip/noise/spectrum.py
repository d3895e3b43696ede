"""Noise's power by frequency from the smooth windows of a picture.

Every window goes through a cosine transform. White or not, noise that is the same all over has independent
frequencies, so that the windows with little at low frequencies show all of its high ones, and the next smoother
ones the same; in texture both rise together. That tells the two apart where the noise is not too weak. Channels of one
picture share their texture and not their noise, which tells them apart in textured and in small pictures, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.dct_thresholding import cosine_basis

Array = NDArray[np.float64]

# Side of a window by the number of axes, and most windows.
SIDE, MOST_WINDOWS = {1: 16, 2: 8, 3: 4}, 40_000
# Bands by the length of the wave vector in half periods per window of 8: low, middle, high.
BANDS = ((1.0, 2.3), (2.3, 5.0), (5.0, 12.0))
# Of clipped values. In colours of 96 parts of tuning pictures with noise that goes from 10 to 25 over the picture that was found in 69, 76, 83, 89 and 92 with
# 0, 2, 5, 10 and 20%; in the dark, from 5 to 30, in 94 with 10% and 88 with 20%, where clipping changes the level.
FEW_CLIPPED = 0.1
# Fewer smooth windows say too little.
FEWEST_WINDOWS = 60
# Texture all over a small picture is steady from window to window too: 225 overlapping windows are 64x64 pixels. On three
# axes twice as many overlap.
FEWEST_FOR_CORRELATED = 225
# Shares of the windows in order of their low frequencies: smoothest, next, and beyond. The very first few may be blank.
SMOOTHEST, NEXT, BEYOND = (0.02, 0.2), (0.2, 0.4), (0.4, 0.6)
# The constants below were set on 24 pictures of BSDS500 and on scikit-image's, clean and noisy. Between the smoothest windows and
# these the power of the other frequencies grows by less than this where it is noise; clean pictures have 1.4 to 100.
STEADY, STEADY_BEYOND = 1.32, 2.4
# Times the white noise that all frequencies share, from which on noise is correlated, and its least level, as a
# share of the data's range: weaker traces of a file's compression are left alone.
CORRELATED, LEAST_LEVEL = 1.8, 0.02
# Where channels share the picture, the part of the middle frequencies that they do not share (the least eigenvalue of their
# correlations, 1 where they share nothing) is at least so large in the smoothest windows and at most that share of it at the
# low frequencies of the most textured ones. On 18 parts of 48 and 96 pixels of pictures in colour: clean 0 to 0.46 and 0 to 0.06,
# noise of 20 that was blurred or demosaiced 0.5 to 0.98 and 0.03 to 0.6; channels of unlike pictures 0.9 and 0.8.
LEAST_OWN, MOST_SHARED, TEXTURED, MOST_CHANNELS = 0.5, 0.5, (0.8, 1.0), 4
# The level for a white model of correlated noise, over that of its strongest band.
FOR_WHITE = 1.3
# The same where a picture was compressed: clean ones grow more at this level (of 255) of the middle frequencies. And times
# the level in colour: of 1, 1.3, 1.6 and 2 times the error 1.3 was the best on pictures with noise of 10 and 25 (gray: 1).
STEADY_COMPRESSED, LEAST_COMPRESSED, FOR_COMPRESSED = (1.15, 1.5), 5.0, 1.3
# Texture that is all over a small picture is steady, too. So the level is at most OVER_CALMEST times that of the calmest windows, chance's share of which
# this makes up for: of 2306 parts of tuning pictures, clean or with noise of 5 to 20, compressed, that were taken for noisy the level was over 1.6 times
# the true error in 5%, in place of 10%.
OVER_CALMEST, CALMEST, FEWEST_CALM = 1.25, 0.05, 12
# A compression that left the noise its high frequencies, too, leaves the white level nearly as it was; one that took them less than a quarter
# of it. From a third of the level on it is the first: of 255 parts of tuning pictures with noise of 5 to 20, qualities of 30 to 95, the level was then
# over 1.3 times the true error in 3 in place of 9, and under 0.8 times it in 16 in place of 14. Of 1, 1.15, 1.3 and 1.45 times the white level
# 1.15 was the best on twelve pictures with white noise of 10 and 20, by 0.1 to 0.3 dB, 1.3 on eight with photon noise and blotches, by 0.3.
NOT_TAKEN, OVER_WHITE = 1 / 3, 1.2


@dataclass(frozen=True)
class Windows:
    """Windows of a picture: their means, (n, C), mean squares in the three bands, (n, C, 3), and places from 0 to 1, (n, axes).

    In order of their low frequencies, all channels taken together: the smoothest first. And, of 2 to `MOST_CHANNELS` channels,
    the mean products in the low and middle bands, (n, 2, C, C).
    """

    means: Array
    power: Array
    places: Array
    products: Array | None = None

    @classmethod
    def of(
        cls, picture: Tensor, seen: Tensor, brightness: Tensor | None = None, inside: Tensor | None = None
    ) -> Windows | None:
        """Of a picture, (C, *grid), from where all of it was seen; None where there are too few.

        Means are those of `brightness`, if given. At most a share `FEW_CLIPPED` of a window's pixels is not `inside`.
        """
        channels = len(picture)
        grid = [n for n in picture.shape[1:] if n > 1]
        dims = len(grid)
        if not grid or dims > 3 or min(grid) < SIDE[dims]:
            return None
        side = SIDE[dims]
        step = max(side // 2, round((seen[0].numel() / MOST_WINDOWS) ** (1 / dims)))

        def cut(values: Tensor) -> Tensor:
            found = values.reshape(-1, *grid)
            for axis in range(dims):
                found = found.unfold(axis + 1, side, step)
            return found.movedim(0, dims)

        whole = cut(seen.all(0)).flatten(dims).all(-1)
        if inside is not None:
            whole &= cut(inside.all(0)).flatten(dims).double().mean(-1) >= 1 - FEW_CLIPPED
        rows = cut(picture)[whole].double()
        if len(rows) < FEWEST_WINDOWS:
            return None
        means = (rows if brightness is None else cut(brightness)[whole].double()).flatten(2).mean(2).numpy()
        basis = cosine_basis(side, torch.float64)
        lengths = torch.zeros((side,) * dims, dtype=torch.float64)
        for axis in range(dims):
            rows = torch.tensordot(rows, basis, dims=([2 + axis], [1])).movedim(-1, 2 + axis)
            wave = torch.arange(side, dtype=torch.float64) * 8 / side
            lengths = lengths + wave.square().reshape([-1 if a == axis else 1 for a in range(dims)])
        lengths = lengths.sqrt()
        bands = [rows[:, :, (lengths >= low) & (lengths < high)] for low, high in BANDS]
        power = torch.stack([band.square().mean(2) for band in bands], 2).numpy()
        low = power[:, :, 0] / np.maximum(np.median(power[:, :, 0], axis=0), 1e-300)
        order = np.argsort(low.sum(1), kind="stable")
        places = ((whole.nonzero() * step + side / 2) / torch.tensor(grid)).numpy()
        if not 1 < channels <= MOST_CHANNELS:
            return cls(means[order], power[order], places[order])
        products = torch.stack([band @ band.mT / band.shape[2] for band in bands[:2]], 1).numpy()
        return cls(means[order], power[order], places[order], products[order])

    def share(self, part: tuple[float, float]) -> Array:
        """Mean power in the three bands over a share of the windows, (C, 3)."""
        start, stop = (int(end * len(self.power)) for end in part)
        mean: Array = self.power[start : max(stop, start + 1)].mean(0)
        return mean

    def calmest(self) -> Array:
        """Root mean square of the middle frequencies where these and the high ones have least, (C,)."""
        order = np.argsort(self.power[:, :, 1:].mean((1, 2)), kind="stable")
        found: Array = self.power[order[: max(FEWEST_CALM, round(CALMEST * len(order)))], :, 1].mean(0) ** 0.5
        return found

    def own_share(self, part: tuple[float, float]) -> Array:
        """Of the power in the low and in the middle band, over a share of the windows, what channels do not share, (2,)."""
        assert self.products is not None
        start, stop = (int(end * len(self.products)) for end in part)
        products = self.products[start : max(stop, start + 1)].mean(0)
        sizes = np.maximum(np.diagonal(products, axis1=1, axis2=2), 1e-300) ** 0.5
        least: Array = np.linalg.eigvalsh(products / (sizes[:, :, None] * sizes[:, None, :]))[:, 0]
        return np.maximum(least, 0.0)


def correlated_levels(
    windows: Windows | None, white: tuple[float, ...], value_range: float
) -> tuple[float, ...] | None:
    """The standard deviations that a white model needs for correlated noise; None where there is no sign of such noise.

    Parameters
    ----------
    windows : Windows or None
    white : tuple of float
        The level of each channel that all its frequencies share (:func:`bayesdip.estimate_sigma`).
    value_range : float
        Of the data.

    Returns
    -------
    tuple of float or None
        One for each channel.
    """
    if windows is None:
        return None
    by_channels = _not_shared_levels(windows, white, value_range)
    if by_channels is not None:
        return by_channels
    if len(windows.means) < FEWEST_FOR_CORRELATED * 2 ** max(0, windows.places.shape[1] - 2):
        return None
    smoothest, following, beyond = (windows.share(part) for part in (SMOOTHEST, NEXT, BEYOND))
    strongest = smoothest[:, :2].max(1) ** 0.5
    # In texture beneath white noise the lowest band alone stands out.
    middle = smoothest[:, 1] ** 0.5
    if (middle < np.maximum(CORRELATED * np.array(white), LEAST_LEVEL * value_range)).any():
        return None
    growth, farther = (
        float(np.mean(part[:, 1] / np.maximum(smoothest[:, 1], 1e-300))) for part in (following, beyond)
    )
    if growth > STEADY or farther > STEADY_BEYOND:
        return None
    return tuple(FOR_WHITE * float(level) for level in strongest)


def _not_shared_levels(
    windows: Windows, white: tuple[float, ...], value_range: float
) -> tuple[float, ...] | None:
    """The same from what channels that share the picture do not share; None where they do not, or that is white."""
    if windows.products is None:
        return None
    own, textured = windows.own_share(SMOOTHEST), windows.own_share(TEXTURED)
    if own[1] < LEAST_OWN or textured[0] > MOST_SHARED * own[1]:
        return None
    levels = (windows.share(SMOOTHEST)[:, :2] * own) ** 0.5
    if (levels[:, 1] < np.maximum(CORRELATED * np.array(white), LEAST_LEVEL * value_range)).any():
        return None
    return tuple(FOR_WHITE * float(level) for level in levels.max(1))


def compressed_levels(windows: Windows | None, white: tuple[float, ...]) -> tuple[float, ...] | None:
    """The standard deviations that a white model needs for noise of a compressed picture; None where it has little.

    The compression took the high frequencies, so that the middle ones show the noise, if they are steady. It mixes
    the channels too, whose noise they then share.

    Parameters
    ----------
    windows : Windows or None
    white : tuple of float
        The level of each channel that all its frequencies share (:func:`bayesdip.estimate_sigma`).

    Returns
    -------
    tuple of float or None
        One for each channel.
    """
    level = np.array(white)
    if windows is not None:
        smoothest, following, beyond = (windows.share(part)[:, 1] for part in (SMOOTHEST, NEXT, BEYOND))
        growth, farther = (
            float(np.mean(part / np.maximum(smoothest, 1e-300))) for part in (following, beyond)
        )
        if growth <= STEADY_COMPRESSED[0] and farther <= STEADY_COMPRESSED[1]:
            level = np.maximum(level, np.minimum(smoothest**0.5, OVER_CALMEST * windows.calmest()))
    if level.mean() < LEAST_COMPRESSED:
        return None
    is_left = np.mean(white) > NOT_TAKEN * level.mean()
    level = level * (FOR_COMPRESSED if len(level) > 1 else 1.0)
    return tuple((np.minimum(level, OVER_WHITE * np.array(white)) if is_left else level).tolist())
