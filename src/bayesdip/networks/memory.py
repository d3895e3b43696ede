"""An upper bound of the memory that fitting networks needs, told before it is paid."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.networks.checkpointing import recompute
from bayesdip.networks.precision import lower

# Side of the picture on which what a step keeps for its backward pass is counted, by axes.
PROBE_SIDE = {1: 256, 2: 48, 3: 24}
# Resident memory over what is kept for the backward pass: gradients on their way, the workspace of the largest
# convolution, and gaps that the allocator cannot fill. 2 was seen for large pictures, 3 for small ones.
OVER_KEPT = 3.0
# Copies of the weights that a run keeps: themselves, gradients, an optimiser's two moments, a good state to go
# back to, a preconditioner and a momentum; and some in the layout of the kernels.
COPIES_OF_WEIGHTS = 13
# What the first run of a process loads and compiles, in bytes; and for each value of a picture, averages in double
# precision and what is made of them in the end, and each kept sample.
ONCE, BYTES_OF_A_VALUE, BYTES_OF_A_SAMPLE = 64 * 2**20, 64, 24


def fit_memory(
    arch: Architecture,
    channels: int,
    input_grid: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float32,
    networks: int = 1,
    at_once: int = 1,
    samples: int = 0,
    checkpointed: bool = False,
) -> int:
    """Bytes that a fit needs at most beyond the program itself.

    Parameters
    ----------
    arch : Architecture
    channels : int
        Of the picture.
    input_grid : tuple of int
        Of the network's input.
    dtype : torch.dtype
        What the convolutions compute in.
    networks, at_once : int
        How many are fitted side by side, and computed at a time: the others have no more than their weights then.
    samples : int
        Pictures that are kept.
    checkpointed : bool
        With ``networks.checkpointing``.
    """
    kept, weights = _kept_by_input_pixel(arch, channels, len(input_grid), dtype, checkpointed)
    values = channels * prod(input_grid)
    step = at_once * OVER_KEPT * kept * prod(input_grid)
    pictures = values * (BYTES_OF_A_VALUE + BYTES_OF_A_SAMPLE * samples)
    return round(ONCE + step + networks * COPIES_OF_WEIGHTS * weights + pictures)


@lru_cache(maxsize=32)
def _kept_by_input_pixel(
    arch: Architecture, channels: int, dims: int, dtype: torch.dtype, checkpointed: bool
) -> tuple[float, int]:
    """Bytes that a step keeps for its backward pass, per pixel of the network's input, and bytes of its weights."""
    generator = torch.Generator().manual_seed(0)
    network = arch.build(channels, dims, generator=generator)
    lower(network, dtype)
    if checkpointed:
        recompute(network)
    rule = network.grid_rule
    side = max(PROBE_SIDE[dims], rule.smallest * rule.magnification)
    latent = network.new_input((side,) * dims, generator)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        picture = network(latent)
    del picture
    weights = sum(w.numel() * w.element_size() for w in network.parameters())
    return sum(kept.values()) / prod(latent.shape[2:]), weights
