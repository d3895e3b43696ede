"""Masks painted too narrow: pixels beside a hole that fit what is in it, and not the picture beyond.

A scratch or a letter has soft edges. Of a pixel beside its mask, with x what the picture would show there and v what the
damage shows, the damage leaves ``(1 - a) x + a v``. Here x is predicted from the pixels beyond the rim, and the shares a
at every distance from the mask are found by least absolute deviations over the whole rim. How large they are by chance, for the
prediction is rough, is seen where the same mask is laid on undamaged places of the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt, gaussian_filter, maximum_filter

from bayesdip.findings import Finding

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# The rim, in pixels (chessboard distance) from the mask: what may be grown by, and where the picture is taken to begin.
MOST, BEYOND = 3, 5
# Standard deviation in pixels of the window by which the picture beyond the rim predicts the pixels in it.
WINDOW = 2.5
# Of the window by which the damage around a pixel is averaged, in that standard deviation. On 128x128 parts of eight pictures
# (five for tuning, three of scikit-image) with text, scratches and spots, 2 of 192 masks that were 1 or 2 pixels too wide were
# grown, as 10 of 96 were by the damage next to each pixel; of masks that were too narrow as many as before, three in four.
AROUND = 3.0
# Places where the mask is laid on undamaged picture, and the least share of its rim that must lie on such.
PLACES, LEAST_SHARE = 12, 0.3
# Fewer pixels at one distance from the mask tell too little.
FEWEST = 40
# A share of the damage counts from LEAST_DAMAGE on, if it is so many standard deviations from what chance gives. Chosen on
# crops of five tuning pictures: see the documentation's guide on masks for what it finds.
LEAST_DAMAGE, DEVIATIONS = 0.05, 5.0
# What is in the hole is foreign to the picture if it is so many times as far from the prediction as picture would be.
FOREIGN = 1.5
# Larger pictures are judged by the part of this side, in pixels, that has the most of the mask.
LARGEST = 512


@dataclass(frozen=True)
class Rim:
    """Least absolute deviations of the rim's residuals from a share of what the damage would add, at each distance from the mask.

    Attributes
    ----------
    shares : ndarray, shape (MOST,)
        Of the damage, at distances 1, 2, ...
    inside : float
        Root mean square of the difference between what is in the hole and the prediction.
    """

    shares: Array
    inside: float


def too_narrow_by(image: NDArray[Any], mask: Mask) -> int:
    """By how many pixels a mask has to grow to cover the damage.

    Parameters
    ----------
    image : ndarray, shape (C, M, N)
        What is in the hole included; there it may be anything, NaN too.
    mask : bool ndarray, shape (M, N)
        True where pixels are missing.

    Returns
    -------
    int
        0 to `MOST`; 0 where the picture does not tell.
    """
    image, mask = _part(np.asarray(image, dtype=np.float64), mask)
    distance = _distance(mask)
    counts = [int((distance == d).sum()) for d in range(1, MOST + 1)]
    beyond = distance > BEYOND
    if min(counts, default=0) < FEWEST or beyond.sum() < FEWEST or not np.isfinite(image[:, ~mask]).all():
        return 0
    image = np.where(np.isfinite(image), image, 0.0)
    nearest = np.stack([_spread(plane, mask) for plane in np.where(mask, image, 0.0)])
    here = _rim(image, mask, distance, nearest, ~mask, beyond)
    controls = _controls(image, mask, distance, nearest)
    if here is None or len(controls) < PLACES // 2:
        return 0
    return _contiguous(_damaged(here, controls, image, mask))


def finding(pixels: int) -> Finding:
    """What to say of a mask that was grown.

    Parameters
    ----------
    pixels : int

    Returns
    -------
    Finding
    """
    some = "1 pixel" if pixels == 1 else f"{pixels} pixels"
    return Finding(
        "narrow mask",
        f"pixels beside the mask fit the damage in it and not the picture beyond, and it was grown by {some}; "
        "grow_mask=False (--no-grow) takes it as it is",
        {"grown_by": pixels},
    )


def grown(mask: Mask, pixels: int) -> Mask:
    """The mask with that many pixels around it, diagonals too."""
    return np.asarray(maximum_filter(mask, 2 * pixels + 1)) if pixels else mask


def _damaged(here: Rim, controls: list[Rim], image: Array, mask: Mask) -> Mask:
    """Which distances show damage: like what is in the hole or, where the hole was emptied since, unlike it."""
    chance = np.array([rim.shares for rim in controls])
    usual = float(np.median([rim.inside for rim in controls]))
    far = np.abs(here.shares - chance.mean(0)) > DEVIATIONS * chance.std(0, ddof=1)
    damaged = far & (np.abs(here.shares) > LEAST_DAMAGE)
    if here.inside < FOREIGN * usual or _is_threshold(image, mask):
        damaged &= here.shares < 0
    return np.asarray(damaged)


def _is_threshold(image: Array, mask: Mask) -> bool:
    """Whether the mask is where values exceed a threshold, or fall below, as of saturated stars: their rims are picture."""
    inside, outside = image[:, mask].mean(0), image[:, ~mask].mean(0)
    return bool(inside.min() > outside.max() or inside.max() < outside.min())


def _controls(image: Array, mask: Mask, distance: NDArray[Any], nearest: Array) -> list[Rim]:
    """The same mask with the same damage, laid on other places, as far as these are undamaged."""
    rng = np.random.default_rng(0)
    found = []
    clean = distance > MOST
    for _ in range(3 * PLACES):
        shift = tuple(int(rng.integers(BEYOND, max(BEYOND + 1, n - BEYOND))) for n in mask.shape)
        moved = np.roll(distance, shift, (0, 1))
        rim = (moved >= 1) & (moved <= MOST)
        if (rim & clean).sum() < LEAST_SHARE * rim.sum():
            continue
        one = _rim(
            image,
            (moved == 0) & clean,
            moved,
            np.roll(nearest, shift, (1, 2)),
            clean,
            (moved > BEYOND) & clean,
        )
        if one is not None:
            found.append(one)
        if len(found) == PLACES:
            break
    return found


def _rim(
    image: Array, hole: Mask, distance: NDArray[Any], nearest: Array, known: Mask, beyond: Mask
) -> Rim | None:
    """Of a hole in a picture of which `known` pixels count, predicted from those `beyond` its rim.

    `nearest`, (C, M, N), is what the damage shows there. None where too little is known.
    """
    weight = gaussian_filter(beyond.astype(float), WINDOW)
    told = weight > 1e-3
    values = np.where(beyond, image, 0.0)
    predicted = np.stack([gaussian_filter(plane, WINDOW) for plane in values]) / np.maximum(weight, 1e-3)
    added = nearest - predicted
    shares = np.zeros(MOST)
    for d in range(1, MOST + 1):
        ring = (distance == d) & known & told
        if ring.sum() < FEWEST * LEAST_SHARE:
            return None
        residual, would = (image - predicted)[:, ring], added[:, ring]
        shares[d - 1] = _least_absolute_share(residual, would)
    if not (hole & told).any():
        return None
    inside = (image - predicted)[:, hole & told]
    return Rim(shares, float(np.sqrt((inside**2).mean())))


def _least_absolute_share(residual: Array, would: Array) -> float:
    """The a of least ``sum |residual - a would|``: the median of the ratios, weighted by ``|would|``. Edges hardly move it."""
    weight = np.abs(would).ravel()
    ratio = residual.ravel() / np.where(weight > 0, would.ravel(), 1.0)
    order = np.argsort(ratio, kind="stable")
    half = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return float(ratio[order][min(half, len(order) - 1)])


def _contiguous(damaged: Mask) -> int:
    """How many of the first are damaged without a gap."""
    return int(np.cumprod(damaged).sum())


def _distance(mask: Mask) -> NDArray[Any]:
    """Chessboard distance from the mask; 0 in it."""
    return np.asarray(distance_transform_cdt(~mask, metric="chessboard"))


def _spread(plane: Array, mask: Mask) -> Array:
    """Of each pixel, the values in the hole around, averaged; of pixels in the hole, their own.

    What is next to a pixel hardly counts: the edge of a mask that is too wide holds the picture, which is like its rim. The
    weights are those of a wide Gaussian window times one less a narrow one, whose product is a Gaussian window again.
    """
    wide, narrow = AROUND * WINDOW, WINDOW * AROUND / (1 + AROUND**2) ** 0.5
    part = (narrow / wide) ** 2

    def weighted(values: Array) -> Array:
        return np.asarray(gaussian_filter(values, wide) - part * gaussian_filter(values, narrow))

    around = weighted(plane) / np.maximum(weighted(mask.astype(float)), 1e-9)
    return np.where(mask, plane, around)


def _part(image: Array, mask: Mask) -> tuple[Array, Mask]:
    """The part that has the most of the mask, of a large picture."""
    starts = []
    for axis, n in enumerate(mask.shape):
        count = np.cumsum(np.concatenate([[0], mask.sum(axis=1 - axis)]))
        side = min(n, LARGEST)
        starts.append(int(np.argmax(count[side:] - count[: n + 1 - side])))
    rows, columns = (slice(s, s + LARGEST) for s in starts)
    return image[:, rows, columns], mask[rows, columns]
