"""Noise's power by frequency, and by brightness, from the smooth windows of a picture.

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

# Photon noise: bins of brightness; how steady the noise must be within them, how near the line (root mean square of the
# logarithm), how much nearer than to a constant, and how much it grows.
BINS, FEWEST_BINS, STEADY_AT_BRIGHTNESS, OFF_THE_LINE, BETTER, GROWTH = 12, 4, 1.4, 0.2, 0.5, 1.6
# Bins that have more power at middle than at high frequencies, or are not steady, hold the picture, such as stars: they are left
# out if the others are at least so many of all. A smaller growth is enough if it is so many times the error of the line.
WHITE_AT_BRIGHTNESS, MOST_BINS, SMALLER_GROWTH, TIMES_THE_ERROR = 1.5, 2 / 3, 1.25, 8.0
# Texture that is stronger in bright places looks like photon noise, but adds more to the middle frequencies than to the high ones: with brightness
# the former grow at most so many times as much. Of 240 parts of 96 to 192 pixels of tuning pictures of each kind, a law passed for 1 clean one, 60 with white
# noise of 3 to 30 and 38 with that clipped, with this bound for 0, 18 and 14; with photon noise of 15 to 1000 counts, some with read-out noise, for 1047 and 1001.
MOST_OF_MIDDLE = 2.5

# Least range of brightness, as a share of the brightest.
LEAST_RANGE = 1e-3
# How far the scatter of counts may be from their mean.
OFF_COUNTS = 0.25
# Means of less than this count are taken for so much; independent values in the highest band of a window, of which four
# overlap; and how far a law must be ahead, in nats.
LEAST_MEAN, VALUES_OF_A_WINDOW, CLEARLY = 0.05, 4, 3.0


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
    def of(cls, picture: Tensor, seen: Tensor) -> Windows | None:
        """Of a picture, (C, *grid), from where all of it was seen; None where there are too few."""
        channels = len(picture)
        grid = [n for n in picture.shape[1:] if n > 1]
        dims = len(grid)
        if not grid or dims > 3 or min(grid) < SIDE[dims]:
            return None
        cut, complete = picture.reshape(channels, *grid), seen.all(0).reshape(grid)
        side = SIDE[dims]
        step = max(side // 2, round((complete.numel() / MOST_WINDOWS) ** (1 / dims)))
        for axis in range(dims):
            cut, complete = cut.unfold(axis + 1, side, step), complete.unfold(axis, side, step)
        whole = complete.flatten(dims).all(-1)
        rows = cut.movedim(0, dims)[whole].double()
        if len(rows) < FEWEST_WINDOWS:
            return None
        means = rows.flatten(2).mean(2).numpy()
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


@dataclass(frozen=True)
class BrightnessLaw:
    """Variance of the noise by brightness: ``slope * brightness + constant``, and the least brightness seen."""

    slope: float
    constant: float
    least: float


def brightness_law(windows: Windows | None) -> BrightnessLaw | None:
    """How the noise grows with brightness, as photon noise does; None where it does not, or that cannot be told.

    The noise of windows of about the same brightness is the power of the high frequencies of those with little at
    low ones; a line through these, by weighted least squares.

    Parameters
    ----------
    windows : Windows or None

    Returns
    -------
    BrightnessLaw or None
    """
    if windows is None:
        return None
    means, power = windows.means.ravel(), windows.power.reshape(-1, 3)
    means, power = means[power[:, 2] > 0], power[power[:, 2] > 0]  # without blank ones
    bins = min(BINS, len(means) // FEWEST_WINDOWS)
    if bins < FEWEST_BINS:
        return None
    brightness, variance, following, middle = [], [], [], []
    for chosen in np.array_split(np.argsort(means, kind="stable"), bins):
        smooth = chosen[np.argsort(power[chosen, 0], kind="stable")]
        third = len(smooth) // 3
        brightness.append(means[smooth[:third]].mean())
        variance.append(power[smooth[:third], 2].mean())
        following.append(power[smooth[third : 2 * third], 2].mean())
        middle.append(power[smooth[:third], 1].mean())
    x, v, m, later = (np.array(part) for part in (brightness, variance, middle, following))
    noisy = (m < WHITE_AT_BRIGHTNESS * v) & (later < STEADY_AT_BRIGHTNESS * v)
    if noisy.sum() >= max(FEWEST_BINS, MOST_BINS * bins):
        x, v, m, later = x[noisy], v[noisy], m[noisy], later[noisy]
    if (
        not (v > 0).all()
        or not np.ptp(x) > LEAST_RANGE * abs(x).max()
        or np.median(later / v) > STEADY_AT_BRIGHTNESS
    ):
        return None
    fit = v
    for _ in range(3):
        slope, constant = _line(x, v, fit)
        fit = np.maximum(slope * x + constant, 0.1 * v)
    if _line(x, m, v)[0] > MOST_OF_MIDDLE * slope:
        return None
    off = float(np.sqrt(np.mean(np.log(v / fit) ** 2)))
    off_constant = float(np.log(v).std())
    if slope <= 0 or off > OFF_THE_LINE or off > BETTER * off_constant:
        return None
    growth = float(fit.max() / fit.min())
    if growth < GROWTH and not (growth > SMALLER_GROWTH and np.log(growth) > TIMES_THE_ERROR * off):
        return None
    return BrightnessLaw(slope, constant, float(x.min()))


def _line(x: Array, y: Array, size: Array) -> tuple[float, float]:
    """Slope and constant of the line through points whose errors go with `size`."""
    slope, constant = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1) / size[:, None], y / size, rcond=None)[0]
    return float(slope), float(constant)


def is_counts(values: Tensor, windows: Windows | None, step: float, *, blurred: bool = False) -> bool:
    """Whether values are counts of `step` each: their scatter at high frequencies is their mean's.

    Of most pictures too few windows tell that, unless most values are 0, or the picture itself has no high frequencies.

    Parameters
    ----------
    values : Tensor
        All that were seen.
    windows : Windows or None
    step : float
        Of the values' lattice.
    blurred : bool
        Whether what is seen was blurred before the noise came. Then scatter that goes by the mean must be likelier than one
        that is the same everywhere.
    """
    if windows is None or not step > 0 or bool((values < 0).any()):
        return False
    if not blurred and float((values == 0).double().mean()) < 0.5:
        return False
    scatter, expected = windows.power[..., 2], step * np.maximum(windows.means, LEAST_MEAN * step)
    if abs(float(scatter.sum() / expected.sum()) - 1) >= OFF_COUNTS:
        return False
    if not blurred:
        return True
    same = scatter.mean(0)
    ahead = np.log(same / expected) + scatter / same - scatter / expected
    return bool(0.5 * VALUES_OF_A_WINDOW * ahead.sum() > CLEARLY)
