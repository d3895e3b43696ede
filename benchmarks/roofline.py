"""A training step beside what the machine could do, for the network of Cheng et al. 2019 and ours.

A layer by itself cannot be quicker than its operations at the rate of a large matrix product, nor
than its bytes at the rate of a large copy (Williams, Waterman, Patterson, *Roofline*, CACM 2009).
The sum of the larger of the two over all layers is a step's bound. Fusing layers could beat it, for
then what lies between them need not be moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

import bayesdip as bd
from bayesdip.arch import Architecture
from bayesdip.arch.layers import Convolution
from bayesdip.arch.network import Network
from bayesdip.arch.resampling import TransposedConvolution
from bayesdip.lab.results import Row
from bayesdip.methods.method import pick_device
from bayesdip.networks import precision
from bayesdip.networks.energy import Energy
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.steppers import AdamStepper, Stepper
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from benchmarks.measurement import timed_on
from benchmarks.options import Options
from benchmarks.results import Results, of_part

SIDES = {"cpu": (128, 256, 512), "cuda": (128, 256, 512, 1024)}
# Sizes of the matrices and of the copy that say what the machine can do: far beyond its caches.
PRODUCT_SIDE = {"cpu": 2048, "cuda": 8192}
COPIED_BYTES = {"cpu": 2**28, "cuda": 2**31}
REPEATS = 5
# Steps that are timed, after some that warm up.
TIMED_STEPS, WARMING_STEPS = 8, 3


@dataclass(frozen=True)
class LayerCost:
    """What one layer does in one training step, at least.

    Attributes
    ----------
    operations : int
        Multiplications and additions, forward and backward: of convolutions alone, where all but a few are.
    bytes : int
        Moved to and from memory when nothing of it stays in a cache: forward, what goes in, what comes
        out and the weights once each; backward, all of them with their gradients.
    """

    layer: str
    operations: int
    bytes: int

    def seconds(self, ceilings: Ceilings) -> float:
        return max(self.operations / ceilings.operations, self.bytes / ceilings.bytes)


@dataclass(frozen=True)
class Ceilings:
    """Measured on this machine: operations a second of a product, bytes a second of a copy."""

    operations: float
    bytes: float


def layer_costs(network: Network, latent: Tensor, grid: tuple[int, ...]) -> list[LayerCost]:
    """The cost of every layer of the network for one training step, counted during one forward pass."""
    costs: list[LayerCost] = []

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def count(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            (x,) = given
            weights = sum(w.numel() * w.element_size() for w in module.parameters(recurse=False))
            moved = _bytes(x) + _bytes(made) + weights
            # No gradient with respect to the network's input is asked for; one for the weights always.
            convolves = isinstance(module, Convolution | TransposedConvolution)
            passes = 3 if convolves and x.requires_grad else 2
            costs.append(LayerCost(name, passes * operations(module, x, made), passes * moved))

        return count

    leaves = [(name, m) for name, m in network.body.named_modules() if not list(m.children())]
    handles = [m.register_forward_hook(hook(f"{name} {type(m).__name__}")) for name, m in leaves]
    try:
        network(latent, grid)
    finally:
        for handle in handles:
            handle.remove()
    return costs


def operations(module: nn.Module, x: Tensor, made: Tensor) -> int:
    """Multiplications and additions of a convolution's forward pass; 0 for other layers."""
    if isinstance(module, Convolution):
        return 2 * made.numel() * prod(module.weight.shape[1:])
    if isinstance(module, TransposedConvolution):
        padded = prod(n + 2 for n in x.shape[2:])  # by one pixel on every side
        return 2 * x.shape[0] * x.shape[1] * padded * prod(module.weight.shape[1:])
    return 0


def measure_ceilings(device: str, dtype: torch.dtype) -> Ceilings:
    """The best of some large products in that precision, and of some large copies."""
    kind = torch.device(device).type
    n, size = PRODUCT_SIDE.get(kind, 2048), COPIED_BYTES.get(kind, 2**28)
    a, b = (torch.ones(n, n, dtype=dtype, device=device) for _ in range(2))
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product = min(timed_on(device, lambda: a @ b) for _ in range(REPEATS))
    copy = min(timed_on(device, lambda: target.copy_(source)) for _ in range(REPEATS))
    return Ceilings(2 * n**3 / product, 2 * size / copy)


def seconds_per_step(target: Energy, device: str, *, by_adam: bool = False) -> float:
    """The best of some steps of Muon, or of Adam: other programs only ever make one slower."""
    generator = torch.Generator(device).manual_seed(0)
    stepper: Stepper = (
        AdamStepper(target, generator, learning_rate=0.01, input_noise=1 / 30)
        if by_adam
        else MuonStepper(target, generator, input_noise=1 / 30)
    )
    taken = [timed_on(device, stepper.step) for _ in range(WARMING_STEPS + TIMED_STEPS)]
    return min(taken[WARMING_STEPS:])


def run(results: Results, options: Options) -> None:
    """Both networks at each of ``--sides``."""
    roofline(results, options.sides or SIDES[pick_device("auto")], options.seed)
    results.conclude(roofline_shares=shares(results.rows))


def roofline(results: Results, sides: tuple[int, ...], seed: int = 0) -> None:
    """A step's bound, what it took, and the share reached."""
    device = pick_device("auto")
    ceilings: dict[torch.dtype, Ceilings] = {}
    for side in sides:
        for name, method in (("paper", bd.SGLD.paper()), ("ours", bd.SGLD())):
            if results.has(part="roofline", side=side, run=name):
                continue
            dtype = torch.float32 if name == "paper" else precision.fastest(device)
            if dtype not in ceilings:
                ceilings[dtype] = measure_ceilings(device, dtype)
            energy = colour_energy(default_network(method, side), side, device, seed)
            precision.lower(energy.network, dtype)
            costs = layer_costs(energy.network, energy.latent, energy.problem.grid)
            bound = summed(costs, ceilings[dtype])
            taken = seconds_per_step(energy, device, by_adam=name == "paper")
            row: Row = {"part": "roofline", "side": side, "run": name, "device": device}
            row |= {"precision": str(dtype).removeprefix("torch."), **bound}
            results.add(row | {"seconds": taken, "share": bound["bound_seconds"] / taken})


def default_network(method: bd.SGLD, side: int) -> Architecture:
    """The network that a method takes for a noisy picture of that side."""
    network = method.resolved(noisy_colour(side)).arch
    assert isinstance(network, Architecture)
    return network


def shares(rows: list[Row]) -> dict[str, float]:
    """The share of its bound that each network's step reaches, by side."""
    return {f"{row['side']}-{row['run']}": row["share"] for row in of_part(rows, "roofline")}


def summed(costs: list[LayerCost], ceilings: Ceilings) -> Row:
    """Totals, the step's bound, and what each layer adds to it."""
    layers = [{**vars(cost), "bound_seconds": cost.seconds(ceilings)} for cost in costs]
    return {
        "operations": sum(cost.operations for cost in costs),
        "bytes": sum(cost.bytes for cost in costs),
        "peak_operations_per_second": ceilings.operations,
        "peak_bytes_per_second": ceilings.bytes,
        "bound_seconds": sum(cost.seconds(ceilings) for cost in costs),
        "layers": layers,
    }


def noisy_colour(side: int, seed: int = 0) -> Problem:
    """Denoising of a colour picture of that side, whose content does not matter."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(3, side, side, generator=generator, dtype=torch.float64)
    return Problem(y, Identity((side, side)), Gaussian(0.1))


def colour_energy(arch: Architecture, side: int, device: str, seed: int = 0) -> Energy:
    """A fresh network for `noisy_colour`."""
    return Energy.of(noisy_colour(side, seed), arch, torch.Generator().manual_seed(seed), device)


def _bytes(x: Tensor) -> int:
    return x.numel() * x.element_size()
