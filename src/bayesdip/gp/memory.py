"""Resident memory of inference, told before it is needed; measured in processes of their own."""

from __future__ import annotations

from math import prod

from bayesdip.patches.hbe import STRIPE, STRIPE_ROWS, Search
from bayesdip.patches.nl_bayes import BATCH, GROUP, Raster
from bayesdip.patches.patch_grid import FAR_STEP, JOINT_CHANNELS, PATCH_VALUES

# From 256x256 to 1024x1024: at least, for each pixel, for each of its channels, for each sample of these.
# Channels that are not alike each have a factor of their own.
BYTES_OF_ALIKE, BYTES_OF_OTHERS, BYTES_OF_A_SAMPLE = (40 * 2**20, 150, 130), (120 * 2**20, 0, 210), 12
# From 64x64 to 768x512 gray and colour pixels with noise: how many there are at once, in single precision, of the
# matrices of a batch of groups, of its patches, of the table of a stripe's patches, and of pictures.
MATRICES, PATCHES, TABLES, PICTURES = 6.2, 9.4, 7.4, 64
# The same of the tables of filling in, from 64x64 to 512x512.
FILLING_TABLES = 14


def process_memory(grid: tuple[int, ...], channels: int, alike: bool, samples: int = 0) -> int:
    """Bytes that the posterior of a stationary process needs, where the channels are `alike` or not."""
    least, by_pixel, by_channel = BYTES_OF_ALIKE if alike else BYTES_OF_OTHERS
    return least + prod(grid) * (by_pixel + (by_channel + BYTES_OF_A_SAMPLE * samples) * channels)


def filling_memory(grid: tuple[int, ...], channels: int, most: int = PATCH_VALUES) -> int:
    """Bytes that filling in missing pixels by patches needs: what it begins with, and a stripe's tables."""
    height, width = (*grid, 1)[:2]
    search = Search.of((channels, height, width), most, last=True)
    stripe = max(STRIPE_ROWS, STRIPE * search.step // width)
    rows = min(height, stripe * search.step + search.patch[0] + 2 * search.reach)
    values = prod(search.patch) * min(channels, JOINT_CHANNELS)
    _, by_pixel, by_channel = BYTES_OF_ALIKE
    pictures = prod(grid) * (by_pixel + by_channel * channels)
    return round(pictures + 4 * FILLING_TABLES * rows * width * values)


def patches_memory(grid: tuple[int, ...], channels: int, most: int = PATCH_VALUES, far: int = 0) -> int:
    """Bytes that taking noise from a signal or picture by its patches needs, see `learnt_pass` for `most` and `far`."""
    height, width = (*grid, 1)[:2]
    raster = Raster.of(height, width, channels, most, last=True)
    values = prod(raster.patch) * min(channels, JOINT_CHANNELS)
    references = min(raster.stripe, len(raster.tops)) * len(raster.lefts)
    around = 2 * max(raster.reach[0], far) + raster.patch[0]
    rows = min(height, int(raster.tops[: raster.stripe][-1]) + around)
    farther = references * prod(2 * (min(far, n) // FAR_STEP) + 1 for n in (height, width)) if far else 0
    of_a_batch = min(BATCH, references) * (MATRICES * values**2 + PATCHES * GROUP * values)
    return round(
        4 * (of_a_batch + farther + TABLES * rows * width * values + PICTURES * height * width * channels)
    )
