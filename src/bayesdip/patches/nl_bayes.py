"""Denoising by groups of similar patches: the second step of NL-Bayes, after a kernel regression.

1. *Pilot estimate*: the network's kernel on the observed picture (:mod:`bayesdip.patches.pilot`), corrected for
   the noise, averages the picture: ``x = K y / K 1``, a kernel regression (Nadaraya 1964, Watson 1964). For the
   default kernel it is non-local means with the averages taken over patches (Buades, Coll, Morel 2005).
2. *Passes*: every patch belongs to groups of patches that are similar in the last estimate. A
   group's patches are draws of one Gaussian process, of covariance C learnt from the last
   estimate and mean m learnt from the data, so that the posterior mean of a patch y is

       y - v (C + v I)^{-1} (y - m),        v the noise's variance,

   and its posterior covariance ``V = v I - v^2 (1 - 1/n) (C + v I)^{-1}``; the 1/n of a group of n
   is what the uncertainty of m adds. The estimate varies less than the picture does: for the standard
   deviations C + V takes the place of C, and for the mean C plus a part of V, weighted by its evidence.
   Each pixel averages over all patches and groups that hold it (aggregation).

The passes are the second step of NL-Bayes (Lebrun, Buades, Morel, *A nonlocal Bayesian image
denoising algorithm*, SIAM J. Imaging Sciences 2013), all colours at once, with the network's
kernel in place of its first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from bayesdip.interruption import look
from bayesdip.patches.correlation import Array
from bayesdip.patches.patch_grid import JOINT_CHANNELS, PATCH_VALUES, ReferenceGrid, side_of
from bayesdip.patches.pilot import PatchKernel
from bayesdip.threads import in_order

# Search radius in pixels. On 256x256 parts of `house`, `f16`, `kodak2`, `lena` and `kodak1`, sigma 25, it brought 0.09 dB
# over 12.
RADIUS = 24
# Side of a signal's patch, and its search radius, in samples.
SIGNAL_PATCH, SIGNAL_RADIUS = 9, 300
# Patches of a group. In the pass of larger patches, 40, 100 and 160 were no better (96x96 parts of the paper's nine pictures).
GROUP_SIZE = 64
# Most pixels from one reference patch to the next; in the last pass they overlap in all directions.
LARGEST_STEP = 5
# Above this ratio of the picture's variance to the noise's, single precision does not resolve the noise.
SINGLE_PRECISION_RANGE = 1e4
# Least variance of the noise: of a channel's standard deviation as a share of the largest channel's, of a pixel's variance
# as a share of the mean.
LEAST_NOISE = 1e-3
# And as a share of the picture's: the square of a smaller one is lost beside the picture's in double precision.
ROUNDING = 1e-5
# A group has a second model, whose covariance has this part of the posterior covariance besides, and prior log odds. It has
# the larger evidence in texture, which the estimate has lost. A larger part, or no prior against it, is too much on smooth
# surfaces: there is a little evidence for it everywhere, for patches are chosen by an estimate that follows the noise.
# Chosen on 256x256 parts of the paper's nine pictures: 31.14 dB on average with it, 31.11 without.
POSTERIOR_PART, PRIOR_LOG_ODDS = 0.3, -10.0
# They bound the memory: groups whose systems are solved at a time, and for a stripe of the picture
# the least number of reference patches and of rows of these.
BATCH, STRIPE = 512, (4096, 24)


@dataclass(frozen=True)
class WhitenedData:
    """Data with noise of about variance one.

    Attributes
    ----------
    values : Tensor, shape (C, H, W)
        Missing pixels hold a guess from their neighbours.
    noise : Tensor, shape (H, W)
        Variance of the noise, one on average.
    missing : Tensor of bool, shape (C, H, W), or None
        None if there are none.
    correlation : array, shape (C, C, K, K), or None
        Of the noise (:mod:`bayesdip.patches.correlation`); None where it is white.
    """

    values: Tensor
    noise: Tensor
    missing: Tensor | None
    correlation: Array | None = None


@dataclass(frozen=True)
class Whitening:
    """From channels to linear combinations of channels with noise of variance one, and back.

    Attributes
    ----------
    scales : Tensor, shape (C,)
        The noise's standard deviation in each channel.
    basis : Tensor, shape (C, C)
        Orthonormal columns, the combinations: the noise stays white.
    largest : float
        The largest square of what differs from a channel's mean, over the variance of its noise.
    dtype : torch.dtype
        The precision in which to work: it resolves the noise.
    """

    scales: Tensor
    basis: Tensor
    largest: float
    dtype: torch.dtype

    @classmethod
    def of(cls, y: Tensor, variance: Tensor, missing: Tensor) -> Whitening | None:
        """For data (C, *grid); None if there is no noise."""
        scales = torch.where(missing, torch.nan, variance).flatten(1).nanmean(1).nan_to_num(0.0).sqrt()
        if not bool(scales.any()):
            return None
        scales = scales.clamp_min(LEAST_NOISE * float(scales.amax()))
        scales = scales.maximum(ROUNDING * y.flatten(1).std(1, correction=0))
        unit = (y / column(scales, y)).flatten(1)
        unit = unit - unit.mean(1, keepdim=True)
        basis = torch.eye(len(y)).to(y)
        if len(y) > JOINT_CHANNELS:  # principal components: white noise does not change their axes
            basis = torch.linalg.eigh(unit @ unit.T).eigenvectors.flip(1)
        largest = float(unit.square().amax())
        dtype = torch.float32 if largest < SINGLE_PRECISION_RANGE else torch.float64
        return cls(scales, basis, largest, dtype)

    def apply(self, y: Tensor, variance: Tensor, missing: Tensor) -> WhitenedData:
        """Data (C, *grid) in the combinations; a signal becomes a picture of one column."""
        scales = column(self.scales, y)
        incomplete = bool(missing.any())
        if incomplete:
            noise = torch.where(missing, torch.nan, variance / scales.square()).nanmean(0).nan_to_num(1.0)
        else:
            planes = zip(variance, self.scales, strict=True)
            noise = sum((plane / scale.square() for plane, scale in planes), torch.zeros_like(y[0])) / len(y)
        values = filled_from_neighbours(y, missing) if incomplete else y
        if len(y) > JOINT_CHANNELS:  # else the combinations are the channels
            values = torch.tensordot(self.basis.T, values / scales, dims=1)
            missing = missing.any(0).expand(missing.shape)
        else:  # one after the other: all at once would be most of the memory of a run
            values = torch.stack(
                [(plane / scale).to(self.dtype) for plane, scale in zip(values, self.scales, strict=True)]
            )
        shape = (*y.shape[1:], 1) if y.ndim == 2 else tuple(y.shape[1:])
        return WhitenedData(
            values=values.reshape(-1, *shape).to(self.dtype),
            noise=noise.reshape(shape).clamp_min(LEAST_NOISE).to(self.dtype),
            missing=missing.reshape(-1, *shape) if incomplete else None,
        )

    def undo(self, values: Tensor, like: Tensor) -> Tensor:
        """A picture in the combinations back to channels in their own scale, in the shape of `like`."""
        if len(values) > JOINT_CHANNELS:
            values = torch.tensordot(self.basis, values.to(like), dims=1)
        found = torch.empty_like(like)
        for plane, value, scale in zip(found, values, self.scales, strict=True):
            plane.copy_(value.reshape(plane.shape)).mul_(scale)
        return found

    def undo_std(self, std: Tensor, like: Tensor) -> Tensor:
        """The same of standard deviations; the combinations are taken as independent."""
        if len(std) <= JOINT_CHANNELS:
            return self.undo(std, like)
        variance: Tensor = torch.tensordot(self.basis.square(), std.to(like).square(), dims=1)
        return variance.sqrt().reshape(like.shape) * column(self.scales, like)


def reference_grid(shape: Sequence[int], patch_values: int = PATCH_VALUES, *, last: bool) -> ReferenceGrid:
    """For a picture (C, H, W): patches side by side, in the `last` pass one pixel closer."""
    channels, height, width = shape
    side, radius = SIGNAL_PATCH, SIGNAL_RADIUS
    if min(height, width) > 1:
        side, radius = side_of(patch_values, channels), RADIUS
    step = min(max(min(side, height), min(side, width)), LARGEST_STEP) - int(last)
    return ReferenceGrid.of((height, width), side, radius, step, STRIPE)


def work(shape: tuple[int, int, int], patch_values: int, *, last: bool) -> float:
    """Of one pass over a picture (C, H, W), in any unit: reference patches times pixels in them."""
    return reference_grid(shape, patch_values, last=last).values


def pilot_estimate(data: WhitenedData, kernel: PatchKernel) -> Tensor:
    """The kernel regression ``K y / K 1``, with K corrected for the noise in the data.

    Parameters
    ----------
    data : WhitenedData
    kernel : PatchKernel

    Returns
    -------
    Tensor, shape (C, H, W)
        The data's own value where no weight is positive.
    """
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


def nl_bayes_pass(
    data: WhitenedData,
    estimate: Tensor,
    stop: Callable[[float], bool],
    *,
    last: bool,
    patch_values: int = PATCH_VALUES,
    far_radius: int = 0,
) -> tuple[Tensor, Tensor] | None:
    """One pass over all patches: the second step of NL-Bayes.

    Parameters
    ----------
    data : WhitenedData
    estimate : Tensor, shape (C, H, W)
        Tells which patches are similar, and their covariance.
    stop : callable
        ``(share of the pass done) -> bool``
    last : bool
        Whether it is the last pass: reference patches then overlap in all directions.
    patch_values : int
        Values in a patch, at most.
    far_radius : int
        Up to this lag in pixels, some of the patches beyond the usual search radius are compared too.

    Returns
    -------
    (mean, std), Tensors of shape (C, H, W), or None
        None if `stop` ended it.
    """
    channels, height, width = estimate.shape
    references = reference_grid(estimate.shape, patch_values, last=last).to(estimate.device)
    radius, far = (references.radius, references.radius), (far_radius, far_radius)
    values = data.values if data.missing is None else torch.where(data.missing, estimate, data.values)
    total, total_variance = torch.zeros_like(estimate), torch.zeros_like(estimate)
    count = torch.zeros_like(data.noise)
    for stripe in references.stripes(height, width, far_radius):
        if stop(stripe.share):
            return None
        rows, patches = stripe.rows, stripe.patches
        groups = patches.similar(estimate[:, rows], stripe.tops, references.lefts, radius, GROUP_SIZE, far)
        noise = patches.of(data.noise[None, rows]).mean(1)
        weights = noise.new_zeros(len(noise)).index_add_(0, groups.flatten(), noise.new_ones(groups.numel()))
        count[rows] += patches.coverage(weights)
        for channel in range(0, channels, JOINT_CHANNELS):
            c = slice(channel, channel + JOINT_CHANNELS)
            missing = None if data.missing is None else patches.of(data.missing[c, rows])
            tables = patches.of(values[c, rows]), patches.of(estimate[c, rows]), noise, missing
            means, variances = _posterior_of_groups(groups, *tables)
            total[c, rows] += patches.sums(means)
            total_variance[c, rows] += patches.sums(variances)
    return total / count, (total_variance / count).sqrt()


def _posterior_of_groups(
    groups: Tensor, y: Tensor, estimate: Tensor, noise: Tensor, missing: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Sums over the groups, (G, n), of their patches' means and variances: two tables like `y`."""
    means, variances = torch.zeros_like(y), torch.zeros_like(y)
    batches = [groups[start : start + BATCH] for start in range(0, len(groups), BATCH)]

    def conditioned(members: Tensor) -> tuple[Tensor, Tensor]:
        of_members = None if missing is None else missing[members]
        return condition(y[members], estimate[members], noise[members].mean(1), of_members)

    # A thread for each batch on the processor: threads that share its small operations wait for each other.
    tasks = [partial(conditioned, members) for members in batches]
    results = in_order(tasks) if y.device.type == "cpu" else (task() for task in tasks)
    for members, (mean, variance) in zip(batches, results, strict=True):
        look()
        means.index_add_(0, members.flatten(), mean.flatten(0, 1))
        variances.index_add_(0, members.flatten(), variance.flatten(0, 1))
    return means, variances


def condition(
    y: Tensor, estimate: Tensor, noise: Tensor, missing: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Posterior of groups of patches under the Gaussian learnt from each.

    A missing pixel has its mean and variance given the others of its patch, by the identities of
    leave-one-out cross-validation (Rasmussen and Williams 2006, equation 5.12).

    Parameters
    ----------
    y, estimate : Tensor, shape (G, n, d)
        G groups of n patches of d values: the data, and the estimate that the covariance is learnt from.
    noise : Tensor, shape (G,)
    missing : Tensor of bool, shape (G, n, d), optional

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
    # E[x x'] = E[x] E[x]' + V: the estimate's covariance lacks the posterior one.
    posterior_covariance = v * identity - v.square() * precision
    wider = _inverse_factor(covariance + POSTERIOR_PART * posterior_covariance)
    varied = y - y.mean(1, keepdim=True)
    odds = log_evidence(wider, varied) - log_evidence(root, varied) + PRIOR_LOG_ODDS
    precision = precision.lerp(wider.mT @ wider, odds.sigmoid()[:, None, None])
    pulled = varied @ precision
    mean = y - v * pulled
    if missing is not None:
        mean = torch.where(missing, y - pulled / precision.diagonal(dim1=1, dim2=2)[:, None], mean)
    diagonal = _inverse_factor(covariance + posterior_covariance).square().sum(1, keepdim=True)
    variance = (v - v.square() * (1 - 1 / n) * diagonal).clamp_min(0.0).expand(y.shape)
    if missing is not None:
        variance = torch.where(missing, (1 / diagonal - v).clamp_min(0.0) + v / n, variance)
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


def filled_from_neighbours(y: Tensor, missing: Tensor) -> Tensor:
    """`y`, (C, *grid), with missing pixels as the mean of their neighbours, from the rim inwards."""
    shape = y.shape
    weights = (~missing).to(y).reshape(*shape, *[1] * (3 - y.ndim))
    values = torch.where(missing, 0.0, y).reshape(weights.shape)
    while bool((weights == 0).any()) and bool(weights.any()):
        look()
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
