"""Blur with a known point-spread function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.operator import Operator
from bayesdip.operators.sparse_matrix import EXTENSIONS, padding


class Blur(Operator):
    """Convolution with a point-spread function, the picture keeping its size.

    ``(A x)[i] = sum_j psf[j] x[i + c - j]`` with the centre ``c = psf.shape // 2`` on every axis:
    `scipy.ndimage.convolve` with modes ``"reflect"`` and ``"wrap"``. The picture is extended by
    what the point-spread function reaches, and convolved by FFT: O(N log N).

    Parameters
    ----------
    shape : sequence of int
        The picture's grid.
    psf : Tensor or array
        As many axes as the grid; it may be larger than the picture. Used as it is: divide it by
        its sum to keep the brightness.
    boundary : {"reflect", "periodic"}
        What lies beyond the border: the picture mirrored (edge pixel repeated), or once more the picture.

    Raises
    ------
    ShapeError
        If `psf` is empty, or its axes are not as many as the grid's.
    BayesDipError
        If `psf` is not finite, or zero everywhere, or `boundary` is unknown.
    """

    def __init__(self, shape: Sequence[int], psf: Any, boundary: str = "reflect") -> None:
        super().__init__(shape, shape)
        if boundary not in EXTENSIONS:
            raise BayesDipError(
                f"boundary is {boundary!r}: expected {' or '.join(EXTENSIONS)}; choose one of these"
            )
        self.psf = _checked(psf, len(self.input_shape))
        self.boundary = boundary
        # Output i needs inputs i + c - (s - 1) to i + c.
        self._paddings = [
            padding(n, s - 1 - s // 2, s // 2, boundary)
            for n, s in zip(self.input_shape, self.psf.shape, strict=True)
        ]
        self._fft_shape = [_fast_length(matrix.rows) for matrix in self._paddings]
        self._axes = list(range(-len(self.input_shape), 0))
        self._spectra: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        for axis, matrix in zip(self._axes, self._paddings, strict=True):
            x = matrix.apply(x, axis)
        x = self._filtered(x, adjoint=False)
        # The first s - 1 outputs of an axis hold what wrapped around; the n after them are exact.
        for axis, n, s in zip(self._axes, self.input_shape, self.psf.shape, strict=True):
            x = x.narrow(axis, s - 1, n)
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        y = pad(y, [edge for s in reversed(self.psf.shape) for edge in (s - 1, 0)])
        y = self._filtered(y, adjoint=True)
        for axis, matrix in zip(self._axes, self._paddings, strict=True):
            y = matrix.T.apply(y.narrow(axis, 0, matrix.rows), axis)
        return y

    def _filtered(self, x: Tensor, *, adjoint: bool) -> Tensor:
        """Circular convolution on the FFT's grid; with `adjoint`, correlation."""
        # There is no FFT in half precision on the CPU.
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        spectrum = self._spectrum(exact)
        product = torch.fft.rfftn(exact, self._fft_shape, self._axes)
        product = product * (spectrum.conj() if adjoint else spectrum)
        filtered: Tensor = torch.fft.irfftn(product, self._fft_shape, self._axes)
        return filtered.to(x.dtype)

    def _spectrum(self, like: Tensor) -> Tensor:
        key = (like.device, like.dtype)
        if key not in self._spectra:
            self._spectra[key] = torch.fft.rfftn(self.psf.to(like), self._fft_shape)
        return self._spectra[key]


def _checked(given: Any, dims: int) -> Tensor:
    """The point-spread function in double precision on the CPU."""
    psf = as_tensor(given).detach().to("cpu", torch.float64)
    if psf.ndim != dims or psf.numel() == 0:
        raise ShapeError(
            f"the psf has shape {tuple(psf.shape)}: expected {dims} axes of length at least 1, as the picture's grid; "
            "give a psf without a channel axis"
        )
    bad = int((~psf.isfinite()).sum())
    if bad:
        raise BayesDipError(
            f"the psf has {bad} entries that are NaN or infinite: expected numbers; clean it first"
        )
    if not psf.any():
        raise BayesDipError(
            "the psf is zero everywhere: expected some weight; give the image of a single bright point"
        )
    return psf


def _fast_length(n: int) -> int:
    """The next length without prime factors above 7, for which FFTs are quick."""
    while _without_small_factors(n) > 1:
        n += 1
    return n


def _without_small_factors(n: int) -> int:
    for prime in (2, 3, 5, 7):
        while n % prime == 0:
            n //= prime
    return n
