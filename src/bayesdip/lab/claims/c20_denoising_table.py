"""Claim 20: the paper's denoising table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.results import Row

from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit, psnr
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves, dots, panels
from bayesdip.lab.problems import denoising
from bayesdip.lab.statistics import Condition, difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Weight decay and input noise as in the released code's options; the paper names no decay for SGD.
RECIPES: dict[str, dict[str, Any]] = {
    "SGD": {},
    "SGD, weight decay": {"weight_decay": 1e-4},
    "SGD, input noise": {"input_noise": 1 / 30},
    "SGLD": {"weight_noise": True, "weight_decay": 5e-8, "input_noise": 1 / 30},
}
OTHERS = ("SGD", "SGD, average", "SGD, weight decay", "SGD, input noise", "SGD, input noise, average")


def cells(size: Size) -> list[Cell]:
    return crossed(run=tuple(RECIPES))


def measure(task: Task) -> Row:
    case = denoising(task.picture(), 25 / 255, task.generator())
    recipe = Recipe(4 * task.size.steps, **RECIPES[task["run"]])
    found = fit(skip(task.size), case, recipe, task.generator(1))
    return {
        "psnr_end": found.psnr[-1],
        "psnr_average_end": found.psnr_average[-1],
        "psnr_sampled": psnr(found.sampled, case.truth),
        "steps": found.steps,
        "psnr": found.psnr,
    }


def table(rows: Sequence[Row]) -> list[Row]:
    """The paper's six methods, of four runs."""
    found = []
    for row in rows:
        name, seed, picture = row["run"], row["seed"], row["picture"]
        common = {"seed": seed, "picture": picture}
        if name == "SGLD":
            found.append({**common, "method": "SGLD", "dB": row["psnr_sampled"]})
            continue
        found.append({**common, "method": name, "dB": row["psnr_end"]})
        if name != "SGD, weight decay":
            found.append({**common, "method": f"{name}, average", "dB": row["psnr_average_end"]})
    return found


def judge(rows: Sequence[Row]) -> list[Condition]:
    flat = table(rows)
    return [
        Condition(
            f"SGLD above {name}, dB", difference(flat, "dB", {"method": "SGLD"}, {"method": name}), least=0.0
        )
        for name in OTHERS
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    dots(axes[0], table(rows), "dB", "method", "PSNR at the end (dB)")
    curves(axes[1], rows, "psnr", "run", "PSNR of the picture (dB)")
    return figure


CLAIM = Claim(
    number=20,
    name="denoising-table",
    sentence="Left to run, SGLD denoises better than SGD with averaging, weight decay or input noise.",
    source=f"{PAPER}, table 1 (9 pictures, sigma 25)",
    varies="the six methods of the table, as released; here at the size of the lab (`bench paper-denoise` has the pictures)",
    measures="PSNR at the end, by nobody stopped; averages are exponential, SGLD's mean counts after 35% of the steps",
    seconds=525,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("psnr_end", "psnr_average_end", "psnr_sampled"),
    lessons={
        "supported": "sampling gives better pictures than any way of averaging a fit",
        "refuted": "sampling as released is not better than every way of averaging a fit",
    },
)
