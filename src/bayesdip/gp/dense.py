"""Exact posteriors by dense algebra, for small grids."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.errors import ResourceError
from bayesdip.gp.data_covariance import DataCovariance
from bayesdip.kernels.kernel import Kernel
from bayesdip.operators import Operator
from bayesdip.result import Posterior

# Most pixels of a dense covariance: 128 MiB of doubles.
LARGEST = 4096
# Of an operator that sees no constant: what a picture of ones gives, squared, over its squared entries.
NO_LEVEL = 1e-10


def dense_covariance(kernel: Kernel, shape: Sequence[int], *, constant: bool = True) -> Tensor:
    """The covariance of all pixels of a grid.

    Parameters
    ----------
    kernel : Kernel
    shape : sequence of int
        The grid, of n pixels.
    constant : bool
        Whether the kernel's value at infinite lag counts.

    Returns
    -------
    Tensor, float64, shape (n, n)

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


def dense_variance(system: DataCovariance, kernel: Kernel, *, constant: bool, offset_unknown: bool) -> Tensor:
    """Posterior variance of every pixel at unit amplitude, (R, G, *grid).

    Parameters
    ----------
    system : DataCovariance
    kernel : Kernel
        The one that the system was made from.
    constant : bool
        Whether the kernel's value at infinite lag counts.
    offset_unknown : bool
        Whether to add the variance that comes from a flat prior on each channel's mean (universal kriging).

    Returns
    -------
    Tensor, shape (R, G, *grid)
        In units of the amplitude.

    Raises
    ------
    ResourceError
        There are more than `LARGEST` pixels, those of coupled channels counted together.
    """
    shape, together = system.grid.shape, system.seen.shape[1]
    K = dense_covariance(kernel, shape, constant=constant).to(system.grid.spectrum)
    pictures = torch.eye(len(K), dtype=K.dtype, device=K.device).reshape(-1, 1, *shape)
    A = pictures if system.operator is None else system.operator.forward(pictures)
    A = A.flatten(1).T.contiguous()
    if system.coregionalisation is not None:
        if len(K) * together > LARGEST:
            raise ResourceError(
                f"{together} coupled channels have {len(K) * together} pixels: expected at most {LARGEST} for dense "
                "algebra; ask for samples instead"
            )
        K, A = torch.kron(system.coregionalisation, K), torch.kron(torch.eye(together).to(A), A)
    means = torch.eye(together).to(K).repeat_interleave(len(pictures), 0)
    seen = system.seen.flatten(1)
    noise = system.noise.expand(-1, *system.seen.shape[1:]).flatten(1)
    found: dict[tuple[int, int], Tensor] = {}
    rows = []
    for c in system.channel.tolist():
        # Channels of the same mask and noise have the same variance.
        key = min(c, len(seen) - 1), min(c, len(noise) - 1) if system.shared is None else c
        if key not in found:
            mine = seen[key[0]]
            own = noise[key[1]].diag() if system.shared is None else _correlated(system, c)
            found[key] = _variance(K, A[mine], own[mine][:, mine], means if offset_unknown else None)
        rows.append(found[key])
    return torch.stack(rows).clamp(min=0).reshape(-1, together, *shape)


def _variance(K: Tensor, A: Tensor, noise: Tensor, means: Tensor | None) -> Tensor:
    factor, half = _factored(K, A, noise)
    if means is None:
        return _left(K, half)
    return _left(K, half) + _of_means(
        means, half, torch.linalg.solve_triangular(factor, A @ means, upper=False)
    )


def _factored(K: Tensor, A: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The Cholesky factor L of the data's covariance, and ``L^-1 A K``."""
    cross = A @ K
    factor = torch.linalg.cholesky(cross @ A.T + noise)
    return factor, torch.linalg.solve_triangular(factor, cross, upper=False)


def _left(K: Tensor, half: Tensor) -> Tensor:
    """The posterior variance where the mean is known."""
    variance: Tensor = K.diagonal() - half.square().sum(0)
    return variance


def _of_means(means: Tensor, half: Tensor, seen: Tensor) -> Tensor:
    """The variance from a flat prior on the means, of which the whitened data show `seen`."""
    rest = means - half.T @ seen
    variance: Tensor = (rest * torch.linalg.solve(seen.T @ seen, rest.T).T).sum(1)
    return variance


def _correlated(system: DataCovariance, row: int) -> Tensor:
    """The covariance of correlated noise on all entries of a row."""
    assert system.shared is not None
    shape = system.seen.shape[1:]
    count = math.prod(shape)
    spread = system.noise[min(row, len(system.noise) - 1)].expand(shape).flatten().sqrt()
    units = torch.eye(count).to(spread).reshape(count, *shape)
    rows = torch.full((count,), row, device=spread.device)
    return spread[:, None] * system.shared.apply(units, rows).flatten(1).T * spread


def dense_posterior(
    y: Tensor, operator: Operator, kernel: Kernel, noise: Tensor, amplitude: Tensor
) -> Posterior:
    """Exact posterior of independent channels on a small grid, each around an unknown constant of its own (universal kriging).

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
    operator : Operator
        Linear.
    kernel : Kernel
    noise : Tensor, shape of `y`
        Its variance, positive where the operator observes.
    amplitude : Tensor, shape (C,)
        The prior's variance in units of the kernel's.

    Returns
    -------
    Posterior
        Mean and standard deviation.

    Raises
    ------
    ResourceError
        There are more than `LARGEST` pixels or data.
    """
    shape, seen = operator.input_shape, operator.observed.to(y.device).expand(y.shape)
    if int(seen.flatten(1).sum(1).max()) > LARGEST:
        raise ResourceError(
            f"there are more than {LARGEST} data: expected fewer for dense algebra; draw samples instead"
        )
    K = dense_covariance(kernel, shape, constant=False).to(y.device)
    pictures = torch.eye(len(K), dtype=K.dtype, device=K.device).reshape(-1, 1, *shape)
    A = operator.forward(pictures).flatten(1).T
    means, stds = [], []
    for data, here, variance, size in zip(y.double(), seen, noise.double(), amplitude.tolist(), strict=True):
        rows = A[here.flatten()]
        ones = rows.sum(1, keepdim=True)
        factor, half = _factored(size * K, rows, variance[here].diag())
        values = torch.linalg.solve_triangular(factor, data[here][:, None], upper=False)
        mean, spread = half.T @ values, _left(size * K, half)
        # A constant that is not seen is zero.
        if float(ones.square().sum()) > NO_LEVEL * float(rows.square().sum()):
            level = torch.linalg.solve_triangular(factor, ones, upper=False)
            offset = (level * values).sum() / level.square().sum()
            mean = offset + half.T @ (values - level * offset)
            spread = spread + _of_means(torch.ones(len(K), 1).to(K), half, level)
        means.append(mean.reshape(shape))
        stds.append(spread.clamp_min(0).sqrt().reshape(shape))
    return Posterior(torch.stack(means), torch.stack(stds))
