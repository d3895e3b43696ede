"""Approximate inverses of the data's covariance, for conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.gp.grid import embed, empty_share
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
# Frequencies with less than this share of the variance make blurred data smooth.
NEARLY_EMPTY = 1e-3


def preconditioner(system: DataCovariance, kernel: Kernel, *, constant: bool, smooth: bool) -> Preconditioner:
    """The approximate inverse that suits the data.

    The local inverse, whatever the mask; for complete data with the same clear noise everywhere the one
    on the torus, which costs nothing to make.

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
    pixels = kernel.quadrant(system.grid.shape) - (0.0 if constant else kernel.limit)
    table = pixels if system.operator is None else output_table(system, pixels)
    if level and noisy and system.mixing is None:
        return circulant(system, table)
    if system.operator is not None:
        # What an operator blurs is smooth, whatever the kernel.
        smooth = smooth or empty_share(embed(Tabulated(table), table.shape), NEARLY_EMPTY) > 0.05
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


def circulant(system: DataCovariance, table: Tensor) -> Preconditioner:
    """The inverse on the torus, with the mean noise everywhere, restricted to what is observed."""
    shape = system.seen.shape[2:]
    grid = system.grid if system.operator is None else embed(Tabulated(table), shape, like=system.seen)
    noise = system.noise * system.seen
    inner = tuple(range(2, noise.ndim))
    mean = noise.sum(inner, keepdim=True) / system.seen.expand_as(noise).sum(inner, keepdim=True).clamp(min=1)
    response = 1 / (grid.spectrum.to(system.seen) + mean)

    def apply(r: Tensor, channel: Tensor) -> Tensor:
        rows = response if response.shape[0] == 1 else response[channel]
        seen = system.seen if system.seen.shape[0] == 1 else system.seen[channel]
        return grid.filtered(r, rows) * seen

    return apply


def output_table(system: DataCovariance, table: Tensor) -> Tensor:
    """``A K A^T`` at the lags 0, 1, ... of each axis of the output, as if it were stationary: it nearly is.

    Its central column says it for the near lags. At far ones, where the covariance is smooth, an
    operator only scales it.
    """
    column = central_column(system).to(table)
    shape = column.shape
    centre = [n // 2 for n in shape]
    ones = torch.ones((1, 1, *system.grid.shape)).to(system.seen)
    gain = (
        float(system.predict(ones, system.channel[:1])[(0, 0, *centre)])
        if system.operator is not None
        else 1.0
    )
    steps = [m / n for m, n in zip(table.shape, shape, strict=True)]
    far = table
    for axis, (n, step) in enumerate(zip(shape, steps, strict=True)):
        far = far.index_select(axis, (torch.arange(n) * step).round().long().clamp(max=far.shape[axis] - 1))
    out = gain**2 * far
    inside = tuple(slice(0, n - c) for n, c in zip(shape, centre, strict=True))
    out[inside] = column[tuple(slice(c, n) for n, c in zip(shape, centre, strict=True))]
    return out


def central_column(system: DataCovariance) -> Tensor:
    """The column of ``A K A^T`` that belongs to the central output, shape output, unit mixing."""
    shape = system.seen.shape[2:]
    unit = torch.zeros((1, system.seen.shape[1], *shape), dtype=system.seen.dtype, device=system.seen.device)
    unit[(0, 0, *(n // 2 for n in shape))] = 1
    return replace(system, mixing=None).prior(unit, system.channel[:1])[0, 0]
