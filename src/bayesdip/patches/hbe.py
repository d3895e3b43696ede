"""Missing pixels from similar patches (PLE, HBE): posteriors of Gaussian patches of which only a part is known.

The picture starts as some estimate (the mean of a stationary Gaussian process). In each pass
a group of similar patches gets a mean m and a covariance C from the last estimate, and each patch
its posterior given its own known pixels o,

    m + C[:, o] (C[o, o] + v)^{-1} (y[o] - m[o]),        v the noise's variance.

Each pixel averages over all patches and groups that hold it (aggregation). This is expectation maximisation for
a Gaussian mixture of patches (PLE: Yu, Sapiro, Mallat, *Solving inverse problems with piecewise linear
estimators*, IEEE TIP 2012; HBE, with groups in place of classes: Aguerrebere, Almansa, Delon, Gousseau,
Muse, *A Bayesian hyperprior approach for joint image denoising and interpolation*, IEEE TCI 2017),
with two short cuts. What the estimate's covariance lacks, since a filled-in value varies less than
a true one, is a multiple of the identity that shrinks from pass to pass. And the estimate goes
twice as far as each pass moves it (over-relaxation), since expectation maximisation is slow where much is missing.

In the last pass each value is weighted by its posterior precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bayesdip.interruption import Stopped, look
from bayesdip.patches.damaged_patches import Pass, add_patches
from bayesdip.patches.estimate import Estimate
from bayesdip.patches.known_pixels import KnownPixels, Sums
from bayesdip.patches.patch_grid import JOINT_CHANNELS, PATCH_VALUES, ReferenceGrid, side_of

# Search radius in pixels: in the first passes, whose estimate is good next to known pixels alone, and later.
RADIUS, LATER_RADIUS, FIRST_PASSES = 12, 24, 2
# Side of a signal's patch, and its search radius, in samples.
SIGNAL_PATCH, SIGNAL_RADIUS = 16, 300
# Patches that a group's Gaussian is learnt from, and how many of them, the nearest to its reference, are restored by it
# where half of the pixels or more are missing: in all passes but the last, and in the last. Groups, and sizes of patches,
# were chosen on crops of eight of the eleven pictures of the paper's inpainting table.
GROUP_SIZE, RESTORED, LAST_RESTORED = 64, 16, 32
# Pixels from one reference patch to the next: in all passes but the last, and in the last.
STEP, LAST_STEP = 6, 4
# The multiple of the identity that is added to a covariance, as a share of the picture's variance, pass by pass; the last
# one repeats.
ADDED = (0.02, 0.01, 0.004, 0.0016)
# The least variance of the noise, as a share of the picture's: it keeps the covariances well-conditioned.
LEAST_NOISE = 4e-4
# Over-relaxation: how far the estimate of missing pixels moves, in units of the step of a pass. It saves about half of the
# passes.
OVER_RELAXATION = 2.0
# A patch with less than this share of its pixels known does not count.
LEAST_KNOWN = 1 / 16
# Where at most this share of the values of an exact picture is missing, only patches that lack some are restored, and of each
# group all of these among the nearest. On 128x128 parts of three tuning pictures that gained 0.3 to 1.7 dB where 3% of the
# pixels are missing at random, 0.4 to 3 in text and scratches, and 0.0 to 0.4 at 10%, in a half to a quarter of the time;
# at 25% it was the same within 0.07 dB in a third of the time, and at 50% within 0.01 in three quarters of it.
FEW = 0.4
# They bound the memory, and the time until a run can stop: entries of the matrices that are factorised at a time, and for
# a stripe of the picture the least number of reference patches and of rows of these.
ENTRIES, STRIPE = 2**20, (1024, 8)


def fill(
    known: KnownPixels,
    estimate: Tensor,
    passes: int,
    stop: Callable[[int, float], bool],
    *,
    patch_values: int = PATCH_VALUES,
    good_start: bool = False,
    thin: bool = False,
    missing_only: bool = False,
    compiled: bool = False,
) -> Estimate:
    """Fill in the missing pixels, starting from an estimate of the whole picture.

    Parameters
    ----------
    known : KnownPixels
        In units of each channel's standard deviation, with noise of at least `LEAST_NOISE`.
    estimate : Tensor, shape (C, H, W)
    passes : int
    stop : callable
        ``(pass, share of it done) -> bool``; True stops with the last finished estimate.
    patch_values : int
        Values in a patch.
    good_start : bool
        Whether the estimate is as good as that of a last pass: its covariances then lack as little.
    thin : bool
        Whether what is missing was filled in smoothly from nearby: the first pass then adds as much as a second one does.
    missing_only : bool
        Whether known values may stay as they are in the estimate, though they have noise.
    compiled : bool
        Whether groups are restored by a compiled loop, whatever the share that is missing.

    Returns
    -------
    Estimate
        ``std`` is that of the mixture of all patches that hold a pixel; None if the last pass was not finished.
        ``covered`` is False where no patch has enough known pixels: the estimate that was given stays there.
    """
    covered = torch.ones_like(known.missing)
    std, done = None, 0
    exact = bool((known.noise <= LEAST_NOISE).all())
    only_missing = (exact or missing_only) and are_alike(known) and (compiled or are_few(known))
    if only_missing and exact:
        estimate = torch.where(known.missing, estimate, known.values)
    for number in range(passes):
        last = number == passes - 1
        sums = Sums.like(estimate)
        added = ADDED[-1 if good_start else min(number + thin, len(ADDED) - 1)]
        first = number < FIRST_PASSES and not good_start
        references = reference_grid(estimate.shape, patch_values, first=first, last=last)

        def stop_pass(share: float, number: int = number) -> bool:
            return stop(number, share)

        try:
            if only_missing:
                settings = _pass(references, added, last, compiled)
                finished = add_patches(sums, known, estimate, settings, stop_pass)
            else:
                finished = _add_patches(sums, known, estimate, added, references, last, stop_pass)
        except Stopped:
            finished = False
        if not finished:
            return Estimate(estimate, None, done, covered)
        covered = sums.weights > 0
        found = torch.where(covered, sums.mean, estimate)
        if last:
            estimate, std = found, sums.std
        else:
            estimate = torch.where(known.missing, estimate + OVER_RELAXATION * (found - estimate), found)
        done += 1
    if only_missing:
        covered = covered | ~known.missing
        std = None if std is None else torch.where(known.missing, std, 0.0)
    return Estimate(estimate, std, done, covered)


def are_alike(known: KnownPixels) -> bool:
    """Whether known values of a channel of a picture have the same noise, so that what is missing can be restored alone."""
    picture = min(known.missing.shape[1:]) > 1
    return picture and bool((known.noise == known.noise[:, :1, :1]).all())


def are_few(known: KnownPixels) -> bool:
    """Whether few values are missing."""
    return float(known.missing.double().mean()) <= FEW


def _pass(grid: ReferenceGrid, added: float, last: bool, compiled: bool) -> Pass:
    return Pass(grid, GROUP_SIZE, LAST_RESTORED if last else RESTORED, added, LEAST_KNOWN, last, compiled)


def reference_grid(
    shape: Sequence[int], patch_values: int, *, first: bool = False, last: bool = False
) -> ReferenceGrid:
    """For a picture (C, H, W), or a signal as a picture of one column, in one of the `first` passes or the `last`."""
    channels, height, width = shape
    side, radius = side_of(patch_values, channels), RADIUS if first else LATER_RADIUS
    if min(height, width) == 1:
        side, radius = SIGNAL_PATCH, SIGNAL_RADIUS
    return ReferenceGrid.of((height, width), side, radius, LAST_STEP if last else STEP, STRIPE)


def work(shape: tuple[int, int, int], patch_values: int, *, last: bool) -> float:
    """Of one pass over a picture (C, H, W), in any unit: patches that are restored times pixels in them."""
    return reference_grid(shape, patch_values, last=last).values * (LAST_RESTORED if last else RESTORED)


def _add_patches(
    sums: Sums,
    known: KnownPixels,
    estimate: Tensor,
    added: float,
    references: ReferenceGrid,
    last: bool,
    stop: Callable[[float], bool],
) -> bool:
    """Restore the patches of the whole picture and add them to `sums`; False if `stop` ended it."""
    channels, height, width = estimate.shape
    references, radius = references.to(estimate.device), (references.radius, references.radius)
    for stripe in references.stripes(height, width):
        if stop(stripe.share):
            return False
        rows, patches = stripe.rows, stripe.patches
        groups = patches.similar(estimate[:, rows], stripe.tops, references.lefts, radius, GROUP_SIZE)
        for channel in range(0, channels, JOINT_CHANNELS):
            c = slice(channel, channel + JOINT_CHANNELS)
            tables = KnownPixels(
                *(patches.of(t[c, rows]) for t in (known.values, known.missing, known.noise))
            )
            found = _restored(groups, tables, patches.of(estimate[c, rows]), added, last)
            for into, table in zip((sums.weights, sums.means, sums.squares), found, strict=True):
                into[c, rows] += patches.sums(table)
    return True


def _restored(
    groups: Tensor, known: KnownPixels, estimate: Tensor, added: float, weigh: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the groups of their patches' weights, weighted means and second moments, all as tables of patches."""
    values, missing, noise = known.values, known.missing, known.noise
    totals = torch.zeros_like(values), torch.zeros_like(values), torch.zeros_like(values)
    # The fewer are missing, the larger the systems are, and the less there is to average.
    count = (LAST_RESTORED if weigh else RESTORED) * min(1.0, 2 * float(missing.double().mean()))
    count = min(max(1, round(count)), groups.shape[1])
    enough = (~missing).to(values).mean(1, keepdim=True) >= LEAST_KNOWN
    for some in groups.split(max(1, ENTRIES // (values.shape[1] ** 2 * count))):  # type: ignore[no-untyped-call]
        look()
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

    Only the known pixels' part of the covariance is factorised: for half of the pixels, an eighth of the work.

    Parameters
    ----------
    y, noise : Tensor, shape (G, n, d)
        n patches in each of G groups, and the variance of their noise.
    missing : Tensor of bool, shape (G, n, d)
    covariance : Tensor, shape (G, d, d)
    with_variance : bool
        Whether to find the variance too.

    Returns
    -------
    mean : Tensor, shape (G, n, d)
    variance : Tensor, shape (G, n, d), or None
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
