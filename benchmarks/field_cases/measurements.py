"""Measurements that are no averages of pixels: sums, Fourier coefficients, random combinations."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import bayesdip as bd
from bayesdip.operators import Operator
from benchmarks.field_cases.case import Case, psnr
from benchmarks.field_cases.simple import Array
from benchmarks.field_cases.source import generator

KIND = "operators that are no averages"


class Matrix(Operator):
    """A matrix that acts on a picture's pixels, row by row; written as a user writes it, for both versions."""

    def __init__(self, matrix: Array, grid: tuple[int, ...] | None = None) -> None:
        self.matrix = torch.from_numpy(np.ascontiguousarray(matrix, np.float64))
        super().__init__(grid or (matrix.shape[1],), (matrix.shape[0],))

    def forward(self, x: Tensor) -> Tensor:
        """``M x``: (..., *input_shape) to (..., rows)."""
        return x.flatten(-len(self.input_shape)) @ self.matrix.to(x).T

    def adjoint(self, y: Tensor) -> Tensor:
        """``M^T y``."""
        return (y @ self.matrix.to(y)).unflatten(-1, self.input_shape)

    _forward, _adjoint = forward, adjoint


class Fourier(Operator):
    """Some columns of the orthonormal Fourier transform: real and imaginary parts, one below the other."""

    def __init__(self, kept: Array, grid: tuple[int, int]) -> None:
        self.kept = torch.from_numpy(kept)
        super().__init__(grid, (2, grid[0], int(kept.sum())))

    def forward(self, x: Tensor) -> Tensor:
        """(..., M, N) to (..., 2, M, K)."""
        seen = torch.fft.fft2(x.to(torch.complex128), norm="ortho")[..., self.kept]
        return torch.stack([seen.real, seen.imag], dim=-3).to(x.dtype)

    def adjoint(self, y: Tensor) -> Tensor:
        """(..., 2, M, K) to (..., M, N)."""
        full = torch.zeros(*y.shape[:-3], *self.input_shape, dtype=torch.complex128)
        full[..., self.kept] = torch.complex(y[..., 0, :, :].double(), y[..., 1, :, :].double())
        return torch.fft.ifft2(full, norm="ortho").real.to(y.dtype)

    _forward, _adjoint = forward, adjoint


def phantom(side: int) -> Array:
    """Shepp and Logan's, 0..1."""
    from skimage.data import shepp_logan_phantom
    from skimage.transform import resize

    return resize(shepp_logan_phantom(), (side, side), anti_aliasing=True)


def total_variation(operator: Operator, y: Array, weight: float, start: Array) -> Array:
    """The least of ``|A x - y|^2 / 2 + weight TV(x)``, by FISTA (Beck and Teboulle 2009)."""
    from skimage.restoration import denoise_tv_chambolle

    data, probe = torch.from_numpy(y), torch.rand(operator.input_shape, dtype=torch.float64)
    for _ in range(30):
        probe = operator.adjoint(operator.forward(probe / probe.norm()))
    step = 1 / float(probe.norm())
    x = z = start
    inertia = 1.0
    for _ in range(100):
        gradient = operator.adjoint(operator.forward(torch.from_numpy(z)) - data).numpy()
        following = denoise_tv_chambolle(z - step * gradient, weight=step * weight, max_num_iter=30)
        grown = (1 + (1 + 4 * inertia**2) ** 0.5) / 2
        z = following + (inertia - 1) / grown * (following - x)
        x, inertia = following, grown
    return x


def mri() -> Case:
    """A third of the columns of the Fourier transform of a phantom, with noise."""
    truth, rng = phantom(48), generator(15)
    kept = rng.random(48) < 0.35
    kept[:4] = kept[-4:] = True
    operator = Fourier(kept, truth.shape)
    clean = operator.forward(torch.from_numpy(truth)).numpy()
    given = clean + rng.normal(0, 0.01, clean.shape)
    zero_filled = operator.adjoint(torch.from_numpy(given)).numpy()
    return Case(
        run=lambda: bd.restore(given, operator, bd.Gaussian(0.01)),
        truth=truth,
        given=zero_filled,
        rival=lambda: total_variation(operator, given, 0.003, zero_filled),
        rival_name="total variation",
        measure=psnr(1.0),
        intervals=True,
    )


def tomography() -> Case:
    """The Radon transform of a phantom from 24 directions: sums over pixels, with noise."""
    side, directions = 40, 24
    truth, rng = phantom(side), generator(16)
    matrix = radon(side, directions)
    clean = matrix @ truth.ravel()
    sigma = 0.01 * clean.max()
    given = clean + rng.normal(0, sigma, clean.shape)
    operator = Matrix(matrix, truth.shape)

    def least_squares() -> Array:
        from scipy.sparse.linalg import lsqr

        return lsqr(matrix, given, damp=2.0, iter_lim=200)[0].reshape(truth.shape)

    return Case(
        run=lambda: bd.restore(given, operator, bd.Gaussian(sigma)),
        truth=truth,
        rival=lambda: total_variation(operator, given, 3 * sigma**2, least_squares()),
        rival_name="total variation",
        measure=psnr(1.0),
        intervals=True,
    )


def radon(side: int, directions: int) -> Array:
    """Linear interpolation onto a detector; a row for each direction and pixel of it."""
    width = side + side // 2
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    matrix = np.zeros((directions * width, side * side))
    pixel = np.arange(side * side)
    for k, angle in enumerate(np.linspace(0, np.pi, directions, endpoint=False)):
        at = (x * np.cos(angle) + y * np.sin(angle) + width / 2 - 0.5).ravel()
        below = np.floor(at).astype(int)
        for bin_, weight in ((below, 1 - (at - below)), (below + 1, at - below)):
            matrix[k * width + bin_, pixel] += weight
    return matrix


def random_sums() -> Case:
    """Half as many random combinations as pixels of a smooth picture; their entries are not scaled to one."""
    y, x = np.mgrid[:24, :24] / 24.0
    truth = 100 + 60 * np.sin(5 * x) * np.cos(4 * y)
    rng = generator(3)
    matrix = rng.normal(size=(truth.size // 2, truth.size))
    given = matrix @ truth.ravel() + rng.normal(0, 1.0, truth.size // 2)
    return Case(
        run=lambda: bd.restore(given, Matrix(matrix, truth.shape), bd.Gaussian(1.0)),
        truth=truth,
        rival=lambda: np.linalg.lstsq(matrix, given, rcond=None)[0].reshape(truth.shape),
        rival_name="least squares",
        measure=psnr(160.0),
        intervals=True,
    )


CASES = {"MRI": mri, "tomography": tomography, "random sums": random_sums}
