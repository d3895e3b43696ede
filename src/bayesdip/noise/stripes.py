"""Stripes: lines of pixels that each have an offset of their own, as from a sensor read out line by line.

The difference of two neighbouring lines, in the median along them, is that of their offsets, and of the picture beneath.
The sums of these differences are a profile across the lines. Parts of the picture side by side have the same
offsets, and little else in common that changes from line to line: that tells stripes from the picture.

In the profile the picture is a smooth curve and the offsets are white. Its cosine transform makes both independent:
white noise of variance `t`, and a random walk, of its own or of its slope, of variance ``t r / l**m`` at the eigenvalue `l`
of the second difference (the local level and local trend of Harvey, *Forecasting, Structural Time Series Models and the
Kalman Filter*, 1989). The offsets are their posterior means, averaged over `r` and `m`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct, idct
from torch import Tensor

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Parts of the lines that are held against each other, the fewest pixels in one, and the most that are looked at.
PARTS, FEWEST_PIXELS, MOST_PIXELS = 4, 5, 256
# Where pixels are missing: fewest of a part's differences of two lines that tell it, and least share of the lines of which two parts tell.
FEWEST_STEPS, LEAST_TOLD = 3, 0.5
# Fewest lines; with fewer than the second number the mean square must be as large as the median one.
FEWEST_LINES, MANY_LINES = 5, 16
# Variance of the second differences that the parts have in common over what their scatter makes of it, in the median over
# lines. With all limits below, stripes were seen in 2 of 5520 parts, 24 to 192 pixels wide, of 24 pictures of BSDS500 and 18 of
# scikit-image, clean and with noise of 5 and 20. Small random pictures with stripes of a twentieth of the range have 10 to 1000.
IN_COMMON = 20.0
# Second differences of white offsets correlate by -2/3 from line to line; those of a curved surface by nearly 1.
MOST_CORRELATION = -0.2
# Their median square over the mean one, as of normal variables: horizontal edges are few and large.
LEAST_ALIKE = 0.2
# Offsets whose standard deviation exceeds this share of the picture's range are the picture, as of a barcode (0.5).
LARGEST_SHARE = 0.25
# Medians of the squares of a normal variable, and of the mean of three of them.
OF_ONE, OF_THREE = 0.455, 0.789
# The picture is no random walk: of 84 small random pictures of five kinds, whose offsets were known, the mean squared error was
# so many times what the model says.
MODEL_ERROR = 1.4
# What the picture's share and its smoothness may be.
RATIOS, ORDERS = np.geomspace(1e-6, 10.0, 43), (1, 2, 3)


@dataclass(frozen=True)
class Stripes:
    """Offsets of lines of pixels.

    Attributes
    ----------
    offsets : Tensor, float64, shape (C, *grid)
        To be subtracted.
    variance : Tensor, float64, shape (C, 1, ...)
        Of what is left of them.
    axes : tuple of int
        Along which lines follow each other: 0 for offsets of rows.
    sigma : float
        The offsets' standard deviation, the largest of channels and axes.
    """

    offsets: Tensor
    variance: Tensor
    axes: tuple[int, ...]
    sigma: float


def find_stripes(picture: Tensor, seen: Tensor) -> Stripes | None:
    """Offsets of the lines along every axis; None where there are none.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)
        One or more channels, each with offsets of its own; two grid axes or more.
    seen : Tensor of bool, shape (C, *grid)

    Returns
    -------
    Stripes or None
    """
    values = torch.where(seen, picture, torch.nan).numpy().copy()
    offsets, variance = np.zeros_like(values), np.zeros(len(values))
    axes, largest = [], 0.0
    for axis in range(values.ndim - 1):
        for c, channel in enumerate(values):
            found = _of_channel(channel, axis)
            if found is None:
                continue
            lines, left = found
            across = lines.reshape([-1 if a == axis else 1 for a in range(channel.ndim)])
            values[c] -= across
            offsets[c] += across
            variance[c] += left
            axes.append(axis)
            largest = max(largest, float(np.sqrt(lines.var() + left)))
    if not axes:
        return None
    shape = (-1, *[1] * (values.ndim - 1))
    return Stripes(
        torch.from_numpy(offsets),
        torch.from_numpy(variance).reshape(shape),
        tuple(sorted(set(axes))),
        largest,
    )


def _of_channel(channel: Array, axis: int) -> tuple[Array, float] | None:
    """The offsets of the lines across one axis, (n,), and the variance of their errors."""
    steps = _steps(np.moveaxis(channel, axis, 0))
    if steps is None or not _are_offsets(steps):
        return None
    profile = np.concatenate([[0.0], np.cumsum(np.nanmedian(steps.reshape(len(steps), -1), axis=1))])
    offsets, left = _white_part(profile)
    known = channel[np.isfinite(channel)]
    low, high = np.quantile(known, (0.005, 0.995))
    return (offsets, left) if offsets.std() <= LARGEST_SHARE * (high - low) else None


def _steps(lines: Array) -> Array | None:
    """Differences of neighbouring lines of (n, ...), missing ones NaN: (n - 1, PARTS, pixels).

    None where there are too few lines, or too few of its differences are there in a line.
    """
    count = len(lines)
    flat = lines.reshape(count, -1)
    pixels = min(flat.shape[1] // PARTS, MOST_PIXELS)
    if count < FEWEST_LINES or pixels < FEWEST_PIXELS or lines.ndim < 2:
        return None
    # Parts side by side along the longest axis.
    longest = 1 + int(np.argmax(lines.shape[1:]))
    flat = np.moveaxis(lines, longest, 1).reshape(count, -1)
    chosen = np.linspace(0, flat.shape[1] - 1, PARTS * pixels).round().astype(int)
    steps = np.diff(flat[:, chosen], axis=0)
    if np.isfinite(steps).sum(axis=1).min() < FEWEST_PIXELS:
        return None
    return steps.reshape(count - 1, PARTS, pixels)


def _are_offsets(steps: Array) -> bool:
    """Whether the parts have second differences in common that are those of white offsets."""
    told = np.isfinite(steps).sum(2) >= FEWEST_STEPS
    medians = np.full(told.shape, np.nan)
    medians[told] = np.nanmedian(steps[told], axis=1)
    parts = np.diff(medians, axis=0)
    count = np.isfinite(parts).sum(1)
    of_several = count >= 2
    if of_several.mean() < LEAST_TOLD:
        return False
    common = np.where(of_several, np.nansum(parts, 1) / np.maximum(count, 1), np.nan)
    scatter = (
        np.nansum(np.square(parts - common[:, None]), 1) / np.maximum(count - 1, 1) / np.maximum(count, 1)
    )
    scatter, squares = scatter[of_several], np.square(common[of_several])
    middle, mean = float(np.median(squares)) / OF_ONE, float(squares.mean())
    if not middle > IN_COMMON * float(np.median(scatter)) / OF_THREE:
        return False
    if len(steps) + 1 < MANY_LINES and not mean > IN_COMMON * float(scatter.mean()):
        return False
    following = common[1:] * common[:-1]
    correlation = float(np.nansum(following)) / (mean * len(squares))
    return correlation < MOST_CORRELATION and middle > LEAST_ALIKE * mean


def _white_part(profile: Array) -> tuple[Array, float]:
    """The posterior mean of the offsets in a profile, (n,), and the mean variance of their errors.

    What all lines have in common is the picture's.
    """
    count = len(profile)
    waves = dct(profile, norm="ortho")[1:]
    smoothness = 2 - 2 * np.cos(np.pi * np.arange(1, count) / count)
    over = np.stack([1 + ratio * smoothness**-order for order in ORDERS for ratio in RATIOS])
    level = (np.square(waves) / over).mean(1)
    log_likelihood = -0.5 * (np.log(over).sum(1) + len(waves) * np.log(level))
    weight = np.exp(log_likelihood - log_likelihood.max())
    weight /= weight.sum()
    means = waves / over
    mean = weight @ means
    variance = weight @ (level[:, None] * (1 - 1 / over) + np.square(means - mean))
    offsets: Array = idct(np.concatenate([[0.0], mean]), norm="ortho")
    return offsets, MODEL_ERROR * float(variance.sum() + weight @ level) / count
