"""Claim 17: DIP approaches its Gaussian process as it grows wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.gp_figure6 import rate_of
from benchmarks.results import Row
from torch import Tensor

from bayesdip import arch
from bayesdip.gp import learn, posterior
from bayesdip.lab.claim import PAPER, Cell, Claim, Size, Task, crossed
from bayesdip.lab.fitting import Recipe, fit, psnr
from bayesdip.lab.plots import against, panels, values
from bayesdip.lab.problems import inpainting
from bayesdip.lab.statistics import Condition, Interval, by_seed, difference, level
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = {"quick": (8, 16, 32, 64), "full": (16, 32, 64, 128, 256, 512)}
SIGMA = 0.01  # of the Gaussian process' data, which are exact


def cells(size: Size) -> list[Cell]:
    widths = WIDTHS.get(size.name, (2, 4))
    return [
        *crossed(method=("network",), channels=widths),
        *crossed(method=("GP, DIP kernel", "GP, learnt RBF"), channels=(0,)),
    ]


def measure(task: Task) -> Row:
    truth = task.picture(most=64)  # as in the paper's figure
    case = inpainting(truth, 0.5, task.generator())
    if task["method"] == "network":
        description = arch.skip(scales=2, width=task["channels"], skip=4)
        recipe = Recipe(2 * task.size.steps, learning_rate=rate_of(task["channels"]))
        found = fit(description, case, recipe, task.generator(1))
        mean = found.average
    else:
        mean = _process(task["method"], case.y[0], ~case.seen[0, 0])[None]
    return {"psnr": psnr(mean.where(~case.seen, case.y), truth)}


def _process(name: str, y: Tensor, missing: Tensor) -> Tensor:
    data, operator = y.double(), Mask(missing)
    if name == "GP, learnt RBF":
        best = learn(data, operator, "rbf")
        return posterior(data, operator, best.kernel, best.noise, colour=best.colour).mean.float()
    kernel = arch.skip(scales=2, width=1024, skip=4).kernel()
    return posterior(data, operator, kernel, Gaussian(SIGMA)).mean.float()


def _gap(rows: Sequence[Row], width: int) -> dict[int, float]:
    network = by_seed(rows, "psnr", {"method": "network", "channels": width})
    process = by_seed(rows, "psnr", {"method": "GP, DIP kernel"})
    return {seed: abs(network[seed] - process[seed]) for seed in network.keys() & process.keys()}


def judge(rows: Sequence[Row]) -> list[Condition]:
    widths = sorted({row["channels"] for row in rows if row["method"] == "network"})
    narrow, wide = _gap(rows, widths[0]), _gap(rows, widths[-1])
    closer = Interval.of(narrow[seed] - wide[seed] for seed in sorted(narrow.keys() & wide.keys()))
    return [
        Condition(
            f"distance to the GP's PSNR at {widths[0]} channels above that at {widths[-1]}, dB",
            closer,
            least=0.0,
        ),
        Condition(
            "GP with the DIP kernel above the GP with RBF learnt on the observed pixels, dB",
            difference(rows, "psnr", {"method": "GP, DIP kernel"}, {"method": "GP, learnt RBF"}),
            least=0.0,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    figure, axes = panels(2)
    against(axes[0], rows, "psnr", "channels", "network", method="network")
    for number, name in enumerate(("GP, DIP kernel", "GP, learnt RBF"), start=1):
        axes[0].axhline(level(rows, "psnr", method=name).mean, color=f"C{number}", label=name)
    axes[0].set(ylabel="PSNR (dB)")
    axes[0].legend(fontsize=8)
    widths = values([row for row in rows if row["method"] == "network"], "channels")
    gaps = [
        {"seed": seed, "channels": width, "gap": gap}
        for width in widths
        for seed, gap in _gap(rows, width).items()
    ]
    against(axes[1], gaps, "gap", "channels")
    axes[1].set(ylabel="distance to the GP's PSNR (dB)")
    for place in axes:
        place.set(xlabel="channels", xscale="log")
        place.set_xticks(widths, [str(width) for width in widths])
        place.minorticks_off()
    return figure


CLAIM = Claim(
    number=17,
    name="width",
    sentence="With more channels DIP's PSNR approaches that of the GP with its kernel, which is above a learnt RBF's.",
    source=f"{PAPER}, figure 6",
    varies="channels of the fitted network; the Gaussian process' kernel",
    measures="PSNR of inpainting half of a 64x64 picture's pixels, known pixels put back; the network's is of its "
    "average, by Adam at 0.003 (with over 64 channels at 0.2 / channels)",
    seconds=420,
    cells=cells,
    measure=measure,
    judge=judge,
    draw=draw,
    columns=("psnr",),
    lessons={
        "supported": "the wider the network, the closer to its Gaussian process, which is there in milliseconds",
        "refuted": "a trained network is not its Gaussian process, or that no better than one of a learnt kernel",
    },
)
