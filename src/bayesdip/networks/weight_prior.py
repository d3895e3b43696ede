"""The Gaussian prior on a network's weights, under which a wide network tends to its Gaussian process."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from bayesdip.arch.layers import Convolution


def weight_stds(network: nn.Module, slope: float = 0.2) -> list[float]:
    """Standard deviation of the zero-mean Gaussian prior of each trainable tensor.

    Convolution weights: ``sqrt(2 / ((1 + slope^2) fan_in))``, which keeps the variance through
    a leaky ReLU of that slope (He et al., ICCV 2015); its 1 / fan_in is what makes the wide
    network a Gaussian process (Cheng et al. 2019, theorem 1). Biases, and the gains and shifts
    of the norms, which the process has at 1 and 0: 1.

    Parameters
    ----------
    network : nn.Module
    slope : float
        Of the leaky ReLU.

    Returns
    -------
    list of float
    """
    return [_std(w, slope) for w in network.parameters() if w.requires_grad]


def _std(weight: Tensor, slope: float) -> float:
    if weight.ndim < 3:
        return 1.0
    fan_in = prod(weight.shape[1:])
    return float((2 / ((1 + slope**2) * fan_in)) ** 0.5)


def initial_stds(network: nn.Module) -> list[float]:
    """Standard deviation of every tensor when the network is fresh: the prior under which ``arch.kernel`` holds.

    ``1 / sqrt(3 fan_in)`` for the weights of a convolution and for its bias (PyTorch's default
    start), and 1 for everything else.

    Parameters
    ----------
    network : nn.Module

    Returns
    -------
    list of float
    """
    stds = {id(w): 1.0 for w in network.parameters() if w.requires_grad}
    for module in network.modules():
        if isinstance(module, Convolution | _ConvNd):
            std = (3 * prod(module.weight.shape[1:])) ** -0.5
            stds |= {id(w): std for w in module.parameters()}
    return list(stds.values())
