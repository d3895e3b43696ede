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
from bayesdip.gp import method as gp
from bayesdip.held_out import choose_held_out
from bayesdip.kernels.patches import PatchKernel
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor
from bayesdip.operators import Identity, Mask
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings

# Prior of the network's weight: normal with this spread around one half. It decides where few
# pixels stand in strong noise.
WEIGHT_SPREAD = 0.3


def run(measurement: Measurement, settings: Settings, monitor: Monitor) -> Posterior:
    """The non-local process first, in seconds; then the network; stopped early, the process alone.

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
    patches = gp.run(replace(measurement, hidden=hidden), by_patches, monitor)
    if monitor.should_stop() or hidden is None or patches.without is None:
        return patches
    seen = replace(measurement, operator=measurement.operator.with_hidden(hidden))
    try:
        network = sgld.run(seen, settings, monitor)
    except NoResultError:
        return replace(patches, stopped=monitor.stop_reason)
    weight = network_weight(measurement.y, network.mean, patches.without.mean, hidden)
    return average(patches, network, weight, hidden)


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


def average(patches: Posterior, network: Posterior, weight: float, hidden: Tensor) -> Posterior:
    """The weighted average; where the network did not see the data, the process alone.

    Both err on the same noise, so that standard deviations are averaged, not variances. Samples
    are the network's, moved and scaled to the common mean and standard deviation.
    """
    share = (~hidden).to(network.mean) * weight
    mean = patches.mean.to(network.mean) * (1 - share) + network.mean * share
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
