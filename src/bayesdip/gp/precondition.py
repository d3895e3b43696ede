"""Approximate inverses of the data's covariance, for conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.gp.grid import GridCovariance, embed
from bayesdip.gp.system import DataCovariance
from bayesdip.kernels.kernel import Tabulated

Preconditioner = Callable[[Tensor, Tensor], Tensor]
"""``(r, channel) -> C^-1 r``, about: r has shape (R, G, *output); each row belongs to a channel (R,)."""


def circulant(system: DataCovariance) -> Preconditioner:
    """The inverse on the torus, with the mean noise everywhere, restricted to what is observed.

    For data that are not pixels (blurred, downsampled) the torus is the data's own: there the
    covariance is nearly stationary as well, and one column of it says what it is.
    """
    grid = system.grid if system.operator is None else _output_covariance(system)
    like = system.seen
    noise = system.noise * system.seen
    every = tuple(range(1, noise.ndim))
    mean = noise.sum(every, keepdim=True) / system.seen.expand_as(noise).sum(every, keepdim=True)
    response = 1 / (grid.spectrum.to(like) + mean)

    def apply(r: Tensor, channel: Tensor) -> Tensor:
        rows = response if response.shape[0] == 1 else response[channel]
        seen = system.seen if system.seen.shape[0] == 1 else system.seen[channel]
        return grid.filtered(r, rows) * seen

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
