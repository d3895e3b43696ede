"""What a training step costs in memory, told before it is paid."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bayesdip.arch.architecture import Architecture
from bayesdip.arch.layers import Convolution
from bayesdip.arch.network import Network
from bayesdip.networks.checkpointing import Recomputed, recompute
from bayesdip.networks.ensemble import networks_at_once
from bayesdip.networks.precision import lower

# Side of the smaller of two pictures on which a step's memory is counted, by axes; the other has twice that.
PROBE_SIDE = {1: 256, 2: 64, 3: 32}
# A process holds more than the tensors that live at once: a convolution's workspace and copies in its own
# layout, and gaps that the allocator cannot fill again. In units of what goes into and comes out of the
# largest convolution; measured as resident memory beyond the tensors (``bayesdip bench growth``). Large tensors
# leave no gaps, for the C library gives them back to the system: what is more than `LARGE` counts less.
WORKSPACES, WORKSPACES_OF_LARGE, LARGE = 8.4, 1.35, 56 * 2**20
# What the first steps leave behind in any case.
LEAST = 4 * 2**20
# Copies of the weights that a run keeps: themselves, gradients, an optimiser's two moments, a good state to go
# back to (weights and moments), a preconditioner and a momentum; some more in the layout of the kernels.
COPIES_OF_WEIGHTS = 12.5
# What the first run of a process loads and compiles.
ONCE = 22 * 2**20
# What a whole run on a CPU holds, in bytes for each value of a picture: beside its steps, for averages in
# double precision, and for each sample so far in single; and in the end, when the network's steps are over, for results, and for each
# sample, which goes to the user's scale through two copies in double.
BYTES_OF_AVERAGES, BYTES_OF_A_SAMPLE = 24, 4
BYTES_OF_A_VALUE, BYTES_OF_A_TOLD_SAMPLE = 40, 20


@dataclass
class Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors made while it is entered that live at the same time.

    Attributes
    ----------
    most : int
        The largest number of bytes so far.
    """

    now: int = 0
    most: int = 0
    _held: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._hold(leaf.untyped_storage())
        return made

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._held:
            self._held[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self.now -= self._held.pop(key)


@lru_cache(maxsize=32)
def bytes_per_input_pixel(
    arch: Architecture, channels: int, dims: int, dtype: torch.dtype = torch.float32, sparing: bool = False
) -> tuple[float, float]:
    """Bytes at the peak of a step, per pixel of the network's input grid.

    Returns
    -------
    (float, float)
        Of the tensors that live at once, and of what goes into and comes out of the largest convolution.
    """
    generator = torch.Generator().manual_seed(0)
    network = arch.build(channels, dims, generator=generator)
    lower(network, dtype)
    if sparing:
        recompute(network)
    counted: list[tuple[int, int, int]] = []
    rule = network.grid_rule
    small = max(PROBE_SIDE[dims], rule.smallest * rule.magnification)
    for side in (small, 2 * small):
        code = network.new_input((side,) * dims, generator)
        largest = _largest_convolution(network, code)
        with Living() as living:
            picture = network(code)
            torch.autograd.grad(picture.sum(), [w for w in network.parameters() if w.requires_grad])
            del picture
        counted.append((prod(code.shape[2:]), living.most, largest))
    (few, *least), (many, *most) = counted
    tensors, largest_convolution = ((m - n) / (many - few) for m, n in zip(most, least, strict=True))
    return tensors, largest_convolution


def step_memory(
    arch: Architecture,
    channels: int,
    input_grid: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float32,
    networks: int = 1,
    sparing: bool = False,
    at_once: int = 1,
) -> int:
    """Estimate of the bytes that fitting needs beyond the program itself.

    Parameters
    ----------
    dtype : torch.dtype
        What the convolutions compute in.
    networks : int
        How many are fitted side by side.
    sparing : bool
        With ``fit.recompute``.
    at_once : int
        How many of them are computed at a time: the others have no more than their weights then.
    """
    each, largest = (
        prod(input_grid) * per_pixel
        for per_pixel in bytes_per_input_pixel(arch, channels, len(input_grid), dtype, sparing)
    )
    weights = COPIES_OF_WEIGHTS * _bytes_of_weights(arch, channels, len(input_grid))
    weights += _bytes_of_bases(arch, channels, len(input_grid))
    workspace = WORKSPACES * min(largest, LARGE) + WORKSPACES_OF_LARGE * max(0.0, largest - LARGE)
    return round(LEAST + networks * weights + at_once * (each + workspace))


def network_memory(network: Network, input_grid: tuple[int, ...], networks: int = 1) -> int:
    """:func:`step_memory` of this network as it is set up."""
    modules = list(network.modules())
    first = next(m for m in modules if isinstance(m, Convolution))
    return step_memory(
        network.arch,
        network.channels,
        input_grid,
        dtype=first.precision or first.weight.dtype,
        networks=networks,
        sparing=any(isinstance(m, Recomputed) for m in modules),
        at_once=networks_at_once(networks, first.weight.device),
    )


def run_memory(
    network: Network, input_grid: tuple[int, ...], values: int, samples: int, networks: int
) -> int:
    """Estimate of the bytes that a run needs beyond the program itself.

    Parameters
    ----------
    values : int
        Of one picture, channels counted.
    samples : int
        How many pictures it keeps.
    """
    needed = network_memory(network, input_grid, networks)
    if next(network.parameters()).device.type != "cpu":
        return needed
    on_the_way = needed + values * (BYTES_OF_AVERAGES + BYTES_OF_A_SAMPLE * samples)
    return ONCE + max(on_the_way, values * (BYTES_OF_A_VALUE + BYTES_OF_A_TOLD_SAMPLE * samples))


@torch.no_grad()
def _largest_convolution(network: Network, code: Tensor) -> int:
    """Bytes that go into and come out of the convolution where they are the most."""
    found: list[int] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        found.append((given[0].numel() + made.numel()) * made.element_size())

    handles = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, Convolution)]
    network(code)
    for handle in handles:
        handle.remove()
    return max(found)


@lru_cache(maxsize=32)
def _bytes_of_weights(arch: Architecture, channels: int, dims: int) -> int:
    with torch.device("meta"):
        network = arch.build(channels, dims)
    return sum(w.numel() * w.element_size() for w in network.parameters())


@lru_cache(maxsize=32)
def _bytes_of_bases(arch: Architecture, channels: int, dims: int) -> int:
    """What the warm-up of a sampled network notes of its gradients, and the bases made of it."""
    with torch.device("meta"):
        network = arch.build(channels, dims)
    banks = [w for w in network.parameters() if w.ndim >= 3 and len(w) > 1]
    return sum(2 * (len(w) ** 2 + prod(w.shape[1:]) ** 2) * w.element_size() for w in banks)
