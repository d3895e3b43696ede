"""Multiscale denoising: on several grids, each of half the size of the one before.

Patches of a few pixels hold little information on slow variations: the noise's low frequencies stay in the
estimate. On a grid of half the size the same patches reach twice as far, and the variance of the noise is four times
smaller relative to the picture's. So the picture is denoised on the coarse grid too, and its lowest
frequencies are taken from there (Facciolo, Pierazzo, Morel, *Conservative scale recomposition for
multiscale denoising (the devil is in the high frequency detail)*, SIAM J. Imaging Sciences 2017).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from scipy.fft import dct, idct
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from bayesdip.interruption import Stopped
from bayesdip.patches.correlation import halved as correlation_halved
from bayesdip.patches.estimate import Estimate, Stop
from bayesdip.patches.nl_bayes import WhitenedData, nl_bayes_pass, pilot_estimate
from bayesdip.patches.patch_grid import PATCH_VALUES
from bayesdip.patches.pilot import PatchKernel

# Number of grids, and the least side of one in pixels.
SCALES, LEAST_SIDE = 3, 32
# The work on the coarser grids over that on the finest one: 1/4 + 1/16, and some for the resampling.
COARSER_WORK = 0.35
# Of the coarse grid's frequencies per axis, the share that is taken from it. Those next to its Nyquist limit are
# worse there than on the fine grid, where patches have finer detail, too. Together with three grids it brought 0.13 dB on
# 256x256 parts of `house`, `f16`, `kodak2`, `lena` and `kodak1`, sigma 25.
SHARE = 0.4


def denoised(
    data_given: Callable[[Tensor | None], WhitenedData],
    kernel: PatchKernel,
    passes: int,
    stop: Stop,
    *,
    patch_values: int = PATCH_VALUES,
    far_radius: int = 0,
    scales: int = SCALES,
) -> Estimate:
    """Pilot estimate and passes on this grid, then its lowest frequencies from the coarser ones.

    The standard deviation is that of this grid's patches.

    Parameters
    ----------
    data_given : callable
        ``(estimate) -> WhitenedData``: with clipped values replaced by their means given the estimate; given None, as
        they are.
    kernel : PatchKernel
        Of the pilot estimate.
    passes : int
    stop : callable
        ``(pass, share of it done) -> bool``; True ends with the last finished estimate.
    patch_values, far_radius : int
        As `nl_bayes_pass` takes them.
    scales : int
        Number of grids.

    Returns
    -------
    Estimate
    """
    data = data_given(None)
    mean, std = pilot_estimate(data, kernel), data.noise.sqrt().expand(data.values.shape)
    for number in range(passes):

        def stop_pass(share: float, number: int = number) -> bool:
            return stop(number, share)

        try:
            found = nl_bayes_pass(
                data_given(mean),
                mean,
                stop_pass,
                last=number == passes - 1,
                patch_values=patch_values,
                far_radius=far_radius,
            )
        except Stopped:
            found = None
        if found is None:
            return Estimate(mean, std, number)
        mean, std = found
    if passes == 0 or scales == 1 or min(mean.shape[1:]) < 2 * LEAST_SIDE:
        return Estimate(mean, std, passes)
    half = halved(data_given(mean), mean)
    try:
        coarse = denoised(
            lambda estimate: half,
            kernel,
            passes,
            lambda number, share: stop(passes, (number + share) / (passes + 1)),
            patch_values=patch_values,
            far_radius=far_radius,
            scales=scales - 1,
        )
    except Stopped:
        return Estimate(mean, std, passes)
    if coarse.passes == passes:
        mean = with_lowest(mean, coarse.mean)
    return Estimate(mean, std, passes)


def halved(data: WhitenedData, estimate: Tensor) -> WhitenedData:
    """The same data on a grid of half the size: white noise of variance one stays so, and every frequency of other noise.

    Missing pixels are filled in by the estimate.
    """
    values = data.values if data.missing is None else torch.where(data.missing, estimate, data.values)
    shape = (values.shape[-2] // 2, values.shape[-1] // 2)
    noise: Tensor = adaptive_avg_pool2d(data.noise[None], shape)[0]
    correlation = None if data.correlation is None else correlation_halved(data.correlation)
    return WhitenedData(resampled(values, shape), noise, None, correlation)


def with_lowest(fine: Tensor, coarse: Tensor, share: float = SHARE) -> Tensor:
    """`fine`, (C, H, W), with the lowest frequencies of `coarse`, (C, h, w)."""
    shape = (coarse.shape[-2], coarse.shape[-1])
    wanted = coarse - resampled(fine, shape)
    return fine + resampled(wanted, (fine.shape[-2], fine.shape[-1]), share)


def resampled(picture: Tensor, shape: tuple[int, int], share: float = 1.0) -> Tensor:
    """To another grid by the cosine transforms of both, as many frequencies as both have, or a share of them.

    The transforms are orthonormal: a picture's values grow as the square root of the pixels that it loses.
    """
    values = picture.cpu().numpy()
    for axis, n in zip((-2, -1), shape, strict=True):
        count = max(1, int(share * min(values.shape[axis], n)))
        lowest = dct(values, axis=axis, norm="ortho").take(range(count), axis)
        values = idct(lowest, n=n, axis=axis, norm="ortho", overwrite_x=True)
    return torch.from_numpy(values).to(picture)
