"""Complex numbers as pairs of real ones: all real parts first, then all imaginary parts, along the channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bayesdip.arrays import as_tensor, like_given
from bayesdip.errors import BayesDipError, ShapeError


def as_pairs(y: Any, channel_axis: int | None = None) -> Any:
    """Real and imaginary parts of complex data, as channels: what :func:`bayesdip.restore` takes.

    Parameters
    ----------
    y : complex array or Tensor
    channel_axis : int, optional
        The axis of the channels; it becomes twice as long, real parts before imaginary parts. None:
        there is none, and the two parts become a new first axis.

    Returns
    -------
    array or Tensor, as given
        Real.

    Raises
    ------
    BayesDipError
        `y` is not complex.

    Examples
    --------
    >>> import numpy as np
    >>> as_pairs(np.array([1 + 2j, 3 - 1j]))
    array([[ 1.,  3.],
           [ 2., -1.]])
    """
    values = as_tensor(y)
    if not values.is_complex():
        raise BayesDipError(f"y has dtype {values.dtype}: expected complex numbers; real data need no pairs")
    parts = (values.real, values.imag)
    return like_given(torch.stack(parts) if channel_axis is None else torch.cat(parts, channel_axis), y)


def from_pairs(y: Any, channel_axis: int | None = None) -> Any:
    """Complex data of their real and imaginary parts: the inverse of :func:`as_pairs`.

    Parameters
    ----------
    y : real array or Tensor
    channel_axis : int, optional
        The axis of the channels; it becomes half as long. None: the first axis holds the two parts and
        goes away.

    Returns
    -------
    array or Tensor, as given
        Complex.

    Raises
    ------
    ShapeError
        The axis is of odd length, or, for `channel_axis` None, not of length 2.

    Examples
    --------
    >>> import numpy as np
    >>> from_pairs(np.array([[1.0, 3.0], [2.0, -1.0]]))
    array([1.+2.j, 3.-1.j])
    """
    values = as_tensor(y)
    axis = channel_axis or 0
    length = values.shape[axis]
    if length % 2 or (channel_axis is None and length != 2):
        raise ShapeError(
            f"y has shape {tuple(values.shape)}: expected {'2' if channel_axis is None else 'an even number of'} "
            f"entries along axis {axis}, real parts and then imaginary parts; name the channel axis"
        )
    real, imaginary = values.chunk(2, axis)
    found = torch.complex(real.contiguous(), imaginary.contiguous())
    return like_given(found.squeeze(axis) if channel_axis is None else found, y)


def stacked_parts(y: Tensor, axis: int) -> Tensor:
    """`y` with its imaginary parts behind its real parts along `axis`, if it is complex."""
    return torch.cat((y.real, y.imag), axis) if y.is_complex() else y


def joined_parts(y: Tensor, axis: int) -> Tensor:
    """The inverse of :func:`stacked_parts`."""
    real, imaginary = y.chunk(2, axis)
    return torch.complex(real.contiguous(), imaginary.contiguous())
