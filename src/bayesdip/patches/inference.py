"""A picture as Gaussian patches whose mean and covariance are learnt from groups of similar patches.

Data with noise are restored by NL-Bayes (:mod:`bayesdip.patches.nl_bayes`), data with missing pixels by HBE
(:mod:`bayesdip.patches.hbe`). A few missing pixels among noisy ones are left to the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from bayesdip.arch.networks import FIGURE6
from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.gp.inference import posterior
from bayesdip.noise import Gaussian, Noise
from bayesdip.noise.gaussian import AT_LEVEL
from bayesdip.operators import Identity, Mask, Operator
from bayesdip.patches.hbe import LEAST_NOISE, Filled, Known, fill
from bayesdip.patches.multiscale import Denoised, denoised
from bayesdip.patches.nl_bayes import UnitData, Whitening, column, learnt_pass
from bayesdip.patches.patch_grid import PATCH_VALUES, distinct
from bayesdip.patches.pilot import PILOT, PatchKernel
from bayesdip.result import Posterior

# With noise, and with at most this share of the pixels missing, patches of the data are whole enough.
FEW_MISSING = 0.1
# A picture that varies by no more than so many rounding errors of its level is flat.
ROUNDING = 16
# One size of patches, of which all is the mean.
ONE_SIZE = MappingProxyType({PATCH_VALUES: 1.0})
# How often the covariances are learnt: filling in begins farther from the picture.
NOISE_PASSES, FILLING_PASSES = 3, 5
# Where filling in begins: the mean of the process that a network without the picture for an input has,
# and draws of it for the standard deviation where no patch knows enough.
STATIONARY, DRAWS = FIGURE6, 16

Stop = Callable[[int, float], bool]
"""``(pass, share of it done) -> stop?``"""


def patch_posterior(
    y: Tensor,
    operator: Operator,
    noise: Noise,
    *,
    kernel: PatchKernel = PILOT,
    passes: int | None = None,
    patches: Mapping[int, float] = ONE_SIZE,
    far: int = 0,
    larger: tuple[int, float] | None = None,
    start: Tensor | None = None,
    stop: Stop | None = None,
) -> Posterior:
    """Posterior of a signal or picture seen with noise, with missing pixels, or both.

    Parameters
    ----------
    y : Tensor, shape (C, *grid)
        One or two grid axes.
    operator : Operator
        The identity or a mask.
    noise : Noise
        Its plug-in variance counts; where no pixels are missing, the mean over those of a patch. Values
        at a level where Gaussian noise was clipped count as what they are on average beyond it.
    kernel : PatchKernel
        Of the pilot estimate of noisy data; where pixels are missing there is no pilot.
    passes : int, optional
        How often the covariances are learnt anew: by default `NOISE_PASSES`, or `FILLING_PASSES` where
        :func:`fills_in` says so. 0 gives the pilot, for noise with the noise's std.
    patches : mapping of int to float
        How many values a patch holds at most, all channels counted. Of several sizes the
        means, and standard deviations, are averaged with these weights.
    far : int
        For noise: up to this lag in pixels, every third patch per axis is looked at beside all those within 24.
    larger : (int, float), optional
        For noise: values in a patch, and weight in the mean, of one more pass that begins with the average of the sizes.
    start : Tensor, shape (C, *grid), optional
        For missing pixels: a better estimate to begin with than the posterior mean of the stationary
        process of `STATIONARY`. Five passes nearly forget it; give it one.
    stop : callable, optional
        ``(pass, share of it done) -> bool``; True stops with the last finished estimate.

    Returns
    -------
    Posterior
        Its standard deviation does not count that groups and covariances were learnt from the same data: on
        photographs it is a fifth too small. It is None where filling in was stopped before its last pass. ``info``
        has ``passes`` (finished ones; 0 is the pilot alone) and ``left_to_initial_estimate``, the share of the values that
        stayed as they were in the initial estimate, since they lie in holes of which no patch knows enough.

    Raises
    ------
    BayesDipError
        Another operator.
    ShapeError
        A grid of three axes, or `start` does not have the shape of `y`.
    NonFiniteError
        NaN or infinity among the observed pixels.
    """
    missing = missing_pixels(y, operator)
    patches = distinct(patches, y.shape)
    if y.ndim > 3:
        raise ShapeError(
            f"the picture has a grid of {y.ndim - 1} axes: expected 1 or 2 for patches; "
            "use method='gp' for volumes"
        )
    if start is not None and start.shape != y.shape:
        raise ShapeError(
            f"start has shape {tuple(start.shape)}: expected {tuple(y.shape)}, as the data; give the whole picture"
        )
    seen = torch.where(missing, 0.0, y)
    if not bool(seen.isfinite().all()):
        raise NonFiniteError(
            "the data hold NaN or infinity: expected finite values; declare such pixels missing"
        )
    variance = noise.variance(y, ~missing).to(y).expand(y.shape)
    watch = stop or (lambda number, share: False)
    if fills_in(y, operator, noise):
        passes = FILLING_PASSES if passes is None else passes
        data = _Seen(seen, missing, variance)
        return _filled_in(data, operator, noise, passes, patches, start, watch)
    passes = NOISE_PASSES if passes is None else passes
    whitening = Whitening.of(seen, variance, missing)
    if whitening is None:  # nothing to find out
        return told(seen, torch.zeros_like(y), 0)

    def data_given(estimate: Tensor | None) -> UnitData:
        if estimate is None or not (isinstance(noise, Gaussian) and noise.is_clipped):
            return whitening.apply(seen, variance, missing)
        return whitening.apply(beyond_the_levels(seen, whitening.undo(estimate, y), noise), variance, missing)

    found = _of_all_sizes(data_given, kernel, passes, patches, far, larger, watch)
    return told(whitening.undo(found.mean, y), whitening.undo_std(found.std, y), found.passes)


def _of_all_sizes(
    data_given: Callable[[Tensor | None], UnitData],
    kernel: PatchKernel,
    passes: int,
    patches: Mapping[int, float],
    far: int,
    larger: tuple[int, float] | None,
    watch: Stop,
) -> Denoised:
    """`denoised` by patches of each size: the averages, from which one pass of `larger` ones begins.

    Stopped, it gives what was finished.
    """
    whole, total = None, 0.0
    for number, (most, weight) in enumerate(patches.items()):

        def stop(index: int, share: float, before: int = number * (passes + 1)) -> bool:
            return watch(before + index, share)

        part = denoised(data_given, kernel, passes, stop, most=most, far=far)
        if part.passes < passes:  # stopped: of a later size, its share of the average is not there
            return whole or part
        total += weight
        whole = part if whole is None else _averaged_with(whole, part, weight / total)
    assert whole is not None
    if larger is None:
        return whole
    most, weight = larger
    before = len(patches) * (passes + 1)
    estimate = whole.mean
    last = learnt_pass(
        data_given(estimate), estimate, lambda share: watch(before, share), last=True, most=most
    )
    return whole if last is None else _averaged_with(whole, Denoised(*last, passes + 1), weight)


def _averaged_with(one: Denoised, other: Denoised, weight: float) -> Denoised:
    """The `other` counts for `weight` of the mean and of the standard deviation."""
    return Denoised(one.mean.lerp(other.mean, weight), one.std.lerp(other.std, weight), other.passes)


def told(mean: Tensor, std: Tensor | None, passes: int, left: float = 0.0) -> Posterior:
    """As a posterior without samples, which patches do not have."""
    return Posterior(mean, std, info={"passes": passes, "left_to_initial_estimate": left})


def fills_in(y: Tensor, operator: Operator, noise: Noise) -> bool:
    """Whether missing pixels are the matter, and not noise: many are missing, or some and there is no noise."""
    missing = missing_pixels(y, operator)
    noisy = bool(noise.variance(y, ~missing).to(y).expand(y.shape)[~missing].any())
    return float(missing.double().mean()) > FEW_MISSING or (bool(missing.any()) and not noisy)


@dataclass(frozen=True)
class _Seen:
    """Data, which are missing, and the noise's variance, (C, *grid) each."""

    values: Tensor
    missing: Tensor
    variance: Tensor


def _filled_in(
    data: _Seen,
    operator: Operator,
    noise: Noise,
    passes: int,
    patches: Mapping[int, float],
    start: Tensor | None,
    watch: Stop,
) -> Posterior:
    y, missing = data.values, data.missing
    kernel, near = STATIONARY.kernel(dims=y.ndim - 1), start is not None
    if start is None:
        start = posterior(y, operator, kernel, noise).mean
    observed = torch.where(missing, torch.nan, y).flatten(1)
    centre = observed.nanmean(1).nan_to_num(0.0)
    scale = (observed - centre[:, None]).square().nanmean(1).nan_to_num(0.0).sqrt()
    rounding = ROUNDING * torch.finfo(y.dtype).eps * centre.abs()
    if not bool((scale > rounding).any()):  # a flat picture
        return told(start, torch.zeros_like(y), 0)
    centre, scale = column(centre, y), column(torch.where(scale > 0, scale, scale.amax()), y)
    shape = (*y.shape, 1) if y.ndim == 2 else y.shape

    def unit(x: Tensor) -> Tensor:
        return ((x - centre) / scale).reshape(shape).float()

    unit_noise = (data.variance / scale.square()).reshape(shape).float().clamp_min(LEAST_NOISE)
    known = Known(unit(torch.where(missing, centre, y)), missing.reshape(shape), unit_noise)
    found = _averaged(known, unit(start), passes, patches, near, watch)
    mean = found.mean.reshape(y.shape).to(y) * scale + centre
    left = found.left.reshape(y.shape)
    mean = torch.where(left, start.to(y), mean)
    if found.std is None:
        return told(mean, None, found.passes)
    std = found.std.reshape(y.shape).to(y) * scale
    if bool(left.any()):
        generator = torch.Generator(y.device).manual_seed(0)
        stationary = posterior(y, operator, kernel, noise, samples=DRAWS, generator=generator).std
        std = std if stationary is None else torch.where(left, stationary, std)
    return told(mean, std, found.passes, float(left.double().mean()))


def _averaged(
    known: Known,
    estimate: Tensor,
    passes: int,
    patches: Mapping[int, float],
    near: bool,
    watch: Stop,
) -> Filled:
    """`fill` by patches of several sizes: the averages of those that know of a pixel.

    Stopped, it gives the sizes that were finished.
    """
    total = torch.zeros_like(estimate)
    mean, std = torch.zeros_like(estimate), torch.zeros_like(estimate)
    found = None
    for number, (most, weight) in enumerate(patches.items()):

        def stop(index: int, share: float, before: int = number * passes) -> bool:
            return watch(before + index, share)

        part = fill(known, estimate, passes, stop, most=most, near=near)
        if part.std is None:
            return found or part
        share = weight * (~part.left).to(estimate)
        total, mean, std = total + share, mean + share * part.mean, std + share * part.std
        left = total == 0
        found = Filled(torch.where(left, estimate, mean / total), std / total, left, part.passes)
    assert found is not None
    return found


def beyond_the_levels(y: Tensor, estimate: Tensor, noise: Gaussian) -> Tensor:
    """`y`, (C, *grid), with values at a clipping level as they would be on average had they not been clipped.

    The mean of a normal variable around the estimate, given that it lies beyond the level: with
    ``a = (level - estimate) / sigma``, ``estimate + sigma phi(a) / Phi(-a)`` above, and alike below.
    It is the expectation step for censored data (Dempster, Laird, Rubin, JRSS B 1977, section 4.2).
    """
    sigma = noise.variance(y).sqrt().expand(y.shape)
    for level, sign in zip(noise.clipped, (-1.0, 1.0), strict=True):
        at_level = sign * (y - level) >= -AT_LEVEL * sigma
        a = sign * (level - estimate) / sigma
        # phi(a) / Phi(-a) without the loss of digits of small tails
        excess = (-0.5 * a.square() - torch.special.log_ndtr(-a)).exp() / (2 * torch.pi) ** 0.5
        y = torch.where(at_level & (sigma > 0), estimate + sign * sigma * excess, y)
    return y


def missing_pixels(y: Tensor, operator: Operator) -> Tensor:
    """Bool, the shape of `y`; an error for operators under which patches are not seen."""
    if not isinstance(operator, Identity | Mask):
        raise BayesDipError(
            f"patches were given the operator {operator!r}: expected the identity or a mask, whose data are pixels of the "
            "picture; use back-projection (patches.project), or method='sgld'"
        )
    missing = (~operator.observed).to(y.device).expand(y.shape)
    return missing
