"""What is compared: one picture, how it became the data, and the truth where someone knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.io.picture import full_scale
from bayesdip.noise import Gaussian, estimate_sigma
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator
from bayesdip.pipeline import put_back_known, working_units
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.units import Layout, Units

Array = NDArray[Any]
Sigma = float | tuple[float, ...] | None


@dataclass(frozen=True)
class Setup:
    """One picture to restore, in working units, and the way back to its own.

    Attributes
    ----------
    task : {"denoise", "inpaint", "upscale", "deblur"}
    problem : Problem
    units : Units
    layout : Layout
    given : ndarray
        The picture as it came in.
    sigma : tuple of float
        Standard deviation of the noise in the picture's own scale.
    sigma_estimated : bool
    peak : float
        What a PSNR refers to, in the picture's own scale.
    truth : ndarray or None
        The clean picture, in the picture's own scale and layout.
    missing : ndarray of bool or None
    """

    task: str
    problem: Problem
    units: Units
    layout: Layout
    given: Array
    sigma: tuple[float, ...]
    sigma_estimated: bool
    peak: float
    truth: Array | None = None
    missing: Array | None = None

    def to_own(self, restored: Tensor) -> Array:
        """A restored picture, (C, M, N) in working units, in the type, layout and scale of the given one.

        Pixels that were seen without noise are put back.
        """
        known = put_back_known(
            Posterior(restored, None, restored.new_empty(0, *restored.shape), {"step": []}), self.problem
        )
        return self.layout.cast(self.layout.to_array(self.units.to_own(known.mean)))


def pose(
    image: ArrayLike,
    mask: ArrayLike | None,
    *,
    sigma: Sigma,
    psf: ArrayLike | None,
    factor: int | None,
    kind: str,
    truth: ArrayLike | None,
    channel_axis: int | None,
) -> Setup:
    """Check what was given, and make the setup of it.

    Raises
    ------
    BayesDipError
        The arguments name more than one task, or one is out of its range.
    ShapeError
        The picture is no picture, or mask or truth do not fit it.
    NonFiniteError
        A known value is NaN or infinite.
    """
    told = [n for n, v in (("mask", mask), ("psf", psf), ("factor", factor)) if v is not None]
    if len(told) > 1:
        raise BayesDipError(f"{' and '.join(told)} were given: a picture is compared for one task; give one")
    array = np.asarray(image)
    layout = Layout.of(array, channel_axis)
    picture = layout.to_tensor(array)
    grid = tuple(picture.shape[1:])
    if len(grid) != 2 or min(grid) < 16:
        raise ShapeError(
            f"the grid is {grid}: expected a picture of at least 16x16 pixels; say channel_axis=-1 if the last axis "
            "holds colours"
        )
    task, operator = _task(grid, mask, psf, factor, kind)
    picture = torch.where(operator.observed.expand(picture.shape), picture, 0.0)
    if not bool(picture.isfinite().all()):
        raise NonFiniteError("the picture holds NaN or infinity where it is known: mask these pixels")
    estimated = sigma is None and task in ("denoise", "deblur")
    levels = _levels(sigma, picture, estimated)
    if task == "denoise" and not any(levels):
        raise BayesDipError(
            "sigma is 0: there is no noise to remove; expected more than 0, or None for an estimate"
        )
    clean = None if truth is None else _checked_truth(truth, array, operator, layout)
    units = working_units(picture, operator)
    noise = Gaussian(levels if len(levels) > 1 else levels[0]).rescaled(units.shift, units.scale)
    return Setup(
        task,
        Problem(units.to_working(picture), operator, noise),
        units,
        layout,
        array,
        levels,
        estimated,
        _peak(array, picture if clean is None else torch.from_numpy(clean.astype(np.float64))),
        clean,
        None if mask is None else np.asarray(mask).astype(bool),
    )


def _task(
    grid: tuple[int, ...], mask: ArrayLike | None, psf: ArrayLike | None, factor: int | None, kind: str
) -> tuple[str, Operator]:
    if mask is not None:
        gone = np.asarray(mask).astype(bool)
        if gone.shape != grid:
            raise ShapeError(
                f"the mask has shape {gone.shape}, but the picture's grid is {grid}: make them alike"
            )
        if not gone.any() or gone.all():
            what = "nothing" if not gone.any() else "everything"
            raise BayesDipError(
                f"{what} is missing in the mask: it must be True (white) where a pixel is missing"
            )
        return "inpaint", Mask(torch.from_numpy(np.ascontiguousarray(gone)))
    if psf is not None:
        spread = np.asarray(psf, dtype=np.float64)
        if not np.isfinite(spread).all() or spread.sum() <= 0:
            raise BayesDipError(
                "psf does not have a finite, positive sum: expected the blur of one bright point"
            )
        return "deblur", Blur(grid, torch.from_numpy(spread / spread.sum()))
    if factor is not None:
        if isinstance(factor, bool) or int(factor) != factor or factor < 2:
            raise BayesDipError(f"factor is {factor}: expected a whole number of at least 2")
        return "upscale", Downsample(tuple(n * int(factor) for n in grid), int(factor), kind)
    return "denoise", Identity(grid)


def _levels(sigma: Sigma, picture: Tensor, estimated: bool) -> tuple[float, ...]:
    """The noise's standard deviation: one number, or one for each channel."""
    found = estimate_sigma(picture) if estimated else sigma or 0.0
    levels = tuple(float(s) for s in found) if isinstance(found, tuple | list) else (float(found),)
    Gaussian(levels)  # refuses what is negative or not finite
    if len(levels) not in (1, len(picture)):
        raise BayesDipError(
            f"sigma has {len(levels)} numbers and the picture {len(picture)} channels: give one number, or one each"
        )
    return levels


def _checked_truth(truth: ArrayLike, given: Array, operator: Operator, layout: Layout) -> Array:
    clean = np.asarray(truth)
    channels = () if layout.channel_axis is None else (given.shape[layout.channel_axis],)
    axis = 0 if layout.channel_axis is None else layout.channel_axis % given.ndim
    expected = (*operator.input_shape[:axis], *channels, *operator.input_shape[axis:])
    if clean.shape != expected:
        raise ShapeError(
            f"the truth has shape {clean.shape}, but the result will have {expected}: make them alike"
        )
    if clean.dtype.kind == "f" and not np.isfinite(clean).all():
        raise NonFiniteError("the truth holds NaN or infinity: give the clean picture")
    return clean


def _peak(given: Array, values: Tensor) -> float:
    """The type's full scale; for real numbers 1 if they lie about 0..1, else their range."""
    if given.dtype.kind in "ui":
        return full_scale(given.dtype)
    low, high = float(values.min()), float(values.max())
    return 1.0 if low >= -1 and high <= 2 else high - low
