"""Exact posterior variances by dense algebra, for small grids."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.errors import ResourceError
from bayesdip.gp.system import DataCovariance
from bayesdip.kernels.kernel import Kernel

# Pixels up to which a dense covariance (128 MiB of doubles here) is reasonable.
LARGEST = 4096


def dense_covariance(kernel: Kernel, shape: Sequence[int], *, constant: bool = True) -> Tensor:
    """The covariance of all pixels of a grid, (n, n) with n the number of pixels, float64.

    Raises
    ------
    ResourceError
        If the grid has more than `LARGEST` pixels.
    """
    n = math.prod(shape)
    if n > LARGEST:
        raise ResourceError(
            f"the grid has {n} pixels: expected at most {LARGEST} for dense algebra; ask for samples instead"
        )
    table = kernel.quadrant(shape) - (0.0 if constant else kernel.limit)
    index = torch.cartesian_prod(*(torch.arange(m) for m in shape)).reshape(n, len(shape))
    lags = (index[:, None] - index[None]).abs()
    return table[tuple(lags.unbind(-1))]


def dense_std(system: DataCovariance, kernel: Kernel, *, constant: bool, offset_unknown: bool) -> Tensor:
    """Posterior standard deviation of every pixel at unit amplitude, (C, *grid).

    Parameters
    ----------
    system : DataCovariance
        With independent channels.
    kernel : Kernel
        The one that the system was made from.
    constant : bool
        Whether the kernel's value at infinite lag counts.
    offset_unknown : bool
        Whether to add what a flat prior on each channel's mean adds (universal kriging).
    """
    shape = system.grid.shape
    K = dense_covariance(kernel, shape, constant=constant).to(system.seen)
    n = len(K)
    pictures = torch.eye(n, dtype=K.dtype, device=K.device).reshape(n, 1, *shape)
    A = pictures if system.operator is None else system.operator.forward(pictures)
    A = A.flatten(1).T
    seen = system.seen.flatten(1) > 0
    noise = system.noise.expand(-1, *system.seen.shape[1:]).flatten(1)
    found: dict[tuple[int, int], Tensor] = {}
    for c in range(len(system.channel)):
        # Channels that see the same with the same noise have the same variance.
        key = min(c, len(seen) - 1), min(c, len(noise) - 1)
        if key not in found:
            found[key] = _variance(K, A[seen[key[0]]], noise[key[1]][seen[key[0]]], offset_unknown)
    rows = [found[min(c, len(seen) - 1), min(c, len(noise) - 1)] for c in range(len(system.channel))]
    return torch.stack(rows).clamp(min=0).sqrt().reshape(-1, *shape)


def _variance(K: Tensor, A: Tensor, noise: Tensor, offset_unknown: bool) -> Tensor:
    cross = A @ K
    factor = torch.linalg.cholesky(cross @ A.T + noise.diag())
    half = torch.linalg.solve_triangular(factor, cross, upper=False)
    variance: Tensor = K.diagonal() - half.square().sum(0)
    if offset_unknown:
        ones = torch.linalg.solve_triangular(factor, A.sum(1, keepdim=True), upper=False)
        variance = variance + (1 - (half.T @ ones)[:, 0]).square() / ones.square().sum()
    return variance
