"""How strong white Gaussian noise is, from the noisy picture alone.

Noise fills every direction of the space of small windows alike; a picture does not. So the small
eigenvalues of the windows' covariance are the noise's variance (Chen, Zhu, Heng, *An Efficient
Statistical Method for Image Noise Level Estimation*, ICCV 2015). Three refinements make it
hold on textures and on files with 8 bits:

- colour windows: texture is shared between channels and noise is not, so that even a window
  full of hair has directions without texture;
- windows of weak texture only, by what the noise found so far could explain (after Liu,
  Tanaka, Okutomi, *Single-Image Noise Level Estimation for Blind Denoising*, IEEE TIP 2013);
- windows away from the ends of the range, where clipping has cut the noise; what clipping
  took from the others is given back by the variance of a clipped normal variable.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.arrays import as_tensor, channels_first
from bayesdip.noise.cells import Cells
from bayesdip.noise.gaussian import clipped_moments

Array = NDArray[np.float64]

# The constants were set on scikit-image's own pictures, with noise of standard deviation 10 to 50 of 255.
# Side of the largest windows, in pixels, by the number of axes.
WIDTH = {1: 9, 2: 5, 3: 3}
# Windows: more cost time and no longer change the second digit.
MAX_WINDOWS = 16_000
# Fewer windows than this, times a window's entries, say too little about their covariance.
WINDOWS_PER_ENTRY = 8
# With fewer, as in pictures below 48x48 pixels, there may be none without texture.
FEW_WINDOWS = 2000
# How many of the highest frequencies of such a picture bound the level. On 300 parts of tuning pictures with 20 to 47 pixels a side
# the root mean square of the estimate's log2 error went from 0.75 to 0.64 with noise of 3 of 255, from 0.39 to 0.32 with 6, from 0.19 to 0.15
# with 12, and stayed 0.09 with 25.
FINEST = 64
# Channels taken together: with more, small pictures have too few windows.
MAX_CHANNELS = 4
# Standard normal quantile of 99.9%: one flat window in a thousand passes for textured.
FLAT_QUANTILE = 3.09
# Distance of a window's mean from a clipped end, in standard deviations of the noise.
CLEAR_OF_CLIPPING = 3.0
# The share of entries at an end of the range from which on it was clipped there.
PILE = 2e-4
# The least share of windows that must not be blank for the blank ones to be left out.
BLANK = 0.1
# Median of chi-square with one degree of freedom.
CHI_SQUARE_MEDIAN = 0.4549
# Least share of the variance: where clipping left less, the data do not say how much there was.
LEAST_SHARE = 0.2
# Channels that together show less noise than this, relative to each alone, share theirs.
CORRELATED = 0.6


def estimate_sigma(
    image: Any, *, channel_axis: int | None = None, per_channel: bool = False, observed: Any = None
) -> float | tuple[float, ...]:
    """Standard deviation of the white Gaussian noise on a picture, in the picture's units.

    Parameters
    ----------
    image : array or Tensor
        Any size, range and real or integer type; clipping at both ends of a file's range is recognised and made up
        for.
    channel_axis : int, optional
        The axis of the channels. None: an array has none, and a tensor has it first.
    per_channel : bool
        Give one for each channel, rather than their root mean square.
    observed : array or Tensor of bool, optional
        False where the picture means nothing: of the picture's shape, or without the channel axis. Entries that are
        not finite never count.

    Returns
    -------
    float or tuple of float
        0 for a constant picture and for a single pixel.

    Raises
    ------
    ShapeError
        If `image` has no axis beside its channels, or not the channel axis named.

    Examples
    --------
    >>> import numpy as np, bayesdip as bd
    >>> noisy = np.random.default_rng(0).normal(100.0, 5.0, (64, 64, 3))
    >>> round(bd.estimate_sigma(noisy, channel_axis=-1))
    5
    """
    picture, seen = finite_entries(image, channel_axis, observed)
    picture = picture.detach().to("cpu", torch.promote_types(picture.dtype, torch.float32))
    levels = _channel_levels(picture, seen.cpu())
    if per_channel:
        return tuple(float(level) for level in levels)
    noisy = levels[levels > 0]
    return float(np.sqrt(np.mean(noisy**2))) if len(noisy) else 0.0


def _channel_levels(picture: Tensor, seen: Tensor) -> Array:
    """Noise level of each channel of (C, *grid)."""
    cells = Cells.of(seen)
    if cells is not None:  # no two neighbours of a channel are known
        return cells.by_channel(_channel_levels(cells.packed(picture), cells.packed(seen)))
    grid = [n for n in picture.shape[1:] if n > 1] or [1]
    picture = torch.where(seen, picture, 0.0).reshape(-1, *grid)
    seen = seen.reshape(-1, *grid)

    levels = np.array([_level(picture[[c]], seen[[c]]) for c in range(len(picture))])
    noisy = np.flatnonzero(levels > 0)
    for group in np.array_split(noisy, -(-len(noisy) // MAX_CHANNELS)) if len(noisy) > 1 else ():
        # Brought to one level first: unequal noise would pass for texture of the noisier channel.
        unit = torch.from_numpy(levels[group]).to(picture).reshape(-1, *[1] * len(grid))
        together = _level(picture[group] / unit, seen[group])
        if together > CORRELATED:  # a gray picture stored as colour has the same noise in all channels
            levels[group] *= together
    return levels


def finite_entries(image: Any, channel_axis: int | None, observed: Any) -> tuple[Tensor, Tensor]:
    """A picture (C, *grid), and which of its entries are finite and observed, of the same shape."""
    picture = channels_first(image, channel_axis)
    if observed is None:
        return picture, picture.isfinite()
    seen = as_tensor(observed).to(picture.device)
    if channel_axis is not None and seen.ndim == picture.ndim:
        seen = seen.movedim(channel_axis, 0)
    return picture, picture.isfinite() & seen


def _level(picture: Tensor, seen: Tensor) -> float:
    """Noise level of (C, *grid), taken to be the same in all channels."""
    windows = _windows(picture, seen)
    if windows is None:
        return _level_from_neighbours(picture, seen)
    ends = np.array([_clipped_ends(p, s) for p, s in zip(picture, seen, strict=True)])
    windows = _without_blank(windows, ends)
    clearance = _clearance(windows, ends)
    level = _noise_level(windows)
    for _ in range(6):
        chosen = _flat_and_clear(windows, clearance, level)
        previous, level = level, _noise_level(chosen)
        if abs(level - previous) <= 2e-3 * level:
            break
    if len(windows) < FEW_WINDOWS:
        level = min(level, _level_along_one_axis(picture, seen), _level_of_the_finest(picture, seen))
    return _before_clipping(level, chosen.mean(2).numpy(), ends)


def _windows(picture: Tensor, seen: Tensor) -> Tensor | None:
    """The largest windows, (n, C, size), of which there are enough, all seen and evenly spread; or None."""
    axes = range(1, picture.ndim)
    for width in range(WIDTH.get(len(axes), 2), 1, -1):
        widths = [min(width, picture.shape[axis]) for axis in axes]
        complete = seen.all(0, keepdim=True)
        for axis, w in zip(axes, widths, strict=True):
            complete = complete.unfold(axis, w, 1).all(-1)
        step = max(1, int(np.ceil((int(complete.sum()) / MAX_WINDOWS) ** (1 / len(axes)))))
        complete = complete[0][(slice(None, None, step),) * len(axes)]
        cut = picture
        for axis, w in zip(axes, widths, strict=True):
            cut = cut.unfold(axis, w, step)
        windows = cut.movedim(0, len(axes))[complete].flatten(2).double()
        if len(windows) >= _enough(windows):
            return windows
    return None


def _enough(windows: Tensor) -> int:
    return WINDOWS_PER_ENTRY * windows.shape[1] * windows.shape[2]


def _without_blank(windows: Tensor, ends: Array) -> Tensor:
    """Without the windows that clipping, or an empty border, has left at an end of the range all over.

    Unless little else is there: then blank is what the picture is.
    """
    low, high = torch.from_numpy(ends).T
    alive = ((windows.amax(2) > low) & (windows.amin(2) < high)).any(1)
    return windows[alive] if int(alive.sum()) >= max(_enough(windows), BLANK * len(windows)) else windows


def _clearance(windows: Tensor, ends: Array) -> Tensor:
    """Distance of the windows' means from the nearest end where values were clipped, least over channels."""
    low, high = torch.from_numpy(ends).T
    means = windows.mean(2)
    return torch.minimum(means - low, high - means).amin(1)


def _flat_and_clear(windows: Tensor, clearance: Tensor, level: float) -> Tensor:
    """The windows away from clipping that show no more texture than noise of `level` would.

    Where there are too few: of the clearer half, the flattest that are enough.
    """
    clear = clearance >= clearance.median().clamp(max=CLEAR_OF_CLIPPING * level)
    windows = windows[clear]
    channels, size = windows.shape[1:]
    texture = windows.var(2, correction=0).sum(1) * size
    limit = level**2 * _chi_square_quantile(channels * (size - 1))
    flattest = texture.kthvalue(min(_enough(windows), len(texture))).values
    return windows[texture <= flattest.clamp(min=limit)]


def _noise_level(windows: Tensor) -> float:
    """Root of the mean of the small eigenvalues of the windows' covariance.

    The large ones, by texture, are left out one by one until the mean of the rest is no more than
    their median, as Chen et al. have it. That of pure noise already is a little more, for n windows of
    d entries by d/(6n) of it (skewness of the Marchenko-Pastur distribution).
    """
    n, d = windows.flatten(1).shape
    eigenvalues = torch.linalg.eigvalsh(torch.cov(windows.flatten(1).T)).clamp(min=0).numpy()
    counts = np.arange(1, d + 1)
    means = np.cumsum(eigenvalues) / counts
    medians = 0.5 * (eigenvalues[(counts - 1) // 2] + eigenvalues[counts // 2])
    balanced = np.flatnonzero(means <= medians * (1 + d / (6 * n)))
    return float(np.sqrt(means[balanced[-1]]))


def _level_along_one_axis(picture: Tensor, seen: Tensor) -> float:
    """From the median second difference, along the axis where that is least.

    In a small picture no window need be flat, but a line may be; texture adds to every estimate, so the least is nearest.
    """
    found = []
    for axis in range(1, picture.ndim):
        if picture.shape[axis] < 3:
            continue
        whole = seen.unfold(axis, 3, 1).all(-1)
        squares = picture.diff(n=2, dim=axis)[whole].double().square() / 6
        if squares.numel() and float(squares.median()) > 0:
            found.append(float((squares.median() / CHI_SQUARE_MEDIAN).sqrt()))
    return min(found, default=math.inf)


def _level_of_the_finest(picture: Tensor, seen: Tensor) -> float:
    """From the highest frequencies of the whole picture, where there is least of it and as much noise as anywhere: at most so much."""
    if not bool(seen.all()) or picture[0].numel() <= FINEST:
        return math.inf
    from scipy.fft import dctn

    power = np.square(dctn(picture.double().numpy(), axes=range(1, picture.ndim), norm="ortho")).mean(0)
    frequency = sum(np.ogrid[tuple(slice(0, 1, n * 1j) for n in power.shape)])
    highest = np.argpartition(-np.broadcast_to(frequency, power.shape).ravel(), FINEST)[:FINEST]
    by_chance: float = 1 + (2 * FINEST) ** -0.5  # one standard deviation of such an estimate
    return by_chance * float(np.sqrt(power.ravel()[highest].mean()))


def _level_from_neighbours(picture: Tensor, seen: Tensor) -> float:
    """From the median difference of neighbours, for pictures too small for windows."""
    squares = []
    for axis in range(1, picture.ndim):
        both = seen.narrow(axis, 1, seen.shape[axis] - 1) & seen.narrow(axis, 0, seen.shape[axis] - 1)
        squares.append(picture.diff(dim=axis)[both].square())
    every = torch.cat(squares)
    return float((every.median() / (2 * CHI_SQUARE_MEDIAN)).sqrt()) if every.numel() else 0.0


def _clipped_ends(channel: Tensor, seen: Tensor) -> tuple[float, float]:
    """Lowest and highest value, where so many entries have it that they were clipped; else -inf and inf."""
    values = channel if bool(seen.all()) else channel[seen]
    if not values.numel():
        return -np.inf, np.inf
    low, high = values.aminmax()
    many = max(3, PILE * values.numel())
    return (
        float(low) if int((values == low).sum()) >= many else -np.inf,
        float(high) if int((values == high).sum()) >= many else np.inf,
    )


def _before_clipping(level: float, means: Array, ends: Array) -> float:
    """The standard deviation that clipping reduced to `level` in windows of these means, (n, C)."""
    if level == 0 or not np.isfinite(ends).any():
        return level
    before = level
    for _ in range(20):
        shares = [_clipped_variance(m, before, *e) for m, e in zip(means.T, ends, strict=True)]
        before = level / max(float(np.mean(shares)), LEAST_SHARE) ** 0.5
    return before


def _clipped_variance(means: Array, sigma: float, low: float, high: float) -> Array:
    """Variance, over sigma^2, of a normal variable clipped to [low, high] whose mean is then `means`."""
    start = (low if np.isfinite(low) else means.min()) - 3 * sigma
    stop = (high if np.isfinite(high) else means.max()) + 3 * sigma
    centre = torch.linspace(start, stop, 801, dtype=torch.float64)
    first, second = clipped_moments(centre, torch.as_tensor(sigma, dtype=torch.float64), low, high)
    return np.asarray(np.interp(means, (centre + sigma * first).numpy(), (second - first**2).numpy()))


def _chi_square_quantile(freedom: int) -> float:
    """99.9% quantile, by Wilson and Hilferty (1931)."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + FLAT_QUANTILE * spread**0.5) ** 3)
