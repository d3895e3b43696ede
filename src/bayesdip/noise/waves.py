"""Periodic noise: plane waves over the whole picture, as from electrical interference or a vibrating sensor.

A wave is a peak of the spectrum, one bin wide. Repeated structure of a picture has peaks too, but broad ones: its strength
and its phase change from place to place. What is subtracted thus is a wave that has the same amplitude and phase in all
parts of the picture, leaves nothing of its peak behind, and beside which the rest of the picture does not go with its phase.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import rfft2
from scipy.ndimage import gaussian_filter
from torch import Tensor

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Complexes = NDArray[np.complex128]
Frequency = tuple[float, float]

# Fewest and, of the middle where peaks are looked for, most pixels of a side.
FEWEST, MOST = 32, 512
# Waves of a channel, from which on they are the picture, as a checkerboard has them; and peaks that are looked at for each.
MANY_WAVES, CANDIDATES = 12, 6
# What is smooth, by a Gaussian of this width in pixels, is the picture's, and what is so many times the median size, such as
# edges, counts as so much.
SMOOTH, EDGES = 6.0, 2.0
# Fewest periods over the shorter side: fewer are shading.
PERIODS = 4.0
# Power of a peak over the median of the bins around it, between these distances. Of 1056 parts, 48 to 384 pixels wide, of 24
# pictures of BSDS500 and 17 of scikit-image, clean and with noise of 10, none has a wave by the limits below, nor by looser ones
# (30, 0.1, 0.4). Of added waves of 4, 8 and 20 of 255 beneath noise of 5, in parts of 96 pixels, 0.7, 0.9 and 1 were found.
SHARP, RING = 40.0, (3, 7)
# What is left of a peak without its wave, as a share of it, within this distance in bins: clipped values leave up to 0.12. Of 700 parts of
# tuning pictures and scikit-image's own, none that has no wave passes, with 0.25 neither.
LEFT, NEAR = 0.15, 3
# Root mean square difference of the amplitudes of parts from their mean, as a share of it; parts of an axis.
UNLIKE, PARTS = 0.35, 3
# What is left without a wave is as large at its crests as in its troughs. Lines of text are regular, but there are letters in one phase and
# paper in the other: by so much, over its mean, the size of what is left may go with the phase. In 173 waves of 4, 8 and 20 of 255 that
# were added to parts of tuning pictures it went by at most 0.07, in those that 15 of 300 parts of a scanned page had by 0.6 and more.
UNLIKE_BY_PHASE = 0.2
# Repetitions of the fit.
FITS = 12
# Waves of less than this share of the picture's range (of its inner 99%) do no harm; those that are more than the second share
# of its variance are the picture, as of a grating.
LEAST_SHARE, LARGEST_SHARE = 0.01, 0.7
# Medians of an exponential variable over its mean, and of a normal variable's size over its standard deviation.
MEDIAN, NORMAL_MEDIAN = 0.693, 0.6745
# A picture's power is not level around a peak: of parts of the same pictures with a wave of 4 to 20 of 255 and noise of 5, the
# squared error of the wave was so many times what that power says, in the median.
MODEL_ERROR = 3.0


@dataclass(frozen=True)
class Waves:
    """Waves of a picture.

    Attributes
    ----------
    offsets : Tensor, float64, shape (C, *grid)
        Their sum, to be subtracted.
    variance : Tensor, float64, shape (C, 1, 1)
        Of what is left of them.
    frequencies : tuple of tuple of float
        Of each, in periods per pixel along each axis; those of the channel that has most.
    amplitude : float
        The largest.
    """

    offsets: Tensor
    variance: Tensor
    frequencies: tuple[tuple[float, ...], ...]
    amplitude: float


def find_waves(picture: Tensor, seen: Tensor) -> Waves | None:
    """Waves over a picture; None where there are none.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, H, W)
        Each channel has waves of its own.
    seen : Tensor of bool, shape (C, H, W)

    Returns
    -------
    Waves or None
    """
    if picture.ndim != 3 or min(picture.shape[1:]) < FEWEST:
        return None
    offsets, variance = np.zeros(tuple(picture.shape)), np.zeros(len(picture))
    frequencies: list[Frequency] = []
    largest = 0.0
    for c, (channel, known) in enumerate(zip(picture.numpy(), seen.numpy(), strict=True)):
        if not known.any():
            continue
        waves = _of_channel(channel, known)
        offsets[c] = sum(wave.over(channel.shape) for wave in waves)
        variance[c] = MODEL_ERROR * sum(wave.variance for wave in waves)
        frequencies = max(frequencies, [wave.frequency for wave in waves], key=len)
        largest = max([largest, *(abs(wave.amplitude) for wave in waves)])
    if not frequencies:
        return None
    return Waves(
        torch.from_numpy(offsets),
        torch.from_numpy(variance).reshape(-1, 1, 1),
        tuple(frequencies),
        largest,
    )


@dataclass(frozen=True)
class _Wave:
    """The real part of a complex amplitude times a plane wave, and the variance of its error at a pixel."""

    frequency: Frequency
    amplitude: complex
    variance: float = 0.0

    def over(self, shape: tuple[int, ...]) -> Array:
        """At every pixel."""
        rows, columns = _phases(self.frequency, shape)
        values: Array = (self.amplitude * rows[:, None] * columns).real
        return values


def _of_channel(channel: Array, known: Bools) -> list[_Wave]:
    """The waves of a channel, the sharpest first."""
    middle = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n in channel.shape for m in [min(n, MOST)])
    part, whole, span = _rough(channel[middle], known[middle]), None, 0.0
    found: list[_Wave] = []
    while len(found) < MANY_WAVES:
        wave = _strongest(part, known[middle])
        if wave is None:
            break
        if whole is None:
            whole, span = _rough(channel, known), _inner_range(channel[known])
        if part.shape != whole.shape:
            wave = _over_all(whole, known, wave)
        if wave is None or abs(wave.amplitude) < LEAST_SHARE * span:
            break
        seen = replace(wave, amplitude=wave.amplitude * _gain(wave.frequency))
        whole = whole - np.where(known, seen.over(whole.shape), 0.0)
        part = whole[middle]
        found.append(wave)
    together = sum(abs(wave.amplitude) ** 2 / 2 for wave in found)
    few = len(found) < MANY_WAVES and together <= LARGEST_SHARE * float(channel[known].var())
    return found if few else []


def _rough(values: Array, known: Bools) -> Array:
    """Values without what is smooth; 0 where they are not known."""
    weight = gaussian_filter(known.astype(float), SMOOTH)
    smooth = gaussian_filter(np.where(known, values, 0.0), SMOOTH) / np.maximum(weight, 1e-6)
    return np.where(known, values - smooth, 0.0)


def _gain(frequency: Frequency) -> float:
    """What `_rough` leaves of a wave."""
    return float(1 - np.exp(-2 * (np.pi * SMOOTH) ** 2 * (frequency[0] ** 2 + frequency[1] ** 2)))


def _inner_range(values: Array) -> float:
    """Of the inner 99% of the values."""
    low, high = np.quantile(values, (0.005, 0.995))
    return float(high - low)


def _strongest(rough: Array, known: Bools) -> _Wave | None:
    """The wave of the sharpest peak that is one; None where there is none."""
    bounded = _bounded(rough, known)
    power = _spectrum(bounded)
    for place, around in _peaks(power):
        frequency = _refined(bounded, _frequency(place, rough.shape))
        wave = _fitted(rough, known, frequency)
        if wave is not None and _is_alone(rough, known, wave, power, place):
            weight = _window(rough.shape).sum() * _gain(frequency)
            return replace(wave, variance=float(2 * around / MEDIAN / weight**2))
    return None


def _over_all(rough: Array, known: Bools, wave: _Wave) -> _Wave | None:
    """A wave of the middle as it is over the whole picture; ever larger parts tell its frequency well enough for the next."""
    frequency, side = wave.frequency, MOST
    bounded = _bounded(rough, known)
    while side < max(rough.shape):
        side *= 2
        part = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n in rough.shape for m in [min(n, side)])
        frequency = _refined(bounded[part], frequency)
    found = _fitted(rough, known, frequency)
    shrunk = prod(min(n, MOST) for n in rough.shape) / rough.size
    return None if found is None else replace(found, variance=wave.variance * shrunk)


def _bounded(values: Array, known: Bools) -> Array:
    """Values with the largest ones, such as edges, made smaller."""
    most = EDGES * float(np.median(np.abs(values[known]))) / NORMAL_MEDIAN
    return np.clip(values, -most, most)


def _window(shape: tuple[int, ...]) -> Array:
    from scipy.signal.windows import hann  # SciPy's signals take a second to load

    rows, columns = (hann(n + 2)[1:-1] for n in shape)
    window: Array = rows[:, None] * columns
    return window


def _phases(frequency: Frequency, shape: tuple[int, ...]) -> tuple[Complexes, Complexes]:
    """The wave along each axis."""
    rows, columns = (np.exp(2j * np.pi * f * np.arange(n)) for f, n in zip(frequency, shape, strict=True))
    return rows, columns


def _spectrum(part: Array) -> Array:
    """Power by frequency, (H, W // 2 + 1), through a window that keeps what is far from a frequency out of it."""
    power: Array = np.abs(rfft2(part * _window(part.shape))) ** 2
    return power


def _peaks(power: Array) -> list[tuple[tuple[int, int], float]]:
    """Places of the sharpest peaks, and the median power around them."""
    height, width = power.shape
    rows = np.minimum(np.arange(height), height - np.arange(height))[:, None]
    periods = np.hypot(rows, np.arange(width)[None, :])
    # Of an axis of its own each frequency stands twice.
    once = (np.arange(height)[:, None] <= height // 2) | (np.arange(width) % (width - 1) > 0)
    # What is sharp by the power at the same distance from the origin is looked at.
    ring = np.rint(periods).astype(int)
    order = np.argsort(ring, axis=None, kind="stable")
    starts = np.flatnonzero(np.diff(ring.ravel()[order], prepend=-1))
    usual = np.array([np.median(group) for group in np.split(power.ravel()[order], starts[1:])])
    sharpness = np.where((periods >= PERIODS) & once, power / np.maximum(usual[ring], 1e-300), 0.0)
    found = []
    for _ in range(CANDIDATES):
        at = np.unravel_index(int(sharpness.argmax()), power.shape)
        place = (int(at[0]), int(at[1]))
        if sharpness[place] < SHARP:
            break
        around = float(np.median(_neighbours(power, place, *RING)))
        if power[place] >= SHARP * around:
            found.append((place, around))
        for r, c in product(range(-NEAR, NEAR + 1), repeat=2):
            sharpness[(place[0] + r) % height, min(max(place[1] + c, 0), width - 1)] = 0.0
    return found


def _neighbours(power: Array, place: tuple[int, int], least: int, most: int) -> Array:
    """Power at these distances in bins; beyond the half plane that of the opposite frequency."""
    height, width = power.shape
    found = []
    for r, c in product(range(-most, most + 1), repeat=2):
        if max(abs(r), abs(c)) < least:
            continue
        row, column = place[0] + r, place[1] + c
        if column < 0:
            row, column = -row, -column
        found.append(power[row % height, min(column, width - 1)])
    return np.array(found)


def _frequency(place: tuple[int, int], shape: tuple[int, ...]) -> Frequency:
    row = place[0] - shape[0] if place[0] > shape[0] // 2 else place[0]
    return row / shape[0], place[1] / shape[1]


def _refined(values: Array, frequency: Frequency) -> Frequency:
    """The nearby frequency of the most power: by parabolas through the logarithm at three points of each axis."""
    found = list(frequency)
    from scipy.signal.windows import hann

    window = [hann(n + 2)[1:-1] for n in values.shape]

    def logarithm(tried: list[float]) -> float:
        phases = _phases((tried[0], tried[1]), values.shape)
        rows, columns = (w * phase for w, phase in zip(window, phases, strict=True))
        response = complex(rows.conj() @ values @ columns.conj())
        return float(np.log(max(abs(response), 1e-300)))

    for step in (0.5, 0.25, 0.1, 0.05):
        for axis in range(2):
            size = step / values.shape[axis]
            moves = [[f + move * size * (a == axis) for a, f in enumerate(found)] for move in (-1, 0, 1)]
            before, here, after = (logarithm(tried) for tried in moves)
            bend = before - 2 * here + after
            if bend < 0:
                found[axis] += size * float(np.clip(0.5 * (before - after) / bend, -1, 1))
    # Near half a period per pixel two peaks run into each other.
    for axis, n in enumerate(values.shape):
        for own in (0.0, 0.5, -0.5):
            if abs(found[axis] - own) < 0.5 / n:
                found[axis] = own
    return found[0], found[1]


def _fitted(rough: Array, known: Bools, frequency: Frequency) -> _Wave | None:
    """The wave of that frequency that fits best, large residuals counting less; None where it is not the same in all parts."""
    window, gain = _window(rough.shape) * known, _gain(frequency)
    amplitude = 0j
    for _ in range(FITS):
        rest = _bounded(rough - np.where(known, _Wave(frequency, amplitude).over(rough.shape), 0.0), known)
        amplitude += _least_squares(rest, window, frequency)
    if not _is_everywhere(rest, known, frequency, amplitude) or not _is_added(rest, known, frequency):
        return None
    return _Wave(frequency, amplitude / gain)


def _least_squares(values: Array, window: Array, frequency: Frequency) -> complex:
    """The complex amplitude of a wave, by weighted least squares of its cosine and sine."""
    rows, columns = _phases(frequency, values.shape)
    twice, total = rows**2 @ window @ columns**2, window.sum()
    # Weighted sums of squares and of the product of cosine and minus sine.
    squares = 0.5 * np.array([[total + twice.real, -twice.imag], [-twice.imag, total - twice.real]])
    found = rows @ (window * values) @ columns
    cosine, sine = np.linalg.pinv(squares, rcond=1e-6, hermitian=True) @ [found.real, -found.imag]
    return complex(cosine, sine)


def _is_alone(rough: Array, known: Bools, wave: _Wave, power: Array, place: tuple[int, int]) -> bool:
    """Whether nothing of the peak stands without the wave."""
    seen = replace(wave, amplitude=wave.amplitude * _gain(wave.frequency))
    left = _spectrum(_bounded(rough - np.where(known, seen.over(rough.shape), 0.0), known))
    here = np.append(_neighbours(left, place, 1, NEAR), left[place])
    return bool(here.max() <= LEFT * power[place])


def _is_added(rest: Array, known: Bools, frequency: Frequency) -> bool:
    """Whether `rest`, what is left without a wave, is alike in all of its phases."""
    size = np.abs(rest)
    mean = float(size[known].mean())
    swing = abs(_least_squares(size - mean, _window(rest.shape) * known, frequency))
    return swing <= UNLIKE_BY_PHASE * mean


def _is_everywhere(rest: Array, known: Bools, frequency: Frequency, amplitude: complex) -> bool:
    """Whether about the same wave fits in all parts; `rest` is what is left without it."""
    found = []
    edges = [np.linspace(0, n, PARTS + 1).astype(int) for n in rest.shape]
    for i, j in product(range(PARTS), repeat=2):
        part = (slice(edges[0][i], edges[0][i + 1]), slice(edges[1][j], edges[1][j + 1]))
        if known[part].mean() >= 0.5:
            window = _window(rest[part].shape) * known[part]
            found.append(abs(_least_squares(rest[part], window, frequency)) ** 2)
    return len(found) >= PARTS and bool(np.mean(found) <= (UNLIKE * abs(amplitude)) ** 2)
