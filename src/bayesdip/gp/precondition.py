"""Approximate inverses of the data's covariance, for conjugate gradients."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.gp.grid import GridCovariance, embed
from bayesdip.gp.solve import LinearMap
from bayesdip.gp.system import DataCovariance
from bayesdip.kernels.kernel import Tabulated


def circulant(system: DataCovariance) -> LinearMap:
    """The inverse on the torus, with the mean noise everywhere, restricted to what is observed.

    For data that are not pixels (blurred, downsampled) the torus is the data's own: there the
    covariance is nearly stationary as well, and one column of it says what it is.
    """
    grid = system.grid if system.operator is None else _output_covariance(system)
    like = system.seen
    share = system.seen.expand(torch.broadcast_shapes(system.seen.shape, system.noise.shape))
    every = tuple(range(1, share.ndim))
    mean = (system.noise * share).sum(every, keepdim=True) / share.sum(every, keepdim=True).clamp(min=1)
    response = 1 / (grid.spectrum.to(like) + mean)

    def apply(r: Tensor, active: Tensor) -> Tensor:
        rows = response if response.shape[0] == 1 else response[system.channel[active]]
        return grid.filtered(r, rows) * system.seen_rows(active)

    return apply


def _output_covariance(system: DataCovariance) -> GridCovariance:
    """``A K A^T`` as a stationary covariance on the output grid, from its central column."""
    column = central_column(system).to(torch.float64)
    for axis, n in enumerate(column.shape):
        centre = n // 2
        right = column.narrow(axis, centre, n - centre)
        left = column.narrow(axis, 0, centre + 1).flip(axis)
        both = min(n - centre, centre + 1)
        mean = (right.narrow(axis, 0, both) + left.narrow(axis, 0, both)) / 2
        column = torch.cat((mean, left.narrow(axis, both, centre + 1 - both)), dim=axis)
    return embed(Tabulated(column), system.seen.shape[2:], like=system.seen)


def central_column(system: DataCovariance) -> Tensor:
    """The column of ``A K A^T`` that belongs to the central output, shape output."""
    shape = system.seen.shape[1:]
    unit = torch.zeros((1, *shape), dtype=system.seen.dtype, device=system.seen.device)
    unit[(0, 0, *(n // 2 for n in shape[1:]))] = 1
    return replace(system, mixing=None).prior(unit, system.channel[:1])[0, 0]
