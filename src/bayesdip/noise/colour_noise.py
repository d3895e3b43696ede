"""Whether a picture in colour has correlated noise, as a camera's has: what the windows of its brightness and of its colours say together.

Noise of a camera's picture is smoothed by demosaicing and by the camera's own denoising. The size of an estimate does not tell it from texture.
Three signs together do: noise is strong; it is nearly the same in many windows; and it is about as strong in the differences of channels, the
colours, as in their mean, the brightness, while texture has far less colour than brightness. In the dark, white noise of photons lies over
blotches of colour: these show where even the calmest windows have more of low frequencies than of fine ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.noise.estimated_covariance import MOST_CHANNELS, opponent_basis
from bayesdip.noise.tapered_windows import TaperedWindows, counted, frequencies, whole_windows

Array = NDArray[Any]

SIDE, STEP, MOST_WINDOWS = 16, 4, 4000
# Share of the windows that is the calmest, and fewest windows to say something.
CALM, FEWEST = 0.05, 200
# Windows count as calm, too, whose power is less than this one times that of the window at FIRST, in order of their power.
FIRST, NEARLY = 0.025, 1.6
# Logistic regression of noisy against clean pictures: weights of the logarithms of the colours' level as a share of the data's range, of
# the share of the windows that are calm, not below LEAST_SHARE, and of the colours' level over the brightness's; and its constant. Of
# parts of 128x128 and 256x256 pixels of 24 tuning pictures, on which these were fitted: of 666 clean ones, made 0.5 to 3 times as large,
# sharpened, as JPEG of quality 75 to 96, none passed CLEARLY, and of 141 that were demosaiced without noise 5; of 139 simulated camera
# pictures 78% of those of less than 33 dB and 59% of those of 33 to 40 dB. Signs in the colours alone, each with a bound of its own, found 22%
# and 29%, and took 3 of the clean ones for noisy. With three pictures at a time left out of the fit the first figures were the same, but for
# 54% of 33 to 40 dB; of 460 other clean parts 4 passed, of two textured pictures.
WEIGHTS, CONSTANT, CLEARLY, LEAST_SHARE = (2.64, 1.20, 1.84), 17.29, 2.5, 0.03
# The flatness of the colours' power from which on noise is white (geometric over arithmetic mean of the power from FINE periods a pixel on).
# Of 96 parts of tuning pictures with white noise of 3 to 25 it was 0.88 at least, of simulated camera pictures 0.82 in 19 of 20.
FINE, FLATNESS = 0.25, 0.85
# Blotches: the level of fine frequencies as a share of the data's range; the power below COARSE over that of fine frequencies in the window that has
# the least of it but for a tenth; how much more it is in that with the least but for three tenths; and the least coarse power of each colour over that of
# the brightness. Of 143 parts of 80x80 to 150x150 pixels of tuning pictures each, clean, with white noise of 6 to 50, another in each channel, and that of photons,
# none of 1571 passed, of those with blotches of three times the read-out noise's level besides 63 to 64%, and with stronger ones 86%.
COARSE, LEAST_FINE, LEAST_EXCESS, STEADY, LEAST_COLOUR = 0.15, 0.03, 1.3, 1.8, 0.2
CALMEST, CALM_TOO = 0.1, 0.3
# Colours tell only where channels are those of one picture: of the share TEXTURED of the windows, the strongest, below LOW periods a pixel, two
# must go together at least so far, and none be fainter than this times another. Of 65 parts of tuning pictures those that go together most
# had 0.8 at least (0.99 in the median), of six noisy pictures of cameras 0.47 at least; channels of different things 0.1 at most.
TEXTURED, LOW, TOGETHER, FAINTEST = 0.2, 0.1, 0.25, 0.1


def entries_with_correlated_noise(
    picture: Tensor, unclipped: Tensor, seen: Tensor, value_range: float
) -> Tensor | None:
    """The entries that show correlated noise that channels do not share, where a picture clearly has it.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, H, W)
    unclipped, seen : Tensor of bool, shape (C, H, W)
        Clipping takes noise away. Windows with other entries are left out.
    value_range : float
        Of the data.

    Returns
    -------
    Tensor of bool, shape (C, H, W), or None
        `unclipped`, or `seen` for blotches where few windows are without a clipped value, as in a picture taken in the dark. None for a
        single channel, for more than four, for channels of different things, and for small pictures.
    """
    if picture.ndim != 3 or not 1 < len(picture) <= MOST_CHANNELS or min(picture.shape[1:]) < SIDE:
        return None
    power = _of_brightness_and_colours(picture, unclipped)
    if power is not None and _is_smoothed(power, value_range):
        return unclipped
    entries = unclipped
    if whole_windows(unclipped, SIDE, STEP) < FEWEST:
        entries, power = seen, _of_brightness_and_colours(picture, seen)
    return entries if power is not None and _has_blotches(power, value_range) else None


def _is_smoothed(power: Array, value_range: float) -> bool:
    """Whether windows, (C, F, n), show strong noise of the colours that lacks fine frequencies."""
    counts = counted(SIDE)
    brightness, colours, every = (_calmest(part) for part in (power[:1], power[1:], power))
    if not value_range > 0 or not all((noise > 0).all() for noise in (brightness, colours, every)):
        return False
    if _flatness(colours / counts) >= FLATNESS:
        return False
    of_brightness, of_colours = (np.sqrt(part.sum(1).mean() / counts.sum()) for part in (brightness, colours))
    relative = np.sort((power / every[..., None]).mean((0, 1)))
    calm = np.searchsorted(relative, NEARLY * relative[int(FIRST * len(relative))]) / len(relative)
    signs = np.log([of_colours / value_range, max(calm, LEAST_SHARE), of_colours / of_brightness])
    return bool(CONSTANT + np.dot(WEIGHTS, signs) > CLEARLY)


def _has_blotches(power: Array, value_range: float) -> bool:
    """Whether colours have steadily more of coarse structure than of fine noise, each not much less than the brightness."""
    rows, columns = (axis.ravel()[1:] for axis in frequencies(SIDE))
    coarse, fine = np.hypot(rows, columns) < COARSE, np.maximum(rows, columns) >= FINE
    of_coarse, of_fine = (power[:, part].sum(1) / counted(SIDE)[part].sum() for part in (coarse, fine))
    if np.median(of_fine[1:].mean(0)) <= (LEAST_FINE * value_range) ** 2:
        return False
    excess = of_coarse[1:].sum(0) / np.maximum(of_fine[1:].sum(0), np.finfo(float).tiny)
    calmest, calm_too = np.quantile(excess, (CALMEST, CALM_TOO))
    of_brightness, *of_colours = np.quantile(of_coarse, CALMEST, axis=1)
    own = min(of_colours) > LEAST_COLOUR * of_brightness
    return bool(calmest > LEAST_EXCESS and calm_too < STEADY * calmest and own)


def _of_brightness_and_colours(picture: Tensor, seen: Tensor) -> Array | None:
    """Power of windows, (C, F, n), the brightness first; None where they do not tell."""
    windows = TaperedWindows.of(picture, seen, SIDE, STEP, MOST_WINDOWS)
    counts = counted(SIDE)
    if windows.modes.shape[2] < FEWEST or not _are_of_one_picture(windows.modes, counts):
        return None
    combined = np.einsum("ia,fan->ifn", opponent_basis(len(picture)), windows.modes)
    found: Array = np.abs(combined) ** 2 * counts[:, None]
    return found


def _are_of_one_picture(modes: Array, counts: Array) -> bool:
    """Whether channels share what the strongest windows have of low frequencies, at about the same size; of (F, C, n)."""
    low = (np.hypot(*frequencies(SIDE)) < LOW).ravel()[1:]
    power = np.einsum("f,fan->an", counts[low], np.abs(modes[low]) ** 2)
    size = np.maximum(np.median(power, axis=1), np.finfo(float).tiny)
    strongest = np.argsort((power / size[:, None]).mean(0), kind="stable")[
        -round(TEXTURED * power.shape[1]) :
    ]
    chosen = modes[low][..., strongest]
    products = np.einsum("f,fan,fbn->ab", counts[low], chosen, chosen.conj()).real
    spread = np.sqrt(np.maximum(np.diagonal(products), np.finfo(float).tiny))
    together = products / np.outer(spread, spread) - np.eye(len(spread))
    return bool(together.max() >= TOGETHER and spread.min() >= FAINTEST * spread.max())


def _calmest(power: Array) -> Array:
    """Mean power, (C, F), of the windows of least power, in units of the usual one; of (C, F, n)."""
    usual = np.maximum(np.median(power, axis=2, keepdims=True), np.finfo(float).tiny)
    order = np.argsort((power / usual).mean((0, 1)), kind="stable")
    found: Array = power[..., order[: round(CALM * len(order))]].mean(2)
    return found


def _flatness(power: Array) -> float:
    """Of the fine frequencies, in the mean of all differences."""
    rows, columns = frequencies(SIDE)
    fine = power[:, np.maximum(rows, columns).ravel()[1:] >= FINE]
    return float((np.exp(np.log(fine).mean(1)) / fine.mean(1)).mean())
