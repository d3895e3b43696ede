"""The precision in which a network's convolutions compute while it is fitted."""

from __future__ import annotations

import torch

from bayesdip.arch.layers import Convolution
from bayesdip.arch.network import Network


def fastest(device: str) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else single precision.

    On a CPU that means AVX-512 or AMX instructions for it; without them it would be emulated, slowly. On a GPU it means
    Ampere or later.

    Parameters
    ----------
    device : str

    Returns
    -------
    torch.dtype
    """
    kind = torch.device(device).type
    if kind == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = kind == "cpu" and _cpu_multiplies_bfloat16()
    return torch.bfloat16 if native else torch.float32


def lower(network: Network, precision: torch.dtype) -> None:
    """Let all convolutions but the last compute in ``precision``; weights and the picture stay as they are.

    Norms take their statistics in single precision in any case. The last convolution makes the picture, which would
    have only 8 bits in bfloat16.

    Parameters
    ----------
    network : Network
        Changed in place.
    precision : torch.dtype
    """
    convolutions = [m for m in network.modules() if isinstance(m, Convolution)]
    if not convolutions:  # a module of the user's own computes as it was written
        return
    for module in convolutions[:-1]:
        module.precision = precision if precision != module.weight.dtype else None
    convolutions[-1].precision = convolutions[-1].weight.dtype


def _cpu_multiplies_bfloat16() -> bool:
    """Whether this processor has the instructions. PyTorch has no public function for it."""
    asked = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(ask() for ask in asked if ask is not None)
