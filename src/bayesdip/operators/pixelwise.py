"""Operators that keep pixels apart: seeing everything, and seeing a part."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.errors import ShapeError
from bayesdip.operators.operator import Operator


class Identity(Operator):
    """Every pixel is measured as it is."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape, shape)

    def _forward(self, x: Tensor) -> Tensor:
        return x

    def _adjoint(self, y: Tensor) -> Tensor:
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
    missing : Tensor of bool, shape (*shape) or (C, *shape)
        True where a pixel is missing; with a channel axis, channels lose pixels of their own.
    shape : sequence of int, optional
        The grid. By default ``missing.shape``: a mask with a channel axis must give it,
        since (3, 64, 64) may be three channels or a volume.

    Raises
    ------
    ShapeError
        If `missing` cannot be broadcast to the grid with at most one axis before it.
    """

    def __init__(self, missing: Tensor, shape: Sequence[int] | None = None) -> None:
        grid = missing.shape if shape is None else shape
        super().__init__(grid, grid)
        self.missing = self._spread(missing)
        self._moved: dict[torch.device, Tensor] = {}

    def _spread(self, missing: Tensor) -> Tensor:
        """`missing` as bool on the CPU, of shape grid or (C, *grid)."""
        dims = len(self.input_shape)
        missing = missing.detach().to("cpu", torch.bool)
        channels = missing.shape[:1] if missing.ndim == dims + 1 else ()
        try:
            missing = missing.expand(*channels, *self.input_shape)
        except RuntimeError:
            raise ShapeError(
                f"the mask has shape {tuple(missing.shape)}: expected {self.input_shape}, or that with one channel "
                "axis before it; crop or rotate the mask to the picture's shape"
            ) from None
        return missing[0] if channels == (1,) else missing

    def _forward(self, x: Tensor) -> Tensor:
        extra = self.missing.ndim - len(self.input_shape)
        if extra and (x.ndim < self.missing.ndim or x.shape[-self.missing.ndim] != self.missing.shape[0]):
            raise ShapeError(
                f"the mask is for {self.missing.shape[0]} channels and was given shape {tuple(x.shape)}: expected "
                f"the last axes to be {tuple(self.missing.shape)}; give one mask for all channels, or one for each"
            )
        if x.device not in self._moved:
            self._moved[x.device] = self.missing.to(x.device)
        return x.masked_fill(self._moved[x.device], 0)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._forward(y)  # a diagonal matrix is its own transpose

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
