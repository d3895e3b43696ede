"""The kernel of a random picture, estimated from samples of it, with its standard error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Tabulated


@dataclass(frozen=True, kw_only=True)
class MonteCarloKernel(Tabulated):
    """A kernel estimated from independent samples, divided by its value at lag zero.

    Attributes
    ----------
    table : Tensor, float64
        The estimate at lags ``0, 1, ...`` of each axis.
    beyond : float
        The mean of the table at its largest lags, which stands for all larger ones.
    standard_error : Tensor, float64, shape of ``table``
        Of each entry, from the scatter between samples. Zero at lag zero, by the division.
    variance : float
        What the table was divided by: the mean square of the pictures.
    window_mean : float
        The share of that variance which the mean of a picture over the grid has.
    samples : int
        Number of independent samples.
    """

    standard_error: Tensor
    variance: float
    window_mean: float
    samples: int


def monte_carlo_kernel(
    draw: Callable[[int], Tensor],
    samples: int,
    grid: Sequence[int],
    lags: int | None = None,
    batch: int = 1,
) -> MonteCarloKernel:
    """Estimate the covariance by lag of random pictures.

    Each sample gives one number for each lag: the mean of ``f(x) f(x + t)`` over all pairs of
    pixels and all its channels. Only sums of these are kept, whatever `samples` is. The mean of
    a picture is not subtracted, so the estimate has no bias. The standard error is that of a
    ratio of two means, to first order in the scatter.

    Parameters
    ----------
    draw : callable
        ``draw(n)`` gives n new independent samples, Tensor (n, channels, *grid). The channels of
        a sample need not be independent of each other.
    samples : int
        How many in all, at least 2.
    grid : sequence of int
        The pictures' grid, in pixels.
    lags : int, optional
        Largest lag on each axis, in pixels; by default half of each axis.
    batch : int
        How many samples to ask of `draw` at a time.

    Returns
    -------
    MonteCarloKernel

    Raises
    ------
    BayesDipError
        Fewer than two samples, or lags that the grid does not hold.
    """
    reach = tuple((n // 2 if lags is None else lags) + 1 for n in grid)
    if samples < 2 or any(r > n for r, n in zip(reach, grid, strict=True)) or min(reach) < 1:
        raise BayesDipError(
            f"A kernel at lags up to {max(reach) - 1} from {samples} samples on the grid {tuple(grid)} was asked "
            "for; at least 2 samples and lags within the grid were expected: change these."
        )
    sums = torch.zeros(4, *reach, dtype=torch.float64)  # of a, a^2, a a(0), a(0)^2 over samples
    means = 0.0
    for start in range(0, samples, batch):
        pictures = draw(min(batch, samples - start))
        means += float(pictures.flatten(2).mean(2).square().mean(1).sum())
        a = autocovariance(pictures, reach).mean(1).cpu()
        zero = a.flatten(1)[:, :1].reshape(-1, *(1,) * len(reach))
        sums += torch.stack((a, a * a, a * zero, (zero * zero).expand_as(a))).sum(1)
    first, squares, products, zeros = sums / samples
    variance = float(first.flatten()[0])
    table = first / variance
    scatter = (squares - 2 * table * products + table.square() * zeros).clamp_min(0.0)
    edge = torch.stack([table.select(axis, -1).mean() for axis in range(table.ndim)]).mean()
    return MonteCarloKernel(
        table=table,
        beyond=float(edge),
        standard_error=(scatter / (samples - 1)).sqrt() / variance,
        variance=variance,
        window_mean=means / samples / variance,
        samples=samples,
    )


def autocovariance(pictures: Tensor, lags: Sequence[int]) -> Tensor:
    """Mean of ``f(x) f(x + t)`` over the pairs within the grid, and over both signs of each lag.

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
