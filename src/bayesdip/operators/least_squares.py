"""Least squares of a linear operator's data, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

LinearMap = Callable[[Tensor], Tensor]


def least_squares_steps(
    forward: LinearMap, adjoint: LinearMap, y: Tensor, x: Tensor
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """The estimates of conjugate gradients for ``|y - A x|^2``: few steps leave the noise of weak directions alone.

    CGLS (Bjorck, *Numerical Methods for Least Squares Problems*, 1996). It has no end: its caller stops it.

    Parameters
    ----------
    forward, adjoint : callable
        A, zero where no data were seen, and its adjoint.
    y : Tensor
        Zero where no data were seen.
    x : Tensor
        The first estimate.

    Yields
    ------
    (Tensor, Tensor, float)
        Before every step: the estimate, its residual ``r = y - A x``, and ``|A' r|^2``, at zero of which no step is left.
    """
    residual = y - forward(x)
    gradient = direction = adjoint(residual)
    power = float(gradient.square().sum())
    while True:
        yield x, residual, power
        moved = forward(direction)
        step = power / max(float(moved.square().sum()), torch.finfo(y.dtype).tiny)
        x, residual = x + step * direction, residual - step * moved
        gradient = adjoint(residual)
        power, before = float(gradient.square().sum()), power
        direction = gradient + power / before * direction
