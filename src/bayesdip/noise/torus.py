"""Stationary noise on a grid by FFT, on a torus that its correlation does not reach around."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def torus_of(shape: Sequence[int], lags: Sequence[int]) -> tuple[int, ...]:
    """For a grid and a number of lags along each axis; even, so that the two halves of the last axis' frequencies stay apart."""
    return tuple(n + m // 2 + (n + m // 2) % 2 for n, m in zip(shape, lags, strict=True))


def root_of(spectrum: Tensor) -> Tensor:
    """The lower triangular factor at each frequency of spectra (n, G, G, *frequencies)."""
    factor = torch.linalg.cholesky(spectrum.movedim((1, 2), (-2, -1)))
    found: Tensor = factor.movedim((-2, -1), (1, 2))
    return found


def filtered(v: Tensor, response: Tensor, torus: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
    """Convolutions of G channels together, cut to the grid.

    Parameters
    ----------
    v : Tensor, shape (n, G, *grid)
        On the grid, or on the whole torus.
    response : Tensor, shape (n or 1, G, G, *frequencies)
        As ``rfftn`` orders them.
    torus, shape : tuple of int

    Returns
    -------
    Tensor, shape (n, G, *shape)
    """
    axes = tuple(range(-len(torus), 0))
    modes = torch.fft.rfftn(v, torus, axes)
    modes = (response * modes[:, None]).sum(2)
    found: Tensor = torch.fft.irfftn(modes, torus, axes)
    for axis, n in zip(axes, shape, strict=True):
        found = found.narrow(axis, 0, n)
    return found.contiguous()
