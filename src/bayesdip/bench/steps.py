"""``bayesdip bench steps``: what a training step takes, and what it takes where one thing about it is otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from bayesdip.bench.results import Results, Row
from bayesdip.bench.roofline import TIMED_STEPS, WARMING_STEPS, colour_problem, timed_on
from bayesdip.errors import BayesDipError
from bayesdip.fit import precision
from bayesdip.fit.muon import MuonStepper
from bayesdip.fit.problem import Problem
from bayesdip.fit.steppers import AdamStepper
from bayesdip.pipeline import settings_of
from bayesdip.settings import pick_device

SIDES = {"fast": (64, 256), "balanced": (64, 256, 512), "best": (64, 256, 512, 1024)}
Step = Callable[[], Any]


@dataclass(frozen=True)
class Way:
    """One way to take a step: what is done to the problem, what then takes it, and with how many threads (0: as many as there are)."""

    change: Callable[[Problem], None] = lambda problem: None
    step: Callable[[Problem, torch.Generator], Step] = lambda problem, generator: (
        MuonStepper(problem, generator, input_noise=0.0).step
    )
    threads: int = 0


def _single(problem: Problem) -> None:
    precision.lower(problem.network, torch.float32)


def _planes(problem: Problem) -> None:
    problem.network.cpu_layout = torch.contiguous_format


def _compiled(problem: Problem) -> None:
    torch._dynamo.reset()
    problem.network.body.compile()


def _adam(problem: Problem, generator: torch.Generator) -> Step:
    return AdamStepper(problem, generator, learning_rate=0.01, input_noise=0.0).step


def _gradients(problem: Problem, generator: torch.Generator) -> Step:
    return lambda: problem.evaluate(0.0, generator)


WAYS = {
    "as it is": Way(),
    "one thread": Way(threads=1),
    "single precision": Way(_single),
    "features plane by plane": Way(_planes),
    "compiled": Way(_compiled),
    "by Adam": Way(step=_adam),
    "gradients alone": Way(step=_gradients),
}


def bench_steps(results: Results, effort: str, seed: int) -> None:
    """All ways at each side; ``as_it_is`` is the quickest step of the first over that of each."""
    device, threads = pick_device("auto"), torch.get_num_threads()
    for side in SIDES[effort]:
        if results.has(side=side):
            continue
        for row in _taking_turns(side, device, threads, seed):
            results.add({"side": side, "device": device, **row})
    results.conclude(
        ratios={f"{row['side']} {row['way']}": row["as_it_is"] for row in results.rows if row.get("as_it_is")}
    )


def _taking_turns(side: int, device: str, threads: int, seed: int) -> list[Row]:
    steps: dict[str, Step] = {}
    rows: dict[str, Row] = {}
    taken: dict[str, list[float]] = {}
    for name, way in WAYS.items():
        problem = colour_problem(settings_of({}).arch, side, device, seed)
        precision.lower(problem.network, precision.fastest(device))
        way.change(problem)
        step = way.step(problem, torch.Generator(device).manual_seed(seed))
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
