"""Which patches an effort takes: how many values each has, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping

from bayesdip.patches.filling import ONE_SIZE
from bayesdip.patches.patch_grid import LARGE_PATCH, LARGEST_PATCH, PATCH_VALUES, SMALL_PATCH, side_of

# At best, values in a patch and their weight in the mean: larger and smaller patches err differently. Small ones are no
# help against noise on a gray picture, nor where pixels of a colour picture are missing.
COLOUR_NOISE = {PATCH_VALUES: 0.7, SMALL_PATCH: 0.3}
GRAY_NOISE = {PATCH_VALUES: 0.5, LARGE_PATCH: 0.5}
GRAY_MISSING = {PATCH_VALUES: 0.4, SMALL_PATCH: 0.3, LARGE_PATCH: 0.3}
# And against noise on a colour picture, in one more pass from their mean. Such patches are of no use from the pilot on.
COLOUR_NOISE_LAST = (LARGEST_PATCH, 0.45)


def patch_sizes(effort: str, channels: int, *, fills: bool) -> Mapping[int, float]:
    """Values in a patch, and the weight of each size in the mean.

    Parameters
    ----------
    effort : {"fast", "balanced", "best"}
    channels : int
    fills : bool
        Whether pixels are filled in, and not denoised.
    """
    if effort != "best":
        return ONE_SIZE
    if channels == 1:
        return GRAY_MISSING if fills else GRAY_NOISE
    return ONE_SIZE if fills else COLOUR_NOISE


def last_size(effort: str, shape: tuple[int, ...], *, fills: bool) -> tuple[int, float] | None:
    """Values in a patch of one more pass over a picture (C, *grid), and its weight; None for no such pass."""
    wide = len(shape) == 3 and min(shape[1:]) >= side_of(LARGEST_PATCH, shape[0])
    return COLOUR_NOISE_LAST if effort == "best" and shape[0] > 1 and wide and not fills else None
