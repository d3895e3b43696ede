"""From a user's arrays to the problem of each task, and from a picture in working units back to an array."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import pad

from bayesdip import no_data
from bayesdip.arrays import as_array
from bayesdip.blur_border import UNKNOWN, border_finding, likeliest_border
from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.findings import Finding
from bayesdip.layout import Layout
from bayesdip.mask_argument import missing_pixels
from bayesdip.no_data import Mark
from bayesdip.noise import Inspection, Noise
from bayesdip.noise.levels import with_levels
from bayesdip.noise_argument import (
    Sigma,
    levels_of,
    noise_finding,
    noise_if_clear,
    noise_of,
    noise_to_enlarge,
)
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator, as_pairs, mend_psf
from bayesdip.operators.mosaic import as_missing_pixels
from bayesdip.operators.sparse_matrix import EXTENSIONS
from bayesdip.problem import Problem
from bayesdip.rim import finding as narrow_mask
from bayesdip.rim import grown, too_narrow_by

Array = NDArray[Any]
# Rounding to whole numbers adds an error of 0.29: 2% of a range of so many steps, as 4 bits have.
FEWEST_STEPS = 16
LARGEST = 1e100
WHOLE = 0.01  # values that are this near to whole numbers are such

# What is done about noise that was found unasked beside a mask.
INPAINTING = (
    "taken into account where pixels are filled in; known pixels come back as they are: sigma='auto' (--sigma auto) "
    "denoises them too, sigma=0 takes them for exact"
)

# What a blur saw beyond the border: by default what the data say.
AUTO = "auto"
BOUNDARIES = (AUTO, UNKNOWN, *EXTENSIONS)


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
    given : Tensor or None
        Pixels of double precision in their own scale, which rounding on the way to working units and back would change.
    """

    problem: Problem
    noise: Noise
    layout: Layout
    findings: tuple[Finding, ...] = ()
    given: Tensor | None = None

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
        data, operator = as_missing_pixels(data, operator)
        double = layout.dtype == np.float64 and isinstance(operator, Identity | Mask)
        given = data if double else None
        return cls(Problem.from_data(data, operator, noise), noise, layout, findings, given)

    def _with_shared(self, variance: Tensor | None) -> Self:
        """With that variance of an error that neighbouring pixels share, in the data's own scale."""
        if variance is None:
            return self
        return replace(
            self, problem=replace(self.problem, shared_variance=variance / self.problem.units.scale**2)
        )

    @classmethod
    def denoising(
        cls,
        image: ArrayLike,
        sigma: Sigma,
        noise: Noise | None,
        channel_axis: int | None,
        missing: Mark = "auto",
    ) -> Self:
        """Of :func:`bayesdip.denoise`."""
        picture, layout = _picture(image, channel_axis)
        picture, gone, findings = _without_no_data(image, picture, layout, missing)
        picture = _finite(picture)
        found = noise_of(noise, sigma, picture, ~gone, denoising=True)
        operator = without_impulses(_masked(Identity(tuple(picture.shape[1:])), gone), found)
        if found.offsets is not None:
            picture = picture - found.offsets
        inputs = cls.of(picture, operator, found.noise, layout, (*findings, *found.findings))
        problem = replace(inputs.problem, shares_noise=found.is_correlated)
        return replace(inputs, problem=problem)._with_shared(found.shared_variance)

    @classmethod
    def inpainting(
        cls,
        image: ArrayLike,
        mask: ArrayLike | None,
        sigma: Sigma,
        noise: Noise | None,
        missing: Mark,
        channel_axis: int | None,
        grow_mask: bool = False,
    ) -> Self:
        """Of :func:`bayesdip.inpaint`."""
        picture, layout = _picture(image, channel_axis)
        masked, of_mask = missing_pixels(mask, np.shape(image), layout)
        narrow = (
            too_narrow_by(picture.numpy(), masked.numpy())
            if grow_mask and masked.ndim == 2 and picture.ndim == 3
            else 0
        )
        if narrow:
            masked = torch.from_numpy(grown(masked.numpy(), narrow))
        # Without a mask, what is not a number cannot but be missing.
        nan = mask is None
        picture, gone, findings = _without_no_data(image, picture, layout, missing, masked, nan=nan)
        findings = (*of_mask, *findings)
        if not gone.any():
            raise BayesDipError(
                "no pixel is missing: give a mask that is True (white) where a pixel is missing"
            )
        operator = _masked(Identity(tuple(picture.shape[1:])), gone)
        picture = _finite(picture)
        found, unasked = noise_if_clear(noise, sigma, picture, ~gone)
        if narrow:
            findings = (*findings, narrow_mask(narrow))
        if unasked:
            findings = (*findings, noise_finding(found.noise, picture, ~gone, INPAINTING))
        inputs = cls.of(
            picture, without_impulses(operator, found), found.noise, layout, (*findings, *found.findings)
        )
        return replace(inputs, problem=replace(inputs.problem, keeps_known=unasked))

    @classmethod
    def upscaling(
        cls,
        image: ArrayLike,
        factor: int,
        kind: str,
        sigma: Sigma,
        noise: Noise | None,
        channel_axis: int | None,
        missing: Mark = "auto",
    ) -> Self:
        """Of :func:`bayesdip.upscale`."""
        picture, layout = _picture(image, channel_axis)
        picture, gone, findings = _without_no_data(image, picture, layout, missing)
        picture = _finite(picture)
        if isinstance(factor, bool) or not isinstance(factor, int | np.integer) or factor < 1:
            raise BayesDipError(f"factor is {factor}: expected a whole number of at least 1")
        large = tuple(n * int(factor) for n in picture.shape[1:])
        operator = _masked(Downsample(large, int(factor), kind), gone)
        found = noise_to_enlarge(noise, sigma, picture, ~gone)
        operator = without_impulses(operator, found)
        inputs = cls.of(picture, operator, found.noise, layout, (*findings, *found.findings))
        return inputs._with_shared(found.shared_variance)

    @classmethod
    def deblurring(
        cls,
        image: ArrayLike,
        psf: ArrayLike,
        sigma: Sigma,
        noise: Noise | None,
        boundary: str,
        channel_axis: int | None,
        missing: Mark = "auto",
    ) -> Self:
        """Of :func:`bayesdip.deblur`."""
        if boundary not in BOUNDARIES:
            raise BayesDipError(
                f"boundary is {boundary!r}: expected {', '.join(BOUNDARIES[:-1])} or {BOUNDARIES[-1]}; choose one of these"
            )
        picture, layout = _picture(image, channel_axis)
        picture, gone, findings = _without_no_data(image, picture, layout, missing)
        picture = _finite(picture)
        spread, mended = mend_psf(psf, picture.shape[1:])
        found = noise_of(noise, sigma, picture, ~gone, blurred=True)
        findings = (*findings, *mended, *found.findings)
        if boundary == AUTO:
            boundary = likeliest_border(picture, gone, spread, found.noise)
            findings = findings if boundary == UNKNOWN else (*findings, border_finding(boundary))
        if boundary == UNKNOWN:
            return cls._beyond_border(picture, gone, spread, found, layout, findings)
        blur = _masked(Blur(tuple(picture.shape[1:]), spread, boundary), gone)
        return cls.of(picture, without_impulses(blur, found), found.noise, layout, findings)

    @classmethod
    def _beyond_border(
        cls,
        picture: Tensor,
        gone: Tensor,
        psf: Array,
        found: Inspection,
        layout: Layout,
        findings: tuple[Finding, ...],
    ) -> Self:
        """Of a blur that saw more of a scene than the picture: what lies there is restored too, as far as the blur reaches, and cut off."""
        beyond = tuple((n // 2, n // 2) for n in psf.shape)
        around = [width for pair in reversed(beyond) for width in pair]
        lacking = pad(gone if found.impulses is None else gone | found.impulses, around, value=True)
        # A level of each value goes on as at the border.
        noise = with_levels(
            found.noise, picture.shape, lambda levels: pad(levels[None], around, mode="replicate")[0]
        )
        picture = pad(picture, around)
        blur = _masked(Blur(tuple(picture.shape[1:]), psf), lacking)
        return cls.of(picture, blur, noise, replace(layout, beyond=beyond), findings)

    @classmethod
    def restoring(cls, y: ArrayLike, operator: Operator, noise: Noise, channel_axis: int | None) -> Self:
        """Of :func:`bayesdip.restore`."""
        y = as_array("y", y)
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
        data = torch.where(operator.observed.expand(data.shape), data, 0.0)
        if np.ma.isMaskedArray(y):
            gone = layout.to_tensor(np.ma.getmaskarray(y)) != 0
            data, operator = torch.where(gone, 0.0, data), _masked(operator, gone)
        if operator.input_channels is not None:
            layout = Layout(None if operator.input_channels == 1 else -1, layout.dtype)
        return cls.of(_finite(data), operator, noise, layout)

    @property
    def sigma(self) -> tuple[float, ...] | None:
        """The noise's standard deviation in the data's own scale, one for all channels or one each; None for no single one."""
        return levels_of(self.noise, self.problem.y)

    def keeping_fractions(self, mean: Tensor) -> Self:
        """The same, with results of real numbers where whole ones would leave few steps of the restored picture.

        Counts of 0 to 3 have a mean between whole numbers. Data without noise are whole numbers themselves, and stay so.
        """
        if self.layout.dtype.kind not in "bui" or self.problem.noise.is_exact:
            return self
        low, high = (float(end) for end in mean.double().aminmax())
        span = (high - low) * self.problem.units.scale
        if span >= FEWEST_STEPS:
            return self
        own = self.problem.units.to_own(mean)
        if bool((own - own.round()).abs().max() < WHOLE):
            return self
        text = (
            f"the restored values span {span:.3g}, less than {FEWEST_STEPS} steps of {self.layout.dtype}, so they are kept "
            "as real numbers (float32); round them for whole ones"
        )
        found = Finding("fractions", text, {"span": span})
        layout = replace(self.layout, dtype=np.dtype(np.float32))
        return replace(self, layout=layout, findings=(*self.findings, found))

    def with_rounding(self, std: Tensor, mean: Tensor) -> Tensor:
        """The standard deviation, (C, *grid), about the mean as it is given: rounded, where the data are whole numbers.

        What is certain stays so.
        """
        if self.layout.dtype.kind not in "ui":
            return std
        uncertain = std > 0
        own = self.problem.units.to_own(mean.cpu()[uncertain.cpu()])
        moved = ((own - own.round()) / self.problem.units.scale).to(std.device)
        total = (std[uncertain].double().square() + moved.square()).sqrt()
        return std.masked_scatter(uncertain, total.to(std.dtype))

    def to_user(self, pictures: Tensor, lead: int = 0) -> Array:
        """Pictures in working units, (*lead, C, *grid), in the type, layout and scale of the picture that came in."""
        own = self.problem.units.to_own(pictures)
        if self.given is not None:
            unchanged = pictures.cpu() == self.problem.y
            own = torch.where(unchanged, self.given, own.cpu())
        return self.layout.cast(self.layout.to_array(own, lead))

    def std_to_user(self, std: Tensor) -> NDArray[np.float32]:
        """A standard deviation in working units, (C, *grid), in the layout and scale of the picture that came in."""
        found: NDArray[np.float32] = self.layout.to_array(std * self.problem.units.scale).astype(np.float32)
        return found


def _picture(image: ArrayLike, channel_axis: int | None) -> tuple[Tensor, Layout]:
    array = np.asarray(as_array("image", image))
    layout = Layout.of(array, channel_axis)
    return layout.to_tensor(array), layout


def _without_no_data(
    image: ArrayLike,
    picture: Tensor,
    layout: Layout,
    mark: Mark,
    masked: Tensor | None = None,
    *,
    nan: bool = False,
) -> tuple[Tensor, Tensor, tuple[Finding, ...]]:
    """The picture with zeros where a value is missing, where that is, (C, *grid), and what was found out about it."""
    flags, values = no_data.find(np.asarray(as_array("image", image)), mark, nan=nan)
    marked = layout.to_tensor(flags) != 0
    masked = torch.zeros(picture.shape, dtype=torch.bool) if masked is None else masked.expand(picture.shape)
    if np.ma.isMaskedArray(image):
        masked = masked | (layout.to_tensor(np.ma.getmaskarray(image)) != 0)
    gone = marked | masked
    if gone.all():
        raise BayesDipError(
            "every pixel is missing: give a mask that is False (black) where a pixel is known"
        )
    found = no_data.finding((marked & ~masked).numpy(), values, mark)
    return torch.where(gone, 0.0, picture), gone, (found,) if found else ()


def _masked(operator: Operator, gone: Tensor) -> Operator:
    """The operator without the measurements that are missing, (C, *grid); one mask for all channels if it serves."""
    if not gone.any():
        return operator
    alike = bool((gone == gone[:1]).all())
    return operator.with_held_out(gone[0] if alike else gone)


def _finite(picture: Tensor) -> Tensor:
    """The picture if it is finite, and so are the squares of its values."""
    low, high = (float(end) for end in picture.aminmax())  # NaN where there is one
    largest = max(-low, high)
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = int((~torch.isfinite(picture)).sum())
        raise NonFiniteError(
            f"the picture holds {bad} value{'s' * (bad > 1)} that {'are' if bad > 1 else 'is'} NaN or infinite: "
            "missing='nan' (on the command line --missing nan) takes them for missing and fills them in"
        )
    if largest > LARGEST:
        raise NonFiniteError(
            f"the picture holds values up to {largest:.3g}: expected at most {LARGEST:g}, so that squares are finite; divide it"
        )
    return picture


def without_impulses(operator: Operator, found: Inspection) -> Operator:
    """The operator with the entries that were found to be impulses declared missing."""
    return operator if found.impulses is None else operator.with_held_out(found.impulses)
