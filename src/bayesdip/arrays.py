"""NumPy arrays wherever tensors are taken."""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError, one_line


def as_tensor(values: Any) -> Tensor:
    """A tensor of `values`: a tensor as it is, an array or a nested list on the CPU.

    Memory is shared with an array where its layout allows that.
    """
    if isinstance(values, Tensor):
        return values
    array = np.asarray(values)
    if any(stride < 0 for stride in array.strides) or not array.dtype.isnative or not array.flags.writeable:
        array = np.array(array, dtype=array.dtype.newbyteorder("="))
    return torch.from_numpy(array)


def as_array(name: str, values: Any) -> NDArray[Any]:
    """An array of what NumPy takes for one, and of any tensor; a masked array stays one.

    Parameters
    ----------
    name : str
        The argument's.
    values : array_like or Tensor

    Raises
    ------
    BayesDipError
        `values` is the name of a file, or no array can be made of it.
    """
    if isinstance(values, str | bytes | PathLike):
        raise BayesDipError(
            f"{name} is {values!r}, the name of a file or text: expected an array; read a picture with "
            "bayesdip.io.read_picture(path).pixels"
        )
    if isinstance(values, Tensor):
        plain = values.detach().cpu()
        values = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    try:
        return np.asanyarray(values) if np.ma.isMaskedArray(values) else np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise BayesDipError(
            f"{name} cannot be made an array ({one_line(error)[:80]}): expected rows of the same length; convert it first"
        ) from error


def unmasked(name: str, values: Any) -> NDArray[Any]:
    """An array of which no entry is masked.

    Parameters
    ----------
    name : str
        The argument's.
    values : array_like

    Raises
    ------
    BayesDipError
        `values` is a NumPy masked array in which an entry is masked: what it would mean there is not clear.
    """
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise BayesDipError(
            f"{name} is a masked array with masked entries: expected a plain array; give {name}.filled(value)"
        )
    return np.asarray(as_array(name, values))


def like_given(found: Tensor, given: Any) -> Tensor:
    """`found` as an array if `given` was one."""
    # The caller's type is that of what was given; annotations know tensors only.
    return cast(Tensor, found.detach().cpu().numpy()) if isinstance(given, np.ndarray) else found


def channels_first(image: Any, channel_axis: int | None) -> Tensor:
    """`image` as a tensor of shape (C, *grid).

    Parameters
    ----------
    image : array or Tensor
    channel_axis : int or None
        The axis of the channels. None: an array has none, and a tensor has it first, as everywhere
        in this package.

    Raises
    ------
    ShapeError
        `image` has no such axis, or no axis or entry beside its channels.
    """
    if channel_axis is None and isinstance(image, Tensor):
        channel_axis = 0
    picture = as_tensor(image)
    if channel_axis is not None and not -picture.ndim <= channel_axis < picture.ndim:
        raise ShapeError(
            f"channel_axis is {channel_axis} and the picture has shape {tuple(picture.shape)}: expected one of its "
            "axes; name another, or None for an array without channels"
        )
    picture = picture[None] if channel_axis is None else picture.movedim(channel_axis, 0)
    if picture.ndim < 2 or picture.numel() == 0:
        raise ShapeError(
            f"the picture has shape {tuple(as_tensor(image).shape)}: expected at least one axis beside its channels, "
            "and no empty one; add a channel axis to a tensor"
        )
    return picture


def fingerprint(array: NDArray[Any]) -> str:
    """A digest of an array's values, type and shape.

    Parameters
    ----------
    array : array

    Returns
    -------
    str
    """
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]
