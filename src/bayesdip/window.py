"""Sums over boxes of pixels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import pad


def box_sum(x: Tensor, widths: Sequence[int]) -> Tensor:
    """Sum over every box of that shape that lies within the grid.

    Parameters
    ----------
    x : Tensor, shape (..., *grid)
        The grid has as many axes as there are widths.
    widths : sequence of int
        Sides of the box, each from 1 to the length of its axis.

    Returns
    -------
    Tensor
        An axis of length n becomes n - width + 1; entry i is the box that begins at i.
    """
    for axis, width in zip(range(-len(widths), 0), widths, strict=True):
        length = x.shape[axis] - width + 1
        total = x.narrow(axis, 0, length).clone()
        for start in range(1, width):
            total += x.narrow(axis, start, length)
        x = total
    return x


def window_sum(x: Tensor, widths: Sequence[int]) -> Tensor:
    """Sum over the box around each entry, zeros beyond the border.

    Parameters
    ----------
    x : Tensor, shape (..., *grid)
    widths : sequence of int
        Odd.

    Returns
    -------
    Tensor, shape of `x`
    """
    return box_sum(pad(x, [side for width in reversed(widths) for side in (width // 2,) * 2]), widths)
