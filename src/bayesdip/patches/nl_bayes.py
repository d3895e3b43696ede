"""Noise taken from patches alike: the second step of NL-Bayes, behind a kernel regression.

1. *Pilot*: the network's kernel on the observed picture (:mod:`bayesdip.patches.pilot`), freed
   from the noise's share, averages the picture: ``x = K y / K 1``, a kernel regression. For the
   default kernel it is non-local means with the averages taken over patches.
2. *Passes*: every patch belongs to groups of patches that look alike in the last estimate. A
   group's patches are draws of one Gaussian process, of covariance C learnt from the last
   estimate and mean m learnt from the data, so that the posterior mean of a patch y is

       y - v (C + v I)^{-1} (y - m),        v the noise's variance,

   and its posterior covariance ``V = v I - v^2 (1 - 1/n) (C + v I)^{-1}``; the 1/n of a group of n
   is what not knowing m adds. The estimate varies less than the picture does: for the standard
   deviations C + V stands for C, and for the mean C and a part of V, as far as the data speak for that.
   Each pixel averages over all patches and groups that hold it.

The passes are the second step of NL-Bayes (Lebrun, Buades, Morel, *A nonlocal Bayesian image
denoising algorithm*, SIAM J. Imaging Sciences 2013), all colours at once, with the network's
kernel in the place of its first step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from bayesdip.patches.patch_grid import JOINT_CHANNELS, PATCH_VALUES, Patches, side_of, spread
from bayesdip.patches.pilot import PatchKernel

# How far patches alike are looked for.
REACH = 24
# The same for a signal, in samples.
SIGNAL_PATCH, SIGNAL_REACH = 9, 300
GROUP = 64
# The most from one reference patch to the next; in the last pass they overlap in all directions.
MOST_STEP = 5
# Above this many noise variances in the picture's, single precision does not resolve the noise.
SINGLE_PRECISION_RANGE = 1e4
# Least noise of a channel or pixel, as a share of the largest channel's or of the mean.
LEAST_NOISE = 1e-3
# The part of what the posterior leaves open that a group's covariance has besides in a second model, and the log odds of
# that before the data. They speak for it in texture, which the estimate has lost. All of it, or everywhere, is too much on
# smooth surfaces; a little evidence is everywhere, for patches are chosen by an estimate that follows the noise.
OPEN_PART, PRIOR_LOG_ODDS = 0.3, -10.0
# They bound the memory: groups whose systems are solved at a time, and for a stripe of the picture
# the least number of reference patches and of rows of these.
BATCH = 512
STRIPE, STRIPE_ROWS = 4096, 24


@dataclass(frozen=True)
class UnitData:
    """Data with noise of about variance one.

    Attributes
    ----------
    values : Tensor, shape (C, H, W)
        Missing pixels hold a guess from their neighbours.
    noise : Tensor, shape (H, W)
        Variance of the noise, one on average.
    missing : Tensor of bool, shape (C, H, W), or None
        None if there are none.
    """

    values: Tensor
    noise: Tensor
    missing: Tensor | None


@dataclass(frozen=True)
class Whitening:
    """From channels to combinations of channels with unit noise, and back.

    Attributes
    ----------
    scales : Tensor, shape (C,)
        The noise's standard deviation in each channel.
    basis : Tensor, shape (C, C)
        Orthonormal columns: the combinations. The noise stays white.
    dtype : torch.dtype
        In which the noise is resolved.
    """

    scales: Tensor
    basis: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, y: Tensor, variance: Tensor, missing: Tensor) -> Whitening | None:
        """For data (C, *grid); None if there is no noise."""
        scales = torch.where(missing, torch.nan, variance).flatten(1).nanmean(1).nan_to_num(0.0).sqrt()
        if not bool(scales.any()):
            return None
        scales = scales.clamp_min(LEAST_NOISE * float(scales.amax()))
        unit = (y / column(scales, y)).flatten(1)
        unit = unit - unit.mean(1, keepdim=True)
        basis = torch.eye(len(y)).to(y)
        if len(y) > JOINT_CHANNELS:  # white noise does not turn the principal axes
            basis = torch.linalg.eigh(unit @ unit.T).eigenvectors.flip(1)
        resolved = float(unit.square().amax()) < SINGLE_PRECISION_RANGE
        return cls(scales, basis, torch.float32 if resolved else torch.float64)

    def apply(self, y: Tensor, variance: Tensor, missing: Tensor) -> UnitData:
        """Data (C, *grid); a signal becomes a picture of one column."""
        scales = column(self.scales, y)
        noise = torch.where(missing, torch.nan, variance / scales.square()).nanmean(0).nan_to_num(1.0)
        holes = bool(missing.any())
        values = filled(y, missing) if holes else y
        values = torch.tensordot(self.basis.T, values / scales, dims=1)
        if len(y) > JOINT_CHANNELS:
            missing = missing.any(0).expand(missing.shape)
        shape = (*y.shape[1:], 1) if y.ndim == 2 else tuple(y.shape[1:])
        return UnitData(
            values=values.reshape(-1, *shape).to(self.dtype),
            noise=noise.reshape(shape).clamp_min(LEAST_NOISE).to(self.dtype),
            missing=missing.reshape(-1, *shape) if holes else None,
        )

    def undo(self, values: Tensor, like: Tensor) -> Tensor:
        channels: Tensor = torch.tensordot(self.basis, values.to(like), dims=1).reshape(like.shape)
        return channels * column(self.scales, like)

    def undo_std(self, std: Tensor, like: Tensor) -> Tensor:
        """The combinations count as independent."""
        variance: Tensor = torch.tensordot(self.basis.square(), std.to(like).square(), dims=1)
        return variance.sqrt().reshape(like.shape) * column(self.scales, like)


@dataclass(frozen=True)
class Raster:
    """Where the reference patches of a picture stand.

    Attributes
    ----------
    patch, reach : (int, int)
        Sides of a patch, odd unless cut short, and the largest lag to another one.
    tops, lefts : Tensor of int
        The reference patches begin at all pairs of these.
    stripe : int
        So many rows of them are worked on at a time.
    """

    patch: tuple[int, int]
    reach: tuple[int, int]
    tops: Tensor
    lefts: Tensor
    stripe: int

    @classmethod
    def of(cls, height: int, width: int, channels: int, most: int = PATCH_VALUES, *, last: bool) -> Raster:
        """Side by side, in the `last` pass one pixel closer, patches of at most `most` values."""
        side, reach = SIGNAL_PATCH, SIGNAL_REACH
        if min(height, width) > 1:
            side, reach = side_of(most, channels), REACH
        patch = (min(side, height), min(side, width))
        step = min(max(patch), MOST_STEP) - int(last)
        tops, lefts = (
            spread(n - m, max(1, min(step, m))) for n, m in zip((height, width), patch, strict=True)
        )
        return cls(patch, (reach, reach), tops, lefts, max(STRIPE_ROWS, STRIPE // len(lefts)))


def work(shape: tuple[int, int, int], most: int, *, last: bool) -> float:
    """Of one pass over a picture (C, H, W), in any unit: reference patches times values in them."""
    channels, height, width = shape
    raster = Raster.of(height, width, channels, most, last=last)
    return float(len(raster.tops) * len(raster.lefts) * raster.patch[0] * raster.patch[1])


def pilot(data: UnitData, kernel: PatchKernel) -> Tensor:
    """The kernel regression ``K y / K 1``, (C, H, W), with the noise's share taken out of K."""
    if 1 in data.noise.shape:
        kernel = kernel.unrolled()
    on_picture = kernel.on(data.values, data.noise)
    if data.missing is None:
        values, weights = data.values, torch.ones_like(data.noise)[None]
    else:
        weights = (~data.missing).to(data.values)
        values = data.values * weights
    both = on_picture.apply(torch.cat((values, weights)))
    top, bottom = both[: len(values)], both[len(values) :]
    return torch.where(bottom > 0, top / bottom, data.values)


def learnt_pass(
    data: UnitData,
    estimate: Tensor,
    stop: Callable[[float], bool],
    *,
    last: bool,
    most: int = PATCH_VALUES,
    far: int = 0,
) -> tuple[Tensor, Tensor] | None:
    """Mean and standard deviation, (C, H, W) each; None if `stop` said so.

    Reference patches of at most `most` values stand side by side, in the `last` pass one pixel closer; the
    groups around them cover the picture. Up to the lag `far`, some of the patches beyond the usual reach are looked at.
    The picture is worked through in stripes, so that the tables of patches stay small.
    """
    channels, height, width = estimate.shape
    raster = Raster.of(height, width, channels, most, last=last)
    shape, reach = raster.patch, raster.reach
    tops, lefts = (places.to(estimate.device) for places in (raster.tops, raster.lefts))
    values = data.values if data.missing is None else torch.where(data.missing, estimate, data.values)
    total, total_variance = torch.zeros_like(estimate), torch.zeros_like(estimate)
    count = torch.zeros_like(data.noise)
    seen = max(reach[0], far)
    for start in range(0, len(tops), raster.stripe):
        if stop(start / len(tops)):
            return None
        inside = tops[start : start + raster.stripe]
        first = max(0, int(inside[0]) - seen)
        rows = slice(first, min(height, int(inside[-1]) + seen + shape[0]))
        patches = Patches(rows.stop - first, width, *shape)
        groups = patches.alike(estimate[:, rows], inside - first, lefts, reach, GROUP, (far, far))
        noise = patches.of(data.noise[None, rows]).mean(1)
        weights = noise.new_zeros(len(noise)).index_add_(0, groups.flatten(), noise.new_ones(groups.numel()))
        count[rows] += patches.coverage(weights)
        for channel in range(0, channels, JOINT_CHANNELS):
            c = slice(channel, channel + JOINT_CHANNELS)
            holes = None if data.missing is None else patches.of(data.missing[c, rows])
            tables = patches.of(values[c, rows]), patches.of(estimate[c, rows]), noise, holes
            means, variances = _posterior_of_groups(groups, *tables)
            total[c, rows] += patches.sums(means)
            total_variance[c, rows] += patches.sums(variances)
    return total / count, (total_variance / count).sqrt()


def _posterior_of_groups(
    groups: Tensor, y: Tensor, estimate: Tensor, noise: Tensor, holes: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Sums over the groups, (G, n), of their patches' means and variances: two tables like `y`."""
    means, variances = torch.zeros_like(y), torch.zeros_like(y)
    for start in range(0, len(groups), BATCH):
        members = groups[start : start + BATCH]
        hidden = None if holes is None else holes[members]
        mean, variance = condition(y[members], estimate[members], noise[members].mean(1), hidden)
        means.index_add_(0, members.flatten(), mean.flatten(0, 1))
        variances.index_add_(0, members.flatten(), variance.flatten(0, 1))
    return means, variances


def condition(
    y: Tensor, estimate: Tensor, noise: Tensor, holes: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Posterior of groups of patches under the Gaussian learnt from each.

    A missing pixel has its mean and variance given the others of its patch, by the identities of
    leave-one-out cross-validation (Rasmussen and Williams 2006, equation 5.12).

    Parameters
    ----------
    y, estimate : Tensor, shape (G, n, d)
        G groups of n patches of d values: the data, and the estimate that the covariance is learnt from.
    noise : Tensor, shape (G,)
    holes : Tensor of bool, shape (G, n, d), optional

    Returns
    -------
    mean, variance : Tensor, shape (G, n, d)
    """
    n, d = y.shape[1:]
    v = noise[:, None, None]
    centred = estimate - estimate.mean(1, keepdim=True)
    identity = torch.eye(d).to(y)
    covariance = centred.mT @ centred / max(n - 1, 1) + v * identity
    root = _inverse_factor(covariance)
    precision = root.mT @ root
    # E[x x'] = E[x] E[x]' + V: what the posterior leaves open, the estimate's covariance lacks.
    left_open = v * identity - v.square() * precision
    wider = _inverse_factor(covariance + OPEN_PART * left_open)
    varied = y - y.mean(1, keepdim=True)
    odds = log_evidence(wider, varied) - log_evidence(root, varied) + PRIOR_LOG_ODDS
    precision = precision.lerp(wider.mT @ wider, odds.sigmoid()[:, None, None])
    pulled = varied @ precision
    mean = y - v * pulled
    if holes is not None:
        mean = torch.where(holes, y - pulled / precision.diagonal(dim1=1, dim2=2)[:, None], mean)
    diagonal = _inverse_factor(covariance + left_open).square().sum(1, keepdim=True)
    variance = (v - v.square() * (1 - 1 / n) * diagonal).clamp_min(0.0).expand(y.shape)
    if holes is not None:
        variance = torch.where(holes, (1 / diagonal - v).clamp_min(0.0) + v / n, variance)
    return mean, variance


def log_evidence(root: Tensor, varied: Tensor) -> Tensor:
    """Log density of draws whose mean was taken off, up to a constant: (G,).

    Parameters
    ----------
    root : Tensor, shape (G, d, d)
        Triangular; ``root' root`` is the inverse of each covariance.
    varied : Tensor, shape (G, n, d)
    """
    log_determinant = -2 * root.diagonal(dim1=1, dim2=2).log().sum(1)
    distance: Tensor = (varied @ root.mT).square().sum((1, 2))
    return -((varied.shape[1] - 1) * log_determinant + distance) / 2


def _inverse_factor(covariance: Tensor) -> Tensor:
    """R with ``R' R`` the inverse of each matrix.

    Not ``torch.cholesky_inverse``: its threads wait for each other after every small matrix.
    """
    factor = torch.linalg.cholesky(covariance)
    identity = torch.eye(factor.shape[-1]).to(factor)
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)
    return inverse


def filled(y: Tensor, missing: Tensor) -> Tensor:
    """`y`, (C, *grid), with missing pixels as the mean of their neighbours, from the rim inwards."""
    shape = y.shape
    weights = (~missing).to(y).reshape(*shape, *[1] * (3 - y.ndim))
    values = torch.where(missing, 0.0, y).reshape(weights.shape)
    while bool((weights == 0).any()) and bool(weights.any()):
        around, known = (avg_pool2d(x, 3, stride=1, padding=1) for x in (values, weights))
        new = (weights == 0) & (known > 0)
        if not bool(new.any()):  # a channel of which nothing was seen
            break
        values = torch.where(new, around / known, values)
        weights = torch.where(new, 1.0, weights)
    return values.reshape(shape)


def column(weights: Tensor, like: Tensor) -> Tensor:
    """(C,) as (C, 1, ..., 1)."""
    return weights.reshape(-1, *[1] * (like.ndim - 1))
