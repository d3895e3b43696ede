"""The plain version of Gaussian-process inference on a grid, to compare with: nothing clever, double precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.kernels.kernel import Kernel

JITTER = 1e-5


@dataclass(frozen=True)
class PlainSolution:
    """``x`` of shape (M, N), after so many iterations, with that relative residual."""

    x: Tensor
    iterations: int
    residual: float


def plain_solve(
    kernel: Kernel, seen: Tensor, b: Tensor, tol: float = 1e-3, most: int = 2000
) -> PlainSolution:
    """Solve ``(S K S + jitter) x = b`` by conjugate gradients with a circulant preconditioner.

    Every product with K is one pair of transforms on a grid of twice the size on each axis,
    and so is every application of the preconditioner, ``(K + jitter)^-1`` of the torus.

    Parameters
    ----------
    seen : Tensor of bool, shape (M, N)
        Where the picture is known; S keeps these pixels.
    b : Tensor, shape (M, N), float64, zero elsewhere
    """
    torus = tuple(2 * n for n in b.shape)
    lags = kernel.quadrant(tuple(n + 1 for n in b.shape))
    for axis in range(b.ndim):
        lags = torch.cat((lags, lags.flip(axis).narrow(axis, 1, b.shape[axis] - 1)), axis)
    spectrum = torch.fft.rfftn(lags - kernel.limit).real.clamp(min=0)
    jitter = JITTER * float(kernel.quadrant((1,) * b.ndim))
    inverse = 1 / (spectrum + jitter)

    def filtered(v: Tensor, response: Tensor) -> Tensor:
        full: Tensor = torch.fft.irfftn(torch.fft.rfftn(v, torus) * response, torus)
        return full[tuple(slice(n) for n in v.shape)] * seen

    x, r = torch.zeros_like(b), b.clone()
    z = filtered(r, inverse)
    p, rz = z.clone(), (r * z).sum()
    size = b.norm()
    iterations = 0
    while iterations < most and r.norm() > tol * size:
        q = filtered(p, spectrum) + jitter * p
        step = rz / (p * q).sum()
        x += step * p
        r -= step * q
        iterations += 1
        z = filtered(r, inverse)
        rz, before = (r * z).sum(), rz
        p = z + (rz / before) * p
    return PlainSolution(x, iterations, float(r.norm() / size))
