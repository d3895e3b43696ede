"""Padding and cropping of pictures on grids of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

PADDINGS = ("reflection", "zero", "circular")


def pad_reflecting(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """Continue a picture (B, C, *grid) over its borders as a mirror would, the edge not doubled.

    Any amount of padding is allowed: the mirror image is mirrored again where the picture
    is smaller than the padding, and an axis of one pixel is repeated.
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
    """Pad every grid axis of ``x`` (B, C, *grid) by ``amount`` pixels on both sides."""
    dims = x.ndim - 2
    if amount == 0:
        return x
    if padding == "reflection":
        return pad_reflecting(x, (amount,) * dims, (amount,) * dims)
    if padding == "circular":
        return F.pad(x, (amount, amount) * dims, mode="circular")
    return F.pad(x, (amount, amount) * dims)


def continued(table: Tensor, amount: int, padding: str) -> Tensor:
    """Continue *every* axis of ``table`` by ``amount`` on both sides; ``padding`` or "replicate"."""
    if amount == 0:
        return table
    if padding == "zero":
        return F.pad(table, (amount, amount) * table.ndim)
    for axis, n in enumerate(table.shape):
        position = torch.arange(-amount, n + amount, device=table.device)
        if padding == "reflection":
            position = _mirror(n, amount, amount, table.device)
        else:
            position = position % n if padding == "circular" else position.clamp(0, n - 1)
        table = table.index_select(axis, position)
    return table


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
