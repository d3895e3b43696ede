"""A fit overfits; what rules without a truth save of it, with a figure.

One run for each picture: all rules watch it, each notes where it would have stopped and
which picture it would have given, and the run goes on. So they are compared on the same noise, the
same network and the same steps. All of them pay for the pixels that ``held-out`` keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

import bayesdip as bd
from bayesdip.arch.networks import Shuffle
from bayesdip.lab.results import Row
from bayesdip.layout import Layout
from bayesdip.networks.optimisers import RECIPES, Optimisation
from bayesdip.networks.schedule import SCHEDULES
from bayesdip.networks.setup import set_up
from bayesdip.networks.stopping import RULES, Rule
from bayesdip.noise import Gaussian, detect_clipping
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from benchmarks.options import Options
from benchmarks.pictures import noisy_pairs, psnr
from benchmarks.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMA = 25 / 255
SIDE = 128
CORNER = (100, 150)  # of the crops of camera and astronaut
MARKERS = "osv^D"  # one for each rule
EVERY = 10  # steps between two looks
STEPS = {"fast": 700, "balanced": 4000, "best": 12000}
RECIPE = bd.MAP().optimiser  # under which the rules are compared
RULES_BESIDE_RECIPES = ("never", "held-out", "discrepancy")


@dataclass(frozen=True)
class Noisy:
    """A picture and its noisy version, (C, M, N), in 0..1."""

    name: str
    clean: Tensor
    noisy: Tensor


def run(results: Results, options: Options) -> None:
    """Every rule on every picture, then every recipe on a smaller one."""
    steps, seed, side = STEPS[options.effort], options.seed, options.sides[0] if options.sides else SIDE
    chosen = [p for p in pictures(options.data, seed, side) if p.name in (options.pictures or (p.name,))]
    for picture in chosen:
        _one_run(results, "rules", picture, RECIPE, tuple(RULES), steps, seed)
    small = next(pictures(None, seed, side // 2))
    for recipe in RECIPES:
        _one_run(results, "recipes", small, recipe, RULES_BESIDE_RECIPES, steps, seed)
    rows = [row for row in results.part("rule") if row["set"] == "rules"]
    losses = {name: [row["loss"] for row in rows if row["rule"] == name] for name in RULES}
    results.conclude(
        steps=steps,
        noise=f"sigma {255 * SIGMA:g} of 255; clipped to 8 bits on house alone",
        **{f"loss_{name}": float(np.mean(loss)) for name, loss in losses.items() if loss},
    )
    results.draw(stopping_figure)


def pictures(data: Path | None, seed: int, side: int = SIDE) -> Iterator[Noisy]:
    """Crops of two pictures that scikit-image ships, and the published ``house`` with ``data``."""
    from skimage import data as shipped

    top, left = CORNER
    for name in ("camera", "astronaut"):
        pixels = getattr(shipped, name)()[top : top + side, left : left + side]
        clean = Layout.of(pixels, -1 if pixels.ndim == 3 else None).to_tensor(pixels) / 255
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        yield Noisy(name, clean, clean + SIGMA * noise)
    if data is not None:
        for pair in noisy_pairs(data, ("house",)):
            clean, noisy = (Layout.of(a, -1).to_tensor(a) / 255 for a in (pair.clean, pair.given))
            yield Noisy("house", clean[:, :side, :side], noisy[:, :side, :side])


def watched(
    picture: Noisy, recipe: str, rules: dict[str, Rule], steps: int, seed: int
) -> tuple[Row, dict[str, int | None]]:
    """One run of ``steps``, all rules watching; the curve, and the step at which each rule said to stop."""
    grid = tuple(picture.clean.shape[1:])
    noise = Gaussian(SIGMA, detect_clipping(picture.noisy))
    seen = Problem(picture.noisy, Identity(grid), noise)
    for rule in rules.values():
        seen = rule.hold_out(seen, torch.Generator().manual_seed(seed))

    def begin(problem: Problem) -> Optimisation:
        made = set_up(problem, Shuffle(), seed=seed, device="cpu")
        return Optimisation.begin(made.energy, made.generator, RECIPES[recipe], SCHEDULES["balanced"])

    fit = begin(seen)
    for rule in rules.values():
        rule.begin(fit.target, begin)
    stopped: dict[str, int | None] = dict.fromkeys(rules)
    curve: Row = {"step": [], "psnr": [], "fit": []}
    for step in range(EVERY, steps + 1, EVERY):
        fit.advance(step)
        evaluation = fit.evaluation(step)
        for name, rule in rules.items():
            if stopped[name] is None and rule.ended(evaluation):
                stopped[name] = step
        for key, value in (
            ("step", step),
            ("psnr", psnr(evaluation.picture, picture.clean)),
            ("fit", evaluation.fit),
        ):
            curve[key].append(value)
    return curve, stopped


def _one_run(
    results: Results,
    part: str,
    picture: Noisy,
    recipe: str,
    names: tuple[str, ...],
    steps: int,
    seed: int,
) -> None:
    key = {"set": part, "picture": picture.name, "recipe": recipe}
    if results.has(part="curve", **key):
        return
    rules = {name: RULES[name]() for name in names}
    curve, stopped = watched(picture, recipe, rules, steps, seed)
    best = int(np.argmax(curve["psnr"]))
    oracle = curve["psnr"][best]
    results.add({"part": "oracle", **key, "step": curve["step"][best], "psnr": oracle})
    for name, rule in rules.items():
        given = curve["psnr"][-1] if rule.picture is None else psnr(rule.picture, picture.clean)
        results.add(
            {
                "part": "rule",
                **key,
                "rule": name,
                "stopped": stopped[name],
                "step": steps if rule.picture is None else rule.step,
                "psnr": given,
                "loss": oracle - given,
            }
        )
    results.add({"part": "curve", **key, **curve}, quiet=True)


def stopping_figure(rows: list[Row]) -> Figure:
    """From the rows of `run`: the rules on every picture, and the recipes on one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.6), layout="constrained")
    axes = figure.subplots(2, 2)
    for line, part, label in ((axes[0], "rules", "picture"), (axes[1], "recipes", "recipe")):
        _draw_curves(line, [row for row in rows if (row["part"], row["set"]) == ("curve", part)], label)
    for row in rows:
        if (row["part"], row["set"]) == ("rule", "rules"):
            marker = MARKERS[list(RULES).index(row["rule"])]
            axes[0][0].plot(row["step"], row["psnr"], marker, color="black", markersize=5, zorder=3)
    for place, name in enumerate(RULES):
        axes[0][0].plot([], [], MARKERS[place], color="black", label=name)
    axes[0][0].legend(fontsize=7)
    axes[0][0].set_title(f"{RECIPE}, and where each rule stops", fontsize=9)
    axes[1][0].set_title("the recipes on a smaller crop of camera", fontsize=9)
    return figure


def _draw_curves(axes: Any, curves: list[Row], label: str) -> None:
    for row in curves:
        axes[0].plot(row["step"], row["psnr"], linewidth=1, label=row[label])
        axes[1].plot(row["step"], row["fit"], linewidth=1, label=row[label])
    axes[1].axhline(1.0, color="gray", linewidth=0.7, linestyle=":")
    axes[0].set(xlabel="step", ylabel="PSNR (dB)")
    axes[1].set(xlabel="step", ylabel="fit (1: noise level)", ylim=(0, 2))
    for place in axes:
        place.legend(fontsize=7)
