"""How the noise goes with brightness, as that of photons does, and whether values are counts.

In windows of about the same brightness it is the power of the high frequencies of those that are smooth. The colours of a picture in colour,
which have less of its texture, show it in many more pictures than its channels do: of 120 parts of tuning pictures with photon noise of up to
1000 counts in 97 for 12, of up to 300 in 118 for 36, and the slope of the line is within a tenth of the true one in nine of ten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.noise.colours import colours_of
from bayesdip.noise.spectrum import FEWEST_WINDOWS, Windows

Array = NDArray[np.float64]

# The constants were set on 24 pictures of BSDS500 and on scikit-image's, clean and noisy.
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
class BrightnessLaw:
    """Variance of the noise by brightness: ``slope * brightness + constant``, and the least brightness seen."""

    slope: float
    constant: float
    least: float


def brightness_law(*looks: Windows | None) -> BrightnessLaw | None:
    """How the noise grows with brightness, as photon noise does; None where it does not, or that cannot be told.

    The noise of windows of about the same brightness is the power of the high frequencies of those with little at
    low ones; a line through these, by weighted least squares.

    Parameters
    ----------
    *looks : Windows or None
        The first of them that shows clear noise at most brightnesses, and at some that differ enough, tells; else the last.

    Returns
    -------
    BrightnessLaw or None
    """
    law = None
    for bins in filter(None, map(_Bins.of, looks)):
        clear = bins.clear
        law = (clear or bins).law()
        if clear is not None and (law is not None or clear.is_wide):
            break
    return law


def windows_of_colours(picture: Tensor, seen: Tensor) -> Windows | None:
    """Windows of the colours of a picture, (C, *grid), which show its noise by brightness; None where it has no colours or too few windows."""
    colours = colours_of(picture, seen)
    if colours is None:
        return None
    values, brightness, known = colours
    return Windows.of(values, known, brightness)


@dataclass(frozen=True)
class _Bins:
    """Bins of brightness: its mean in each, the power of high and of middle frequencies in the smooth third, and of high ones in the next.

    Each is an array of shape (bins,).
    """

    brightness: Array
    high: Array
    middle: Array
    next_high: Array

    @classmethod
    def of(cls, windows: Windows | None) -> _Bins | None:
        """None where there are too few windows."""
        if windows is None:
            return None
        means, power = windows.means.ravel(), windows.power.reshape(-1, 3)
        means, power = means[power[:, 2] > 0], power[power[:, 2] > 0]  # without blank ones
        bins = min(BINS, len(means) // FEWEST_WINDOWS)
        if bins < FEWEST_BINS:
            return None
        found = []
        for chosen in np.array_split(np.argsort(means, kind="stable"), bins):
            smooth = chosen[np.argsort(power[chosen, 0], kind="stable")]
            third = len(smooth) // 3
            first, following = smooth[:third], smooth[third : 2 * third]
            found.append((means[first].mean(), *power[first][:, [2, 1]].mean(0), power[following, 2].mean()))
        return cls(*np.array(found).T)

    @property
    def clear(self) -> _Bins | None:
        """Those that hold noise and not the picture; None where they are too few."""
        steady = self.next_high < STEADY_AT_BRIGHTNESS * self.high
        noisy = (self.middle < WHITE_AT_BRIGHTNESS * self.high) & steady
        if noisy.sum() < max(FEWEST_BINS, MOST_BINS * len(noisy)):
            return None
        return _Bins(*(part[noisy] for part in (self.brightness, self.high, self.middle, self.next_high)))

    @property
    def is_wide(self) -> bool:
        """Whether photon noise would grow much over them; else a bin that holds the picture hides it."""
        return bool(self.brightness.max() >= GROWTH**2 * self.brightness.min())

    def law(self) -> BrightnessLaw | None:
        """A line through them, where it fits."""
        x, v = self.brightness, self.high
        if (
            not (v > 0).all()
            or not np.ptp(x) > LEAST_RANGE * abs(x).max()
            or np.median(self.next_high / v) > STEADY_AT_BRIGHTNESS
        ):
            return None
        fit = v
        for _ in range(3):
            slope, constant = _line(x, v, fit)
            fit = np.maximum(slope * x + constant, 0.1 * v)
        if _line(x, self.middle, v)[0] > MOST_OF_MIDDLE * slope:
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
    slope, constant = np.linalg.lstsq(
        np.stack([x, np.ones_like(x)], 1) / size[:, None], y / size, rcond=None
    )[0]
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
