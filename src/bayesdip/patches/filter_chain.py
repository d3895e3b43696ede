"""Denoising by a chain of group filters, each with the one before for its pilot, and an average with low-rank groups.

1. Linear combinations of few large patches, the data for their own pilot.
2. A Wiener filter, and linear combinations of small patches, each with a better pilot (Herbreteau and Kervrann, arXiv
   2212.00422, chain combinations alone). The lowest frequencies come from coarser grids
   (:mod:`bayesdip.patches.multiscale`).
3. Shrinkage of singular values, some rounds of it, each of which gets back a tenth of what was taken off (iterative
   regularisation, as in weighted nuclear norm minimisation). It errs otherwise than the chain: their average is
   better than both.

Of a colour picture, each component whose detail is uncorrelated with the others' has groups of its own, at the same places: the
brightness has nearly all detail, and the differences of colours bear far more averaging. Low-rank groups of all channels
together err otherwise again.

The filters are those of :mod:`bayesdip.patches.group_filters`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bayesdip.interruption import Stopped
from bayesdip.patches.chain import SMALLEST, Chain
from bayesdip.patches.correlated_pilot import thresholded
from bayesdip.patches.error_spread import expected_square
from bayesdip.patches.estimate import Estimate, Stop
from bayesdip.patches.group_passes import (
    Array,
    Groups,
    Sums,
    combination,
    components,
    shrinkage,
    wiener_filter,
)
from bayesdip.patches.multiscale import LEAST_SIDE, SCALES, halved, with_lowest
from bayesdip.patches.nl_bayes import WhitenedData
from bayesdip.patches.own_weight import factor, own_weights, without_own
from bayesdip.patches.patch_grid import JOINT_CHANNELS
from bayesdip.resuming import kept

# All constants of this file were found on 128x128 parts of BSDS500 pictures that are no part of a test set, at sigma 15, 25
# and 50; the figures are of four gray ones at 25 / 50.
#
# Of the noise taken off, the part that each round of shrinkage gets back: 0.2 cost 0.4 / 0.5 dB. The remaining
# noise is this part of what the difference to the data lacks (Gu et al. 2014 take 0.54 to 0.58).
GIVEN_BACK, REMAINING = 0.1, 0.56
# The noise may be so much fainter than the picture, in variance: a tenth of a gray level of 255 is. A synthetic picture with noise of 0.1 came
# to 8.0 dB less noise (NL-Bayes in double precision 6.7), in colour 10.4 (6.7), in a fourth of the time; with noise of 0.03 to 3.2 (6.2).
LARGEST = 1e6
# Half the mean squared difference of neighbouring pixels over the variance of white noise is 1 or more.
LEAST_DETAIL = 0.5
# Weights of the nuclear norm: of all channels together, of gray and of colour pictures; of components apart, of the first and the
# others. Gu et al. take 2.83 and begin from groups found in the noise. Gray: 3.5 cost 0.03 / 0.04 dB. Colour, on four parts: 3.0 with
# groups of 50 cost 0.11 / 0.12, 4.5 cost 0.04 / 0.09; on six, components: 3.0 for all three cost 0.09 / 0.14, 6.0 for the others
# 0.05 / 0.01.
TOGETHER, APART = (3.0, 3.5), (3.0, 4.5)
# Weight of the chain in the average, of gray and of colour pictures. Ten gray parts of 112x112 and 144x144 pixels, sigma 25 / 50:
# 0.3 costs 0.01 / 0.01 dB, 0.5 nothing / 0.01; shrinkage alone 0.05 / 0.06. Four colour parts: 0.3 costs 0.04 / 0.05, 0.4 0.01 / 0.02.
CHAIN_SHARES = (0.4, 0.5)
# Largest weight of a pixel's own value in its posterior mean: with more, the others say next to nothing of it.
LARGEST_WEIGHT = 0.7
# By how much errors among correlated noise are larger than the Wiener filters' own standard deviation, which leaves out that
# covariances were learnt from the same data: 1.65, 1.63 and 1.72 on six tuning pictures with noise of 20 that was smooth, in streaks
# and fell with frequency.
OF_CORRELATED = 1.65


def takes(y: Tensor, largest: float) -> bool:
    """Whether the chain is for data (C, *grid): a picture of one to three channels, on the CPU.

    `largest` is that of :class:`~bayesdip.patches.nl_bayes.Whitening`.
    """
    wide = y.ndim in (3, 4) and min(y.shape[-2:]) >= SMALLEST
    return wide and largest < LARGEST and len(y) <= JOINT_CHANNELS and y.device.type == "cpu"


def denoise(
    data_given: Callable[[Tensor | None], WhitenedData], chain: Chain, stop: Stop, *, leave_out: bool = False
) -> Estimate:
    """Posterior mean and standard deviation by a chain of group filters.

    Parameters
    ----------
    data_given : callable
        ``(estimate) -> WhitenedData``: with clipped values replaced by their means given the estimate; given None, as
        they are.
    chain : Chain
    stop : callable
        ``(stage, share of it done) -> bool``; True ends with the last finished estimate.
    leave_out : bool
        Whether to find, of complete data, each pixel's mean without its own value.

    Returns
    -------
    Estimate
        The standard deviation is what the variance of the chain's last filter tells of errors; at missing pixels, what the others
        alone leave: with v the noise's variance and s that of the estimate, ``1 / (1 / s - 1 / v)``.

    Raises
    ------
    Stopped
        Before the first filter was done.
    """
    chained, estimate = _restored(data_given, chain, stop)
    data = data_given(estimate.mean)
    assert estimate.std is not None
    variance = estimate.std.square()
    square = expected_square(variance, data.noise, chain.count(estimate.passes))
    if leave_out:
        averaged = estimate is not chained
        weight = own_weights(variance / data.noise, len(variance), averaged=averaged)

        def restored(tile: WhitenedData, done: float) -> Estimate | None:
            try:
                before, found = _restored(
                    lambda mean: tile, chain, lambda number, share: stop(chain.stages, done)
                )
            except Stopped:
                return None
            as_far = found.passes == estimate.passes and (found is not before) == averaged
            return found if as_far else None

        weight = weight * factor(weight, data, averaged, restored)
        return replace(
            estimate, std=square.sqrt(), without_own=without_own(estimate.mean, data.values, weight)
        )
    if data.correlation is not None:
        return replace(estimate, std=OF_CORRELATED * estimate.std)
    if data.missing is not None:
        alone = square / (1 - (square / data.noise).clamp_max(LARGEST_WEIGHT))
        square = torch.where(data.missing, alone, square)
    return replace(estimate, std=square.sqrt())


def _restored(
    data_given: Callable[[Tensor | None], WhitenedData], chain: Chain, stop: Stop
) -> tuple[Estimate, Estimate]:
    """The chain's estimate, and the average with low-rank groups, or the chain's again where there is none."""
    chained = kept("filters", lambda: _chained(data_given, chain, stop, SCALES), (Estimate,))
    if chained.passes < chain.passes or not chain.shrunk:
        return chained, chained
    return chained, _with_low_rank(data_given, chain, chained, stop)


def _chained(
    data_given: Callable[[Tensor | None], WhitenedData], chain: Chain, stop: Stop, scales: int
) -> Estimate:
    """Steps 1 and 2."""
    data = data_given(None)
    values = data.values
    mean, std = _first(data, chain, stop)
    done = 1
    for groups in chain.own[1:]:
        data = data_given(mean)
        values = _completed(data, mean, std, values)

        def stop_pass(share: float, number: int = done) -> bool:
            return stop(number, share)

        own, basis = _fitting(groups, data), _basis(groups, data)
        try:
            if done <= len(chain.filters):
                found = wiener_filter(
                    values, mean, data.noise, own, stop_pass, basis=basis, correlation=data.correlation
                )
            else:
                found = combination(
                    values, mean, data.noise, own, stop_pass, noisy=0.0, affine=True, basis=basis
                )
        except Stopped:
            found = None
        if found is None:
            return Estimate(mean, std, done)
        mean, std, done = found.mean, found.std, done + 1
        found = None
    data = data_given(mean)
    if data.missing is not None:
        mean = torch.where(data.missing, _completed(data, mean, std, values), mean)
    if scales > 1 and min(mean.shape[-2:]) >= 2 * LEAST_SIDE:
        half = halved(data_given(mean), mean)
        try:
            coarse = _chained(
                lambda estimate: half,
                chain,
                lambda number, share: stop(done, (number + share) / (done + 1)),
                scales - 1,
            )
        except Stopped:
            return Estimate(mean, std, done)
        if coarse.passes == done:
            mean = with_lowest(mean, coarse.mean)
    return Estimate(mean, std, done)


def _first(data: WhitenedData, chain: Chain, stop: Stop) -> tuple[Tensor, Tensor]:
    """Step 1."""
    if data.correlation is not None:
        if stop(0, 0.0):
            raise Stopped
        return thresholded(data, _basis(chain.first, data)), data.noise.sqrt().expand(data.values.shape)
    found = combination(
        data.values,
        data.values,
        data.noise,
        _fitting(chain.first, data),
        lambda share: stop(0, share),
        noisy=1.0,
        affine=False,
        basis=_basis(chain.first, data),
    )
    if found is None:
        raise Stopped
    return found.mean, found.std


def _completed(data: WhitenedData, mean: Tensor, std: Tensor, before: Tensor) -> Tensor:
    """The data with missing pixels as the others predict them.

    A linear posterior mean gives a pixel's own value the weight h = s / v, of the posterior variance and the noise's. So
    the mean without it is ``(mean - h value) / (1 - h)``; the value was the guess `before`.
    """
    if data.missing is None:
        return data.values
    if data.correlation is not None:  # the weights of the others are not known
        return torch.where(data.missing, mean, data.values)
    own = (std.square() / data.noise).clamp_max(LARGEST_WEIGHT)
    return torch.where(data.missing, (mean - own * before) / (1 - own), data.values)


def _with_low_rank(
    data_given: Callable[[Tensor | None], WhitenedData], chain: Chain, estimate: Estimate, stop: Stop
) -> Estimate:
    """Step 3: the average with low-rank groups of each size that was finished."""
    data = data_given(estimate.mean)
    # Thresholds go by the noise more than the chain does. Where components do not have what is told, as in a noisy JPEG, the average
    # was 0.1 to 0.6 dB worse than the chain (six such pictures).
    if chain.first.apart and _basis(chain.first, data) is None:
        return estimate
    sizes: list[Tensor] = []
    for number, groups in enumerate(chain.shrunk):
        before = chain.passes + 1 + number * chain.rounds

        def stop_size(turn: int, share: float, before: int = before) -> bool:
            return stop(before + turn, share)

        try:
            filters = partial(low_rank, data, estimate, _fitting(groups, data), chain.rounds, stop_size)
            found = kept("low-rank groups", filters)
        except Stopped:
            found = None
        if found is None:
            break
        sizes.append(found)
    if not sizes:
        return estimate
    low = torch.stack(sizes).mean(0)
    return replace(estimate, mean=low.lerp(estimate.mean, CHAIN_SHARES[len(low) > 1]))


def low_rank(data: WhitenedData, start: Estimate, groups: Groups, rounds: int, stop: Stop) -> Tensor | None:
    """Shrinkage of singular values with iterative regularisation.

    Parameters
    ----------
    data : WhitenedData
    start : Estimate
        By which patches are compared in the first two rounds; later by the rounds' own results.
    groups : Groups
    rounds : int
    stop : callable
        ``(round, share of it done) -> bool``

    Returns
    -------
    Tensor, shape (C, H, W), or None
        None if `stop` ended it.
    """
    missing, guide, std = data.missing, start.mean, start.std
    assert std is not None
    y = data.values if missing is None else torch.where(missing, guide, data.values)
    basis = components(data.values.numpy()) if groups.apart and len(y) > 1 else None
    norm = TOGETHER[len(y) > 1] if basis is None else np.array([APART[min(k, 1)] for k in range(len(y))])
    mean, level = y, np.ones(1 if basis is None else len(y))
    for turn in range(rounds):
        if turn > 0:
            if missing is not None:
                y = _completed(data, mean, std, y)
            taken = mean + GIVEN_BACK * (y - mean)
            level = _remaining(y - taken, data.noise, basis)
            guide = taken if turn > 1 and turn % 2 == 0 else guide
        else:
            taken = y
        found: Sums | None = shrinkage(
            taken,
            guide,
            data.noise,
            groups,
            lambda share, turn=turn: stop(turn, share),  # type: ignore[misc]
            thresholds=(norm * level).astype(np.float32),
            basis=basis,
        )
        if found is None:
            return None
        mean = found.mean
    return mean if missing is None else torch.where(missing, _completed(data, mean, std, y), mean)


def _remaining(removed: Tensor, noise: Tensor, basis: Array | None) -> Array:
    """Variance of the noise that a round of shrinkage begins with, as a part of `noise`: of all channels, or each component."""
    if basis is not None:
        removed = torch.tensordot(torch.from_numpy(basis.T.copy()), removed, dims=1)
    squares = (removed.square() / noise).mean(tuple(range(1, removed.ndim))).double().numpy()
    squares = squares if basis is not None else squares.mean(keepdims=True)
    return np.maximum(REMAINING**2 * np.abs(1.0 - squares), 1e-3)


def _basis(groups: Groups, data: WhitenedData) -> Array | None:
    """The components that have groups of their own; None where the channels are together.

    So they are where a component has less detail than its noise alone would give: then the noise is not what it is said to be in
    each of them, as after the compression of colours, and filters of components alone would take too little from one.
    """
    if not groups.apart or len(data.values) == 1:
        return None
    values = data.values.numpy()
    basis = components(values, data.correlation, float(data.noise.mean()))
    if data.correlation is not None:
        return basis
    least = np.tensordot(basis[:, -1], values, 1)
    detail = sum(float(np.square(np.diff(least, axis=axis)).mean()) for axis in (-2, -1)) / 4
    return basis if detail > LEAST_DETAIL * float(data.noise.mean()) else None


def _fitting(groups: Groups, data: WhitenedData) -> Groups:
    """Groups whose patches fit in a small picture, or in a stack of few slices."""
    shape = data.values.shape
    depth = min(groups.depth, shape[1]) if len(shape) > 3 else 1
    return replace(groups, side=min(groups.side, *shape[-2:]), depth=depth)
