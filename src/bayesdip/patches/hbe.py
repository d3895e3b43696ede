"""Missing pixels from patches alike: the posterior of Gaussian patches of which only a part was seen.

The picture starts as some estimate (the mean of a stationary Gaussian process). In each pass
a group of patches alike gets a mean m and a covariance C from the last estimate, and each patch
its posterior given its own known pixels o,

    m + C[:, o] (C[o, o] + v)^{-1} (y[o] - m[o]),        v the noise's variance.

Each pixel averages over all patches and groups that hold it. This is expectation maximisation for
a Gaussian mixture of patches (Yu, Sapiro, Mallat, *Solving inverse problems with piecewise linear
estimators*, IEEE TIP 2012; with groups instead of classes Aguerrebere, Almansa, Delon, Gousseau,
Muse, *A Bayesian hyperprior approach for joint image denoising and interpolation*, IEEE TCI 2017),
with two short cuts: what the estimate's covariance lacks, since a filled-in value varies less than
a true one, is a multiple of the identity that shrinks from pass to pass; and the estimate goes
twice as far as each pass says, since expectation maximisation is slow where much is missing.

In the last pass each value weighs as much as its posterior variance says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.patches.patch_grid import JOINT_CHANNELS, PATCH_VALUES, Patches, side_of, spread

# How far patches alike are looked for: in the first passes, whose estimate shows but what is next to each pixel, and later.
REACH, LATER_REACH, FIRST_PASSES = 12, 24, 2
# The same for a signal, in samples.
SIGNAL_PATCH, SIGNAL_REACH = 16, 300
# Patches that a group learns from, and how many of them, the nearest to its reference, it restores where half
# of the pixels or more are missing.
GROUP, RESTORED, LAST_RESTORED = 64, 16, 32
# From one reference patch to the next: in all passes but the last, and in the last.
STEP, LAST_STEP = 6, 4
# What is added to the covariance, as a share of the picture's variance; the last one repeats.
ADDED = (0.02, 0.01, 0.004, 0.0016)
# Noise that stands in where there is less, as a share of the picture's variance.
LEAST_NOISE = 4e-4
# How far the estimate goes, in units of what a pass says.
STRIDE = 2.0
# A patch of which less than this share was seen is no witness of the pixels that it lacks.
LEAST_SEEN = 1 / 16
# They bound the memory, and the time until a run can stop: entries of the matrices solved at a time, and for a stripe of the picture
# the least number of reference patches and of rows of these.
ENTRIES = 2**20
STRIPE, STRIPE_ROWS = 1024, 8


@dataclass(frozen=True)
class Known:
    """What was seen, in units of each channel's standard deviation: pictures, or their tables of patches.

    Attributes
    ----------
    values : Tensor, shape (C, H, W)
        Anything finite where a pixel is missing.
    missing : Tensor of bool, shape (C, H, W)
    noise : Tensor, shape (C, H, W)
        Variance, more than zero.
    """

    values: Tensor
    missing: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Filled:
    """What `fill` found, each of shape (C, H, W).

    Attributes
    ----------
    mean : Tensor
    std : Tensor or None
        Of the mixture of all patches that hold a pixel; None if the last pass was not finished.
    left : Tensor of bool
        Where no patch knows enough: the estimate that was given still stands.
    passes : int
        Passes that were finished.
    """

    mean: Tensor
    std: Tensor | None
    left: Tensor
    passes: int


def fill(
    known: Known,
    estimate: Tensor,
    passes: int,
    stop: Callable[[int, float], bool],
    *,
    most: int = PATCH_VALUES,
    near: bool = False,
) -> Filled:
    """Improve an estimate, (C, H, W), of the whole picture.

    Parameters
    ----------
    known : Known
    estimate : Tensor, shape (C, H, W)
    passes : int
    stop : callable
        ``(pass, share of it done) -> bool``; True stops with the last finished estimate.
    most : int
        Values in a patch.
    near : bool
        The estimate is a good one: its covariances lack as little as those of the last pass.
    """
    left = torch.zeros_like(known.missing)
    std, done = None, 0
    for number in range(passes):
        last = number == passes - 1
        sums = Sums.like(estimate)
        added = ADDED[-1 if near else min(number, len(ADDED) - 1)]
        search = Search.of(estimate.shape, most, first=number < FIRST_PASSES and not near, last=last)

        def stopped(share: float, number: int = number) -> bool:
            return stop(number, share)

        if not _add_patches(sums, known, estimate, added, search, stopped):
            return Filled(estimate, None, left, done)
        left = sums.weights == 0
        said = torch.where(left, estimate, sums.mean)
        if last:
            estimate, std = said, sums.std
        else:
            estimate = torch.where(known.missing, estimate + STRIDE * (said - estimate), said)
        done += 1
    return Filled(estimate, std, left, done)


@dataclass(frozen=True)
class Sums:
    """Over the patches that hold a pixel: of weights, weighted means and second moments, (C, H, W) each."""

    weights: Tensor
    means: Tensor
    squares: Tensor

    @classmethod
    def like(cls, table: Tensor) -> Sums:
        return cls(torch.zeros_like(table), torch.zeros_like(table), torch.zeros_like(table))

    @property
    def mean(self) -> Tensor:
        return self.means / self.weights

    @property
    def std(self) -> Tensor:
        """Of the mixture: what each patch leaves open, and how far they differ."""
        return (self.squares / self.weights - self.mean.square()).clamp_min(0.0).sqrt()


@dataclass(frozen=True)
class Search:
    """Which patches stand where, and how far others are looked for.

    Attributes
    ----------
    patch : (int, int)
        Height and width.
    reach : int
        How far others are looked for, at most, along each axis.
    step : int
        From one reference patch to the next.
    last : bool
        Whether it is for the last pass, whose patches weigh as much as they know.
    """

    patch: tuple[int, int]
    reach: int
    step: int
    last: bool

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        most: int = PATCH_VALUES,
        *,
        first: bool = False,
        last: bool = False,
    ) -> Search:
        """For a picture (C, H, W); of one column, a signal."""
        channels, height, width = shape
        side, reach = side_of(most, channels), REACH if first else LATER_REACH
        if min(height, width) == 1:
            side, reach = SIGNAL_PATCH, SIGNAL_REACH
        step = LAST_STEP if last else STEP
        return cls((min(side, height), min(side, width)), reach, step, last)

    def starts(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Rows and columns at which the reference patches begin."""
        tops, lefts = (
            spread(n - m, min(self.step, m)) for n, m in zip((height, width), self.patch, strict=True)
        )
        return tops, lefts


def work(shape: tuple[int, int, int], most: int, *, last: bool) -> float:
    """Of one pass over a picture (C, H, W), in any unit: patches that are restored times values in them."""
    search = Search.of(shape, most, last=last)
    tops, lefts = search.starts(*shape[1:])
    restored = LAST_RESTORED if last else RESTORED
    return float(len(tops) * len(lefts) * restored * search.patch[0] * search.patch[1])


def _add_patches(
    sums: Sums,
    known: Known,
    estimate: Tensor,
    added: float,
    search: Search,
    stop: Callable[[float], bool],
) -> bool:
    """Restore the patches of the whole picture and add them to `sums`; False if `stop` said so.

    The picture is worked through in stripes, so that the tables of patches stay small.
    """
    channels, height, width = estimate.shape
    shape, reach = search.patch, search.reach
    tops, lefts = (starts.to(estimate.device) for starts in search.starts(height, width))
    stripe = max(STRIPE_ROWS, STRIPE // len(lefts))
    for start in range(0, len(tops), stripe):
        if stop(start / len(tops)):
            return False
        inside = tops[start : start + stripe]
        first = max(0, int(inside[0]) - reach)
        rows = slice(first, min(height, int(inside[-1]) + reach + shape[0]))
        patches = Patches(rows.stop - first, width, *shape)
        groups = patches.alike(estimate[:, rows], inside - first, lefts, (reach, reach), GROUP)
        for channel in range(0, channels, JOINT_CHANNELS):
            c = slice(channel, channel + JOINT_CHANNELS)
            tables = Known(*(patches.of(t[c, rows]) for t in (known.values, known.missing, known.noise)))
            found = _restored(groups, tables, patches.of(estimate[c, rows]), added, search.last)
            for into, table in zip((sums.weights, sums.means, sums.squares), found, strict=True):
                into[c, rows] += patches.sums(table)
    return True


def _restored(
    groups: Tensor, known: Known, estimate: Tensor, added: float, weigh: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the groups of their patches' weights, weighted means and second moments, all as tables of patches."""
    values, missing, noise = known.values, known.missing, known.noise
    totals = torch.zeros_like(values), torch.zeros_like(values), torch.zeros_like(values)
    # The fewer are missing, the larger the systems are, and the less there is to average.
    count = (LAST_RESTORED if weigh else RESTORED) * min(1.0, 2 * float(missing.double().mean()))
    count = min(max(1, round(count)), groups.shape[1])
    enough = (~missing).to(values).mean(1, keepdim=True) >= LEAST_SEEN
    for some in groups.split(max(1, ENTRIES // (values.shape[1] ** 2 * count))):  # type: ignore[no-untyped-call]
        centre = estimate[some].mean(1, keepdim=True)
        centred = estimate[some] - centre
        covariance = centred.mT @ centred / max(some.shape[1] - 1, 1)
        covariance.diagonal(dim1=1, dim2=2).add_(added)
        these = some[:, :count]
        mean, variance = condition_on_known(
            values[these] - centre, missing[these], noise[these], covariance, with_variance=weigh
        )
        mean = mean + centre
        weights = enough[these].to(mean).expand_as(mean)
        square = mean.square()
        if variance is not None:
            weights, square = weights / (variance + added), square + variance
        for total, term in zip(totals, (weights, weights * mean, weights * square), strict=True):
            total.index_add_(0, these.flatten(), term.flatten(0, 1))
    return totals


def condition_on_known(
    y: Tensor, missing: Tensor, noise: Tensor, covariance: Tensor, *, with_variance: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Posterior mean and variance of patches of mean zero, each given its own known pixels.

    Only the known pixels' part of the covariance is factorised: of half as many pixels, an eighth of the work.

    Parameters
    ----------
    y, noise : Tensor, shape (G, n, d)
        n patches in each of G groups, and the variance of their noise.
    missing : Tensor of bool, shape (G, n, d)
    covariance : Tensor, shape (G, d, d)
    """
    groups, n, d = y.shape
    most = int((~missing).sum(-1).max())
    place = missing.to(torch.int8).argsort(dim=-1, stable=True)[..., :most]
    known = ~missing.gather(-1, place)
    pairs = (d * place[..., :, None] + place[..., None, :]).reshape(groups, -1)
    seen = covariance.reshape(groups, -1).gather(1, pairs).reshape(groups, n, most, most)
    seen = seen * (known[..., :, None] & known[..., None, :])
    seen.diagonal(dim1=-2, dim2=-1).add_(torch.where(known, noise.gather(-1, place), 1.0))
    factor = torch.linalg.cholesky(seen)
    pulled = torch.cholesky_solve((y.gather(-1, place) * known)[..., None], factor)[..., 0] * known
    mean = torch.zeros_like(y).scatter_(-1, place, pulled) @ covariance
    if not with_variance:
        return mean, None
    rows = covariance[:, None].expand(groups, n, d, d)
    cross = rows.gather(2, place[..., None].expand(groups, n, most, d)) * known[..., None]
    explained = torch.linalg.solve_triangular(factor, cross, upper=False).square().sum(2)
    return mean, (covariance.diagonal(dim1=1, dim2=2)[:, None] - explained).clamp_min(0.0)
