"""Claims 15 and 17: a network beside the Gaussian process that it becomes when its width goes to infinity."""

from __future__ import annotations

from collections.abc import Sequence
from operator import sub
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.gp import learn, posterior
from bayesdip.gp.grid_covariance import embed
from bayesdip.lab.cases import inpainting, of_pixels
from bayesdip.lab.claim import PAPER, Claim, Condition, Size, Trial, crossed
from bayesdip.lab.fitting import PSNR, Recipe, fit, psnr
from bayesdip.lab.plots import against, curves
from bayesdip.lab.results import Row
from bayesdip.lab.sampling import sample
from bayesdip.lab.statistics import Column, Criterion, Unit, above, ask, by_unit, level, paired, where
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIGMA = 0.05  # of the noise on the signal
SPREAD = 0.15  # standard deviation of the signal about 1/2


def signal_posterior(trial: Trial) -> Row:
    """A draw from the prior itself, every fourth pixel of it observed, and a gap in the middle."""
    side, generator = 2 * trial.size.side, trial.generator()
    network = arch.skip(scales=trial["scales"], width=4 * trial.size.width, skip=4)
    kernel = network.kernel(dims=1)
    process = embed(kernel, (side,), constant=False, like=torch.zeros(1).double())
    truth = (0.5 + SPREAD * process.draw((1, 1), generator)[0]).float()[None]
    observed = torch.zeros(side, dtype=torch.bool)
    observed[::4] = True
    observed[3 * side // 8 : 5 * side // 8] = False
    y = (truth + SIGMA * torch.randn(truth.shape, generator=generator)) * observed
    found = sample(network, of_pixels(y, observed.expand(y.shape), truth), SIGMA, trial)
    exact = posterior(y[0].double(), Mask(~observed), kernel, Gaussian(SIGMA), samples=32)
    assert exact.std is not None  # there are draws to estimate it from
    return _compared(found.mean[0, 0], found.std[0, 0], exact.mean[0], exact.std[0], truth[0, 0], observed)


def _compared(
    mean: Tensor, std: Tensor, gp_mean: Tensor, gp_std: Tensor, truth: Tensor, observed: Tensor
) -> Row:
    side = len(truth)
    gap = slice(7 * side // 16, 9 * side // 16)
    lines = {"truth": truth, "sgld": mean, "sgld_std": std, "gp": gp_mean, "gp_std": gp_std}
    return {
        "gap_over_data": float((std[gap].mean() / std[observed].mean().clamp_min(1e-6)).log()),
        "mean_correlation": float(np.corrcoef(mean, gp_mean)[0, 1]),
        "std_correlation": float(np.corrcoef(std, gp_std)[0, 1]),
        "rmse": float((mean - truth).square().mean().sqrt()),
        "gp_rmse": float((gp_mean - truth).square().mean().sqrt()),
        "pixels": list(range(side)),
        **{name: np.round(np.asarray(line, dtype=float), 4).tolist() for name, line in lines.items()},
    }


def two_posteriors(axes: Axes, rows: Sequence[Row]) -> None:
    """Mean and twice the standard deviation of one row, by SGLD and by the Gaussian process."""
    row = max(rows, key=lambda r: (r["seed"] == 0, r["scales"]))
    for number, name in enumerate(("sgld", "gp")):
        mean, std = np.array(row[name]), np.array(row[f"{name}_std"])
        axes.plot(row["pixels"], mean, color=f"C{number}", label=name.upper())
        axes.fill_between(
            row["pixels"], mean - 2 * std, mean + 2 * std, alpha=0.15, color=f"C{number}", linewidth=0
        )
    axes.plot(row["pixels"], row["truth"], "k:", linewidth=1, label="truth")
    axes.set(xlabel="pixel", ylabel="mean, two standard deviations")
    axes.legend(fontsize=8)


GAP_OVER_DATA = Column(
    "gap_over_data", "logarithm of the standard deviation in the gap over that at the data"
)
MEAN_CORRELATION = Column("mean_correlation", "correlation of SGLD's mean with the GP's")
STD_CORRELATION = Column("std_correlation", "correlation of SGLD's standard deviation with the GP's")
RMSE = Column("rmse", "root mean squared error of SGLD's mean")
GP_RMSE = Column("gp_rmse", "root mean squared error of the GP's mean")
SGLD_STD = Column("sgld_std", "standard deviation by SGLD")
PIXEL = Column("pixels", "pixel")

CHANNELS = Column("channels", "channels")
DISTANCE = Column("distance", "distance to the GP's PSNR (dB)")
WIDTHS = {"quick": (8, 16, 32, 64), "full": (16, 32, 64, 128, 256, 512)}
DIP_KERNEL, LEARNT = "GP, DIP kernel", "GP, learnt RBF"
EXACT = 0.01  # sigma of the Gaussian process' data, which are without noise
# Adam moves every weight by about its rate, so that a layer's output moves by the rate times the channels: at its
# usual 0.01 networks of 64 channels and more leave the neighbourhood of their start, where the process describes them.
RATE, RATE_BY_CHANNELS = 0.003, 0.2


def widths(size: Size) -> list[Condition]:
    return [
        *crossed(method=("network",), channels=WIDTHS.get(size.name, (2, 4))),
        *crossed(method=(DIP_KERNEL, LEARNT), channels=(0,)),
    ]


def inpaint_by_width(trial: Trial) -> Row:
    case = inpainting(trial.picture(most=64), 0.5, trial.generator())  # as in the paper's figure
    channels = trial["channels"]
    if trial["method"] == "network":
        recipe = Recipe(2 * trial.size.steps, learning_rate=min(RATE, RATE_BY_CHANNELS / channels))
        description = arch.skip(scales=2, width=channels, skip=4)
        mean = fit(description, case, recipe, trial.generator(1)).average
    else:
        mean = _by_process(trial["method"], case.y[0], ~case.observed[0, 0])[None]
    return {"psnr": psnr(case.filled(mean), case.truth)}


def _by_process(name: str, y: Tensor, missing: Tensor) -> Tensor:
    data, operator = y.double(), Mask(missing)
    if name == LEARNT:
        best = learn(data, operator, "rbf")
        return posterior(data, operator, best.kernel, best.noise, colour=best.colour).mean.float()
    kernel = arch.skip(scales=2, width=1024, skip=4).kernel()
    return posterior(data, operator, kernel, Gaussian(EXACT)).mean.float()


def _distance(rows: Sequence[Row], width: int) -> dict[Unit, float]:
    """Between the PSNR of the network and of the Gaussian process with its kernel, by seed and picture."""
    network = by_unit(rows, "psnr", method="network", channels=width)
    process = by_unit(rows, "psnr", method=DIP_KERNEL)
    return {unit: abs(network[unit] - process[unit]) for unit in network.keys() & process.keys()}


def closer_when_wide(rows: Sequence[Row]) -> Criterion:
    channels = sorted({row["channels"] for row in where(rows, method="network")})
    narrow, wide = channels[0], channels[-1]
    return Criterion(
        f"distance to the GP's PSNR at {narrow} channels above that at {wide}, dB",
        paired(sub, _distance(rows, narrow), _distance(rows, wide)),
        least=0.0,
    )


def psnr_by_width(axes: Axes, rows: Sequence[Row]) -> None:
    against(PSNR, CHANNELS, split="method")(axes, where(rows, method="network"))
    for number, name in enumerate((DIP_KERNEL, LEARNT), start=1):
        axes.axhline(level(rows, "psnr", method=name).mean, color=f"C{number}", label=name)
    axes.legend(fontsize=8)
    _doubling(axes)


def distance_by_width(axes: Axes, rows: Sequence[Row]) -> None:
    distances = [
        {**unit._asdict(), "channels": width, "distance": distance}
        for width in sorted({row["channels"] for row in where(rows, method="network")})
        for unit, distance in _distance(rows, width).items()
    ]
    against(DISTANCE, CHANNELS)(axes, distances)
    _doubling(axes)


def _doubling(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")


CLAIMS = (
    Claim(
        number=15,
        name="posterior-1d",
        sentence="SGLD finds the posterior's mean and variance of a 1-D signal: uncertain where data lack.",
        source=f"{PAPER}, figure 3c, d",
        varies="scales of the network; the signal is a draw from its Gaussian process",
        measures="SGLD's posterior mean and standard deviation against the exact ones of the Gaussian process",
        seconds=90,
        conditions=crossed(scales=(1, 2)),
        measure=signal_posterior,
        rules=(
            ask(GAP_OVER_DATA, least=0.0),
            ask(MEAN_CORRELATION, least=0.8),
            ask(STD_CORRELATION, least=0.5),
        ),
        panels=(two_posteriors, curves(SGLD_STD, "scales", over=PIXEL)),
        columns=(GAP_OVER_DATA, MEAN_CORRELATION, STD_CORRELATION, RMSE, GP_RMSE),
        on_pictures=False,
    ),
    Claim(
        number=17,
        name="width",
        sentence="With more channels DIP's PSNR approaches that of the GP with its kernel, which is above a learnt RBF's.",
        source=f"{PAPER}, figure 6",
        varies="channels of the fitted network; the Gaussian process' kernel",
        measures="PSNR of inpainting half of a 64x64 picture's pixels, known pixels put back; the network's is of its "
        "average, by Adam at 0.003 (with over 64 channels at 0.2 / channels)",
        seconds=420,
        conditions=widths,
        measure=inpaint_by_width,
        rules=(closer_when_wide, ask(PSNR, method=above(DIP_KERNEL, LEARNT), least=0.0)),
        panels=(psnr_by_width, distance_by_width),
        columns=(PSNR,),
        supported="the wider the network, the closer to its Gaussian process, which is there in milliseconds",
        refuted="a trained network is not its Gaussian process, or that no better than one of a learnt kernel",
    ),
)
