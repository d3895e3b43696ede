"""``method="stack"``: the picture's own patches and a sampled network, averaged.

The non-local Gaussian process knows what repeats in a picture, the network what is typical of
pictures; their errors differ, and the average of the two posterior means is better than
either. The weight is the one that best predicts the hidden pixels, which neither of them saw: stacking
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
from bayesdip.fit import parts, told
from bayesdip.fit.first import first_picture
from bayesdip.fit.rehearsal import rehearsed
from bayesdip.gp import method as gp
from bayesdip.gp.hidden import bare
from bayesdip.held_out import choose_held_out
from bayesdip.kernels.patches import PatchKernel
from bayesdip.measurement import Measurement
from bayesdip.monitor import Estimate, Monitor, Progress
from bayesdip.operators import Identity, Mask
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings

# Prior of the network's weight: normal with this spread around its usual value. It decides where few
# pixels stand in strong noise, or a few errors at edges outweigh all others.
USUAL_WEIGHT, WEIGHT_SPREAD = 0.5, 0.3
# Where data are exact, errors tell more: this is about the correlation of the two on `montage`, `house` and `cameraman`,
# and with it the sizes of both on hidden pixels say what the weight should be.
CORRELATION = 0.7
# Of the memory that the network's first steps took, the share that the process still has while patches work: 60 to 200 MiB
# of 430 to 1050.
LEFT_BEHIND = 0.15
# Pixels over which the variances of a pixel's neighbours count for it, by a Gaussian window.
SMOOTHING = 1.0


def run(measurement: Measurement, settings: Settings, monitor: Monitor) -> Posterior:
    """The non-local process first, in seconds; then the network; stopped early, the process alone.

    At every moment the average of what there is then is what it would give. Before the non-local process
    there is the stationary one.

    Raises
    ------
    BayesDipError
        The operator is neither the identity nor a mask.
    """
    if not isinstance(measurement.operator, Identity | Mask):
        raise BayesDipError(
            f"method 'stack' was given the operator {measurement.operator!r}: expected the identity or a mask, "
            "since it compares patches of the data; use method='sgld'"
        )
    patchwise = replace(settings, method="gp", kernel=PatchKernel(), samples=0)
    hidden = measurement.hidden
    if hidden is None or not bool(
        measurement.operator.observed[..., hidden].any()
    ):  # judged by pixels of its own
        hidden = choose_held_out(measurement, settings.seed + 1)
        measurement = replace(measurement, hidden=hidden)
    first = first_picture(replace(measurement, y=measurement.y.to(settings.device)), monitor)
    if monitor.should_stop() and first is not None:
        nothing = first.new_empty((0, *first.shape))
        return Posterior(
            first, None, nothing, {"step": []}, monitor.stop_reason, info={"first_picture": True}
        )

    seen = measurement if told.tells(measurement) else told.blind(measurement)
    network_takes = Estimate(0.0, 0, 0)  # without pixels to judge it by there is none
    if hidden is not None:
        network_takes = rehearsed(seen, settings)

    def of_the_first(progress: Progress) -> Progress:
        """All that it tells is told of the whole: the network comes after it."""
        remaining = monitor.within_budget(progress.remaining + network_takes.seconds)
        whole = replace(progress, remaining=remaining, mean=None if first is None else lambda: first)
        estimate = progress.estimate
        if estimate is None:
            return whole
        memory = max(estimate.memory + round(LEFT_BEHIND * network_takes.memory), network_takes.memory)
        return replace(whole, estimate=Estimate(progress.elapsed + remaining, memory, network_takes.steps))

    with monitor.retelling(of_the_first):
        patches = gp.run(measurement, patchwise, monitor)
    if monitor.should_stop() or hidden is None or patches.without is None:
        return patches
    patches_without = patches.without

    missing = ~measurement.operator.observed.cpu() | hidden

    def weigh(mean: Tensor) -> Tensor:
        """What the hidden pixels say, (C, *grid); where data are exact, in proportion to `precision_share`."""
        mean, without = mean.double().cpu(), patches_without.mean.double().cpu()
        share, usual = torch.ones_like(mean), USUAL_WEIGHT
        if measurement.noise.is_exact and patches_without.std is not None:
            std = calibrated(patches_without.std, measurement.y - without, hidden)
            error, other = ((measurement.y - x)[:, hidden].square().mean().sqrt() for x in (mean, without))
            share = precision_share(error.expand(std.shape), std, missing)
            usual = weight_of_sizes(float(error), float(other))
        both = without + share * (mean - without)
        return share * network_weight(measurement.y, both, without, hidden, usual)

    def so_far(progress: Progress) -> Tensor:
        try:
            network = None if progress.mean is None else progress.mean()
        except NoResultError:
            network = None
        return patches.mean if network is None else blend(patches.mean, network, weigh(network), hidden)

    def of_the_network(progress: Progress) -> Progress:
        phase = "warm-up" if progress.phase == "estimate" else progress.phase
        return replace(progress, phase=phase, estimate=None, mean=lambda: so_far(progress))

    try:
        with monitor.retelling(of_the_network):
            # On what has not seen the hidden pixels either: where no network has come to yet, they would speak for it.
            network = parts.run(seen, settings, monitor, patches if seen is measurement else patches_without)
    except NoResultError:
        return replace(patches, stopped=monitor.stop_reason)
    blind = network.without or network
    weight = weigh(blind.mean)
    without = average(patches_without, blind, weight, torch.zeros_like(hidden))
    found = average(patches, network, weight, hidden)
    return replace(found, without=bare(without.mean, without.std))


def weight_of_sizes(network: float, patches: float) -> float:
    """The network's share, between 0 and 1, in the best average of two estimates with errors of these sizes, correlated by `CORRELATION`."""
    common = CORRELATION * network * patches
    spread = network**2 + patches**2 - 2 * common
    return min(max((patches**2 - common) / spread, 0.0), 1.0) if spread > 0 else USUAL_WEIGHT


def network_weight(
    y: Tensor, network: Tensor, patches: Tensor, hidden: Tensor, usual: float = USUAL_WEIGHT
) -> float:
    """The network's share in the average that comes closest to the hidden values: its posterior mean.

    Least squares of ``y - patches`` on ``network - patches``, under the prior above. The standard error is that of errors
    alike or, if larger, that of errors whatever their law (White, Econometrica 1980): at edges they are far larger.

    Parameters
    ----------
    y, network, patches : Tensor, shape (C, *grid)
        The data, and two predictions of which neither saw `y` where `hidden`.
    hidden : Tensor of bool, shape grid
    usual : float
        The prior's mean.

    Returns
    -------
    float
        Between 0 and 1.
    """
    step = (network - patches).double().cpu()[:, hidden]
    wanted = (y - patches).double().cpu()[:, hidden]
    length = float(step.square().sum())
    if length == 0:
        return usual
    found = float((step * wanted).sum()) / length
    alike = float((wanted - step / 2).square().mean()) / length
    scattered = float((step * (wanted - found * step)).square().sum()) / length**2
    doubt = max(alike, scattered) / WEIGHT_SPREAD**2
    return min(max((found + doubt * usual) / (1 + doubt), 0.0), 1.0)


def calibrated(std: Tensor, residual: Tensor, hidden: Tensor) -> Tensor:
    """`std`, (C, *grid), times what makes it right on average where `residual` is an error, at the hidden pixels."""
    std, error = std.double().cpu(), residual[:, hidden]
    if not bool(std.any()):
        return std
    least = 1e-3 * float(std.amax())
    return std * (error / std[:, hidden].clamp_min(least)).square().mean().sqrt()


def precision_share(network: Tensor, patches: Tensor, missing: Tensor) -> Tensor:
    """Share of the network, (C, *grid), in the mean of two independent estimates of these standard deviations.

    Variances are averaged over the `missing` pixels nearby. A network that is sampled for the last part of a short run
    knows nothing of other fits: the same deviation everywhere, its error at hidden pixels, serves better than its own.
    """
    here = missing.to(torch.float64)
    network_variance, patches_variance = (
        torch.from_numpy(np.stack([gaussian_filter(v.numpy(), SMOOTHING) for v in std.square() * here]))
        for std in (network, patches)
    )
    total = network_variance + patches_variance
    return torch.where(total > 0, patches_variance / total, 0.0)


def blend(patches: Tensor, network: Tensor, weight: Tensor, hidden: Tensor) -> Tensor:
    """The weighted average of two pictures, (C, *grid); where the network did not see the data, `patches`."""
    share = (weight * ~hidden).to(network)
    return patches.to(network) * (1 - share) + network * share


def average(patches: Posterior, network: Posterior, weight: Tensor, hidden: Tensor) -> Posterior:
    """The weighted average; where the network did not see the data, the process alone.

    Both err on the same noise, so that standard deviations are averaged, not variances. Samples
    are the network's, moved and scaled to the common mean and standard deviation.
    """
    share = (weight * ~hidden).to(network.mean)
    mean = blend(patches.mean, network.mean, weight, hidden)
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
