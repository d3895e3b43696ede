"""What is compared: one picture as the inputs of a task, and the truth where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.holdout import with_known
from bayesdip.inputs import AUTO, Inputs
from bayesdip.io.picture import full_scale
from bayesdip.noise import Noise
from bayesdip.noise_argument import Sigma, given_level
from bayesdip.operators import Identity
from bayesdip.problem import Problem

Array = NDArray[Any]

# The smallest side (pixels) of a picture whose errors can be estimated: two blocks of the bootstrap.
SMALLEST = 16


@dataclass(frozen=True)
class Setup:
    """One picture to restore.

    Attributes
    ----------
    task : {"denoise", "inpaint", "upscale", "deblur"}
    inputs : Inputs
    given : ndarray
        The picture as it came in.
    sigma_estimated : bool
        Whether the noise's standard deviation was estimated from the picture.
    peak : float
        What a PSNR refers to, in the picture's own scale.
    truth : ndarray or None
        The clean picture, in the picture's own scale and layout.
    """

    task: str
    inputs: Inputs
    given: Array
    sigma_estimated: bool
    peak: float
    truth: Array | None = None

    @property
    def problem(self) -> Problem:
        """In working units."""
        return self.inputs.problem

    @property
    def sigma(self) -> tuple[float, ...] | None:
        """The noise's standard deviation in the picture's own scale; None for noise without a single one."""
        return self.inputs.sigma

    @property
    def channel_axis(self) -> int | None:
        """Where the picture has its channels."""
        return self.inputs.layout.channel_axis

    @property
    def missing(self) -> Array | None:
        """Where the given picture misses a pixel in any channel, bool (M, N); None for other tasks than inpainting."""
        if self.task != "inpaint":
            return None
        missing: Array = (~self.problem.observed).any(0).numpy()
        return missing

    def to_user(self, restored: Tensor) -> Array:
        """A restored picture, (C, M, N) in working units, in the type, layout and scale of the given one."""
        return self.inputs.to_user(with_known(restored, self.problem))


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
    if factor == 1:
        raise BayesDipError(
            "factor is 1: expected at least 2 to compare enlarging; leave it out for denoising"
        )
    array = np.asarray(image)
    exact_or_given: Sigma = 0.0 if sigma is None else sigma
    if mask is not None:
        task = "inpaint"
        inputs = Inputs.inpainting(image, mask, exact_or_given, noise, "auto", channel_axis)
    elif factor is not None:
        task = "upscale"
        inputs = Inputs.upscaling(image, factor, kind, exact_or_given, noise, channel_axis, None)
    elif psf is not None:
        task = "deblur"
        inputs = Inputs.deblurring(image, psf, sigma, noise, AUTO, channel_axis, None)
    else:
        inputs = Inputs.denoising(image, sigma, noise, channel_axis)
        task = "denoise" if isinstance(inputs.problem.operator, Identity) else "inpaint"  # of no-data values
    _check(inputs, task)
    clean = None if truth is None else _checked_truth(truth, array, inputs)
    unknown = exact_or_given if mask is not None or factor is not None else sigma
    estimated = noise is None and given_level(unknown) is None
    return Setup(task, inputs, array, estimated, _peak(array, array if clean is None else clean), clean)


def _check(inputs: Inputs, task: str) -> None:
    problem, sigma = inputs.problem, inputs.sigma
    grid = problem.operator.output_shape
    if len(grid) != 2 or min(grid) < SMALLEST:
        raise ShapeError(
            f"the grid is {grid}: expected a picture of at least {SMALLEST}x{SMALLEST} pixels; give channel_axis=-1 if "
            "the last axis holds colours"
        )
    if sigma is not None and len(sigma) not in (1, len(problem.y)):
        raise BayesDipError(
            f"sigma has {len(sigma)} numbers and the picture {len(problem.y)} channels: give one number, or one each"
        )
    if task == "denoise" and problem.noise.is_exact:
        raise BayesDipError(
            "sigma is 0: there is no noise to remove; expected more than 0, or None for an estimate"
        )


def _checked_truth(truth: ArrayLike, given: Array, inputs: Inputs) -> Array:
    clean = np.asarray(truth)
    expected = list(inputs.problem.grid)
    if (axis := inputs.layout.channel_axis) is not None:
        expected.insert(axis % given.ndim, given.shape[axis])
    if clean.shape != tuple(expected):
        raise ShapeError(
            f"the truth has shape {clean.shape}, but the result will have {tuple(expected)}: make them alike"
        )
    if clean.dtype.kind == "f" and not np.isfinite(clean).all():
        raise NonFiniteError("the truth holds NaN or infinity: expected the clean picture; give another one")
    return clean


def _peak(given: Array, values: Array) -> float:
    """The type's full scale; for real numbers 1 if they lie about 0..1, else their range."""
    if given.dtype.kind in "ui":
        return full_scale(given.dtype)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return 1.0 if low >= -1 and high <= 2 else high - low
