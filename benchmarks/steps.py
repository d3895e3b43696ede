"""What a training step takes, and what it takes with one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import bayesdip as bd
from bayesdip.errors import BayesDipError
from bayesdip.lab.results import Row
from bayesdip.methods.method import pick_device
from bayesdip.networks import precision
from bayesdip.networks.energy import Energy
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.steppers import AdamStepper
from benchmarks.measurement import timed_on
from benchmarks.options import Options
from benchmarks.results import Results
from benchmarks.roofline import TIMED_STEPS, WARMING_STEPS, colour_energy, default_network

SIDES = {"fast": (64, 256), "balanced": (64, 256, 512), "best": (64, 256, 512, 1024)}
Step = Callable[[], Any]


@dataclass(frozen=True)
class Way:
    """One way to take a step: what is done to the target, what then takes it, and with how many threads (0: as many as there are)."""

    change: Callable[[Energy], None] = lambda target: None
    step: Callable[[Energy, torch.Generator], Step] = lambda target, generator: (
        MuonStepper(target, generator, input_noise=0.0).step
    )
    threads: int = 0


def _single(target: Energy) -> None:
    precision.lower(target.network, torch.float32)


def _planes(target: Energy) -> None:
    target.network.cpu_layout = torch.contiguous_format


def _compiled(target: Energy) -> None:
    torch._dynamo.reset()
    target.network.body.compile()


def _adam(target: Energy, generator: torch.Generator) -> Step:
    return AdamStepper(target, generator, learning_rate=0.01, input_noise=0.0).step


def _gradients(target: Energy, generator: torch.Generator) -> Step:
    return lambda: target.evaluate(0.0, generator)


WAYS = {
    "as it is": Way(),
    "one thread": Way(threads=1),
    "single precision": Way(_single),
    "features plane by plane": Way(_planes),
    "compiled": Way(_compiled),
    "by Adam": Way(step=_adam),
    "gradients alone": Way(step=_gradients),
}


def run(results: Results, options: Options) -> None:
    """All ways at each side, in turns; ``as_it_is`` is the quickest step of the first over that of each."""
    device, threads = pick_device("auto"), torch.get_num_threads()
    for side in options.sides or SIDES[options.effort]:
        if results.has(side=side):
            continue
        for row in _taking_turns(side, device, threads, options.seed):
            results.add({"side": side, "device": device, **row})
    results.conclude(
        ratios={f"{row['side']} {row['way']}": row["as_it_is"] for row in results.rows if row.get("as_it_is")}
    )


def _taking_turns(side: int, device: str, threads: int, seed: int) -> list[Row]:
    steps: dict[str, Step] = {}
    rows: dict[str, Row] = {}
    taken: dict[str, list[float]] = {}
    for name, way in WAYS.items():
        target = colour_energy(default_network(bd.SGLD(), side), side, device, seed)
        precision.lower(target.network, precision.fastest(device))
        way.change(target)
        step = way.step(target, torch.Generator(device).manual_seed(seed))
        torch.set_num_threads(way.threads or threads)
        try:
            rows[name] = {"way": name, "first_seconds": timed_on(device, step)}
            for _ in range(WARMING_STEPS):
                step()
        except Exception as error:  # a compiler that is not there, whatever it raises
            rows[name] = {"way": name, "failed": type(error).__name__}
            continue
        finally:
            torch.set_num_threads(threads)
        steps[name], taken[name] = step, []
    for _ in range(TIMED_STEPS):
        for name, step in steps.items():
            torch.set_num_threads(WAYS[name].threads or threads)
            taken[name].append(timed_on(device, step))
    torch.set_num_threads(threads)
    if "as it is" not in taken:
        raise BayesDipError(f"no step could be taken at {side}x{side} pixels: take a lower effort")
    usual = min(taken["as it is"])
    for name, seconds in taken.items():
        rows[name] |= {"seconds": min(seconds), "as_it_is": usual / min(seconds)}
        gained = usual - min(seconds)
        if name == "compiled":
            rows[name]["steps_until_it_pays"] = rows[name]["first_seconds"] / gained if gained > 0 else None
    return list(rows.values())
