"""The exact form of a covariance: every pair of pixels of a small grid.

Nothing is averaged over phases, and borders are what the padding makes of them. A grid of
N pixels takes N^2 numbers, and a batch norm N^3 opeself_normalisedns: 32 x 32 is comfortable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from math import prod
from typing import Self

import torch
from torch import Tensor

from bayesdip.arch.covariance import Covariance, Filter, Nonlinearity, along, scale_quadrature
from bayesdip.arch.padding import pad_all
from bayesdip.arch.quasi_monte_carlo import Pushforward
from bayesdip.arch.stationary import Stationary

Dual = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class SelfNormalised:
    """A zero-mean Gaussian picture divided by its own standard deviation over the grid.

    ``vectors`` (N, N) and ``values`` (N,) are the eigenvectors and eigenvalues of its
    covariance, its mean over the grid being zero.
    """

    vectors: Tensor
    values: Tensor
    epsilon: float

    def average(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """``E[F(f / s)]``, given ``function(K) = E[F(f)]`` and F homogeneous of degree 2."""
        total = torch.zeros_like(self.vectors)
        for t, weight in self._nodes():
            values = self.values / (1 + 2 * t * self.values / len(self.values))
            total += weight * function((self.vectors * values) @ self.vectors.T)
        return total

    def second_moment(self) -> Tensor:
        """``E[f f^T / s^2]``, the same average of F(f) = f f^T, in its eigenvectors."""
        values = torch.zeros_like(self.values)
        for t, weight in self._nodes():
            values += weight * self.values / (1 + 2 * t * self.values / len(self.values))
        return (self.vectors * values) @ self.vectors.T

    def _nodes(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(*scale_quadrature(self.values / len(self.values), self.epsilon), strict=True)


@dataclass(frozen=True)
class Exact(Covariance):
    """Covariance of one feature of a layer between all pixels of a grid.

    Attributes
    ----------
    matrix : Tensor, float64, shape (N, N)
        K(x, x'), the pixels in row-major order.
    grid : tuple of int
        The N pixels' grid.
    features : int
        How many features (channels) the layer has.
    self_normalised : SelfNormalised, optional
        Right after a batch norm of Gaussian features: what a homogeneous activation needs to be
        exact.
    pushforward : Pushforward, optional
        How the features came from Gaussian ones, where they are not Gaussian themselves.
    """

    matrix: Tensor
    grid: tuple[int, ...]
    features: int
    self_normalised: SelfNormalised | None = None
    pushforward: Pushforward | None = None

    @property
    def dims(self) -> int:
        return len(self.grid)

    @property
    def table(self) -> Tensor:
        """The same numbers with the shape (*grid, *grid)."""
        return self.matrix.reshape(*self.grid, *self.grid)

    @property
    def variance(self) -> Tensor:
        """The variance of every pixel, shape ``grid``."""
        return self.matrix.diagonal().reshape(self.grid)

    def averaged(self, shape: Sequence[int] | None = None) -> Tensor:
        """The stationary covariance nearest to this one: its mean over all pairs with the same lag.

        Parameters
        ----------
        shape : sequence of int, optional
            How many lags of each axis; by default ``grid``.

        Returns
        -------
        Tensor of that shape, lags ``0, 1, ...`` of each axis; both
        signs of each lag are averaged.
        """
        shape = self.grid if shape is None else tuple(shape)
        table = self.table
        for axis, (n, lags) in enumerate(zip(self.grid, shape, strict=True)):
            # The axis pair (axis, dims) becomes one axis of lags, which goes to the end.
            pairs = table.movedim((0, self.dims - axis), (-2, -1))
            both = [
                (pairs.diagonal(t, -2, -1).mean(-1) + pairs.diagonal(-t, -2, -1).mean(-1)) / 2
                for t in range(min(lags, n))
            ]
            table = torch.stack(both, -1)
        return table

    def cropped(self, start: Sequence[int], grid: Sequence[int]) -> Self:
        """The covariance on a window of the grid.

        Parameters
        ----------
        start, grid : sequence of int
            Its first pixel and its size on each axis.

        Returns
        -------
        Exact
        """
        window = tuple(slice(s, s + n) for s, n in zip(start, grid, strict=True))
        return self._with(self.table[window * 2], tuple(grid))

    def scaled(self, gain: float) -> Self:
        return self._with(gain * self.matrix)

    def convolved(
        self, size: int, stride: int, padding: str, gain: float, bias: float, features: int
    ) -> Self:
        table = pad_all(self.table[None, None], size // 2, padding)[0, 0]
        grid = tuple(-(-n // stride) for n in self.grid)
        out = gain / size**self.dims * _sum_of_taps(table, size, stride, grid) + bias
        return replace(self._with(out, grid), features=features)

    def transposed(self, taps: int, gain: float, bias: float, features: int) -> Self:
        table = pad_all(self.table[None, None], taps // 2 - 1, "replicate")[0, 0]
        for axis in range(table.ndim):  # zeros between the pixels
            table = torch.stack((table, torch.zeros_like(table)), axis + 1).flatten(axis, axis + 1)
        grid = tuple(2 * n for n in self.grid)
        out = gain / taps**self.dims * _sum_of_taps(table, taps, 1, grid) + bias
        return replace(self._with(out, grid), features=features)

    def filtered(self, filter: Filter) -> Self:
        table = self.table
        matrices = [filter.matrix(n).to(table.device) for n in self.grid]
        for axis, matrix in enumerate(matrices * 2):
            table = along(table, matrix, axis)
        out = self._with(table, tuple(table.shape[: self.dims]))
        if self.pushforward is None:
            return out
        return replace(out, pushforward=self.pushforward.then(lambda f: _filtered(f, self.grid, matrices)))

    def shuffled(self, factor: int, features: int) -> Self:
        grid = tuple(factor * n for n in self.grid)
        out = self.matrix.new_zeros(grid * 2)
        for phase in product(range(factor), repeat=self.dims):
            out[tuple(slice(p, None, factor) for p in phase) * 2] = self.table
        return replace(self._with(out, grid), features=features)

    def pointwise(self, activation: Nonlinearity) -> Self:
        if self.self_normalised is not None and activation.homogeneous:
            out = self._with(self.self_normalised.average(lambda K: _mapped(K, activation.dual)))
        else:
            out = self.mapped(activation.dual)
        pushforward = self.pushforward if self.pushforward is not None else Pushforward(self.matrix)
        return replace(out, pushforward=pushforward.then(activation.apply))

    def mapped(self, dual: Dual) -> Self:
        """``dual(K(x, x'), K(x, x), K(x', x'))`` at every pair.

        Parameters
        ----------
        dual : callable
            As :meth:`bayesdip.arch.activations.Activation.dual`.

        Returns
        -------
        Exact
        """
        return self._with(_mapped(self.matrix, dual))

    def centred(self) -> Self:
        """The mean over the grid subtracted from every picture.

        Returns
        -------
        Exact
        """
        rows = self.matrix.mean(0, keepdim=True)
        return self._with(self.matrix - rows - rows.T + rows.mean())

    def normalised(self, epsilon: float) -> Self:
        """The average of ``(f - m) (f - m)^T / (s^2 + epsilon)`` over pictures, each with its own m and s.

        In closed form where f is Gaussian, as it is after a convolution; s differs from
        picture to picture, the more so the coarser the grid. Elsewhere (after an upsampled
        activation) how much it differs is estimated from draws of the very process.

        Parameters
        ----------
        epsilon : float
            Added to the variance.

        Returns
        -------
        Exact
        """
        if self.pushforward is not None:
            matrix = self.pushforward.ratio_moment(self.centred().matrix, epsilon)
            return replace(
                self._with(matrix),
                pushforward=self.pushforward.then(lambda f: _divided_by_its_scale(f, epsilon)),
            )
        values, vectors = torch.linalg.eigh(self.centred().matrix)
        self_normalised = SelfNormalised(vectors, values.clamp_min(0.0), epsilon)
        pushforward = Pushforward(self.matrix).then(lambda f: _divided_by_its_scale(f, epsilon))
        return replace(
            self,
            matrix=self_normalised.second_moment(),
            self_normalised=self_normalised,
            pushforward=pushforward,
        )

    def mean_inverse_variance(self, epsilon: float) -> float:
        """``E[1 / (s^2 + epsilon)]`` for the variance s^2 of a Gaussian picture over its pixels.

        Parameters
        ----------
        epsilon : float

        Returns
        -------
        float
        """
        values = torch.linalg.eigvalsh(self.centred().matrix).clamp_min(0.0)
        return float(scale_quadrature(values / len(values), epsilon)[1].sum())

    def joined(self, other: Self) -> Self:
        total = self.features + other.features
        matrix = (self.features * self.matrix + other.features * other.matrix) / total
        return replace(self._with(matrix), features=total)

    def added(self, other: Self) -> Self:
        return self._with(self.matrix + other.matrix)

    def times(self, other: Self) -> Self:
        """Product at every pair of pixels.

        Parameters
        ----------
        other : Exact

        Returns
        -------
        Exact
        """
        return self._with(self.matrix * other.matrix)

    def _with(self, table: Tensor, grid: tuple[int, ...] | None = None) -> Self:
        grid = self.grid if grid is None else grid
        return replace(
            self,
            matrix=table.reshape(prod(grid), prod(grid)),
            grid=grid,
            self_normalised=None,
            pushforward=None,
        )


def of_stationary(K: Stationary, grid: Sequence[int]) -> Exact:
    """A stationary covariance on a grid.

    Parameters
    ----------
    K : Stationary
    grid : sequence of int
        In pixels.

    Returns
    -------
    Exact
    """
    table = K.quadrant(tuple(grid))
    for axis, n in enumerate(grid):
        pixel = torch.arange(n)
        lag = (pixel[:, None] - pixel).abs()
        table = table.movedim(axis, 0)[lag].movedim((0, 1), (axis, len(grid) + axis))
    return Exact(table.reshape(prod(grid), prod(grid)), tuple(grid), K.features)


def of_picture(picture: Tensor) -> Exact:
    """Second moment of a given picture (features, *grid): ``mean_c y_c(x) y_c(x')``.

    A convolution then gives a kernel between the patches of the picture.

    Parameters
    ----------
    picture : Tensor or array, shape (features, *grid)

    Returns
    -------
    Exact
    """
    flat = torch.as_tensor(picture, dtype=torch.float64).flatten(1)
    return Exact(flat.T @ flat / len(flat), tuple(picture.shape[1:]), len(flat))


def _mapped(matrix: Tensor, dual: Dual) -> Tensor:
    variance = matrix.diagonal()
    return dual(matrix, variance[:, None], variance[None, :])


def _filtered(f: Tensor, grid: tuple[int, ...], matrices: Sequence[Tensor]) -> Tensor:
    """Pictures (draws, N), filtered along each axis of their grid."""
    f = f.reshape(-1, *grid)
    for axis, matrix in enumerate(matrices):
        f = along(f, matrix, axis + 1)
    return f.flatten(1)


def _divided_by_its_scale(f: Tensor, epsilon: float) -> Tensor:
    centred = f - f.mean(1, keepdim=True)
    return centred * (centred.square().mean(1, keepdim=True) + epsilon).rsqrt()


def _sum_of_taps(table: Tensor, size: int, stride: int, grid: tuple[int, ...]) -> Tensor:
    """``sum_k K(stride x + k, stride x' + k)`` over the taps k of a filter."""
    windows = (
        tuple(slice(k, k + stride * (n - 1) + 1, stride) for k, n in zip(taps, grid, strict=True)) * 2
        for taps in product(range(size), repeat=len(grid))
    )
    return reduce(torch.add, (table[window] for window in windows))
