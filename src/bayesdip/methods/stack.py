"""``method="stack"``: the picture's own patches and a sampled network, averaged.

The non-local Gaussian process knows what repeats in a picture, the network what is typical of
pictures; their errors differ, and the average of the two posterior means is better than
either. The weight is the one that best predicts the held-out pixels, which neither of them saw: stacking
(Wolpert, Neural Networks 1992; of Bayesian posteriors, Yao et al., Bayesian Analysis 2018). Where
such pixels are exact, a pixel's weight goes by how sure the patches are of it, too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.gp.held_out import bare
from bayesdip.holdout import choose_held_out
from bayesdip.methods import gp
from bayesdip.networks import refit as told
from bayesdip.networks import tiles as parts
from bayesdip.networks.initial_estimate import initial_estimate
from bayesdip.networks.warm_up_timing import rehearsed
from bayesdip.operators import Identity, Mask
from bayesdip.patches.pilot import PatchKernel
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Estimate, Progress, Snapshot
from bayesdip.settings import Settings

# Prior of the network's weight: normal with this spread around its usual value. It decides where few
# pixels stand in strong noise, or a few errors at edges outweigh all others.
USUAL_WEIGHT, WEIGHT_SPREAD = 0.5, 0.3
# Where data are exact, errors tell more: this is about the correlation of the two on `montage`, `house` and `cameraman`,
# and with it the sizes of both on held-out pixels say what the weight should be.
CORRELATION = 0.7
# Of the memory that the network's first steps took, the share that the process still has while patches work: 60 to 200 MiB
# of 430 to 1050.
LEFT_BEHIND = 0.15
# Pixels over which the variances of a pixel's neighbours count for it, by a Gaussian window.
SMOOTHING = 1.0


def run(problem: Problem, settings: Settings, progress: Progress) -> Posterior:
    """The non-local process first, in seconds; then the network; stopped early, the process alone.

    At every moment the average of what there is then is what it would give. Before the non-local process
    there is the stationary one.

    Raises
    ------
    BayesDipError
        The operator is neither the identity nor a mask.
    """
    if not isinstance(problem.operator, Identity | Mask):
        raise BayesDipError(
            f"method 'stack' was given the operator {problem.operator!r}: expected the identity or a mask, "
            "since it compares patches of the data; use method='sgld'"
        )
    patchwise = replace(settings, method="gp", kernel=PatchKernel(), samples=0)
    held_out = problem.held_out
    if held_out is None or not bool(
        problem.operator.observed[..., held_out].any()
    ):  # judged by pixels of its own
        held_out = choose_held_out(problem, settings.seed + 1)
        problem = replace(problem, held_out=held_out)
    first = initial_estimate(replace(problem, y=problem.y.to(settings.device)), progress)
    if progress.should_stop() and first is not None:
        nothing = first.new_empty((0, *first.shape))
        return Posterior(
            first, None, nothing, {"step": []}, progress.stop_reason, info={"initial_estimate": True}
        )

    seen = problem if told.tells(problem) else told.blind(problem)
    network_takes = Estimate(0.0, 0, 0)  # without pixels to judge it by there is none
    if held_out is not None:
        network_takes = rehearsed(seen, settings)

    def of_the_first(snapshot: Snapshot) -> Snapshot:
        """All that it tells is told of the whole: the network comes after it."""
        remaining = progress.within_budget(snapshot.remaining + network_takes.seconds)
        whole = replace(snapshot, remaining=remaining, mean=None if first is None else lambda: first)
        estimate = snapshot.estimate
        if estimate is None:
            return whole
        memory = max(estimate.memory + round(LEFT_BEHIND * network_takes.memory), network_takes.memory)
        return replace(whole, estimate=Estimate(snapshot.elapsed + remaining, memory, network_takes.steps))

    with progress.retelling(of_the_first):
        patches = gp.run(problem, patchwise, progress)
    if progress.should_stop() or held_out is None or patches.without is None:
        return patches
    patches_without = patches.without

    missing = ~problem.operator.observed.cpu() | held_out

    def weigh(mean: Tensor) -> Tensor:
        """What the held-out pixels say, (C, *grid); where data are exact, in proportion to `precision_share`."""
        mean, without = mean.double().cpu(), patches_without.mean.double().cpu()
        share, usual = torch.ones_like(mean), USUAL_WEIGHT
        if problem.noise.is_exact and patches_without.std is not None:
            std = calibrated(patches_without.std, problem.y - without, held_out)
            error, other = ((problem.y - x)[:, held_out].square().mean().sqrt() for x in (mean, without))
            share = precision_share(error.expand(std.shape), std, missing)
            usual = weight_of_sizes(float(error), float(other))
        both = without + share * (mean - without)
        return share * network_weight(problem.y, both, without, held_out, usual)

    def so_far(snapshot: Snapshot) -> Tensor:
        try:
            network = None if snapshot.mean is None else snapshot.mean()
        except NoResultError:
            network = None
        return patches.mean if network is None else blend(patches.mean, network, weigh(network), held_out)

    def of_the_network(snapshot: Snapshot) -> Snapshot:
        phase = "warm-up" if snapshot.phase == "estimate" else snapshot.phase
        return replace(snapshot, phase=phase, estimate=None, mean=lambda: so_far(snapshot))

    try:
        with progress.retelling(of_the_network):
            # On what has not seen the held-out pixels either: where no network has come to yet, they would speak for it.
            network = parts.run(seen, settings, progress, patches if seen is problem else patches_without)
    except NoResultError:
        return replace(patches, stopped=progress.stop_reason)
    blind = network.without or network
    weight = weigh(blind.mean)
    without = average(patches_without, blind, weight, torch.zeros_like(held_out))
    found = average(patches, network, weight, held_out)
    return replace(found, without=bare(without.mean, without.std))


def weight_of_sizes(network: float, patches: float) -> float:
    """The network's share, between 0 and 1, in the best average of two estimates with errors of these sizes, correlated by `CORRELATION`."""
    common = CORRELATION * network * patches
    spread = network**2 + patches**2 - 2 * common
    return min(max((patches**2 - common) / spread, 0.0), 1.0) if spread > 0 else USUAL_WEIGHT


def network_weight(
    y: Tensor, network: Tensor, patches: Tensor, held_out: Tensor, usual: float = USUAL_WEIGHT
) -> float:
    """The network's share in the average that comes closest to the held-out values: its posterior mean.

    Least squares of ``y - patches`` on ``network - patches``, under the prior above. The standard error is that of errors
    alike or, if larger, that of errors whatever their law (White, Econometrica 1980): at edges they are far larger.

    Parameters
    ----------
    y, network, patches : Tensor, shape (C, *grid)
        The data, and two predictions of which neither saw `y` where `held_out`.
    held_out : Tensor of bool, shape grid
    usual : float
        The prior's mean.

    Returns
    -------
    float
        Between 0 and 1.
    """
    step = (network - patches).double().cpu()[:, held_out]
    wanted = (y - patches).double().cpu()[:, held_out]
    length = float(step.square().sum())
    if length == 0:
        return usual
    found = float((step * wanted).sum()) / length
    alike = float((wanted - step / 2).square().mean()) / length
    scattered = float((step * (wanted - found * step)).square().sum()) / length**2
    doubt = max(alike, scattered) / WEIGHT_SPREAD**2
    return min(max((found + doubt * usual) / (1 + doubt), 0.0), 1.0)


def calibrated(std: Tensor, residual: Tensor, held_out: Tensor) -> Tensor:
    """`std`, (C, *grid), times what makes it right on average where `residual` is an error, at the held-out pixels."""
    std, error = std.double().cpu(), residual[:, held_out]
    if not bool(std.any()):
        return std
    least = 1e-3 * float(std.amax())
    return std * (error / std[:, held_out].clamp_min(least)).square().mean().sqrt()


def precision_share(network: Tensor, patches: Tensor, missing: Tensor) -> Tensor:
    """Share of the network, (C, *grid), in the mean of two independent estimates of these standard deviations.

    Variances are averaged over the `missing` pixels nearby. A network that is sampled for the last part of a short run
    knows nothing of other fits: the same deviation everywhere, its error at held-out pixels, serves better than its own.
    """
    here = missing.to(torch.float64)
    network_variance, patches_variance = (
        torch.from_numpy(np.stack([gaussian_filter(v.numpy(), SMOOTHING) for v in std.square() * here]))
        for std in (network, patches)
    )
    total = network_variance + patches_variance
    return torch.where(total > 0, patches_variance / total, 0.0)


def blend(patches: Tensor, network: Tensor, weight: Tensor, held_out: Tensor) -> Tensor:
    """The weighted average of two pictures, (C, *grid); where the network did not see the data, `patches`."""
    share = (weight * ~held_out).to(network)
    return patches.to(network) * (1 - share) + network * share


def average(patches: Posterior, network: Posterior, weight: Tensor, held_out: Tensor) -> Posterior:
    """The weighted average; where the network did not see the data, the process alone.

    Both err on the same noise, so that standard deviations are averaged, not variances. Samples
    are the network's, moved and scaled to the common mean and standard deviation.
    """
    share = (weight * ~held_out).to(network.mean)
    mean = blend(patches.mean, network.mean, weight, held_out)
    std, samples = network.std, network.samples
    if std is not None and patches.std is not None:
        std = patches.std.to(mean) * (1 - share) + std.to(mean) * share
        stretch = (std / network.std.to(mean)).nan_to_num(1.0, 1.0, 1.0) if network.std is not None else 1.0
        samples = mean + (samples.to(mean) - network.mean) * stretch
    return replace(
        network,
        mean=mean,
        std=std,
        samples=samples,
        info={**network.info, "passes": patches.info.get("passes"), "network_weight": float(weight.mean())},
    )
