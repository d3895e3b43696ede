"""The picture that a simulated restoration is tried on: with as much detail as the unknown one, made of the restored one.

That lacks what the data do not show. But pictures look alike on all scales (Field, J. Opt. Soc. Am. A 1987; Glasner, Bagon, Irani,
*Super-resolution from a single image*, ICCV 2009): made as many times smaller as it lacks detail, and repeated to fill the grid, it has
that of the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.operators import Blur, Compose, Downsample, Mask
from bayesdip.problem import Problem

# By how much the restored picture is made smaller, at least (it is never quite as sharp as the truth) and at most.
LEAST_FACTOR, MOST_FACTOR = 2, 8
# Up to this share of the resolved frequencies the restored picture has the truth's energy.
TOP_OF_RESOLVED = 0.7
# Prior of Hurst's exponent: 0 to 0.3 for photographs, 0.4 to 1 for smooth pictures. And the standard deviation of an estimate from
# one frequency in each octave: that of half the binary logarithm of two squared normal variables.
HURST, HURST_SPREAD, SCATTER = 0.2, 0.5, 1.0
# A truth on the restored picture's own scale would come back as it is, where the data are exact.
LEAST_CHANGE = 1.1
# Data without noise are blind where the transfer function is below this share of its largest value: 8-bit rounding.
ROUNDING = 1 / 255 / math.sqrt(12)


def factor_of(picture: Tensor, resolved: float) -> float:
    """By how much a picture has to be made smaller to have all the detail that the truth has.

    Where the data resolve frequencies up to ``1/F`` of all, that is F for a picture that looks alike on all scales, whose
    energy is the same in every octave. It is 1 for a smooth one, which lacks nothing; in between ``F^(1 - H)``, when the
    energy falls by ``2^(-2 H)`` from octave to octave (H is Hurst's exponent).
    """
    lacking = min(max(1 / resolved, LEAST_FACTOR), MOST_FACTOR)
    return max(LEAST_CHANGE, float(lacking ** (1 - hurst_exponent(picture, 1 / lacking))))


def resolved_share(picture: Tensor, problem: Problem) -> float:
    """The share of the frequencies of an axis that the data resolve: 1/4 for a picture that is enlarged four times."""
    operator = problem.operator
    while isinstance(operator, Compose) and isinstance(operator.outer, Mask):
        operator = operator.inner
    if isinstance(operator, Downsample):
        return float(1 / max(operator.factor))
    if not isinstance(operator, Blur):
        return 1.0
    grid, dims = problem.grid, len(problem.grid)
    transfer = torch.fft.fftn(operator.psf, [2 * n for n in grid]).abs().square()
    frequency = _radius([2 * n for n in grid])
    energy = frequency.clamp_min(0.5 / max(grid)) ** -dims  # the same in every octave
    level = float(picture.var()) / float(energy.sum())
    noise = float(problem.noise.variance(problem.y, problem.operator.observed).double().mean())
    noise = max(noise, ROUNDING**2) / math.prod(2 * n for n in grid)
    share = float((transfer * level * energy > noise).double().mean())
    return float(max(share ** (1 / dims), 1 / MOST_FACTOR))


def hurst_exponent(picture: Tensor, resolved: float) -> float:
    """How the energy of a picture, (C, *grid), falls from octave to octave among resolved frequencies: 0 to 1.

    The posterior mean of what two octaves say, under a normal prior: few frequencies tell little.
    """
    energy = (_cosine_transform(picture) ** 2).sum(0)
    radius = np.sqrt(
        sum(np.square(i / n) for i, n in zip(np.indices(energy.shape), energy.shape, strict=True))
    )
    top = TOP_OF_RESOLVED * resolved
    low, high = ((radius > top / b) & (radius <= top / a) for a, b in ((2, 4), (1, 2)))
    if not (energy[low].any() and energy[high].any()):
        return HURST
    found = 0.5 * math.log2(float(energy[low].sum() / energy[high].sum()))
    spread = SCATTER * (1 / low.sum() + 1 / high.sum()) ** 0.5
    weight = HURST_SPREAD**2 / (HURST_SPREAD**2 + spread**2)
    return float(min(max(HURST + weight * (found - HURST), 0.0), 1.0))


def scaled_down(picture: Tensor, factor: float) -> Tensor:
    """A picture, (C, *grid), made smaller as a camera does it: averaged over the new pixels."""
    from scipy.fft import idctn

    shape = [max(1, round(n / factor)) for n in picture.shape[1:]]
    lowest = _cosine_transform(picture)[(slice(None), *map(slice, shape))]
    for axis, n in enumerate(shape, 1):
        window = np.sinc(np.arange(n) / (2 * n))
        lowest = lowest * window.reshape(-1, *[1] * (len(shape) - axis))
    gain = math.sqrt(math.prod(shape) / math.prod(picture.shape[1:]))
    return torch.from_numpy(gain * idctn(lowest, axes=tuple(range(1, picture.ndim)), norm="ortho"))


def _cosine_transform(picture: Tensor) -> NDArray[np.float64]:
    from scipy.fft import dctn

    found: NDArray[np.float64] = dctn(picture.numpy(), axes=tuple(range(1, picture.ndim)), norm="ortho")
    return found


def filling_grid(picture: Tensor, grid: Sequence[int]) -> Tensor:
    """The middle of a picture, (C, *shape); where it is smaller than the grid, it goes on turned by half a turn, without a kink."""
    array = picture.numpy()
    middle = [
        slice(max(0, m - n) // 2, max(0, m - n) // 2 + n) for m, n in zip(array.shape[1:], grid, strict=True)
    ]
    array = array[(slice(None), *middle)]
    missing = [(0, 0), *((0, n - m) for m, n in zip(array.shape[1:], grid, strict=True))]
    return torch.from_numpy(np.pad(array, missing, mode="reflect", reflect_type="odd"))


def _radius(shape: Sequence[int]) -> Tensor:
    """Of every frequency of a Fourier transform, over Nyquist's."""
    axes = [2 * torch.fft.fftfreq(n, dtype=torch.float64) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
