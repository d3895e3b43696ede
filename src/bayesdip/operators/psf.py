"""Point spread functions as people measure and store them, brought into the form that :class:`Blur` takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_dilation, label, shift

from bayesdip.arrays import unmasked
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.findings import Finding

Array = NDArray[np.float64]

# A border is a background, and not the end of wide wings, if it is as bright at the corners as between them and as bright
# one pixel farther in: up to this share of its own level, and up to that share of what stands out from it. Of Gaussian,
# Moffat and Lorentzian functions cut off anywhere, the corners are darker by 40% and more of the level.
FLAT_OF_LEVEL, FLAT_OF_CONTRAST = 0.25, 0.05
# Axes shorter than this have no border to speak of.
SHORTEST_WITH_BORDER = 7
# Negative values of less than this share of all are rounding, or what the subtraction of a background leaves.
ROUNDING_SHARE = 1e-4
# What stands out from the border by so many times its noise belongs to the point spread function.
NOISE_FACTOR = 3.0
# Where a half maximum is taken, in the search for a centre at the corners.
HALF = 0.5
# Resultant length of the marginal on a circle, from which on its mean direction is a centre.
LEAST_RESULTANT = 0.5
# A border that holds less than this share of the sum may go.
EMPTY = 1e-6
OTHERWISE = "bd.restore(y, bd.Blur(shape, psf), noise) takes a point spread function as it is"


def mend_psf(psf: ArrayLike, shape: Sequence[int]) -> tuple[Array, tuple[Finding, ...]]:
    """Bring a point spread function into the form that :class:`Blur` takes: bright on zero, centred, of sum 1.

    One that is already right comes through as it is, to the bit.

    - Black on white, and below zero, is turned over.
    - A centre at the corner, where the FFT has its origin, is brought to the middle.
    - A background is subtracted: the level of a border that is flat.
    - Negative values are set to zero, and with them what does not stand out from the noise of the border.
    - The centre is brought to the middle pixel. It is the brightest pixel where that is next to the centre of mass,
      else the centre of mass (a motion blur has no peak). Up to half a pixel is left: the picture would be shifted
      by so much. One with an even number of pixels and its centre between two of them is shifted by the half pixel.
    - Empty borders are cut off where they are most of it, and what reaches beyond the picture.

    Parameters
    ----------
    psf : array_like
        The blur of one bright point, with as many axes as the picture has; or with one more of channels that are alike.
        Its sum does not matter.
    shape : sequence of int
        The picture's grid.

    Returns
    -------
    psf : float64 array
    findings : tuple of Finding
        What was done beside the division by the sum, one for each.

    Raises
    ------
    ShapeError
        The axes are not those of the grid.
    BayesDipError
        The values are not finite, or no point stands out.
    """
    values, findings = _one_channel(_checked(psf), len(shape))
    for step in (_upright, _from_corner, _without_background, _centred, _trimmed):
        values, found = step(values)
        findings += found
    values, found = _cut(values, shape)
    findings += found
    total = float(values.sum())
    if not total > 0:
        raise BayesDipError(
            "psf has no point that stands out: expected the blur of one bright point, of a finite, positive sum; check the file"
        )
    return values if abs(total - 1) <= 1e-12 else values / total, tuple(findings)


def _checked(psf: ArrayLike) -> Array:
    given = unmasked("psf", psf)
    if np.iscomplexobj(given):
        raise BayesDipError(
            "psf is complex: expected the point spread function itself, not its Fourier transform; give real numbers"
        )
    values: Array = given.astype(np.float64)
    if values.size == 0 or not np.isfinite(values).all() or not values.any():
        raise BayesDipError(
            "psf does not have a finite, positive sum: expected the blur of one bright point; check the file"
        )
    return values


def _one_channel(values: Array, dims: int) -> tuple[Array, list[Finding]]:
    """Without an axis of channels that are all alike, first or last, and without axes of length one before or behind."""
    while values.ndim > dims and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim == dims + 1:
        for axis in (0, -1):
            first = np.take(values, [0], axis)
            if values.shape[axis] <= 4 and np.allclose(values, first, rtol=1e-6):
                text = f"the point spread function has {values.shape[axis]} channels that are alike, of which one was taken"
                return first.squeeze(axis), [Finding("psf channels", text)]
    if values.ndim != dims:
        raise ShapeError(
            f"the psf has shape {values.shape}: expected {dims} ax{'e' if dims > 1 else 'i'}s, as the picture's grid; "
            "give one point spread function for all channels, without a channel axis"
        )
    return values, []


def _upright(values: Array) -> tuple[Array, list[Finding]]:
    """Bright on dark. What is black on white has bright corners and a border from which only darker values stand out."""
    level = float(np.median(values[_frame(values.shape, 1)]))
    low, high = float(values.min()), float(values.max())
    corners = values[np.ix_(*[[0, -1]] * values.ndim)]
    is_dark = level - low > 2 * (high - level) and level - low > 0.1 * max(abs(low), abs(high))
    has_border = min(values.shape) >= SHORTEST_WITH_BORDER
    if high <= 0 or (has_border and is_dark and float(corners.min()) > level - 0.1 * (level - low)):
        turned = -values if high <= 0 and level <= low else level - values
        text = "the point spread function is dark on bright, and was turned over"
        return turned, [Finding("psf turned over", f"{text} ({OTHERWISE})", {"level": level})]
    return values, []


def _from_corner(values: Array) -> tuple[Array, list[Finding]]:
    """With the centre in the middle, if it stands at the first pixel and goes on at the other ends of the axes."""
    above = np.clip(values - np.median(values), 0, None)
    above[above < 0.1 * above.max()] = 0
    bright = above > HALF * above.max()
    if not above.any() or not bright.flat[0] or bright.mean() > 0.25:
        return values, []
    turned = np.fft.fftshift(above)
    if label(np.fft.fftshift(bright))[1] > 1:  # two exposures, at opposite corners
        return values, []
    for axis, n in enumerate(values.shape):
        marginal = _marginal(above, axis)
        direction = (marginal * np.exp(2j * np.pi * np.arange(n) / n)).sum() / marginal.sum()
        offset = abs(np.angle(direction)) * n / (2 * np.pi)
        if abs(direction) < LEAST_RESULTANT or offset > max(1.0, n / 8):
            return values, []
    before, after = (sum(_variance(x, axis) for axis in range(x.ndim)) for x in (above, turned))
    if not after < 0.5 * before:
        return values, []
    text = "the point spread function has its centre at the corner, and was brought to the middle"
    return np.fft.fftshift(values), [Finding("psf centre at the corner", f"{text} ({OTHERWISE})")]


def _without_background(values: Array) -> tuple[Array, list[Finding]]:
    """Without the level of a flat border, without negative values and the noise that comes with them."""
    if min(values.shape) < SHORTEST_WITH_BORDER:
        return _without_negative(values, 0.0)
    frame = _frame(values.shape, 2)
    sectors = np.array([np.median(values[part & frame]) for part in _sectors(values.shape)])
    level = float(np.median(sectors))
    outer, inner = (
        float(np.median(values[part])) for part in (_frame(values.shape, 1), frame & ~_frame(values.shape, 1))
    )
    low, high = np.quantile(sectors, (0.25, 0.75))
    contrast = float(values.max()) - level
    uneven = max(float(high - low), abs(inner - outer))
    noise = 1.4826 * float(np.median(np.abs(values[frame] - level)))
    certain = NOISE_FACTOR * 1.25 * noise / max(1, frame.sum()) ** 0.5
    is_flat = contrast > 0 and uneven <= FLAT_OF_CONTRAST * contrast
    if not is_flat:
        return _without_negative(values, 0.0)
    if abs(level) <= max(certain, 1e-4 * contrast) or uneven > max(FLAT_OF_LEVEL * abs(level), 3 * certain):
        return _without_negative(values, noise)
    share = level / (level + contrast)
    text = f"the point spread function stands on a background of {share:.2g} of its peak, which was subtracted ({OTHERWISE})"
    rest, found = _without_negative(values - level, noise)
    return rest, [Finding("psf background", text, {"share_of_peak": share}), *found]


def _without_negative(values: Array, noise: float) -> tuple[Array, list[Finding]]:
    """Without negative values; where there are some, noise far from the peak goes, too, for what is left of it adds up."""
    negative = -float(values[values < 0].sum())
    share = negative / float(np.abs(values).sum())
    if share > 0.5 - 1e-9:
        raise BayesDipError(
            f"{share:.2g} of psf is below zero, more than above: expected the blur of one bright point, of a positive sum; "
            f"check the file ({OTHERWISE})"
        )
    if share <= ROUNDING_SHARE:
        return np.clip(values, 0, None) if negative > 0 else values, []
    parts, _ = label(values > max(NOISE_FACTOR * noise, 0.0), np.ones([3] * values.ndim))
    at_peak = parts == parts[np.unravel_index(int(values.argmax()), values.shape)]
    core = binary_dilation(at_peak, np.ones([3] * values.ndim)) if noise > 0 else values > 0
    kept = np.where(core, np.clip(values, 0, None), 0.0)
    text = f"{share:.2g} of the point spread function is below zero, and was set to zero ({OTHERWISE})"
    return kept, [Finding("psf below zero", text, {"share": share})]


def _centred(values: Array) -> tuple[Array, list[Finding]]:
    """With the centre at ``shape // 2``, where `Blur` has it, up to half a pixel."""
    middle = np.array([n // 2 for n in values.shape])
    mass = np.array([_mean(values, axis) for axis in range(values.ndim)])
    if not np.isfinite(mass).all():
        return values, []
    peak, is_peak = _peak(values)
    is_between = [n % 2 == 0 and abs(m - (n - 1) / 2) < 0.25 for n, m in zip(values.shape, mass, strict=True)]
    if any(is_between) and not (is_peak and (peak == middle).all()):
        return _by_half_pixels(values, is_between)
    if (np.abs(mass - middle) <= 0.5 + 1e-9).all() or (is_peak and (peak == middle).all()):
        return values, []
    centre = peak if is_peak and np.abs(peak - mass).max() <= 1 else np.round(mass).astype(int)
    return _moved(values, centre), [_told_offset(centre - middle)]


def _by_half_pixels(values: Array, is_between: Sequence[bool]) -> tuple[Array, list[Finding]]:
    """One pixel longer on the axes on which the centre lies between two pixels, shifted by half a pixel.

    By cubic splines, cut off at zero: they widen a Gaussian of standard deviation 1 by less than 1%.
    """
    wide = np.pad(values, [(2, 3) if between else (2, 2) for between in is_between])
    moved = shift(wide, [0.5 if between else 0.0 for between in is_between], order=3, mode="constant")
    moved = np.clip(moved, 0, None)
    inside = tuple(slice(2, 2 + n + between) for n, between in zip(values.shape, is_between, strict=True))
    text = (
        "the point spread function has an even number of pixels and its centre between two of them, and was shifted by "
        f"half a pixel ({OTHERWISE})"
    )
    centred, found = _centred(moved[inside])
    return centred, [Finding("psf of even size", text), *found]


def _told_offset(offset: NDArray[np.int64]) -> Finding:
    by = " and ".join(f"{o:+d}" for o in offset)
    text = (
        f"the centre of the point spread function was {by} pixels from its middle, and was brought there; the picture would be "
        f"shifted by as much ({OTHERWISE})"
    )
    return Finding("psf off centre", text, {"offset": offset.tolist()})


def _peak(values: Array) -> tuple[NDArray[np.int64], bool]:
    """The brightest pixel, and whether it is the only one of nearly that brightness away from its neighbours."""
    peak = np.array(np.unravel_index(int(values.argmax()), values.shape))
    return peak, int((values > 0.98 * values.max()).sum()) == 1


def _moved(values: Array, centre: NDArray[np.int64]) -> Array:
    """Odd on every axis, with that pixel in the middle, and no larger than what is not zero asks for."""
    sides = []
    for axis, c in enumerate(centre):
        used = _marginal(values, axis).nonzero()[0]
        sides.append(int(max(abs(used.min() - c), abs(used.max() - c))))
    most = [max(s, n) for s, n in zip(sides, values.shape, strict=True)]
    wide = np.pad(values, [(m, m) for m in most])
    inside = [slice(c + m - s, c + m + s + 1) for c, m, s in zip(centre, most, sides, strict=True)]
    return np.ascontiguousarray(wide[tuple(inside)])


def _trimmed(values: Array) -> tuple[Array, list[Finding]]:
    """Without empty borders on both sides of the middle, where they are at least half of it."""
    total, sides = float(values.sum()), []
    for axis, n in enumerate(values.shape):
        marginal, middle = _marginal(values, axis), n // 2
        radius = np.abs(np.arange(n) - middle)
        beyond = np.array([marginal[radius > r].sum() for r in range(middle + 1)])
        sides.append(int((beyond <= EMPTY * total).argmax()))
    kept = np.prod([2 * s + 1 for s in sides])
    if not total > 0 or 2 * kept > values.size:
        return values, []
    inside = tuple(slice(n // 2 - s, n // 2 + s + 1) for n, s in zip(values.shape, sides, strict=True))
    part = np.ascontiguousarray(values[inside])
    text = f"the point spread function of {_words(values.shape)} pixels is empty but for {_words(part.shape)}, which were taken"
    return part, [Finding("psf size", text, {"shape": list(part.shape)})]


def _cut(values: Array, shape: Sequence[int]) -> tuple[Array, list[Finding]]:
    """No larger than the picture."""
    sides = [min(s // 2, max(0, (n - 1) // 2)) for s, n in zip(values.shape, shape, strict=True)]
    if all(s <= n for s, n in zip(values.shape, shape, strict=True)):
        return values, []
    inside = tuple(
        slice(n // 2 - s, n // 2 + s + 1) if n > m else slice(None)
        for n, s, m in zip(values.shape, sides, shape, strict=True)
    )
    part = np.ascontiguousarray(values[inside])
    lost = 1 - float(part.sum()) / float(values.sum())
    text = (
        f"the point spread function, {_words(values.shape)} pixels, is larger than the picture, {_words(shape)}: its middle was "
        f"taken, without {lost:.2g} of its sum"
    )
    return part, [Finding("psf size", text, {"shape": list(part.shape), "lost": lost})]


def _frame(shape: Sequence[int], width: int) -> NDArray[np.bool_]:
    """The pixels within so many of the border."""
    frame = np.ones(shape, dtype=bool)
    frame[tuple(slice(width, max(width, n - width)) for n in shape)] = False
    return frame


def _sectors(shape: Sequence[int]) -> list[NDArray[np.bool_]]:
    """The blocks of a 3 x ... x 3 division that lie at the border."""
    thirds = np.stack(np.meshgrid(*[np.arange(n) * 3 // n for n in shape], indexing="ij"))
    return [
        (thirds == np.reshape(at, (-1, *[1] * len(shape)))).all(0)
        for at in product(range(3), repeat=len(shape))
        if any(place != 1 for place in at)
    ]


def _marginal(values: Array, axis: int) -> Any:
    return values.sum(axis=tuple(i for i in range(values.ndim) if i != axis))


def _mean(values: Array, axis: int) -> float:
    marginal = _marginal(values, axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((np.arange(len(marginal)) * marginal).sum() / marginal.sum())


def _variance(values: Array, axis: int) -> float:
    marginal = _marginal(values, axis)
    return float(((np.arange(len(marginal)) - _mean(values, axis)) ** 2 * marginal).sum() / marginal.sum())


def _words(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
