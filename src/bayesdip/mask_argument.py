"""The argument `mask`: which pixels the array of a user says are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayesdip.arrays import unmasked
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.findings import Finding
from bayesdip.layout import Layout

OTHERWISE = "give mask > threshold to have it otherwise"


def missing_pixels(
    mask: ArrayLike | None, shape: tuple[int, ...], layout: Layout
) -> tuple[Tensor, tuple[Finding, ...]]:
    """Which pixels of a picture are missing.

    Parameters
    ----------
    mask : array_like or None
        Of the picture's grid or shape; an axis of length one more, first or last, does not matter. True, or not zero, is
        missing. Of real numbers of more than two values, such as a network's probabilities: those of at least half of 1,
        or of the largest one where that is more.
    shape : tuple of int
        Of the picture as it was given.
    layout : Layout
        Of the picture.

    Returns
    -------
    Tensor of bool, shape (*grid) or (C, *grid)
        The latter where the channels differ.
    findings : tuple of Finding

    Raises
    ------
    BayesDipError
        The mask is no mask.
    ShapeError
        It is of another shape.
    """
    grid = tuple(n for axis, n in enumerate(shape) if axis != _channels_at(shape, layout))
    if mask is None:
        return torch.zeros(grid, dtype=torch.bool), ()
    if isinstance(mask, tuple):
        raise BayesDipError(
            "mask is a tuple, as of indices: expected an array that is True where a pixel is missing; set "
            "m = np.zeros(shape, bool); m[mask] = True"
        )
    values = unmasked("mask", mask)
    for axis in (0, -1):
        if values.ndim == len(grid) + 1 and values.shape != shape and values.shape[axis] == 1:
            values = values.squeeze(axis)
    missing, findings = _of_values(values)
    if values.shape == shape and layout.channel_axis is not None:
        channels = layout.to_tensor(missing).bool()
        return (channels[0] if bool((channels == channels[:1]).all()) else channels), findings
    if values.shape != grid:
        raise ShapeError(
            f"the mask has shape {values.shape}, but the picture's grid is {grid}: expected one value for each pixel; "
            + _advice(values.shape, grid)
        )
    return torch.from_numpy(np.ascontiguousarray(missing)), findings


def _channels_at(shape: tuple[int, ...], layout: Layout) -> int | None:
    """The axis of the channels, counted from the first."""
    return None if layout.channel_axis is None else layout.channel_axis % len(shape)


def _of_values(values: NDArray[Any]) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    if values.dtype.kind not in "buif" or (values.dtype.kind == "f" and np.isnan(values).any()):
        kind = "NaN" if values.dtype.kind == "f" else f"the type {values.dtype}"
        raise BayesDipError(
            f"the mask has {kind}: expected True where a pixel is missing and False elsewhere; convert it first"
        )
    largest = values.max(initial=0)
    if values.dtype.kind != "f" or ((values == 0) | (values == largest)).all():
        return values != 0, ()
    level = 0.5 * max(float(largest), 1.0)
    text = f"the mask has values between zero and its largest: those of at least {level:g} were taken for missing; {OTHERWISE}"
    return values >= level, (Finding("mask", text, {"level": level}),)


def _advice(given: tuple[int, ...], grid: tuple[int, ...]) -> str:
    if len(grid) == 3 and given == grid[:2]:
        return "say channel_axis=-1 if the picture's last axis holds its channels"
    if given == grid[::-1]:
        return "its axes are exchanged: give mask.T"
    if len(given) == 2 and given[1] == len(grid):
        return "of indices (n, axes) make one by m = np.zeros(shape, bool); m[tuple(mask.T)] = True"
    return "make the mask from the picture itself"
