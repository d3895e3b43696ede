"""The weight of each pixel's own noisy value in the posterior mean of a stationary process: times the noise's variance, the posterior variance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.gp.block_evidence import lags
from bayesdip.gp.grid_covariance import embed
from bayesdip.kernels.kernel import Kernel

# Values of the part whose weights are exact: half its side from a border, a picture's are those of the middle of a large one.
VALUES = 576


def own_weights(kernel: Kernel, colour: Tensor, grid: Sequence[int], noise: float) -> Tensor:
    """The diagonal of the matrix that makes the posterior mean of the data, ``K (K + n I)^-1``.

    A part of the grid gives its ends by dense algebra, an endless picture its middle (the mean over frequencies of Wiener's filter).

    Parameters
    ----------
    kernel : Kernel
    colour : Tensor, shape (C, C)
        The covariance between channels that multiplies it.
    grid : sequence of int
        Pixels along each axis.
    noise : float
        Variance of the white noise, positive.

    Returns
    -------
    Tensor, float64, shape (C, *grid)
        0..1.
    """
    levels, vectors = torch.linalg.eigh(colour.double())
    levels, axes = levels.clamp_min(0), range(len(grid))
    sides = [min(n, round(VALUES ** (1 / len(grid)))) for n in grid]
    power, basis = torch.linalg.eigh(kernel.quadrant(sides).double().flatten()[lags(sides)])
    shares = levels[:, None] * power.clamp_min(0) / (levels[:, None] * power.clamp_min(0) + noise)
    part = (shares @ basis.square().T).reshape(-1, *sides)
    if all(side < n for side, n in zip(sides, grid, strict=True)):
        middle = part[(slice(None), *(side // 2 for side in sides))]
        endless = endless_weights(kernel, levels, grid, torch.full_like(levels, noise))
        part = part * (endless / middle.clamp_min(torch.finfo(torch.float64).tiny)).reshape(
            -1, *[1] * len(grid)
        )
    for axis, side, n in zip(axes, sides, grid, strict=True):
        at = torch.arange(n)
        from_end = torch.minimum(at, n - 1 - at).clamp(max=(side - 1) // 2)
        part = part.index_select(axis + 1, from_end if side < n else at)
    return torch.einsum("ck,k...->c...", vectors.square(), part)


def endless_weights(kernel: Kernel, levels: Tensor, grid: Sequence[int], noise: Tensor) -> Tensor:
    """Those of independent channels away from borders: the mean over frequencies of Wiener's filter.

    Parameters
    ----------
    kernel : Kernel
    levels : Tensor, float64, shape (C,)
        The variances that multiply it.
    grid : sequence of int
        Pixels along each axis.
    noise : Tensor, shape (C,)
        Variance of the noise, positive.

    Returns
    -------
    Tensor, float64, shape (C,)
    """
    covariance = embed(kernel, grid)
    each = (-1, *[1] * len(grid))
    power = levels.reshape(each) * covariance.spectrum
    axes = tuple(range(1, len(grid) + 1))
    at_zero = (slice(None), *(0 for _ in grid))
    mean: Tensor = torch.fft.irfftn(power / (power + noise.reshape(each)), covariance.torus, dim=axes)[
        at_zero
    ]
    return mean
