"""From a user's arrays to the problem of each task, and from a picture in working units back to an array."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.findings import Finding
from bayesdip.layout import Layout
from bayesdip.noise import Gaussian, Inspection, Noise, detect_clipping, inspect
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator, as_pairs, mend_psf
from bayesdip.problem import Problem

Array = NDArray[Any]
Level = float | tuple[float, ...]
Sigma = Level | Literal["auto"] | None


@dataclass(frozen=True)
class Inputs:
    """What a task was given, ready for a method.

    The class methods have the arguments of the functions of :mod:`bayesdip.api`, and raise what these raise.

    Attributes
    ----------
    problem : Problem
        In working units.
    noise : Noise
        The noise model in the data's own scale.
    layout : Layout
        That of the result.
    findings : tuple of Finding
        What was found in the data, and what was done about it.
    """

    problem: Problem
    noise: Noise
    layout: Layout
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(
        cls,
        data: Tensor,
        operator: Operator,
        noise: Noise,
        layout: Layout,
        findings: tuple[Finding, ...] = (),
    ) -> Self:
        """From data in their own scale, float64 (C, *operator.output_shape), finite where they were observed."""
        return cls(Problem.from_data(data, operator, noise), noise, layout, findings)

    @classmethod
    def denoising(cls, image: ArrayLike, sigma: Sigma, noise: Noise | None, channel_axis: int | None) -> Self:
        """Of :func:`bayesdip.denoise`."""
        picture, layout = _picture(image, channel_axis)
        picture = _finite(picture)
        found = _noise_of(noise, sigma, picture)
        operator = without_impulses(Identity(tuple(picture.shape[1:])), found)
        return cls.of(picture, operator, found.noise, layout, found.findings)

    @classmethod
    def inpainting(
        cls,
        image: ArrayLike,
        mask: ArrayLike | None,
        sigma: Level,
        noise: Noise | None,
        missing: str | None,
        channel_axis: int | None,
    ) -> Self:
        """Of :func:`bayesdip.inpaint`."""
        if missing not in (None, "nan"):
            raise BayesDipError(f"missing is {missing!r}: expected 'nan' or None; choose one of these")
        picture, layout = _picture(image, channel_axis)
        gone = _missing(mask, np.shape(image), picture, layout)
        if missing == "nan":
            gone = gone | ~torch.isfinite(picture)
        gone = gone.expand(picture.shape) if gone.ndim == picture.ndim else gone
        if not gone.any():
            raise BayesDipError(
                "no pixel is missing: give a mask that is True (white) where a pixel is missing"
            )
        if gone.all():
            raise BayesDipError(
                "every pixel is missing: give a mask that is False (black) where a pixel is known"
            )
        picture = _finite(torch.where(gone, 0.0, picture))
        return cls.of(picture, Mask(gone, picture.shape[1:]), _one_of_two(noise, sigma), layout)

    @classmethod
    def upscaling(
        cls,
        image: ArrayLike,
        factor: int,
        kind: str,
        sigma: Level,
        noise: Noise | None,
        channel_axis: int | None,
    ) -> Self:
        """Of :func:`bayesdip.upscale`."""
        picture, layout = _picture(image, channel_axis)
        picture = _finite(picture)
        if isinstance(factor, bool) or not isinstance(factor, int | np.integer) or factor < 1:
            raise BayesDipError(f"factor is {factor}: expected a whole number of at least 1")
        large = tuple(n * int(factor) for n in picture.shape[1:])
        return cls.of(picture, Downsample(large, int(factor), kind), _one_of_two(noise, sigma), layout)

    @classmethod
    def deblurring(
        cls,
        image: ArrayLike,
        psf: ArrayLike,
        sigma: Sigma,
        noise: Noise | None,
        boundary: str,
        channel_axis: int | None,
    ) -> Self:
        """Of :func:`bayesdip.deblur`."""
        picture, layout = _picture(image, channel_axis)
        picture = _finite(picture)
        spread, mended = mend_psf(psf, picture.shape[1:])
        found = _noise_of(noise, sigma, picture)
        blur = Blur(tuple(picture.shape[1:]), spread, boundary)
        return cls.of(picture, without_impulses(blur, found), found.noise, layout, (*mended, *found.findings))

    @classmethod
    def restoring(cls, y: ArrayLike, operator: Operator, noise: Noise, channel_axis: int | None) -> Self:
        """Of :func:`bayesdip.restore`."""
        array = np.asarray(y)
        if np.iscomplexobj(array):
            array, channel_axis = as_pairs(array, channel_axis), channel_axis or 0
        layout = Layout.of(array, channel_axis, known=True)
        data = layout.to_tensor(array)
        channels = operator.output_channels
        if tuple(data.shape[1:]) != tuple(operator.output_shape) or channels not in (None, data.shape[0]):
            wanted = f"{tuple(operator.output_shape)}" + (
                "" if channels is None else f" with {channels} channels"
            )
            raise ShapeError(
                f"y has the grid {tuple(data.shape[1:])} with {data.shape[0]} channels, but the operator gives {wanted}: "
                "make the operator for the picture's grid, and say channel_axis if y has channels"
            )
        if operator.input_channels is not None:
            layout = Layout(None if operator.input_channels == 1 else -1, layout.dtype)
        observed = operator.observed.expand(data.shape)
        return cls.of(_finite(torch.where(observed, data, 0.0)), operator, noise, layout)

    @property
    def sigma(self) -> tuple[float, ...] | None:
        """The noise's standard deviation in the data's own scale, one for all channels or one each; None for no single one."""
        sigma = self.noise.sigma if isinstance(self.noise, Gaussian) else None
        if sigma is None or isinstance(sigma, Tensor):
            return None
        return sigma if isinstance(sigma, tuple) else (sigma,)

    def to_user(self, pictures: Tensor, lead: int = 0) -> Array:
        """Pictures in working units, (*lead, C, *grid), in the type, layout and scale of the picture that came in."""
        return self.layout.cast(self.layout.to_array(self.problem.units.to_own(pictures), lead))


def _picture(image: ArrayLike, channel_axis: int | None) -> tuple[Tensor, Layout]:
    array = np.asarray(image)
    layout = Layout.of(array, channel_axis)
    return layout.to_tensor(array), layout


def _finite(picture: Tensor) -> Tensor:
    bad = int((~torch.isfinite(picture)).sum())
    if bad:
        raise NonFiniteError(
            f"the picture holds {bad} value{'s' * (bad > 1)} that {'are' if bad > 1 else 'is'} NaN or infinite: "
            "inpaint with missing='nan' (on the command line --missing nan) can fill them in"
        )
    return picture


def given_level(sigma: Sigma) -> Level | None:
    """The noise level that was given; None where it is to be estimated, which ``"auto"`` asks for as None does."""
    if isinstance(sigma, str):
        if sigma.strip().lower() != "auto":
            raise BayesDipError(
                f"sigma is {sigma!r}: expected a number, one number for each channel, or 'auto' for an estimate"
            )
        return None
    return sigma


def without_impulses(operator: Operator, found: Inspection) -> Operator:
    """The operator with the entries that were found to be impulses declared missing."""
    return operator if found.impulses is None else operator.with_held_out(found.impulses)


def _noise_of(noise: Noise | None, sigma: Sigma, picture: Tensor) -> Inspection:
    """The noise that was given; else Gaussian noise of that sigma, clipped where the picture shows that; else what is found."""
    level = given_level(sigma)
    if noise is not None:
        return Inspection(_one_of_two(noise, 0.0 if level is None else level))
    if level is None:
        return inspect(picture)
    gaussian = _gaussian(level)
    return Inspection(gaussian if gaussian.is_exact else replace(gaussian, clipped=detect_clipping(picture)))


def _one_of_two(noise: Noise | None, sigma: Level) -> Noise:
    if noise is None:
        return _gaussian(sigma)
    if np.any(sigma):
        raise BayesDipError(
            f"noise={noise!r} and sigma={sigma} were both given: expected one of the two; leave one out"
        )
    return noise


def _gaussian(sigma: Level) -> Gaussian:
    return Gaussian(tuple(sigma) if isinstance(sigma, tuple | list) else sigma)


def _missing(mask: ArrayLike | None, shape: tuple[int, ...], picture: Tensor, layout: Layout) -> Tensor:
    """The mask as a bool tensor, shape ``grid`` or (C, *grid)."""
    grid = tuple(picture.shape[1:])
    if mask is None:
        return torch.zeros(grid, dtype=torch.bool)
    array = np.asarray(mask)
    if array.shape == shape and layout.channel_axis is not None:
        return layout.to_tensor(array.astype(bool)).bool()
    if array.shape != grid:
        raise ShapeError(
            f"the mask has shape {array.shape}, but the picture's grid is {grid}: they must be alike"
        )
    return torch.from_numpy(np.ascontiguousarray(array.astype(bool)))
