"""Noise taken from a picture on several grids, each of half the size of the one before.

Patches of a few pixels say little of what varies slowly: the noise's low frequencies stay in the
estimate. On a grid of half the size the same patches reach twice as far, and noise is four times
smaller beside the picture. So the picture is denoised on the coarse grid too, and its lowest
frequencies are taken from there (Facciolo, Pierazzo, Morel, *Conservative scale recomposition for
multiscale denoising (the devil is in the high frequency detail)*, SIAM J. Imaging Sciences 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from bayesdip.dct_thresholding import cosine_basis
from bayesdip.patches.nl_bayes import UnitData, learnt_pass, pilot
from bayesdip.patches.patch_grid import PATCH_VALUES
from bayesdip.patches.pilot import PatchKernel

# Grids, and the least side of one.
SCALES, LEAST_SIDE = 3, 32
# The work on the coarser grids over that on the finest one: 1/4 + 1/16, and what is spent between them.
COARSER_WORK = 0.35
# Of the coarse grid's frequencies per axis, the share that is taken from it. Those next to its limit are
# worse there than on the fine grid, for their patches lack what the fine grid still shows.
SHARE = 0.4


@dataclass(frozen=True)
class Denoised:
    """Mean and standard deviation, (C, H, W) each, after so many passes on the finest grid."""

    mean: Tensor
    std: Tensor
    passes: int


def denoised(
    data_given: Callable[[Tensor | None], UnitData],
    kernel: PatchKernel,
    passes: int,
    stop: Callable[[int, float], bool],
    *,
    most: int = PATCH_VALUES,
    far: int = 0,
    scales: int = SCALES,
) -> Denoised:
    """Pilot and passes on this grid, then its lowest frequencies from the coarser ones.

    The standard deviation is that of this grid's patches.

    Parameters
    ----------
    data_given : callable
        The data given the last estimate, which tells values that clipping hid; given None, as they are.
    stop : callable
        ``(pass, share of it done) -> bool``; True ends with what there is.
    most : int
        Values in a patch.
    far : int
        See `learnt_pass`.
    """
    data = data_given(None)
    mean, std = pilot(data, kernel), data.noise.sqrt().expand(data.values.shape)
    for number in range(passes):

        def stop_pass(share: float, number: int = number) -> bool:
            return stop(number, share)

        found = learnt_pass(data_given(mean), mean, stop_pass, last=number == passes - 1, most=most, far=far)
        if found is None:
            return Denoised(mean, std, number)
        mean, std = found
    if passes == 0 or scales == 1 or min(mean.shape[1:]) < 2 * LEAST_SIDE:
        return Denoised(mean, std, passes)
    half = halved(data_given(mean), mean)
    coarse = denoised(
        lambda estimate: half,
        kernel,
        passes,
        lambda number, share: stop(passes, (number + share) / (passes + 1)),
        most=most,
        far=far,
        scales=scales - 1,
    )
    if coarse.passes == passes:
        mean = with_lowest(mean, coarse.mean)
    return Denoised(mean, std, passes)


def halved(data: UnitData, estimate: Tensor) -> UnitData:
    """The same data on a grid of half the size: white noise of variance one stays so.

    Missing pixels are filled in by the estimate.
    """
    values = data.values if data.missing is None else torch.where(data.missing, estimate, data.values)
    shape = (values.shape[1] // 2, values.shape[2] // 2)
    noise: Tensor = adaptive_avg_pool2d(data.noise[None], shape)[0]
    return UnitData(resampled(values, shape), noise, None)


def with_lowest(fine: Tensor, coarse: Tensor, share: float = SHARE) -> Tensor:
    """`fine`, (C, H, W), whose lowest frequencies are those of `coarse`, (C, h, w)."""
    shape = (coarse.shape[1], coarse.shape[2])
    wanted = coarse - resampled(fine, shape)
    return fine + resampled(wanted, (fine.shape[1], fine.shape[2]), share)


def resampled(picture: Tensor, shape: tuple[int, int], share: float = 1.0) -> Tensor:
    """To another grid by the cosine transforms of both, as many frequencies as both have, or a share of them.

    The transforms are orthonormal: a picture's values grow as the square root of the pixels that it loses.
    """
    for axis, n in zip((1, 2), shape, strict=True):
        from_basis, to_basis = (cosine_basis(side, torch.float64) for side in (picture.shape[axis], n))
        count = max(1, int(share * min(len(from_basis), n)))
        matrix = (to_basis[:count].T @ from_basis[:count]).to(picture)
        picture = (picture.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    return picture
