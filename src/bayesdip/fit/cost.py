"""What a training step costs in memory, told before it is paid."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from bayesdip.arch.architecture import Architecture

# Side of the small picture on which the memory of a step is counted.
PROBE_SIDE = 64
# A step needs more than what it keeps for its backward pass: gradients, copies in other memory
# layouts, workspace. Measured as resident memory of whole runs at 256x256 and 512x512.
WORKSPACE = 2.1


@lru_cache(maxsize=32)
def bytes_per_input_pixel(arch: Architecture, channels: int, dims: int) -> float:
    """Bytes that one step keeps for its backward pass, per pixel of the network's input grid."""
    generator = torch.Generator().manual_seed(0)
    network = arch.build(channels, dims, generator=generator)
    code = network.new_input((PROBE_SIDE,) * dims, generator)
    own = {w.data_ptr() for w in network.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        picture = network(code)
        total = sum(kept.values())
        del picture
    return total / prod(code.shape[2:])


def step_memory(arch: Architecture, channels: int, input_grid: tuple[int, ...]) -> int:
    """Estimate of the bytes that fitting needs beyond the program itself."""
    per_pixel = bytes_per_input_pixel(arch, channels, len(input_grid))
    return round(WORKSPACE * per_pixel * prod(input_grid))
