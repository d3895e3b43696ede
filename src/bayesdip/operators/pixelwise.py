"""Operators that keep pixels apart: measuring all of them, measuring some, and mixing a pixel's channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.linear_map import Constant
from bayesdip.operators.operator import Operator, as_grid


class Identity(Operator):
    """Every pixel is measured as it is.

    Parameters
    ----------
    shape : sequence of int
        The picture's grid.

    Raises
    ------
    ShapeError
        If the grid is empty.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape, shape)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        return y

    def observed_given(self, inputs: Tensor) -> Tensor:
        return inputs

    def with_held_out(self, held_out: Tensor) -> Operator:
        return Mask(held_out, shape=self.output_shape)


class Mask(Operator):
    """Some pixels are missing: ``forward`` sets them to zero and ``observed`` is False there.

    Zero, not removed, so that data keep the picture's shape; what stands under a missing
    pixel, NaN included, never gets through.

    Parameters
    ----------
    missing : Tensor or array of bool, shape (*shape) or (C, *shape)
        True where a pixel is missing; with a channel axis, channels lose pixels of their own.
    shape : sequence of int, optional
        The grid. By default ``missing.shape``: a mask with a channel axis must give it,
        since (3, 64, 64) may be three channels or a volume.

    Raises
    ------
    ShapeError
        If `missing` cannot be broadcast to the grid with at most one axis before it.
    """

    def __init__(self, missing: Any, shape: Sequence[int] | None = None) -> None:
        missing = as_tensor(missing)
        grid = as_grid(missing.shape if shape is None else shape)
        self._missing = Constant(_spread(missing.detach().to("cpu", torch.bool), grid))
        channels = self.missing.shape[0] if self.missing.ndim > len(grid) else None
        super().__init__(grid, grid, input_channels=channels, output_channels=channels)

    @property
    def missing(self) -> Tensor:
        """True where a pixel is missing: bool, (*shape) or (C, *shape), on the CPU."""
        return self._missing.value

    def forward(self, x: Tensor) -> Tensor:
        return x.masked_fill(self._missing.on(x.device), 0)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.forward(y)  # a diagonal matrix is its own transpose

    def observed_given(self, inputs: Tensor) -> Tensor:
        return inputs & ~self.missing

    def with_held_out(self, held_out: Tensor) -> Operator:
        held_out = Mask(held_out, shape=self.output_shape).missing
        if held_out.ndim == self.missing.ndim and held_out.shape != self.missing.shape:
            raise ShapeError(
                f"the held-out pixels have shape {tuple(held_out.shape)}: expected {tuple(self.missing.shape)}, as the "
                "mask; give one plane for all channels, or one for each"
            )
        return Mask(self.missing | held_out, shape=self.output_shape)


class ChannelMix(Operator):
    """Every measured channel is a weighted sum of the picture's channels, pixel by pixel.

    ``(A x)[o, i] = sum_c matrix[o, c] x[c, i]``: the spectral response of a camera, stains seen through filters,
    a gray picture of a colour one. With a matrix for each pixel, a colour filter array too. The shape comes
    before the matrix, as in :class:`Blur`.

    Parameters
    ----------
    shape : sequence of int
        The picture's grid.
    matrix : Tensor or array, shape (C_out, C_in) or (C_out, C_in, *shape)
        Real. One for all pixels, or one for each.

    Raises
    ------
    ShapeError
        If `matrix` has another shape.
    BayesDipError
        If `matrix` is complex or not finite.

    Examples
    --------
    >>> import torch, bayesdip as bd
    >>> gray = bd.operators.ChannelMix((1, 2), [[0.25, 0.5, 0.25]])
    >>> gray.forward(torch.tensor([[[0.0, 4.0]], [[1.0, 4.0]], [[2.0, 4.0]]]))
    tensor([[[1., 4.]]])
    """

    def __init__(self, shape: Sequence[int], matrix: Any) -> None:
        grid = as_grid(shape)
        matrix = as_tensor(matrix)
        if matrix.ndim < 2 or tuple(matrix.shape[2:]) not in ((), grid) or matrix.numel() == 0:
            raise ShapeError(
                f"the matrix has shape {tuple(matrix.shape)}: expected (C_out, C_in), or that with {grid} behind it; "
                "give one row for each measured channel"
            )
        if matrix.is_complex() or not matrix.isfinite().all():
            raise BayesDipError(
                f"the matrix, {matrix.dtype}, is complex or has entries that are not finite: expected real numbers; "
                "give the real and the imaginary parts as rows of their own"
            )
        super().__init__(grid, grid, input_channels=matrix.shape[1], output_channels=matrix.shape[0])
        self._matrix = Constant(matrix.double())

    @property
    def matrix(self) -> Tensor:
        """The weights, float64, (C_out, C_in) or (C_out, C_in, *shape), on the CPU."""
        return self._matrix.value

    def forward(self, x: Tensor) -> Tensor:
        return self._mixed(x, "oc...,bc...->bo...")

    def adjoint(self, y: Tensor) -> Tensor:
        return self._mixed(y, "co...,bc...->bo...")

    def _mixed(self, x: Tensor, formula: str) -> Tensor:
        matrix = self._matrix.on(x.device, x.dtype)
        axes = len(self.input_shape) + 1
        matrix = matrix if self.matrix.ndim > 2 else matrix.reshape(*matrix.shape, *[1] * (axes - 1))
        mixed: Tensor = torch.einsum(formula, matrix, x.reshape(-1, *x.shape[-axes:]))
        return mixed.reshape(*x.shape[:-axes], *mixed.shape[1:])


def _spread(missing: Tensor, grid: tuple[int, ...]) -> Tensor:
    """`missing` of shape grid or (C, *grid)."""
    channels = missing.shape[:1] if missing.ndim == len(grid) + 1 else ()
    try:
        missing = missing.expand(*channels, *grid)
    except RuntimeError:
        raise ShapeError(
            f"the mask has shape {tuple(missing.shape)}: expected {grid}, or that with one channel "
            "axis before it; crop or rotate the mask to the picture's shape"
        ) from None
    return missing[0] if channels == (1,) else missing
