"""How much memory the restoration of a picture by its patches needs, at most."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from bayesdip.patches import nl_bayes
from bayesdip.patches.patch_grid import FAR_STEP

# What the resident memory grows by: in any case; for each value of the picture; how many there are at once, in single precision, of a
# batch's matrices, of its groups of patches, and of the distances to patches far away. Measured from 64x64 to 512x512 pixels.
BYTES, BYTES_OF_A_VALUE, MATRICES, PATCHES, DISTANCES = 100 * 2**20, 600, 8, 12, 3
# And of a large picture with noise or missing pixels. In processes of their own 512x512 gray pixels took 127 MiB, 1024x1024 423,
# 1448x1448 in colour 741 (123 bytes a value), and 1612 where a simple estimate takes part in the average: the bound is 1.25 times the most.
OF_LARGE, OF_A_VALUE_OF_LARGE = 330 * 2**20, 270


def bytes_needed(shape: Sequence[int], patch_values: int, far: int, *, is_picture: bool) -> int:
    """Upper bound for data (C, *grid).

    Parameters
    ----------
    shape : sequence of int
    patch_values : int
        Values of a patch.
    far : int
        Up to this lag in pixels, every third patch is compared; 0 for none beyond the usual reach.
    is_picture : bool
        Whether the data are pixels of one picture: no slices, and nothing blurred or downsampled.
    """
    size = prod(shape)
    of_all = BYTES_OF_A_VALUE * size
    if is_picture:
        of_all = min(of_all, OF_LARGE + OF_A_VALUE_OF_LARGE * size)
    of_a_batch = nl_bayes.BATCH * patch_values * (MATRICES * patch_values + PATCHES * nl_bayes.GROUP_SIZE)
    lags = prod(2 * (min(far, n) // FAR_STEP) + 1 for n in shape[1:]) if far else 0
    return BYTES + of_all + 4 * (of_a_batch + DISTANCES * nl_bayes.STRIPE[0] * lags)
