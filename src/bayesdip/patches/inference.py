"""A picture as Gaussian patches whose mean and covariance are learnt from groups of similar patches.

Data with noise are restored by a chain of group filters (:mod:`bayesdip.patches.filter_chain`) or by NL-Bayes
(:mod:`bayesdip.patches.nl_bayes`), data with missing pixels by HBE (:mod:`bayesdip.patches.hbe`). With both, NL-Bayes
learns the picture from the noisy pixels, and HBE fills in from there; where few are missing the chain then denoises the known
pixels of the picture, which is complete now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.interruption import Stopped
from bayesdip.noise import Correlated, Gaussian, Noise
from bayesdip.noise.gaussian import AT_LEVEL
from bayesdip.operators import Identity, Mask, Operator
from bayesdip.patches import filter_chain
from bayesdip.patches.chain import Chain, chain_of, chain_of_correlated
from bayesdip.patches.estimate import Estimate, Stop, average_over_sizes
from bayesdip.patches.filling import (
    ONE_SIZE,
    filled_in,
    passes_in_holes,
    with_holes_filled,
    without_samples,
)
from bayesdip.patches.known_pixels import KnownPixels
from bayesdip.patches.multiscale import denoised
from bayesdip.patches.nl_bayes import WhitenedData, Whitening, nl_bayes_pass
from bayesdip.patches.patch_grid import JOINT_CHANNELS, distinct
from bayesdip.patches.pilot import PILOT, PatchKernel
from bayesdip.result import Posterior

# Values whose clipping is looked at at a time: whole pictures of what that takes would be most of the memory of a run.
AT_ONCE = 2**18
# How often the covariances are learnt: filling in begins farther from the picture.
NOISE_PASSES, FILLING_PASSES = 3, 5


def patch_posterior(
    y: Tensor,
    operator: Operator,
    noise: Noise,
    *,
    kernel: PatchKernel = PILOT,
    passes: int | None = None,
    patches: Mapping[int, float] = ONE_SIZE,
    far_radius: int = 0,
    last_size: tuple[int, float] | None = None,
    start: Tensor | None = None,
    stop: Stop | None = None,
    fills: bool | None = None,
    holes: int | None = None,
    chain: Chain | None = None,
    leave_out: bool = False,
    compiled: bool = False,
) -> Posterior:
    """Posterior of a signal or picture seen with noise, with missing pixels, or both.

    Parameters
    ----------
    y : Tensor, shape (C, *grid)
        One or two grid axes.
    operator : Operator
        The identity or a mask.
    noise : Noise
        Its plug-in variance is used; where no pixels are missing, the mean of it over a patch. Values
        at a level where Gaussian noise was clipped are replaced by their conditional mean beyond it.
    kernel : PatchKernel
        Of the pilot estimate of noisy data; where pixels are missing there is no pilot.
    passes : int, optional
        How often the covariances are learnt anew: by default `NOISE_PASSES`, or `FILLING_PASSES` where
        the data are left to HBE (:func:`fills_in`). 0 gives the pilot estimate, for noise with the noise's std.
    patches : mapping of int to float
        Sizes of patches, as the most values in one, all channels counted, and their weights: the
        means, and standard deviations, are averaged.
    far_radius : int
        For noise: up to this lag in pixels, every third patch per axis is compared beside all those within 24.
    last_size : (int, float), optional
        For noise: values in a patch, and weight in the average, of one more pass that begins with the average.
    start : Tensor, shape (C, *grid), optional
        For missing pixels: a better estimate to begin with than the posterior mean of the stationary
        process of `STATIONARY`, and harmonic functions where no known pixel is beside. Little is left of it after five passes; take one.
    stop : callable, optional
        ``(pass, share of it done) -> bool``; True stops with the last finished estimate.
    fills : bool, optional
        Whether HBE alone works on the data; by default :func:`fills_in`.
    holes : int, optional
        Passes of HBE that fill in after the noise was taken away; by default `passes_in_holes`, where pixels are missing.
        Those held out from complete data are scattered, and left to NL-Bayes or the chain.
    chain : Chain, optional
        Against noise, a chain of group filters in place of NL-Bayes, with these settings (:func:`chain_for`); `stop` is
        asked with the numbers of its stages. After HBE it restores the known pixels once more, and its stages come last.
    leave_out : bool
        Whether a chain's result has each pixel's mean without its own value. For complete data.
    compiled : bool
        Whether HBE has its compiled loop.

    Returns
    -------
    Posterior
        Its standard deviation leaves out that groups and covariances were learnt from the same data: on
        photographs it is a fifth too small. It is None where filling in was stopped before its last pass. ``info``
        has ``passes`` (finished ones; 0 is the pilot alone) and ``left_to_harmonic_filling``, the share of the values that
        lie in holes where no patch has enough known pixels: harmonic functions go on there from what patches reach.

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
    if y.ndim > 3 and chain is None:
        raise ShapeError(
            f"the picture has a grid of {y.ndim - 1} axes: expected 1 or 2, or a chain of group filters across slices; "
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
    stop = stop or (lambda number, share: False)
    if fills_in(y, operator, noise) if fills is None else fills:
        passes = FILLING_PASSES if passes is None else passes
        data = KnownPixels(seen, missing, variance)
        return filled_in(data, operator, noise, passes, patches, start, stop, compiled=compiled)
    passes = NOISE_PASSES if passes is None else passes
    holes = passes_in_holes(missing) if holes is None else holes
    whitening = Whitening.of(seen, variance, missing)
    if whitening is None:  # no noise, and nothing is missing
        return without_samples(seen, torch.zeros_like(y), 0)
    if chain is not None and not holes:
        whitening = replace(whitening, dtype=torch.float32)
    correlation = noise.correlation(len(y), y.ndim - 1) if isinstance(noise, Correlated) else None

    def data_given(estimate: Tensor | None) -> WhitenedData:
        if estimate is None or not (isinstance(noise, Gaussian) and noise.is_clipped):
            return replace(whitening.apply(seen, variance, missing), correlation=correlation)
        return whitening.apply(beyond_the_levels(seen, whitening.undo(estimate, y), noise), variance, missing)

    if chain is not None and not holes:
        found = filter_chain.denoise(data_given, chain, stop, leave_out=leave_out)
    else:
        found = _restored_by_all_sizes(data_given, kernel, passes, patches, far_radius, last_size, stop)
    assert found.std is not None
    restored = without_samples(whitening.undo(found.mean, y), whitening.undo_std(found.std, y), found.passes)
    if found.without_own is not None:
        return replace(restored, without_own=whitening.undo(found.without_own, y))
    if not holes or found.passes < passes:
        return restored
    before = len(patches) * (passes + 1) + (last_size is not None)
    filled = with_holes_filled(
        restored,
        missing,
        operator,
        noise,
        holes,
        patches,
        lambda number, share: stop(before + number, share),
        compiled,
    )
    if filled is restored or chain is None:
        return filled
    before += len(patches) * holes
    return _denoised_around(seen, missing, filled, noise, chain, lambda n, share: stop(before + n, share))


def _denoised_around(
    seen: Tensor, missing: Tensor, filled: Posterior, noise: Noise, chain: Chain, stop: Stop
) -> Posterior:
    """`filled`, with the known pixels by a chain of group filters, which sees the filled-in ones beside them as data.

    Their standard deviation stays that of NL-Bayes, which is of the size of its errors, as the calibration on missing pixels
    expects; that of the chain is a third too small.
    """
    complete = torch.where(missing, filled.mean, seen)
    try:
        found = patch_posterior(complete, Identity(seen.shape[1:]), noise, chain=chain, stop=stop)
    except Stopped:
        return filled
    return replace(filled, mean=torch.where(missing, filled.mean, found.mean))


def _restored_by_all_sizes(
    data_given: Callable[[Tensor | None], WhitenedData],
    kernel: PatchKernel,
    passes: int,
    patches: Mapping[int, float],
    far_radius: int,
    last_size: tuple[int, float] | None,
    stop: Stop,
) -> Estimate:
    """`denoised` by patches of each size, and one pass of patches of the last size from their average."""
    stages = passes + 1  # the coarser grids are one more
    average = average_over_sizes(
        lambda values, stop: denoised(
            data_given, kernel, passes, stop, patch_values=values, far_radius=far_radius
        ),
        patches,
        passes,
        stop,
        stages=stages,
    )
    if last_size is None or average.passes < passes:
        return average
    values, weight = last_size
    try:
        found = nl_bayes_pass(
            data_given(average.mean),
            average.mean,
            lambda share: stop(len(patches) * stages, share),
            last=True,
            patch_values=values,
        )
    except Stopped:
        found = None
    if found is None:
        return average
    assert average.std is not None
    mean, std = found
    return Estimate(average.mean.lerp(mean, weight), average.std.lerp(std, weight), passes + 1)


def chain_for(effort: str, y: Tensor, operator: Operator, noise: Noise) -> Chain | None:
    """The chain of group filters for data with noise; None where NL-Bayes or HBE takes them."""
    if isinstance(noise, Correlated):
        return chain_of_correlated(effort, len(y))
    missing = missing_pixels(y, operator)
    variance = noise.variance(y, ~missing).to(y).expand(y.shape)
    whitening = Whitening.of(torch.where(missing, 0.0, y), variance, missing)
    if whitening is None or fills_in(y, operator, noise) or not filter_chain.takes(y, whitening.largest):
        return None
    return chain_of(effort, len(y))


def fills_in(y: Tensor, operator: Operator, noise: Noise) -> bool:
    """Whether the data are left to HBE alone: pixels are missing, and there is no noise.

    On crops of the tuning pictures with noise of 1 to 15 of 255 and 5 to 90% of the pixels missing, NL-Bayes before HBE
    gained 0 to 1.5 dB, and 4 in a hole of 28x28 pixels. Also where more than three channels miss pixels of their own: NL-Bayes mixes the channels of such a picture.
    """
    missing = missing_pixels(y, operator)
    if not bool(missing.any()):
        return False
    if len(y) > JOINT_CHANNELS and bool((missing != missing[:1]).any()):
        return True
    return not bool((noise.variance(y, ~missing).to(y).expand(y.shape).ne(0) & ~missing).any())


def beyond_the_levels(y: Tensor, estimate: Tensor, noise: Gaussian) -> Tensor:
    """`y`, (C, *grid), with values at a clipping level as they would be on average had they not been clipped.

    The mean of a normal variable around the estimate, given that it lies beyond the level: with
    ``a = (level - estimate) / sigma``, ``estimate + sigma phi(a) / Phi(-a)`` above, and its mirror image below.
    It is the expectation step for censored data (Dempster, Laird, Rubin, JRSS B 1977, section 4.2).

    Parameters
    ----------
    y, estimate : Tensor, shape (C, *grid)
    noise : Gaussian
        Its ``clipped`` has the levels.

    Returns
    -------
    Tensor, shape (C, *grid)
    """
    sigma, y = noise.variance(y).sqrt().expand(y.shape), y.clone()
    step = max(1, AT_ONCE // y[:, 0].numel())
    for rows in (slice(first, first + step) for first in range(0, y.shape[1], step)):
        for level, sign in zip(noise.clipped, (-1.0, 1.0), strict=True):
            here, own = y[:, rows], sigma[:, rows]
            at_level = (sign * (here - level) >= -AT_LEVEL * own) & (own > 0)
            own, mean = own[at_level], estimate[:, rows][at_level]
            a = sign * (level - mean) / own
            # phi(a) / Phi(-a) without the loss of digits of small tails
            excess = (-0.5 * a.square() - torch.special.log_ndtr(-a)).exp() / (2 * torch.pi) ** 0.5
            here[at_level] = mean + sign * own * excess
    return y


def missing_pixels(y: Tensor, operator: Operator) -> Tensor:
    """Bool, the shape of `y`; an error for operators whose data are no pixels of the picture."""
    if not isinstance(operator, Identity | Mask):
        raise BayesDipError(
            f"patches were given the operator {operator!r}: expected the identity or a mask, whose data are pixels of the "
            "picture; use back-projection (patches.project), or method='sgld'"
        )
    missing = (~operator.observed).to(y.device).expand(y.shape)
    return missing
