"""Approximate inverses of the data's covariance, for conjugate gradients.

There is one form to solve in, the covariance ``A K A^T + N`` of what is observed, whatever the share
that is missing. The precision form (unknowns are all pixels, ``K^-1 + A^T N^-1 A``) would pay where
little is missing; the Vecchia factor is a sparse one of that precision already, and with it
the covariance form takes at most 56 iterations for all shipped kernels from 1% to 99% missing (512x512).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.gp.conditioning_set import conditioning_set_size
from bayesdip.gp.data_covariance import DataCovariance, is_nearly_stationary
from bayesdip.gp.grid_covariance import NEGLIGIBLE, embed
from bayesdip.gp.vecchia import VecchiaFactor, vecchia_factor
from bayesdip.kernels.kernel import Kernel, Tabulated

Preconditioner = Callable[[Tensor, Tensor], Tensor]
"""``(r, channel) -> C^-1 r``, about: r has shape (R, G, *output); each row belongs to a channel (R,)."""

Part = Callable[[Tensor], Tensor]
"""The same for rows that all belong to one channel, or to channels of the same mask and noise."""

# Variance of the noise, in units of the picture's, from which on the inverse on the torus is the better
# preconditioner: for complete data, and where pixels are missing.
TORUS_NOISE_COMPLETE, TORUS_NOISE_INCOMPLETE = 0.1, 3.0
# For one solution alone a Vecchia factor of complete data is not worth its making where neighbours have so high a correlation: with RBF kernels of 3 to 10
# pixels and noise of 0.0004 to 0.02 the torus took 0.05 to 1.5 seconds on 128x128 to 512x512 pixels, the factor 1.2 to 6.9, for 27 to 500 iterations in place of 15 to 59.
SMOOTH, TORUS_NOISE_ONCE = 0.9, 3e-4


def preconditioners(
    system: DataCovariance,
    kernel: Kernel,
    *,
    constant: bool,
    held_out: Tensor | None = None,
    once: bool = False,
) -> tuple[Preconditioner, Preconditioner]:
    """The approximate inverse that suits the data, each row by itself; and that without held-out entries.

    For pixels, and for blurred or downsampled pictures, that of a Vecchia factor. Where noise is strong, far pixels
    count as much as near ones: there the inverse on the torus is better, and it costs nothing to make. For any other
    operator, a diagonal.

    Parameters
    ----------
    system : DataCovariance
        In the precision in which to work.
    kernel : Kernel
        The one it was made from.
    constant : bool
        Whether the kernel's value at infinite lag counts.
    held_out : Tensor of bool, shape (*output), optional
        Entries that the second inverse does without.
    once : bool
        Whether for one solution alone.

    Returns
    -------
    (Preconditioner, Preconditioner)
    """
    if not is_nearly_stationary(system.operator):
        return _diagonal(system, None), _diagonal(system, held_out)
    table = kernel.quadrant(system.grid.shape) - (0.0 if constant else kernel.limit)
    table = truncated(table) if system.operator is None else output_table(system, table)
    whole: dict[tuple[int, int], Part] = {}
    without: dict[tuple[int, int], Part] = {}
    keys = [(min(c, len(system.seen) - 1), min(c, len(system.noise) - 1)) for c in system.channel.tolist()]
    if system.shared is not None:
        return (
            circulant_of_correlated(system, table, None),
            circulant_of_correlated(system, table, held_out),
        )
    for key in dict.fromkeys(keys):
        seen, noise = system.seen[key[0]], system.noise[key[1]]
        quick = once and _is_smooth(table)
        if system.coregionalisation is None and _noise_dominates(seen, noise, system.grid.variance, quick):
            whole[key] = circulant(system, table, seen, noise)
            without[key] = (
                whole[key] if held_out is None else circulant(system, table, seen & ~held_out, noise)
            )
        else:
            whole[key], without[key] = vecchia(table, seen, noise, system, held_out)
    return _by_row(whole, keys), _by_row(without, keys)


def _diagonal(system: DataCovariance, held_out: Tensor | None) -> Preconditioner:
    """For any operator (Jacobi): one over the noise's variance and the mean prior variance of the data."""
    rows = torch.arange(len(system.channel), device=system.channel.device)
    drawn = system.predict(system.draw(torch.Generator(system.seen.device).manual_seed(0)), rows)
    power = drawn.square().mean()

    def apply(r: Tensor, channel: Tensor) -> Tensor:
        seen = system.seen if len(system.seen) == 1 else system.seen[channel]
        noise = system.noise if len(system.noise) == 1 else system.noise[channel]
        seen = seen if held_out is None else seen & ~held_out
        return r * seen / (power + noise)

    return apply


def _by_row(parts: dict[tuple[int, int], Part], keys: list[tuple[int, int]]) -> Preconditioner:
    """Each row of right-hand sides through the part of its channel, whose key is ``keys[channel]``."""

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


def _noise_dominates(seen: Tensor, noise: Tensor, variance: float, quick: bool) -> bool:
    """Whether noise is so strong that the inverse on the torus is the better preconditioner; `quick` if it has to be made quickly."""
    complete = bool(seen.all()) and float(noise.max()) <= 1.1 * float(noise.min())
    least = TORUS_NOISE_ONCE if quick else TORUS_NOISE_COMPLETE
    return float(noise.min()) >= (least if complete else TORUS_NOISE_INCOMPLETE) * variance


def _is_smooth(table: Tensor) -> bool:
    """Whether neighbours along every axis go together."""
    flat = table / table.flatten()[0]
    beside = (
        flat[tuple(int(axis == k) for k in range(table.ndim))] for axis, n in enumerate(table.shape) if n > 1
    )
    return all(float(correlation) >= SMOOTH for correlation in beside)


def vecchia(
    table: Tensor, seen: Tensor, noise: Tensor, system: DataCovariance, held_out: Tensor | None = None
) -> tuple[Part, Part]:
    """By the Vecchia factor (:mod:`bayesdip.gp.vecchia`); and the same without `held_out`.

    Parameters
    ----------
    table : Tensor, shape (*lags)
        The prior covariance of the data at the lags 0, 1, ... of each axis.
    seen : Tensor of bool, shape (G, *output)
    noise : Tensor, shape broadcastable to it
    system : DataCovariance
        Gives the covariance between channels, the precision and the device.
    held_out : Tensor of bool, shape (*output), optional

    Returns
    -------
    (Part, Part)
    """
    size = conditioning_set_size(seen, table, noise, system.coregionalisation)
    last = None if held_out is None else held_out.expand(seen.shape)
    factor = vecchia_factor(seen, table, noise, size, system.grid.spectrum, system.coregionalisation, last)
    return _part(factor), _part(factor if last is None else factor.without(last))


def truncated(table: Tensor) -> Tensor:
    """The table up to the lags beyond which the covariance is negligible; all of it where there are none."""
    alive = table.abs() > NEGLIGIBLE * table.flatten()[0]
    for axis, n in enumerate(table.shape):
        others = tuple(i for i in range(table.ndim) if i != axis)
        along = alive.any(dim=others) if others else alive
        table = table.narrow(axis, 0, min(n, int(along.nonzero().max()) + 2))
    return table.clone()


def _part(factor: VecchiaFactor) -> Part:
    return lambda r: factor.solve(r.flatten(1)).reshape(r.shape)


def circulant(system: DataCovariance, table: Tensor, seen: Tensor, noise: Tensor) -> Part:
    """The inverse on the torus, with the mean noise everywhere, restricted to what is observed."""
    grid = (
        system.grid
        if system.operator is None
        else embed(Tabulated(table), table.shape, like=system.grid.spectrum)
    )
    mean = (noise * seen).sum() / seen.sum()
    response = 1 / (grid.spectrum + mean)
    return lambda r: grid.filtered(r, response) * seen


def circulant_of_correlated(system: DataCovariance, table: Tensor, held_out: Tensor | None) -> Preconditioner:
    """The inverse on the torus beside correlated noise of its mean level, restricted to what is observed; channels together."""
    shared, like = system.shared, system.grid.spectrum
    assert shared is not None
    table = table.double()
    kernel = embed(
        Tabulated(table), table.shape, like=torch.zeros((), dtype=torch.float64, device=like.device)
    )
    torus = tuple(max(n, m) for n, m in zip(kernel.torus, shared.torus, strict=True))
    torus = (*torus[:-1], torus[-1] + torus[-1] % 2)
    shape = tuple(system.seen.shape[2:])
    prior = _on_torus(kernel.spectrum, kernel.torus, shape, torus)
    coupled = system.coregionalisation
    inverses = []
    for row in range(max(len(system.noise), len(shared.spectrum), len(system.seen))):
        seen = system.seen[min(row, len(system.seen) - 1)]
        level = (system.noise[min(row, len(system.noise) - 1)] * seen).flatten(1).sum(1) / seen.flatten(
            1
        ).sum(1)
        own = shared.spectrum[min(row, len(shared.spectrum) - 1)]
        noise = _on_torus(own, shared.torus, shape, torus)
        spread = level.double().sqrt()
        weights = (spread[:, None] * spread).reshape(*own.shape[:2], *[1] * len(torus))
        across = torch.eye(len(own)).to(weights) if coupled is None else coupled.double()
        matrices = (across.reshape(weights.shape) * prior + weights * noise).movedim((0, 1), (-2, -1))
        inverses.append(torch.linalg.inv(matrices).movedim((-2, -1), (0, 1)))
    responses = torch.stack(inverses).real.to(like)
    axes = tuple(range(-len(torus), 0))
    inside = (..., *(slice(0, n) for n in shape))

    def apply(r: Tensor, channel: Tensor) -> Tensor:
        response = responses if len(responses) == 1 else responses[channel]
        modes = (response * torch.fft.rfftn(r, torus, axes)[:, None]).sum(2)
        seen = system.seen if len(system.seen) == 1 else system.seen[channel]
        seen = seen if held_out is None else seen & ~held_out
        found: Tensor = torch.fft.irfftn(modes, torus, axes)[inside] * seen
        return found

    return apply


def _on_torus(
    spectrum: Tensor, torus: tuple[int, ...], shape: tuple[int, ...], other: tuple[int, ...]
) -> Tensor:
    """The spectrum of a covariance on one torus as it is on another, up to the lags of a grid; none is negative."""
    axes = tuple(range(-len(torus), 0))
    table = torch.fft.irfftn(spectrum, torus, axes)
    for axis, (n, size, wanted) in zip(axes, zip(shape, torus, other, strict=True), strict=True):
        reach = min(n, (size + 1) // 2, (wanted + 1) // 2)
        ahead, behind = table.narrow(axis, 0, reach), table.narrow(axis, size - reach + 1, reach - 1)
        gap = list(table.shape)
        gap[axis] = wanted - 2 * reach + 1
        table = torch.cat((ahead, table.new_zeros(gap), behind), axis)
    found: Tensor = torch.fft.rfftn(table, dim=axes)
    return found


def output_table(system: DataCovariance, table: Tensor) -> Tensor:
    """``A K A^T`` at the lags 0, 1, ... of each axis of the output, as if it were stationary: it nearly is.

    At near lags it is the column of the central output. At far ones, where the covariance is smooth, an
    operator only scales it.
    """
    column = central_column(system).to(table)
    shape = column.shape
    centre = [n // 2 for n in shape]
    ones = torch.ones((1, 1, *system.grid.shape)).to(system.grid.spectrum)
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
    # The two parts do not fit exactly, and no process has this covariance. The nearest one on a torus is taken: however
    # little it differs, it may be more than the noise is.
    whole: Tensor = torch.fft.irfftn(fitted.spectrum, fitted.torus)
    return whole[tuple(slice(0, n) for n in shape)].contiguous()


def central_column(system: DataCovariance) -> Tensor:
    """The column of ``A K A^T`` that belongs to the central output, shape output, unit coregionalisation."""
    shape = system.seen.shape[2:]
    unit = torch.zeros((1, system.seen.shape[1], *shape)).to(system.grid.spectrum)
    unit[(0, 0, *(n // 2 for n in shape))] = 1
    return replace(system, coregionalisation=None).prior(unit, system.channel[:1])[0, 0]
