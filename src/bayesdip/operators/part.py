"""The same measurement of a picture of another size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bayesdip.operators.blur import Blur
from bayesdip.operators.operator import Compose, Operator
from bayesdip.operators.pixelwise import Identity, Mask
from bayesdip.operators.resample import Downsample


def smaller(operator: Operator, grid: Sequence[int]) -> Operator | None:
    """The operator on a smaller grid; None for operators of which nobody knows what that is."""
    if isinstance(operator, Downsample):
        shape = [
            max(n // f, 1) * f if n < m else m
            for n, m, f in zip(grid, operator.input_shape, operator.factor, strict=True)
        ]
        return on_grid(operator, shape)
    if isinstance(operator, Blur):
        return on_grid(operator, grid)
    if isinstance(operator, Identity):
        return Identity(grid)
    if isinstance(operator, Mask):
        here: tuple[Any, ...] = (..., *map(slice, grid))
        return Mask(operator.missing[here], grid)
    if isinstance(operator, Compose) and isinstance(operator.outer, Mask):
        inner = smaller(operator.inner, grid)
        if inner is not None:
            places: tuple[Any, ...] = (..., *map(slice, inner.output_shape))
            missing = operator.outer.missing[places]
            return Mask(missing, inner.output_shape) @ inner
    return None


def on_grid(operator: Operator, grid: Sequence[int]) -> Operator | None:
    """A blur, a downsampling, or one after the other, of a picture of another size; None for any other operator."""
    if isinstance(operator, Blur):
        return Blur(grid, operator.psf, operator.boundary)
    if isinstance(operator, Downsample):
        return Downsample(grid, operator.factor, operator.kind)
    if isinstance(operator, Compose):
        inner = on_grid(operator.inner, grid)
        outer = None if inner is None else on_grid(operator.outer, inner.output_shape)
        return None if inner is None or outer is None else Compose(outer, inner)
    return None


def blur_of(operator: Operator) -> Blur | None:
    """The blur, where the data are the picture blurred, all of it or a part; None for any other operator."""
    if isinstance(operator, Compose):
        return blur_of(operator.inner) if isinstance(operator.outer, Identity | Mask) else None
    return operator if isinstance(operator, Blur) else None


def is_small_picture(operator: Operator) -> bool:
    """Whether the data are the picture made smaller, all of it or a part."""
    if isinstance(operator, Compose):
        return isinstance(operator.outer, Identity | Mask) and is_small_picture(operator.inner)
    return isinstance(operator, Downsample)
