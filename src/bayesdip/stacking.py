"""``method="stack"``: the picture's own patches and a sampled network, averaged.

The non-local Gaussian process knows what repeats in a picture, the network what is typical of
pictures; their errors differ, and the average of the two posterior means is better than
either. The weight is the one that predicts pixels best which neither of them saw: stacking
(Wolpert, Neural Networks 1992; of Bayesian posteriors, Yao et al., Bayesian Analysis 2018). Where
such pixels are exact they tell as much of every part of the picture, which then has its own weight.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.fit import sgld
from bayesdip.fit.first import first_picture
from bayesdip.gp import method as gp
from bayesdip.held_out import choose_held_out
from bayesdip.kernels.patches import PatchKernel
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor, Progress
from bayesdip.operators import Identity, Mask
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings

# Prior of the network's weight: normal with this spread around one half. It decides where few
# pixels stand in strong noise. And of the weight of a part of the picture, around that of the whole.
WEIGHT_SPREAD, LOCAL_SPREAD = 0.3, 0.5
# A part holds about so many hidden pixels; and so many count as if they had scattered like those of the whole.
LOCAL_PIXELS, COMMON_PIXELS = 32, 5


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
    by_patches = replace(settings, method="gp", kernel=PatchKernel(), samples=0)
    hidden = choose_held_out(measurement, settings.seed + 1)
    first = first_picture(replace(measurement, y=measurement.y.to(settings.device)), monitor)
    if monitor.should_stop() and first is not None:
        nothing = first.new_empty((0, *first.shape))
        return Posterior(
            first, None, nothing, {"step": []}, monitor.stop_reason, info={"first_picture": True}
        )

    def of_the_first(progress: Progress) -> Progress:
        """The network will tell what the run costs: most of it is its own."""
        phase = "solve" if progress.phase == "estimate" else progress.phase
        return replace(progress, phase=phase, estimate=None, mean=None if first is None else lambda: first)

    with monitor.retelling(of_the_first):
        patches = gp.run(replace(measurement, hidden=hidden), by_patches, monitor)
    if monitor.should_stop() or hidden is None or patches.without is None:
        return patches
    without = patches.without.mean

    exact = not bool(measurement.noise.variance(measurement.y, measurement.operator.observed).any())

    def weigh(network: Tensor) -> Tensor:
        if exact:
            return local_weights(measurement.y, network, without, hidden)
        weight = network_weight(measurement.y, network, without, hidden)
        return torch.full(hidden.shape, weight, dtype=torch.float64)

    def so_far(progress: Progress) -> Tensor:
        try:
            network = None if progress.mean is None else progress.mean()
        except NoResultError:
            network = None
        return patches.mean if network is None else blend(patches.mean, network, weigh(network), hidden)

    seen = replace(measurement, operator=measurement.operator.with_hidden(hidden), hidden=None)
    try:
        with monitor.retelling(lambda progress: replace(progress, mean=lambda: so_far(progress))):
            network = sgld.run(seen, settings, monitor, first_picture=False)
    except NoResultError:
        return replace(patches, stopped=monitor.stop_reason)
    return average(patches, network, weigh(network.mean), hidden)


def network_weight(y: Tensor, network: Tensor, patches: Tensor, hidden: Tensor) -> float:
    """The network's share in the average that comes closest to the hidden values.

    Least squares of ``y - patches`` on ``network - patches``, with the prior above.

    Parameters
    ----------
    y, network, patches : Tensor, shape (C, *grid)
        The data, and two predictions of which neither saw `y` where `hidden`.
    hidden : Tensor of bool, shape grid

    Returns
    -------
    float
        Between 0 and 1.
    """
    step = (network - patches).double().cpu()[:, hidden]
    wanted = (y - patches).double().cpu()[:, hidden]
    scatter = float((wanted - step / 2).square().mean())
    ridge = scatter / WEIGHT_SPREAD**2
    found = (float((step * wanted).sum()) + ridge / 2) / (float(step.square().sum()) + ridge or 1.0)
    return min(max(found, 0.0), 1.0)


def local_weights(y: Tensor, network: Tensor, patches: Tensor, hidden: Tensor) -> Tensor:
    """The network's share in every part of the picture, shape grid: `network_weight` of the pixels around.

    Those that are nearer count more, by a Gaussian window. The prior is around the weight of the whole picture. Noise
    of ten times the difference of the two pictures leaves too little in 32 pixels: then that one weight is better.
    """
    weight = network_weight(y, network, patches, hidden)
    dims, density = hidden.ndim, float(hidden.double().mean())
    reach = (LOCAL_PIXELS / density) ** (1 / dims) / (2 * math.pi) ** 0.5

    def around(values: Tensor) -> Tensor:
        """Sums over the window, whose height is one."""
        volume = ((2 * math.pi) ** 0.5 * reach) ** dims
        found = gaussian_filter(values.numpy(), reach, mode="constant")
        return torch.from_numpy(volume * found)

    step = (network - patches).double().cpu() * hidden
    wanted = (y - patches).double().cpu() * hidden
    left = (wanted - weight * step).square().mean(0)
    typical = left[hidden].mean()
    scatter = (around(left) + COMMON_PIXELS * typical) / (around(hidden.double()) + COMMON_PIXELS)
    ridge = (scatter / LOCAL_SPREAD**2).clamp_min(torch.finfo(torch.float64).tiny)
    found = around((step * wanted).sum(0)) + ridge * weight
    return (found / (around(step.square().sum(0)) + ridge)).clamp(0.0, 1.0)


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
