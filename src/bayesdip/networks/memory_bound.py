"""An upper bound of the memory that fitting networks needs, known before the fit begins."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from bayesdip.arch.architecture import Architecture
from bayesdip.networks.checkpointing import add_checkpoints
from bayesdip.networks.precision import lower

# Side in pixels, by number of axes, of the picture on which the activations kept for a backward pass are counted.
PROBE_SIDE = {1: 256, 2: 48, 3: 24}
# Peak of the resident memory over what is kept for the backward pass: gradients on their way, the workspace of the largest
# convolution, and the allocator's gaps. Measured on a CPU: 2 for large pictures, 3 for small ones.
OVER_KEPT = 3.0
# Copies of the weights that a run keeps, counted: themselves, gradients, an optimiser's two moments, a snapshot to go
# back to, a preconditioner and a momentum; and some in the memory layout of the convolutions.
COPIES_OF_WEIGHTS = 13
# Bytes that the first run of a process loads and compiles: 104 MiB were measured on a CPU, for a picture of 16x16.
ONCE = 128 * 2**20
# Bytes for each value of a picture, counted: averages in double precision with the results made of them; and a kept sample.
BYTES_OF_A_VALUE, BYTES_OF_A_SAMPLE = 64, 24


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
        How many are fitted together, and how many are computed at the same time.
    samples : int
        Pictures that are kept.
    checkpointed : bool
        Whether activations are computed again, by ``networks.checkpointing``.

    Returns
    -------
    int
    """
    kept, weights, preconditioner = _costs(arch, channels, len(input_grid), dtype, checkpointed)
    values = channels * prod(input_grid)
    step = at_once * OVER_KEPT * kept * prod(input_grid)
    pictures = values * (BYTES_OF_A_VALUE + BYTES_OF_A_SAMPLE * samples)
    return round(ONCE + step + networks * (COPIES_OF_WEIGHTS * weights + preconditioner) + pictures)


@lru_cache(maxsize=32)
def _costs(
    arch: Architecture, channels: int, dims: int, dtype: torch.dtype, checkpointed: bool
) -> tuple[float, int, int]:
    """Bytes kept for a backward pass, per pixel of the network's input; of the weights; and of the preconditioner."""
    generator = torch.Generator().manual_seed(0)
    network = arch.build(channels, dims, generator=generator)
    lower(network, dtype)
    if checkpointed:
        add_checkpoints(network)
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
    banks = [w.flatten(1).shape for w in network.parameters() if w.ndim >= 3]
    return sum(kept.values()) / prod(latent.shape[2:]), weights, _preconditioner_bytes(banks)


def _preconditioner_bytes(banks: Sequence[Sequence[int]]) -> int:
    """Of the filter banks' mean products of gradients and their eigenvectors (`muon.py`); banks are (M, N) matrices.

    Both are in single precision. The eigenvectors of one bank at a time are found in double precision: a copy, the
    result, and a workspace of twice its size.
    """
    squares = [m * m + n * n for m, n in banks]
    return 2 * 4 * sum(squares) + 4 * 8 * max(squares, default=0)
