"""The kernel of an architecture as sampled networks have it, with its standard error."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Tabulated

if TYPE_CHECKING:
    from bayesdip.arch.architecture import Architecture

BATCH_NUMBERS = 2**24  # numbers in the widest layer of all networks that run at a time


@dataclass(frozen=True, kw_only=True)
class EmpiricalKernel(Tabulated):
    """A kernel estimated from sampled networks, divided by its value at lag zero.

    Attributes
    ----------
    table : Tensor, float64
        The estimate at lags ``0, 1, ...`` of each axis.
    standard_error : Tensor, float64, shape of ``table``
        Of each entry, from the scatter between networks. Zero at lag zero, by the division.
    variance : float
        What the table was divided with: the mean square of the output before its squashing.
    window_mean : float
        Share of that variance which a picture's mean over the window has.
    draws : int
        Networks sampled.
    """

    standard_error: Tensor
    variance: float
    window_mean: float
    draws: int


def empirical(
    arch: Architecture,
    width: int,
    draws: int,
    *,
    grid: Sequence[int] = (64, 64),
    lags: int | None = None,
    channels: int = 16,
    generator: torch.Generator | None = None,
) -> EmpiricalKernel:
    """The covariance of sampled networks' outputs by lag, before the squashing.

    Each network has fresh weights and a fresh input, and tells one number for each lag: the
    mean of ``f(x) f(x + t)`` over all pairs of pixels and all its output channels. Only
    sums of these are kept, whatever ``draws`` is.

    The mean of the window is not subtracted, and the estimate has no bias for the networks
    *on this grid*. The kernel of an infinite grid is another thing: a batch norm makes the
    mean over the whole grid zero, which takes about the variance of a window's mean from
    every lag, and at its borders a network is not stationary. What the estimate tends to is
    ``arch.exact_covariance(grid).averaged()``; take a grid much larger than the kernel's
    reach to compare with ``arch.kernel()``.

    Parameters
    ----------
    width : int
        Features of the main path, instead of the description's own. The skips keep theirs:
        compare with the kernel of the description at this same width.
    draws : int
        How many networks, at least 2.
    grid : sequence of int
        The pictures' grid; its length is the number of axes.
    lags : int, optional
        Largest lag on each axis; by default half of each axis.
    channels : int
        Output channels of each network. They share its features, so many of them are worth
        less than as many networks, and cost nearly nothing.
    generator : torch.Generator, optional
        Draws weights and inputs, on its device.

    Raises
    ------
    BayesDipError
        Fewer than two networks, or lags that the grid does not hold.
    """
    reach = tuple((n // 2 if lags is None else lags) + 1 for n in grid)
    if draws < 2 or any(r > n for r, n in zip(reach, grid, strict=True)) or min(reach) < 1:
        raise BayesDipError(
            f"A kernel at lags up to {max(reach) - 1} from {draws} networks on the grid {tuple(grid)} was asked "
            "for; at least 2 networks and lags within the grid were expected: change these."
        )
    wide = arch.with_settings({**_settings(arch), "width": width})
    batch = max(1, min(draws, BATCH_NUMBERS // (width * prod(grid))))
    sums = torch.zeros(4, *reach, dtype=torch.float64)  # of a, a^2, a a(0), a(0)^2 over networks
    means = 0.0
    for start in range(0, draws, batch):
        pictures = _pictures(wide, min(batch, draws - start), channels, grid, generator)
        axes = tuple(range(2, pictures.ndim))
        means += float(pictures.mean(axes).square().mean(1).sum())
        a = autocovariance(pictures, reach).mean(1).cpu()
        zero = a.flatten(1)[:, :1].reshape(-1, *(1,) * len(reach))
        sums += torch.stack((a, a * a, a * zero, (zero * zero).expand_as(a))).sum(1)
    first, squares, mixed, zeros = sums / draws
    variance = float(first.flatten()[0])
    table = first / variance
    # The error of a ratio of means, to first order: the scatter of a - table * a(0).
    scatter = (squares - 2 * table * mixed + table.square() * zeros).clamp_min(0.0)
    edge = torch.stack([table.select(axis, -1).mean() for axis in range(table.ndim)]).mean()
    return EmpiricalKernel(
        table=table,
        beyond=float(edge),
        standard_error=(scatter / (draws - 1)).sqrt() / variance,
        variance=variance,
        window_mean=means / draws / variance,
        draws=draws,
    )


def autocovariance(pictures: Tensor, lags: Sequence[int]) -> Tensor:
    """Mean of ``f(x) f(x + t)`` over the pairs within the window, and over both signs of each lag.

    Parameters
    ----------
    pictures : Tensor, shape (..., *grid)
    lags : sequence of int
        How many lags ``0, 1, ...`` of each axis; as many axes as the grid has.

    Returns
    -------
    Tensor, float64, shape (..., *lags)
    """
    axes = tuple(range(-len(lags), 0))
    grid = pictures.shape[pictures.ndim - len(lags) :]
    spectrum = torch.fft.fftn(pictures.to(torch.float64), s=[2 * n for n in grid], dim=axes)
    table: Tensor = torch.fft.ifftn(spectrum.abs().square(), dim=axes).real
    for axis, n, size in zip(axes, lags, grid, strict=True):
        t = torch.arange(n, device=table.device)
        both = table.index_select(axis, t) + table.index_select(axis, -t % (2 * size))
        pairs = (size - t).reshape(-1, *(1,) * (-axis - 1))
        table = both / (2 * pairs)
    return table


def _pictures(
    arch: Architecture, count: int, channels: int, grid: Sequence[int], generator: torch.Generator | None
) -> Tensor:
    """Outputs of ``count`` networks, all run at once: (count, channels, *grid)."""
    dims, rule = len(grid), arch.grid_rule()
    features = arch.input_features(dims)
    padded = [rule.input_axis(n) for n in grid]
    bodies = [arch.layers(channels, dims).module(features, dims, generator) for _ in range(count)]
    codes = arch.draw_input((count, features, *padded), generator)
    template = copy.deepcopy(bodies[0]).to("meta")
    for module in template.modules():
        if isinstance(module, nn.LeakyReLU):
            module.inplace = False

    def run(weights: dict[str, Tensor], code: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(template, weights, (code[None],))
        return out[0]

    weights, _ = torch.func.stack_module_state(bodies)
    with torch.no_grad():
        pictures: Tensor = torch.func.vmap(run)(weights, codes)
    for axis, (begin, n) in enumerate(zip(rule.window(padded, grid), grid, strict=True)):
        pictures = pictures.narrow(axis + 2, begin, n)
    return pictures


def _settings(arch: Architecture) -> dict[str, object]:
    return {name: value for name, value in arch.to_dict().items() if name != "name"}
