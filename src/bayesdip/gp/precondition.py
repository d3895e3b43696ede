"""Approximate inverses of the data's covariance, for conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.gp.grid import GridCovariance, embed
from bayesdip.gp.local import local_inverse
from bayesdip.gp.system import DataCovariance
from bayesdip.kernels.kernel import Kernel, Tabulated

Preconditioner = Callable[[Tensor, Tensor], Tensor]
"""``(r, channel) -> C^-1 r``, about: r has shape (R, G, *output); each row belongs to a channel (R,)."""

# Predecessors by which a pixel is predicted; more where the kernel is so smooth that far ones count.
NEIGHBOURS = 12
NEIGHBOURS_OF_SMOOTH = 24
# From this noise on, in units of the picture's variance, complete data need no local inverse.
NOISE_THAT_LEVELS = 0.01


def preconditioner(system: DataCovariance, kernel: Kernel, *, constant: bool, smooth: bool) -> Preconditioner:
    """The approximate inverse that suits the data.

    Pixels, whatever the mask: the local inverse. All pixels with the same clear noise, and data that
    are not pixels: the inverse on the torus.

    Parameters
    ----------
    system : DataCovariance
        In the precision in which to work.
    kernel : Kernel
        The one it was made from.
    constant : bool
        Whether the kernel's value at infinite lag counts.
    smooth : bool
        Whether the kernel leaves a good part of the grid's frequencies empty.
    """
    level = bool((system.noise == system.noise.flatten()[0]).all()) and bool((system.seen > 0).all())
    noisy = float(system.noise.min()) >= NOISE_THAT_LEVELS * system.grid.variance
    if system.operator is not None or (level and noisy and system.mixing is None):
        return circulant(system)
    table = kernel.quadrant(system.grid.shape) - (0.0 if constant else kernel.limit)
    return local(system, table, NEIGHBOURS_OF_SMOOTH if smooth else NEIGHBOURS)


def local(system: DataCovariance, table: Tensor, neighbours: int) -> Preconditioner:
    """Each observed pixel predicted from its nearest predecessors, see `gp.local`."""
    seen = system.seen > 0
    # Channels that see the same share one inverse, for the mean of their noises.
    shared = len(seen) == 1
    noises = system.noise.mean(0, keepdim=True) if shared else system.noise
    inverses = [
        local_inverse(seen[m], table, noises[min(m, len(noises) - 1)], neighbours, system.seen, system.mixing)
        for m in range(len(seen))
    ]

    def apply(r: Tensor, channel: Tensor) -> Tensor:
        if shared:
            return inverses[0].apply(r.flatten(1)).reshape(r.shape)
        out = torch.empty_like(r)
        for m, inverse in enumerate(inverses):
            mine = channel == m
            out[mine] = inverse.apply(r[mine].flatten(1)).reshape(-1, *r.shape[1:])
        return out

    return apply


def circulant(system: DataCovariance) -> Preconditioner:
    """The inverse on the torus, with the mean noise everywhere, restricted to what is observed.

    For data that are not pixels (blurred, downsampled) the torus is the data's own: there the
    covariance is nearly stationary as well, and one column of it says what it is.
    """
    grid = system.grid if system.operator is None else _output_covariance(system)
    like = system.seen
    noise = system.noise * system.seen
    inner = tuple(range(2, noise.ndim))
    mean = noise.sum(inner, keepdim=True) / system.seen.expand_as(noise).sum(inner, keepdim=True).clamp(min=1)
    scale = torch.ones_like(mean)
    if system.mixing is not None:
        scale = scale * system.mixing.diagonal().reshape(1, -1, *[1] * len(inner))
    response = 1 / (scale * grid.spectrum.to(like) + mean)

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
    """The column of ``A K A^T`` that belongs to the central output, shape output, unit mixing."""
    shape = system.seen.shape[2:]
    unit = torch.zeros((1, system.seen.shape[1], *shape), dtype=system.seen.dtype, device=system.seen.device)
    unit[(0, 0, *(n // 2 for n in shape))] = 1
    return replace(system, mixing=None).prior(unit, system.channel[:1])[0, 0]
