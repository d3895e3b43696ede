"""Some training steps at one size, with their time and their peak memory.

Run as a program (``python -m benchmarks.fit_worker``): what to do comes as JSON on standard
input, what was measured goes as JSON to standard output. A process of its own makes the peak memory
that of this one fit.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch

from bayesdip import arch as archs
from bayesdip.arch.architecture import Architecture
from bayesdip.networks import precision
from bayesdip.networks.batch import Batch
from bayesdip.networks.checkpointing import recompute
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import networks_at_once
from bayesdip.networks.memory import step_memory
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.samplers import Psgld
from bayesdip.networks.steppers import Target
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from benchmarks.solve_worker import peak_bytes

CHANNELS = 3


def measure(
    arch: str,
    side: int,
    pictures: int = 1,
    steps: int = 6,
    sparing: bool = False,
    device: str = "cpu",
    seed: int = 0,
) -> dict[str, Any]:
    """Time and memory of fitting colour pictures of that side, each with a network of its own.

    Returns
    -------
    dict
        ``seconds`` of the quickest step but the first, ``first`` of the first, ``peak_bytes`` above
        what the process had after a tiny fit, ``estimated_bytes`` as told before a run.
    """
    network = archs.named(arch)
    _fit(archs.shuffle(scales=1, width=4, skip=2, shuffled=2), 16, 1, 2, False, device, seed)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    before = _peak(device)
    taken, code = _fit(network, side, pictures, steps, sparing, device, seed)
    dtype = precision.fastest(device)
    return {
        "seconds": min(taken[1:]),
        "first": taken[0],
        "peak_bytes": _peak(device) - before,
        "estimated_bytes": step_memory(
            network,
            CHANNELS,
            code,
            dtype=dtype,
            networks=pictures,
            sparing=sparing,
            at_once=networks_at_once(pictures, torch.device(device)),
        ),
    }


def _fit(
    arch: Architecture, side: int, pictures: int, steps: int, sparing: bool, device: str, seed: int
) -> tuple[list[float], tuple[int, ...]]:
    targets = [_problem(arch, side, device, seed + k) for k in range(pictures)]
    for target in targets:
        precision.lower(target.network, precision.fastest(device))
        if sparing:
            recompute(target.network)
    target: Target = targets[0] if pictures == 1 else Batch.together(targets)
    generator = torch.Generator(device).manual_seed(seed)
    stepper = MuonStepper(target, generator, input_noise=1 / 30)
    taken = []
    for _ in range(steps):
        begun = time.perf_counter()
        stepper.step()
        if device != "cpu":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - begun)
    # A run keeps a good state to go back to, and goes on by Langevin dynamics.
    good = stepper.snapshot()
    curvature, bases = stepper.curvature()
    langevin = Psgld(target, generator, curvature, step_size=0.01, bases=bases)
    langevin.step()
    del good
    return taken, tuple(targets[0].code.shape[2:])


def _problem(arch: Architecture, side: int, device: str, seed: int) -> Energy:
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(CHANNELS, side, side, generator=generator, dtype=torch.float64)
    problem = Problem(y, Identity((side, side)), Gaussian(0.1))
    return Energy.pose(problem, arch, generator, device)


def _peak(device: str) -> int:
    return peak_bytes() if device == "cpu" else int(torch.cuda.max_memory_allocated(device))


if __name__ == "__main__":
    print(json.dumps(measure(**json.load(sys.stdin))), flush=True)
