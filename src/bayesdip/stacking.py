"""``method="stack"``: the picture's own patches and a sampled network, averaged.

The non-local Gaussian process knows what repeats in a picture, the network what is typical of
pictures; their errors differ, and the average of the two posterior means is better than
either. The weight is the one that predicts pixels best which neither of them saw: stacking
(Wolpert, Neural Networks 1992; of Bayesian posteriors, Yao et al., Bayesian Analysis 2018).
"""

from __future__ import annotations

from dataclasses import replace

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
# pixels stand in strong noise.
WEIGHT_SPREAD = 0.3


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
    with monitor.retelling(lambda progress: replace(progress, mean=None if first is None else lambda: first)):
        patches = gp.run(replace(measurement, hidden=hidden), by_patches, monitor)
    if monitor.should_stop() or hidden is None or patches.without is None:
        return patches
    without = patches.without.mean

    def weigh(network: Tensor) -> float:
        return network_weight(measurement.y, network, without, hidden)

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


def blend(patches: Tensor, network: Tensor, weight: float, hidden: Tensor) -> Tensor:
    """The weighted average of two pictures, (C, *grid); where the network did not see the data, `patches`."""
    share = (~hidden).to(network) * weight
    return patches.to(network) * (1 - share) + network * share


def average(patches: Posterior, network: Posterior, weight: float, hidden: Tensor) -> Posterior:
    """The weighted average; where the network did not see the data, the process alone.

    Both err on the same noise, so that standard deviations are averaged, not variances. Samples
    are the network's, moved and scaled to the common mean and standard deviation.
    """
    share = (~hidden).to(network.mean) * weight
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
        info={**network.info, "passes": patches.info.get("passes"), "network_weight": weight},
    )
