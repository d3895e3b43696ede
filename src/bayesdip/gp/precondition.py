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

Part = Callable[[Tensor], Tensor]
"""The same for rows that all belong to one channel, or to alike ones."""

# Predecessors by which a pixel is predicted; more where the kernel is so smooth that far ones count.
NEIGHBOURS = 12
NEIGHBOURS_OF_SMOOTH = 24
# From this noise on, in units of the picture's variance, complete data need no local inverse.
NOISE_THAT_LEVELS = 0.1
# And from this one on, incomplete data neither.
NOISE_THAT_DROWNS = 3.0
# Clipping, see `GridCovariance.clipped`, from which on a table is no covariance.
MISFIT = 0.05
# Frequencies with less than this share of the variance make blurred data smooth.
NEARLY_EMPTY = 1e-3


def preconditioner(system: DataCovariance, kernel: Kernel, *, constant: bool, smooth: bool) -> Preconditioner:
    """The approximate inverse that suits the data, each row of the system by itself.

    The local inverse, whatever the mask. Where noise is strong, far pixels count as much as near ones:
    there the inverse on the torus is better, and it costs nothing to make.

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
    pixels = kernel.quadrant(system.grid.shape) - (0.0 if constant else kernel.limit)
    table = pixels if system.operator is None else output_table(system, pixels)
    if system.operator is not None:
        # What an operator blurs is smooth, whatever the kernel.
        smooth = smooth or empty_share(embed(Tabulated(table), table.shape), NEARLY_EMPTY) > 0.05
    neighbours = NEIGHBOURS_OF_SMOOTH if smooth else NEIGHBOURS
    parts: dict[tuple[int, int], Part] = {}
    keys = [(min(c, len(system.seen) - 1), min(c, len(system.noise) - 1)) for c in system.channel.tolist()]
    for key in dict.fromkeys(keys):
        seen, noise = system.seen[key[0]], system.noise[key[1]]
        if system.mixing is None and _drowned(seen, noise, system.grid.variance):
            parts[key] = circulant(system, table, seen, noise)
        else:
            parts[key] = local(table, seen, noise, neighbours, system.mixing)

    def apply(r: Tensor, channel: Tensor) -> Tensor:
        if len(parts) == 1:
            return parts[keys[0]](r)
        out = torch.empty_like(r)
        for key, part in parts.items():
            mine = torch.tensor([keys[c] == key for c in channel.tolist()], device=r.device)
            if bool(mine.any()):
                out[mine] = part(r[mine])
        return out

    return apply


def _drowned(seen: Tensor, noise: Tensor, variance: float) -> bool:
    """Whether noise is so strong that the torus serves better; with pixels missing it takes more."""
    complete = bool((seen > 0).all()) and float(noise.max()) <= 1.1 * float(noise.min())
    return float(noise.min()) >= (NOISE_THAT_LEVELS if complete else NOISE_THAT_DROWNS) * variance


def local(table: Tensor, seen: Tensor, noise: Tensor, neighbours: int, mixing: Tensor | None = None) -> Part:
    """Each observed entry predicted from its nearest predecessors, see `gp.local`.

    `seen` has shape (G, *output), `noise` one that broadcasts to it.
    """
    inverse = local_inverse(seen > 0, table, noise, neighbours, seen, mixing)
    return lambda r: inverse.apply(r.flatten(1)).reshape(r.shape)


def circulant(system: DataCovariance, table: Tensor, seen: Tensor, noise: Tensor) -> Part:
    """The inverse on the torus, with the mean noise everywhere, restricted to what is observed."""
    grid = system.grid if system.operator is None else embed(Tabulated(table), table.shape, like=seen)
    mean = (noise * seen).sum() / seen.sum()
    response = 1 / (grid.spectrum.to(seen) + mean)
    return lambda r: grid.filtered(r, response) * seen


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
    fitted = embed(Tabulated(out), shape)
    if fitted.clipped < MISFIT:
        return out
    # The two parts do not fit, and no process has this covariance: the nearest one on a torus is taken.
    whole: Tensor = torch.fft.irfftn(fitted.spectrum, fitted.torus)
    return whole[tuple(slice(0, n) for n in shape)].contiguous()


def central_column(system: DataCovariance) -> Tensor:
    """The column of ``A K A^T`` that belongs to the central output, shape output, unit mixing."""
    shape = system.seen.shape[2:]
    unit = torch.zeros((1, system.seen.shape[1], *shape), dtype=system.seen.dtype, device=system.seen.device)
    unit[(0, 0, *(n // 2 for n in shape))] = 1
    return replace(system, mixing=None).prior(unit, system.channel[:1])[0, 0]
