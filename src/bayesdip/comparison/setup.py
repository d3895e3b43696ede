"""What is compared: one picture as the data of a task, and the truth where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.io.picture import full_scale
from bayesdip.layout import Layout
from bayesdip.noise import Gaussian, Noise, estimate_sigma
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator
from bayesdip.problem import Problem

Array = NDArray[Any]
Sigma = float | tuple[float, ...] | None

# The smallest side (pixels) of a picture whose errors can be estimated: four blocks of the bootstrap.
SMALLEST = 16


@dataclass(frozen=True)
class Setup:
    """One picture to restore, in working units, and the way back to its own.

    Attributes
    ----------
    task : {"denoise", "inpaint", "upscale", "deblur"}
    problem : Problem
    layout : Layout
    given : ndarray
        The picture as it came in.
    noise : Noise
        The noise model in the picture's own scale.
    sigma_estimated : bool
    peak : float
        What a PSNR refers to, in the picture's own scale.
    truth : ndarray or None
        The clean picture, in the picture's own scale and layout.
    missing : ndarray of bool or None, shape (M, N)
    """

    task: str
    problem: Problem
    layout: Layout
    given: Array
    noise: Noise
    sigma_estimated: bool
    peak: float
    truth: Array | None = None
    missing: Array | None = None

    @property
    def sigma(self) -> tuple[float, ...] | None:
        """The noise's standard deviation, one for all channels or one each; None for noise without a single one."""
        sigma = self.noise.sigma if isinstance(self.noise, Gaussian) else None
        if sigma is None or isinstance(sigma, Tensor):
            return None
        return sigma if isinstance(sigma, tuple) else (sigma,)

    def to_own(self, restored: Tensor) -> Array:
        """A restored picture, (C, M, N) in working units, in the type, layout and scale of the given one.

        Pixels that were seen without noise are put back.
        """
        problem, restored = self.problem, restored.cpu().double()
        if problem.noise.is_exact and isinstance(problem.operator, Mask):
            restored = torch.where(problem.operator.observed, problem.y, restored)
        return self.layout.cast(self.layout.to_array(problem.units.to_own(restored)))


def set_up(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    sigma: Sigma = None,
    noise: Noise | None = None,
    psf: ArrayLike | None = None,
    factor: int | None = None,
    kind: str = "lanczos",
    truth: ArrayLike | None = None,
    channel_axis: int | None = None,
) -> Setup:
    """Check the arguments of :func:`bayesdip.compare`, and make the setup of them.

    Raises
    ------
    BayesDipError
        The arguments name more than one task, or one is out of its range.
    ShapeError
        The picture is no picture, or mask or truth do not fit it.
    NonFiniteError
        A known value is NaN or infinite.
    """
    given = [name for name, v in (("mask", mask), ("psf", psf), ("factor", factor)) if v is not None]
    if len(given) > 1:
        raise BayesDipError(f"{' and '.join(given)} were given: a picture is compared for one task; give one")
    array = np.asarray(image)
    layout = Layout.of(array, channel_axis)
    picture = layout.to_tensor(array)
    grid = tuple(picture.shape[1:])
    if len(grid) != 2 or min(grid) < SMALLEST:
        raise ShapeError(
            f"the grid is {grid}: expected a picture of at least {SMALLEST}x{SMALLEST} pixels; give channel_axis=-1 if "
            "the last axis holds colours"
        )
    task, operator = _task(grid, mask, psf, factor, kind)
    picture = torch.where(operator.observed.expand(picture.shape), picture, 0.0)
    if not bool(picture.isfinite().all()):
        raise NonFiniteError("the picture holds NaN or infinity where it is known: mask these pixels")
    estimated = noise is None and sigma is None and task in ("denoise", "deblur")
    model = _noise(sigma, noise, picture, estimated)
    if task == "denoise" and model.is_exact:
        raise BayesDipError(
            "sigma is 0: there is no noise to remove; expected more than 0, or None for an estimate"
        )
    clean = None if truth is None else _checked_truth(truth, array, operator, layout)
    return Setup(
        task,
        Problem.from_data(picture, operator, model),
        layout,
        array,
        model,
        estimated,
        _peak(array, picture if clean is None else torch.from_numpy(clean.astype(np.float64))),
        clean,
        None if mask is None else np.asarray(mask).astype(bool),
    )


def _task(
    grid: tuple[int, ...], mask: ArrayLike | None, psf: ArrayLike | None, factor: int | None, kind: str
) -> tuple[str, Operator]:
    if mask is not None:
        missing = np.asarray(mask).astype(bool)
        if missing.shape != grid:
            raise ShapeError(
                f"the mask has shape {missing.shape}, but the picture's grid is {grid}: make them alike"
            )
        if missing.all() or not missing.any():
            what = "everything" if missing.all() else "nothing"
            raise BayesDipError(
                f"{what} is missing in the mask: expected True (white) where a pixel is missing; check it"
            )
        return "inpaint", Mask(torch.from_numpy(np.ascontiguousarray(missing)))
    if psf is not None:
        spread = np.asarray(psf, dtype=np.float64)
        if not np.isfinite(spread).all() or spread.sum() <= 0:
            raise BayesDipError(
                "psf has no finite, positive sum: expected the blur of one bright point; check the array"
            )
        return "deblur", Blur(grid, torch.from_numpy(spread / spread.sum()))
    if factor is not None:
        if isinstance(factor, bool) or int(factor) != factor or factor < 2:
            raise BayesDipError(f"factor is {factor}: expected a whole number of at least 2")
        return "upscale", Downsample(tuple(n * int(factor) for n in grid), int(factor), kind)
    return "denoise", Identity(grid)


def _noise(sigma: Sigma, noise: Noise | None, picture: Tensor, estimated: bool) -> Noise:
    """The noise model in the picture's own scale."""
    if noise is not None and sigma is not None:
        raise BayesDipError("sigma and noise were both given: expected one of the two; leave one out")
    if noise is not None:
        return noise
    found = estimate_sigma(picture) if estimated else sigma or 0.0
    levels = tuple(float(s) for s in found) if isinstance(found, tuple | list) else (float(found),)
    if len(levels) not in (1, len(picture)):
        raise BayesDipError(
            f"sigma has {len(levels)} numbers and the picture {len(picture)} channels: give one number, or one each"
        )
    return Gaussian(levels if len(levels) > 1 else levels[0])


def _checked_truth(truth: ArrayLike, given: Array, operator: Operator, layout: Layout) -> Array:
    clean = np.asarray(truth)
    expected = list(operator.input_shape)
    if layout.channel_axis is not None:
        expected.insert(layout.channel_axis % given.ndim, given.shape[layout.channel_axis])
    if clean.shape != tuple(expected):
        raise ShapeError(
            f"the truth has shape {clean.shape}, but the result will have {tuple(expected)}: make them alike"
        )
    if clean.dtype.kind == "f" and not np.isfinite(clean).all():
        raise NonFiniteError("the truth holds NaN or infinity: expected the clean picture; give another one")
    return clean


def _peak(given: Array, values: Tensor) -> float:
    """The type's full scale; for real numbers 1 if they lie about 0..1, else their range."""
    if given.dtype.kind in "ui":
        return full_scale(given.dtype)
    low, high = float(values.min()), float(values.max())
    return 1.0 if low >= -1 and high <= 2 else high - low
