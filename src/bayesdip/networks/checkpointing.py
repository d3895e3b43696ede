"""Fitting in less memory by checkpointing: activations between convolutions are computed again in the backward pass."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bayesdip.arch.combinators import Concatenation, Shortcut
from bayesdip.arch.layers import Convolution
from bayesdip.arch.network import Network


class Checkpointed(nn.Sequential):
    """Layers of which only the input is kept for the backward pass (Chen et al., arXiv 1604.06174).

    A convolution, its norm and its activation keep one picture then instead of three, and a step takes about a
    third longer.
    """

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = checkpoint(super().forward, x, use_reentrant=False, preserve_rng_state=False)
        return made


def add_checkpoints(network: Network) -> None:
    """Checkpoint every convolution together with the norm and activation after it.

    Weights and results stay as they are. A module of the user's own is left as it is: its code may index the
    layers that would be grouped.

    Parameters
    ----------
    network : Network
        Changed in place.
    """
    _group_layers(network.body)


def _group_layers(module: nn.Module) -> None:
    if isinstance(module, nn.Sequential | Concatenation | Shortcut):
        for child in list(module.children()):
            _group_layers(child)
    if isinstance(module, nn.Sequential):
        _regroup(module)


def _regroup(chain: nn.Sequential) -> None:
    """Each convolution and the simple layers after it become one child."""
    groups: list[list[nn.Module]] = []
    for layer in chain.children():
        composite = isinstance(layer, Concatenation | nn.Sequential)
        if (
            composite
            or not groups
            or isinstance(layer, Convolution)
            or isinstance(groups[-1][0], Concatenation | nn.Sequential)
        ):
            groups.append([])
        groups[-1].append(layer)
    whole: list[Any] = [group[0] if len(group) == 1 else Checkpointed(*group) for group in groups]
    for name in list(chain._modules):
        delattr(chain, name)
    for place, layer in enumerate(whole):
        chain.add_module(str(place), layer)
