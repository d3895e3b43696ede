"""Magnetic resonance imaging: some frequencies of a picture, seen by one coil or several."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.operators.linear_map import Constant
from bayesdip.operators.operator import Operator, as_grid
from bayesdip.operators.pairs import joined_parts, stacked_parts


class MaskedFourier(Operator):
    """Some of the frequencies of a picture, as in magnetic resonance imaging.

    ``(A x)[c] = mask F(maps[c] x)`` for coil c: F is the discrete Fourier transform, orthonormal, with frequency zero at
    ``shape // 2`` in the data and the origin there in the picture (SENSE: Pruessmann et al., Magn. Reson. Med. 42, 1999).
    Data keep the whole grid; where nothing was measured anything may stand, zero as a rule.

    Complex numbers are pairs of channels, real parts first: :func:`bayesdip.operators.as_pairs` brings data into this
    form, as :func:`bayesdip.restore` does itself with complex data, and :func:`bayesdip.operators.from_pairs` pictures out
    of it.

    Parameters
    ----------
    mask : Tensor or array of bool, shape (*shape)
        True where a frequency is **measured**, as in the field; not as in :class:`Mask`, where True is missing. Its shape is
        the picture's grid, of any number of axes. A line or a plane of it for all is spread by ``np.broadcast_to``.
    coil_maps : complex Tensor or array, shape (coils, *shape), optional
        The sensitivity of each coil at each pixel. The data then have the real parts of all coils, and after them the
        imaginary parts. None: one coil that sees all pixels alike.
    real : bool
        Whether the picture is known to be real: one channel. Otherwise it is complex, in two channels.

    Raises
    ------
    ShapeError
        `coil_maps` does not fit the mask.
    BayesDipError
        No frequency is measured, or a map is not finite.

    Examples
    --------
    >>> import numpy as np, bayesdip as bd
    >>> A = bd.operators.MaskedFourier(np.ones((1, 4), bool), real=True)
    >>> A.forward(np.array([[[0.0, 0.0, 2.0, 0.0]]]))
    array([[[1., 1., 1., 1.]],
    <BLANKLINE>
           [[0., 0., 0., 0.]]])
    """

    def __init__(self, mask: Any, coil_maps: Any = None, *, real: bool = False) -> None:
        measured = as_tensor(mask).detach().to("cpu", torch.bool)
        grid = as_grid(measured.shape)
        if not measured.any():
            raise BayesDipError(
                "the mask measures no frequency: expected True where one is measured; turn it over if it marks what is missing"
            )
        self._measured = Constant(measured)
        self._maps = None if coil_maps is None else Constant(_checked_maps(coil_maps, grid))
        self._axes = list(range(-len(grid), 0))
        coils = 1 if self._maps is None else len(self._maps.value)
        super().__init__(grid, grid, input_channels=1 if real else 2, output_channels=2 * coils)

    @property
    def mask(self) -> Tensor:
        """True where a frequency is measured: bool, (*shape), on the CPU."""
        return self._measured.value

    def forward(self, x: Tensor) -> Tensor:
        axis = -len(self._axes) - 1
        exact = x.to(
            torch.promote_types(x.dtype, torch.float32)
        )  # there is no FFT in half precision on the CPU
        picture = exact if self.input_channels == 1 else joined_parts(exact, axis)
        if self._maps is not None:
            picture = picture * self._maps_like(exact)
        return stacked_parts(self._transformed(picture, torch.fft.fftn), axis).to(x.dtype)

    def adjoint(self, y: Tensor) -> Tensor:
        axis = -len(self._axes) - 1
        exact = y.to(torch.promote_types(y.dtype, torch.float32))
        measured = joined_parts(exact, axis).masked_fill(~self._measured.on(y.device), 0)
        picture = self._transformed(measured, torch.fft.ifftn)
        if self._maps is not None:
            picture = (picture * self._maps_like(exact).conj()).sum(axis, keepdim=True)
        return (picture.real if self.input_channels == 1 else stacked_parts(picture, axis)).to(y.dtype)

    def observed_given(self, inputs: Tensor) -> Tensor:
        return self.mask

    def _transformed(self, picture: Tensor, transform: Any) -> Tensor:
        shifted = torch.fft.ifftshift(picture, self._axes)
        found: Tensor = torch.fft.fftshift(transform(shifted, dim=self._axes, norm="ortho"), self._axes)
        return (
            found.masked_fill(~self._measured.on(found.device), 0) if transform is torch.fft.fftn else found
        )

    def _maps_like(self, x: Tensor) -> Tensor:
        assert self._maps is not None
        return self._maps.on(x.device, torch.promote_types(x.dtype, torch.complex32))


def _checked_maps(coil_maps: Any, grid: tuple[int, ...]) -> Tensor:
    """The maps in double precision on the CPU."""
    maps = as_tensor(coil_maps).detach().to("cpu", torch.complex128)
    if tuple(maps.shape[1:]) != grid or not len(maps):
        raise ShapeError(
            f"coil_maps has shape {tuple(maps.shape)}: expected (coils, {', '.join(map(str, grid))}), as the mask has {grid}; "
            "give a map for each coil, without a batch axis"
        )
    if not maps.isfinite().all():
        raise BayesDipError(
            "coil_maps holds values that are NaN or infinite: expected numbers; set them to 0 where nothing is seen"
        )
    return maps
