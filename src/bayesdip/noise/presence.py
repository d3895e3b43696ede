"""Whether a picture clearly has white noise: rough texture, which an estimate takes for noise too, is not white.

Where a picture is flattest, noise is most of what is seen. White noise has the same power at all frequencies there; the
power of texture, however fine, falls from the middle frequencies to the highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from torch import Tensor

# Side of the blocks, the flattest of which are looked at: this share of them, and so many at least.
SIDE, SHARE, FEWEST = 8, 0.1, 12
# Middle and highest frequencies of a block's cosine transform, as shares of the highest, and the most that the middle ones
# may exceed the highest in power. Of 33 photographs (tuning pictures and scikit-image's own), whole and made four times
# smaller, it took one for noisy, whose noise of 1 of 255 is real. It found noise of 6 of 255 in 91% of the whole ones and
# noise of 10 in 91% of the small ones, noise of 15 and 25 in all; the others have no flat place.
MIDDLE, HIGHEST, MOST = (0.35, 0.5), 0.64, 1.8
# Where the flattest blocks have less power than this share of the estimated noise's, there is none in them, as in drawings
# and labels.
LEAST_POWER = 0.1
# Noise of less than this share of the picture's range, between quantiles, does no harm.
LEAST_LEVEL, QUANTILES = 0.006, (0.001, 0.999)
# Where scattered pixels are missing there are no whole blocks. Then neighbours must differ about as much as pixels two apart
# do, in the median: by at least 1 / 1.2 of it. Of the same photographs with half of the pixels missing the ratio was 1.33 at
# least where clean ones are so rough that the level passes; with noise of 15 of 255 it was 1.07 in the median.
LEAST_SCATTERED, MOST_LONGER = 0.02, 1.2


def is_clearly_noisy(picture: Tensor, observed: Tensor, sigma: float | Sequence[float]) -> bool:
    """Whether a picture clearly has white noise of about the estimated level.

    Parameters
    ----------
    picture : Tensor, shape (C, *grid)
    observed : Tensor of bool, broadcastable to `picture`
        False where the picture means nothing.
    sigma : float or sequence of float
        The estimate, for all channels or for each.

    Returns
    -------
    bool
        True if the noise is clear in half of the channels at least.

    Examples
    --------
    >>> import torch
    >>> flat = 100 + 5 * torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> seen = torch.ones_like(flat, dtype=torch.bool)
    >>> is_clearly_noisy(flat, seen, 5.0), is_clearly_noisy(flat.cumsum(-1), seen, 5.0)
    (True, False)
    """
    levels = np.broadcast_to(np.asarray(sigma, dtype=np.float64), len(picture))
    found = zip(_white_levels(picture, observed), levels, strict=True)
    return bool(np.mean([low < level < high for (low, high), level in found]) >= 0.5)


def can_be_noisy(picture: Tensor, observed: Tensor) -> bool:
    """Whether there are levels for which :func:`is_clearly_noisy` holds; to estimate the noise's level costs more.

    Parameters
    ----------
    picture, observed : Tensor
        As there.

    Returns
    -------
    bool
    """
    return bool(np.mean([low < high for low, high in _white_levels(picture, observed)]) >= 0.5)


def _white_levels(picture: Tensor, observed: Tensor) -> list[tuple[float, float]]:
    """Between which levels of the estimate each channel counts as noisy."""
    data = picture.detach().cpu().double().numpy()
    seen = observed.cpu().expand(picture.shape).numpy()
    return [_white_levels_of(x, s) for x, s in zip(data, seen, strict=True)]


def _white_levels_of(channel: NDArray[np.float64], seen: NDArray[np.bool_]) -> tuple[float, float]:
    """Of one channel (*grid): any if its flattest blocks have about the same power at middle and highest frequencies."""
    none = (np.inf, -np.inf)
    if not seen.any():
        return none
    low, high = np.quantile(channel[seen], QUANTILES)
    least = LEAST_LEVEL * (high - low)
    axes = tuple(range(1, channel.ndim + 1))
    blocks = _blocks(channel)[_blocks(seen).all(axis=axes)]
    count = max(FEWEST, round(SHARE * len(blocks)))
    if len(blocks) < count:
        return (max(LEAST_SCATTERED * (high - low), least), np.inf) if _is_rough(channel, seen) else none
    power = dctn(blocks, axes=axes, norm="ortho") ** 2
    frequency = np.indices(power.shape[1:]).sum(axis=0) / sum(n - 1 for n in power.shape[1:])
    energy = power[:, frequency > 0].mean(axis=1)
    flattest = power[np.argsort(energy, kind="stable")[:count]]
    middle = flattest[:, (frequency >= MIDDLE[0]) & (frequency <= MIDDLE[1])].mean()
    highest = flattest[:, frequency > HIGHEST].mean()
    return (float(least), float(np.sqrt(highest / LEAST_POWER))) if middle <= MOST * highest else none


def _is_rough(channel: NDArray[Any], seen: NDArray[Any]) -> bool:
    """Neighbours differ about as much as pixels two apart do, in the median over pairs of which both are seen."""
    values = np.where(seen, channel, np.nan)
    one, two = (
        np.concatenate([_differences(values, axis, lag) for axis in range(values.ndim)]) for lag in (1, 2)
    )
    return bool(one.size and two.size and 0 < np.median(two) <= MOST_LONGER * np.median(one))


def _differences(values: NDArray[Any], axis: int, lag: int) -> NDArray[Any]:
    """Sizes of the differences along an axis, of which both sides are known."""
    moved = np.moveaxis(values, axis, 0)
    found = np.abs(moved[lag:] - moved[:-lag]).ravel()
    return np.asarray(found[np.isfinite(found)])


def _blocks(channel: NDArray[Any]) -> NDArray[Any]:
    """Blocks side by side, (n, *sides); an axis shorter than a block is one block long."""
    sides = [min(SIDE, n) for n in channel.shape]
    cut = channel[tuple(slice(n // side * side) for n, side in zip(channel.shape, sides, strict=True))]
    shape = [part for n, side in zip(cut.shape, sides, strict=True) for part in (n // side, side)]
    apart = cut.reshape(shape)
    order = (*range(0, apart.ndim, 2), *range(1, apart.ndim, 2))
    return apart.transpose(order).reshape(-1, *sides)
