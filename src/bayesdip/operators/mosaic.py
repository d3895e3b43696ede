"""Colour filter arrays: a camera whose pixels see one colour each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bayesdip.arrays import as_tensor
from bayesdip.errors import BayesDipError
from bayesdip.operators.linear_map import Constant
from bayesdip.operators.operator import Compose, Operator, as_grid
from bayesdip.operators.pixelwise import Mask

COLOURS = "RGB"


class Mosaic(Operator):
    """One colour at each pixel: the raw data of a camera, to be demosaiced.

    ``(A x)[i] = x[pattern[i], i]``, the pattern being repeated over the picture from its first pixel on. The data have no
    channels. Inference takes them for a picture of which each channel lacks most pixels.

    Parameters
    ----------
    shape : sequence of int
        The picture's grid, two axes.
    pattern : str or array of int, shape (p, q)
        The colours of the smallest part that repeats: ``"RGGB"``, ``"BGGR"``, ``"GRBG"`` and ``"GBRG"`` are the Bayer
        patterns, two pixels of the first row and two of the second (Bayer, US patent 3971065, 1976). An array has the
        channel that each pixel sees, from 0; the picture has as many channels as it names, so that any filter array, X-Trans
        and multispectral ones too, can be given.

    Raises
    ------
    BayesDipError
        The pattern is not one of these.

    Examples
    --------
    >>> import torch, bayesdip as bd
    >>> camera = bd.operators.Mosaic((2, 2), "RGGB")
    >>> camera.forward(torch.arange(12.0).reshape(3, 2, 2))
    tensor([[[ 0.,  5.],
             [ 6., 11.]]])
    """

    def __init__(self, shape: Sequence[int], pattern: Any = "RGGB") -> None:
        grid = as_grid(shape)
        tile = _tile(pattern, len(grid))
        places = np.ix_(*[np.arange(n) % p for n, p in zip(grid, tile.shape, strict=True)])
        colour = torch.from_numpy(tile[places])
        seen = colour[None] == torch.arange(int(tile.max()) + 1).reshape(-1, *[1] * len(grid))
        self._seen = Constant(seen)
        super().__init__(grid, grid, input_channels=len(seen), output_channels=1)

    @property
    def seen(self) -> Tensor:
        """Which channel each pixel sees: bool, (C, *shape), on the CPU."""
        return self._seen.value

    def forward(self, x: Tensor) -> Tensor:
        kept = x.masked_fill(~self._seen.on(x.device), 0)
        return kept.sum(-len(self.input_shape) - 1, keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        seen = self._seen.on(y.device)
        return y.expand(*y.shape[: y.ndim - seen.ndim], *seen.shape).masked_fill(~seen, 0)

    def observed_given(self, inputs: Tensor) -> Tensor:
        return (inputs & self.seen).any(0)


def as_missing_pixels(data: Tensor, operator: Operator) -> tuple[Tensor, Operator]:
    """Data of a mosaic, and masks around it, as a picture with missing pixels and its mask; any other as they are.

    Parameters
    ----------
    data : Tensor, shape (1, *operator.output_shape)
    operator : Operator

    Returns
    -------
    (Tensor, Operator)
        (C, *shape), and a :class:`Mask`.
    """
    inner = operator
    while isinstance(inner, Compose) and isinstance(inner.outer, Mask):
        inner = inner.inner
    if not isinstance(inner, Mosaic):
        return data, operator
    missing = ~(inner.seen & operator.observed.expand(inner.seen.shape))
    return inner.adjoint(data), Mask(missing, shape=inner.input_shape)


def _tile(pattern: Any, axes: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The part that repeats, as channels' numbers."""
    if isinstance(pattern, str):
        letters = pattern.upper()
        if len(letters) != 4 or set(letters) != set(COLOURS):
            raise BayesDipError(
                f"pattern is {pattern!r}: expected four letters, two pixels of the first row and two of the second, such as "
                "'RGGB', 'BGGR', 'GRBG' or 'GBRG'; give an array of channel numbers for any other"
            )
        tile = np.array([COLOURS.index(letter) for letter in letters]).reshape(2, 2)
    else:
        given = np.asarray(as_tensor(pattern))
        if not np.issubdtype(given.dtype, np.integer) or not given.size or given.min() < 0:
            raise BayesDipError(
                f"pattern is an array of {given.dtype} and shape {given.shape}: expected whole numbers of at least 0, the "
                "channel that each pixel sees"
            )
        tile = given.astype(np.int64)
    absent = sorted(set(range(int(tile.max()) + 1)) - set(tile.ravel().tolist()))
    if tile.ndim != axes or absent:
        raise BayesDipError(
            f"pattern has {tile.ndim} axes and lacks the channels {absent}: expected {axes} axes, as the picture, and every "
            "channel from 0 to the largest; number the channels without gaps"
        )
    return tile
