"""Which pixels of a picture of a mask were painted: strokes of any colour, on black, white, transparent or a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Levels = NDArray[np.float64]

# Levels are shares of full scale. Set on strokes of 1 to 20 pixels drawn with and without soft edges, saved as PNG and
# as JPEG at qualities from 40 to 95: the rings that JPEG leaves beside a white stroke reach 0.15.
FAINT = 0.04  # a mask that gets no lighter has nothing painted
PAINT, SEED = (
    0.1,
    0.25,
)  # of the strongest paint: the least of a stroke's edge, and of what every stroke has somewhere
SOFT_LEVELS = (
    8  # as many levels of paint are an edge that fades; a hard brush leaves one, several brushes a few
)
# Pixels between these shares of the strongest paint, over those beside a hard stroke's edge: at most 0.05 for hard strokes as JPEG
# of quality 30 to 95, 0.17 and more for smooth edges and for strokes of several levels.
BETWEEN, HARD = (0.25, 0.75), 0.1
EMPTY = 0.95  # the least share of the rest of a coloured drawing that is white or black
COLOURED = 0.3  # the difference of a colour's largest and smallest channel
STROKES = 0.3  # of `clustering`
# Levels are counted in so many steps to tell a photograph from a mask, in which two of them have at least this share of the pixels.
BINS, GROUND_AND_PAINT = 32, 0.7
# A photograph that was painted on: the share of its pixels that are as in the picture, and how exactly.
UNTOUCHED, SAME = 0.5, 0.04
PAINTED_SHARE = 5e-4  # the least share of the one pure colour on a photograph


@dataclass(frozen=True)
class Painted:
    """Where there is paint, bool (M, N); what it was taken for; and whether its edges fade."""

    missing: Flags
    how: str = ""
    soft: bool = False


def painted(
    levels: Levels, opacity: Levels | None = None, picture: Levels | None = None, *, lossy: bool = False
) -> Painted:
    """Find the paint.

    Parameters
    ----------
    levels : float64 array, shape (M, N) or (M, N, 3)
        Gray or RGB, 0 is black and 1 is white.
    opacity : float64 array, shape (M, N), optional
        1 is opaque.
    picture : float64 array of the shape of `levels`, optional
        The picture that the mask belongs to, in the same units.
    lossy : bool
        The file's compression leaves traces beside strokes, as JPEG's does.

    Returns
    -------
    Painted
    """
    gray = levels.mean(-1) if levels.ndim == 3 else levels
    if opacity is not None and (opacity < 1).any() and not _black_and_white(gray, opacity):
        drawn = _strokes(opacity, lossy)
        return Painted(drawn.missing, "everything painted on transparent, whatever its colour", drawn.soft)
    if opacity is not None:
        gray = gray * opacity
        levels = levels * (opacity[..., None] if levels.ndim == 3 else opacity)
    if picture is not None and picture.shape == levels.shape:
        copied = _on_a_copy(levels, picture, lossy)
        if copied is not None:
            return Painted(copied.missing, "what is painted on a copy of the picture", copied.soft)
    if levels.ndim == 3:
        colour = levels.max(-1) - levels.min(-1)
        plain = gray[colour < PAINT]
        where = "white" if np.median(gray) > 0.5 else "black"
        empty = (plain > 1 - PAINT) if where == "white" else (plain < PAINT) | (plain > 1 - PAINT)
        if (colour > COLOURED).any() and (colour > COLOURED).mean() <= 0.5 and empty.mean() > EMPTY:
            drawn = _strokes(colour if where == "white" else levels.max(-1), lossy)
            return Painted(drawn.missing, f"what is painted in colour on {where}", drawn.soft)
    return _strokes(gray, lossy)


def clustering(flags: Flags) -> float:
    """How much likelier a neighbour of a flagged pixel is flagged than any: 0 for scattered pixels, up to 1 for shapes.

    Along the direction, of rows, columns and diagonals, where that is strongest.
    """
    share = float(flags.mean())
    if flags.ndim != 2 or not 0 < share < 1:
        return 0.0
    pairs = [
        (flags[1:], flags[:-1]),
        (flags[:, 1:], flags[:, :-1]),
        (flags[1:, 1:], flags[:-1, :-1]),
        (flags[1:, :-1], flags[:-1, 1:]),
    ]
    both = [float((a & b).sum() / a.sum()) for a, b in pairs if a.any()]
    return max(((p - share) / (1 - share) for p in both), default=0.0)


def is_photograph(gray: Levels) -> bool:
    """Whether many pixels, 0 to 1, have none of two levels, about, while those of a mask have that of the ground or of the paint."""
    counts = np.bincount(np.rint(BINS * gray.ravel()).astype(np.int64), minlength=BINS + 1)
    near = np.convolve(counts, np.ones(3), "same")
    ground = int(near.argmax())
    others = counts.copy()
    others[max(0, ground - 1) : ground + 2] = 0
    paint = np.convolve(others, np.ones(3), "same").max()
    return bool(near[ground] + paint < GROUND_AND_PAINT * gray.size)


def grown(flags: Flags) -> Flags:
    """One pixel wider, to all eight neighbours."""
    from scipy.ndimage import binary_dilation

    wider: Flags = binary_dilation(flags, np.ones((3,) * flags.ndim, bool))
    return wider


def _strokes(level: Levels, lossy: bool = False) -> Painted:
    """Paint by its level: from half on; of faint or soft strokes on an empty ground from much less on."""
    top = float(level.max())
    if top <= FAINT or top == float(level.min()):
        return Painted(level >= 0.5)
    if _is_two_levels(level):
        return Painted(level > (top + float(level.min())) / 2)
    half = level >= 0.5 * min(top, 1.0) if top < 0.5 else level >= 0.5
    seeds = level > SEED * top
    if level.ndim != 2 or (level > PAINT * top).mean() > 0.5 or clustering(seeds) < STROKES:
        return Painted(half)
    if lossy and _is_hard(level / top):
        return Painted(level >= 0.5 * top)
    from scipy.ndimage import label

    names, _ = label(level > (SEED if lossy else PAINT) * top, np.ones((3, 3)))
    missing = np.isin(names, np.unique(names[seeds]))
    soft = len(np.unique(np.rint(255 * level[missing] / top))) >= SOFT_LEVELS
    return Painted(grown(missing) if soft else missing, soft=soft)


def _is_hard(level: Levels) -> bool:
    """Whether strokes had hard edges before their file's compression."""
    inside = level >= 0.5
    edge = (grown(inside) & ~inside) | (grown(~inside) & inside)
    return bool(((level > BETWEEN[0]) & (level < BETWEEN[1])).sum() <= HARD * edge.sum())


def _on_a_copy(levels: Levels, picture: Levels, lossy: bool) -> Painted | None:
    """What differs from the picture, if most is as in the picture, and what is not its ground too."""
    difference, own = np.abs(levels - picture), np.abs(picture - np.median(picture, axis=(0, 1)))
    if levels.ndim == 3:
        difference, own = difference.max(-1), own.max(-1)
    shows = own > 2 * SAME
    if (
        shows.mean() < 0.01
        or min((difference <= SAME).mean(), (difference <= SAME)[shows].mean()) < UNTOUCHED
    ):
        return None
    if not (difference > SAME).any():
        return _odd_colour(levels)
    if lossy or (difference == 0).mean() < UNTOUCHED:
        return _strokes(difference, lossy)
    from scipy.ndimage import binary_closing

    # Paint of the picture's own colour leaves gaps.
    return Painted((difference > 0) | binary_closing(difference > 0, np.ones((3, 3), bool)))


def _is_two_levels(level: Any) -> bool:
    return level.size > 0 and bool(((level == level.min()) | (level == level.max())).all())


def _black_and_white(gray: Levels, opacity: Levels) -> bool:
    """Whether the opaque part is a mask by itself: both black and white cover much of it."""
    inside = gray[opacity >= 0.5]
    return inside.size > 0 and min((inside < PAINT).mean(), (inside > 1 - PAINT).mean()) > 0.02


def _odd_colour(levels: Levels) -> Painted:
    """The one pure colour that a photograph repeats exactly."""
    nothing = Painted(np.zeros(levels.shape[:2], bool))
    if levels.ndim != 3:
        return nothing
    pure = (levels.max(-1) == 1) & (levels.min(-1) == 0)
    colours, counts = np.unique(levels[pure], axis=0, return_counts=True)
    if not len(counts) or counts.max() < PAINTED_SHARE * pure.size or counts.max() < 0.8 * counts.sum():
        return nothing
    found = (levels == colours[counts.argmax()]).all(-1)
    return Painted(found) if clustering(found) > STROKES else nothing
