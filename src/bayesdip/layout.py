"""Where a user's array keeps its channels, and its type: from the array to a tensor and back."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Layout:
    """Where an array keeps its channels, and its type.

    ``(M,)``, ``(M, N)`` and volumes have no channel axis; ``(M, N, C)`` has ``channel_axis=-1``. `beyond` says how many values of each
    axis of the grid, before and behind, are none of the user's.
    """

    channel_axis: int | None
    dtype: np.dtype[np.generic]
    beyond: tuple[tuple[int, int], ...] = field(default=(), kw_only=True)

    @classmethod
    def of(cls, image: Array, channel_axis: int | None, *, known: bool = False) -> Layout:
        """The layout of ``image``.

        Parameters
        ----------
        image : ndarray
        channel_axis : int or None
        known : bool
            The grid is known from elsewhere: colours cannot be taken for a third axis of it.

        Raises
        ------
        ShapeError
            No axis, an empty axis, or a channel axis that is not there.
        BayesDipError
            The array holds neither integers nor real numbers.
        """
        if image.dtype.kind not in "buif":
            raise BayesDipError(
                f"image has type {image.dtype}: expected integers or real numbers; convert it first"
            )
        if image.ndim == 0 or image.size == 0:
            raise ShapeError(f"image has shape {image.shape}: expected at least one pixel")
        if channel_axis is not None and (
            isinstance(channel_axis, bool)
            or not isinstance(channel_axis, int | np.integer)
            or not -image.ndim <= channel_axis < image.ndim
        ):
            raise ShapeError(
                f"channel_axis is {channel_axis}, but the image has shape {image.shape}: name one of its axes, "
                "or None for a picture without channels"
            )
        grid_axes = image.ndim - (channel_axis is not None)
        if not 1 <= grid_axes <= 3:
            raise ShapeError(
                f"image has shape {image.shape} with channel_axis={channel_axis}: expected a signal (M,), "
                "a picture (M, N), or a colour picture (M, N, C) with channel_axis=-1"
            )
        if not known and channel_axis is None and image.ndim == 3 and image.shape[-1] in (3, 4):
            warnings.warn(
                f"an image of shape {image.shape} is taken for a volume: if its last axis is colour, give channel_axis=-1",
                stacklevel=2,
            )
        return cls(channel_axis, image.dtype)

    def to_tensor(self, image: Array) -> Tensor:
        """Array to a float64 tensor (C, *grid)."""
        stacked = image[None] if self.channel_axis is None else np.moveaxis(image, self.channel_axis, 0)
        return torch.from_numpy(np.ascontiguousarray(stacked, dtype=np.float64))

    def to_array(self, picture: Tensor, lead: int = 0) -> NDArray[Any]:
        """Tensor (*lead, C, *grid) to an array of real numbers in the user's layout, leading axes kept."""
        array = picture.detach().cpu().numpy()
        if self.beyond:
            own = (slice(before, -behind or None) for before, behind in self.beyond)
            array = array[(..., *own)]
        if self.channel_axis is None:
            return array.squeeze(lead)
        axis = self.channel_axis if self.channel_axis < 0 else self.channel_axis + lead
        return np.moveaxis(array, lead, axis)

    def cast(self, array: NDArray[np.float64]) -> Array:
        """To the type that came in, clipped to its range; integers are rounded."""
        if self.dtype.kind == "b":
            return array >= 0.5
        if self.dtype.kind in "ui":
            ends = np.iinfo(self.dtype.name)
            rounded = np.rint(array)
            return np.clip(rounded, ends.min, ends.max, out=rounded).astype(self.dtype)
        if self.dtype.kind == "f":
            array = np.clip(array, np.finfo(self.dtype.name).min, np.finfo(self.dtype.name).max)
        return array.astype(self.dtype)
