"""The same measurement of a smaller picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bayesdip.operators.blur import Blur
from bayesdip.operators.operator import Compose, Operator
from bayesdip.operators.pixelwise import Mask
from bayesdip.operators.resample import Downsample


def smaller(operator: Operator, grid: Sequence[int]) -> Operator | None:
    """The operator on a smaller grid; None for operators of which nobody knows what that is."""
    if isinstance(operator, Downsample):
        shape = [
            max(n // f, 1) * f if n < m else m
            for n, m, f in zip(grid, operator.input_shape, operator.factor, strict=True)
        ]
        return Downsample(shape, operator.factor, operator.kind)
    if isinstance(operator, Blur):
        return Blur(grid, operator.psf, operator.boundary)
    if isinstance(operator, Compose) and isinstance(operator.outer, Mask):
        inner = smaller(operator.inner, grid)
        if inner is not None:
            places: tuple[Any, ...] = (..., *map(slice, inner.output_shape))
            missing = operator.outer.missing[places]
            return Mask(missing, inner.output_shape) @ inner
    return None
