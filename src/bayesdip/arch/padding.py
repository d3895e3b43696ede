"""Padding and cropping of pictures on grids of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# What may stand beyond the borders of a picture.
PADDINGS = ("reflection", "zero", "circular")


def pad_reflecting(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """Continue a picture over its borders as a mirror would, the edge not doubled.

    Any amount of padding is allowed: the mirror image is mirrored again where the picture
    is smaller than the padding, and an axis of one pixel is repeated.

    Parameters
    ----------
    x : Tensor, shape (B, C, *grid)
    before, after : sequence of int
        Pixels on each axis.

    Returns
    -------
    Tensor, shape (B, C, *grid')
    """
    grid = x.shape[2:]
    if not any(before) and not any(after):
        return x
    if all(max(b, a) < n for b, a, n in zip(before, after, grid, strict=True)) and len(grid) <= 3:
        pairs = [p for b, a in zip(reversed(before), reversed(after), strict=True) for p in (b, a)]
        return F.pad(x, pairs, mode="reflect")
    for axis, (b, a, n) in enumerate(zip(before, after, grid, strict=True)):
        x = x.index_select(axis + 2, _mirror(n, b, a, x.device))
    return x


def pad_all(x: Tensor, amount: int, padding: str) -> Tensor:
    """Continue every grid axis over both borders.

    Parameters
    ----------
    x : Tensor, shape (B, C, *grid)
        A grid of any number of axes.
    amount : int
        Pixels on each side; circular padding by at most the size of an axis.
    padding : str
        One of :data:`PADDINGS`, or "replicate" for the border's own value.

    Returns
    -------
    Tensor, shape (B, C, *grid')
    """
    dims = x.ndim - 2
    if amount == 0:
        return x
    if padding == "reflection":
        return pad_reflecting(x, (amount,) * dims, (amount,) * dims)
    if padding == "zero":
        return F.pad(x, (amount, amount) * dims)
    if dims <= 3:
        return F.pad(x, (amount, amount) * dims, mode=padding)
    for axis, n in enumerate(x.shape[2:], 2):
        position = torch.arange(-amount, n + amount, device=x.device)
        x = x.index_select(axis, position % n if padding == "circular" else position.clamp(0, n - 1))
    return x


def crop(x: Tensor, before: Sequence[int], grid: Sequence[int]) -> Tensor:
    """The window of size ``grid`` that starts at ``before``; a view."""
    for axis, (b, n) in enumerate(zip(before, grid, strict=True)):
        if x.shape[axis + 2] != n:
            x = x.narrow(axis + 2, b, n)
    return x


def _mirror(size: int, before: int, after: int, device: torch.device) -> Tensor:
    period = max(2 * (size - 1), 1)
    position = torch.arange(-before, size + after, device=device) % period
    return torch.minimum(position, period - position) if size > 1 else torch.zeros_like(position)
