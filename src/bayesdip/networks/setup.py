"""Fresh networks for some data, ready to be fitted, and the time that one of their steps takes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import torch

from bayesdip.arch.architecture import Architecture
from bayesdip.interruption import look
from bayesdip.memory import available_memory, check_memory
from bayesdip.networks import precision
from bayesdip.networks.checkpointing import add_checkpoints
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy, networks_at_once
from bayesdip.networks.memory_bound import fit_memory
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.steppers import Target
from bayesdip.problem import Problem

PRECISIONS = ("auto", "single")
# Steps that are timed, after a first one, which is slower.
TIMED_STEPS = 5
# Seconds that PyTorch takes to load its compiler, which its optimisers do when the first one is made.
LOADING, COMPILER = 1.0, "torch._dynamo"
# Seconds after which no more are timed.
LONGEST_TIMING = 1.0


@dataclass(frozen=True)
class SetUp:
    """Networks for some data.

    Attributes
    ----------
    energy : Energy
        Of the first network alone.
    target : Energy or EnsembleEnergy
        Of all of them: what a stepper moves.
    generator : torch.Generator
        On the device; everything random in the run draws from it.
    memory : int
        Upper bound of the bytes that a run needs.
    """

    energy: Energy
    target: Target
    generator: torch.Generator
    memory: int


def set_up(
    problem: Problem,
    arch: Architecture,
    *,
    seed: int,
    device: str,
    networks: int = 1,
    compute: str = "auto",
    samples: int = 0,
) -> SetUp:
    """Fresh networks for the data.

    Where memory would be short, a single network is checkpointed: it keeps fewer activations for the backward pass.

    Parameters
    ----------
    problem : Problem
    arch : Architecture
    seed : int
        Networks are drawn on the CPU, so that a seed means the same network on every device.
    device : str
    networks : int
        How many, on the same data.
    compute : {"auto", "single"}
        The precision of the convolutions: the fastest that the device has and that fits as well, or single.
    samples : int
        Pictures that the run will keep.

    Returns
    -------
    SetUp

    Raises
    ------
    ResourceError
        The fit would not fit in memory.
    """
    rule, grid = arch.grid_rule(), problem.grid
    sizes = (problem.channels, tuple(rule.input_axis(n) for n in grid))
    dtype = precision.fastest(device) if compute == "auto" else torch.float32
    at_once = networks_at_once(networks, torch.device(device))

    def needed(checkpointed: bool) -> int:
        return fit_memory(
            arch,
            *sizes,
            dtype=dtype,
            networks=networks,
            at_once=at_once,
            samples=samples,
            checkpointed=checkpointed,
        )

    # Several networks at once run in torch.func.vmap on a GPU, which cannot compute activations again.
    checkpointed = networks == 1 and needed(False) > available_memory(device)
    memory = needed(checkpointed)
    what = f"fitting {networks} network{'s' * (networks > 1)} {arch.name!r} to {' x '.join(map(str, grid))} pixels"
    instead = "use method='patches' or 'gp', or a smaller picture"
    check_memory(memory, device, what, f"take fewer chains, {instead}" if networks > 1 else instead)
    energy = Energy.of(problem, arch, torch.Generator().manual_seed(seed), device)
    precision.lower(energy.network, dtype)
    for module in energy.network.modules():
        if not any(True for _ in module.children()):
            module.register_forward_pre_hook(
                lambda *_: look()
            )  # a step on a large picture takes many seconds
    if checkpointed:
        add_checkpoints(energy.network)
    target: Target = energy
    if networks > 1:
        target = EnsembleEnergy.of(energy, networks, torch.Generator().manual_seed(seed + 1))
    return SetUp(energy, target, torch.Generator(device).manual_seed(seed), memory)


def seconds_to_load() -> float:
    """What the first network of a process takes before its first step.

    Returns
    -------
    float
        0 when it is loaded.
    """
    return 0.0 if COMPILER in sys.modules else LOADING


def seconds_per_step(made: SetUp, input_noise: float) -> float:
    """The time of a step of Muon, measured on a few of them.

    Parameters
    ----------
    made : SetUp
        Its networks change, and are not to be used again.
    input_noise : float
        See :class:`~bayesdip.networks.muon.MuonStepper`.

    Returns
    -------
    float
    """
    muon = MuonStepper(made.target, made.generator, input_noise=input_noise)
    muon.step()
    began = time.perf_counter()
    count = 0
    while count < TIMED_STEPS and time.perf_counter() - began < LONGEST_TIMING:
        muon.step()
        count += 1
    if made.generator.device.type == "cuda":
        torch.cuda.synchronize(made.generator.device)
    return (time.perf_counter() - began) / count
