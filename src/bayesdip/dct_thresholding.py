"""A quick denoiser of the data alone: shrinkage of the cosine transforms of all their blocks."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor

# Side of the blocks by number of grid axes, and the threshold in units of the noise.
BLOCK = {1: 16, 2: 8, 3: 4}
THRESHOLD = 2.0
# Coefficients held at once, a few times over: strips of the picture are worked through. It is little beside a network.
MOST_VALUES = 2**19


def shrink(y: Tensor, sigma: float) -> Tensor:
    """Remove white noise of standard deviation ``sigma`` from ``y``, (C, *grid), in single precision.

    Every block of the data, at every offset, goes through a cosine transform (the channels
    through one of their own first); a coefficient c of size above ``t = 2 sigma`` becomes
    ``c - t^2 / c``, a smaller one 0 (the garrote of Gao, J. Comput. Graph. Stat. 1998); what all
    blocks say of a pixel is averaged (translation-invariant denoising, Coifman and Donoho 1995).
    Means of blocks are left alone.
    """
    across = cosine_basis(len(y)).to(y.device)
    mixed = torch.tensordot(across, y.float(), dims=1)
    found: Tensor = torch.tensordot(across.T, shrink_blocks(mixed, block_side(y), sigma), dims=1)
    return found


def block_side(y: Tensor) -> int:
    """Of the blocks of data (C, *grid)."""
    return int(min(BLOCK[y.ndim - 1], *y.shape[1:]))


def shrink_blocks(y: Tensor, side: int, sigma: float | Tensor, level: Tensor | None = None) -> Tensor:
    """Each channel of ``y`` by itself.

    Parameters
    ----------
    y : Tensor, float32, shape (C, *grid)
    side : int
        Of a block.
    sigma : float or Tensor of shape (C, side ** axes)
        The noise's standard deviation: of all coefficients, or of each.
    level : Tensor, shape (*grid), optional
        What `sigma` is to be multiplied with in each place.

    Returns
    -------
    Tensor, shape (C, *grid)
    """
    dims = y.ndim - 1
    padded = _mirrored(y, side - 1)
    levels = None if level is None else _mirrored(level[None].to(y), side - 1)
    total = torch.zeros_like(padded)
    basis = cosine_basis(side).to(y.device)
    rows = padded.shape[1] - side + 1
    step = max(1, MOST_VALUES // (side**dims * padded[:, 0].numel()))
    limit = torch.as_tensor(THRESHOLD * sigma, dtype=y.dtype, device=y.device)
    limit = limit.reshape(len(limit), *[1] * dims, -1) if limit.ndim else limit
    for start in range(0, rows, step):
        here = slice(start, start + step + side - 1)
        own = limit if levels is None else limit * _block_means(levels[:, here], side)
        _add_blocks(total[:, here], _shrunk_blocks(padded[:, here], basis, own))
    inner = tuple(slice(side - 1, side - 1 + n) for n in y.shape[1:])
    found: Tensor = total[(slice(None), *inner)] / side**dims
    return found


def cosine_basis(n: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The orthonormal discrete cosine transform (type II) as a matrix (n, n), constant row first."""
    k, i = (torch.arange(n, dtype=torch.float64) for _ in range(2))
    basis = torch.cos(math.pi * torch.outer(k, 2 * i + 1) / (2 * n)) * math.sqrt(2 / n)
    basis[0] /= math.sqrt(2)
    return basis.to(dtype)


def _blocks(strip: Tensor, side: int) -> Tensor:
    """All blocks of (C, *grid): (C, *offsets, *block)."""
    for axis in range(1, strip.ndim):
        strip = strip.unfold(axis, side, 1)
    return strip


def _block_means(strip: Tensor, side: int) -> Tensor:
    """The mean in each block, (C, *offsets, 1)."""
    return _blocks(strip, side).flatten(strip.ndim).mean(-1, keepdim=True)


def _shrunk_blocks(strip: Tensor, basis: Tensor, limit: Tensor) -> Tensor:
    """All blocks of (C, *grid), their coefficients shrunk: (C, *offsets, *block)."""
    dims, side = strip.ndim - 1, len(basis)
    blocks = _along_block(_blocks(strip, side), basis, dims)
    c = blocks.flatten(-dims)
    shrunk = torch.where(c.abs() > limit, c - limit**2 / c, 0.0)
    shrunk[..., 0] = c[..., 0]
    return _along_block(shrunk.reshape(blocks.shape), basis.T, dims)


def _along_block(blocks: Tensor, matrix: Tensor, dims: int) -> Tensor:
    """The matrix along each of the last ``dims`` axes."""
    for axis in range(-dims, 0):
        blocks = (blocks.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    return blocks


def _add_blocks(total: Tensor, blocks: Tensor) -> None:
    """Add every block to ``total``, (C, *grid), where it belongs."""
    dims = total.ndim - 1
    offsets = blocks.shape[1 : 1 + dims]
    entries = blocks.flatten(-dims)
    for number, place in enumerate(product(range(blocks.shape[-1]), repeat=dims)):
        window = tuple(slice(p, p + n) for p, n in zip(place, offsets, strict=True))
        total[(slice(None), *window)] += entries[..., number]


def _mirrored(picture: Tensor, margin: int) -> Tensor:
    """Grow every grid axis of (C, *grid) by its mirror image on both ends; ``margin`` is below its length."""
    for axis in range(1, picture.ndim):
        n = picture.shape[axis]
        left = picture.narrow(axis, 0, margin).flip(axis)
        right = picture.narrow(axis, n - margin, margin).flip(axis)
        picture = torch.cat([left, picture, right], axis)
    return picture
