"""Quality against processor time of the sampled network: noise, scattered pixels, holes and blur, beside the paper's recipe.

Noise and scattered pixels are the published inputs of ``house`` and ``montage`` where ``--data`` has them. Each run has a
process of its own and one thread. ``--before SRC`` measures an older version of the package on the same inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import bayesdip
from bayesdip.lab.results import Row
from benchmarks.before_after import commit_of
from benchmarks.measurement import in_own_process
from benchmarks.options import Options
from benchmarks.results import Results, Target, of_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROBLEMS = ("noise", "scattered", "holes", "blur")
# Processor seconds of each run, and the side of the pictures.
BUDGETS = {"fast": 45.0, "balanced": 180.0, "best": 900.0}
SIDES = {"fast": 96, "balanced": 128, "best": 256}
# Seconds on the wall for each processor second, on a machine with other work.
PATIENCE = 10.0
# A curve may be this much below another's, dB: two draws of networks differ by as much.
CHANCE = 0.1
# Seconds from which on curves are compared: first pictures come within milliseconds of each other.
FROM = 1.0
PART = "curve"


def run(results: Results, options: Options) -> None:
    """A curve for each problem and version, and by how much ours is above the others at the worst moment."""
    budget = options.time_budget or BUDGETS[options.effort]
    side = (options.sides or (SIDES[options.effort],))[0]
    own = options.after or Path(bayesdip.__file__).parents[1]
    versions = {"now": own, "paper": own, "before": options.before}
    for problem in options.pictures or PROBLEMS:
        for name, source in versions.items():
            if source is None or results.has(part=PART, problem=problem, run=name):
                continue
            asked = {"problem": problem, "paper": name == "paper", "side": side, "seconds": budget}
            asked |= {"seed": options.seed, "data": None if options.data is None else str(options.data)}
            row = in_own_process(
                "benchmarks.sampled_curves_worker",
                asked,
                PATIENCE * budget + 60,
                path=(source.resolve(),),
                threads=1,
            )
            key = {"part": PART, "problem": problem, "run": name}
            results.add({**key, "commit": commit_of(source), **row})
    conclude(results, budget, side)


def conclude(results: Results, budget: float, side: int) -> None:
    """The least margin over each other run, and the best of every curve."""
    curves = {(row["problem"], row["run"]): row for row in results.part(PART) if "curve" in row}
    targets, facts = [], {}
    for (problem, name), row in curves.items():
        facts[f"{problem}-{name}"] = row["psnr"]
        own = curves.get((problem, "now"))
        if name != "now" and own is not None:
            worst = least_margin(own["curve"], row["curve"])
            targets.append(
                Target(f"{problem}: least margin over {name} at any moment, dB", worst, least=-CHANCE)
            )
    results.conclude(targets, seconds=budget, side=side, **facts)
    results.draw(figure, "-curves")


def least_margin(own: dict[str, Sequence[float]], other: dict[str, Sequence[float]]) -> float:
    """How far `own` is above `other` where it is least so, in dB: what each would give back at a moment is what it last had.

    Parameters
    ----------
    own, other : dict
        ``seconds`` and ``psnr``, in the order of time.

    Returns
    -------
    float
        Minus infinity where the other has a picture before one's own first.
    """

    def at(curve: dict[str, Sequence[float]], moment: float) -> float:
        last = int(np.searchsorted(curve["seconds"], moment, side="right")) - 1
        return curve["psnr"][last] if last >= 0 else -np.inf

    first = max(FROM, other["seconds"][0])
    moments = [first, *(t for t in sorted({*own["seconds"], *other["seconds"]}) if t >= first)]
    return float(min(at(own, moment) - at(other, moment) for moment in moments))


def figure(rows: list[Row]) -> Figure:
    """PSNR over processor seconds: a panel for each problem."""
    from matplotlib.figure import Figure

    curves = [row for row in of_part(rows, PART) if "curve" in row]
    problems = list(dict.fromkeys(row["problem"] for row in curves))
    drawn = Figure(figsize=(3.6 * max(len(problems), 1) + 0.5, 3.6), layout="constrained")
    labels = {"now": "method='sgld'", "paper": "the paper's recipe", "before": "the version before"}
    for axis, problem in zip(
        drawn.subplots(1, max(len(problems), 1), squeeze=False)[0], problems, strict=False
    ):
        for row in curves:
            if row["problem"] == problem:
                curve: dict[str, Any] = row["curve"]
                axis.plot(curve["seconds"], curve["psnr"], label=labels[row["run"]], drawstyle="steps-post")
        axis.set(title=problem, xlabel="processor seconds", ylabel="PSNR (dB)", xscale="log")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    return drawn
