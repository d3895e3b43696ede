"""The paper's 64x64 inpainting by closed-form and learnt kernels; with ``best`` by trained networks too.

Figure 6 of Cheng et al. 2019 (arXiv 1904.07457). Values are clipped to 0..1 and known pixels put back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

import bayesdip as bd
from bayesdip import arch
from bayesdip.gp import learn, posterior
from bayesdip.lab.results import Row
from bayesdip.networks import precision
from bayesdip.networks.energy import Energy
from bayesdip.networks.steppers import AdamStepper
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from benchmarks.measurement import timed
from benchmarks.options import Options
from benchmarks.pictures import Array, Pair, figure6, psnr
from benchmarks.results import Results, Target

# In dB, the paper's figures.
PAPER = {"skip2": 26.34, "rbf": 25.78}
WIDTHS = (16, 32, 64, 128, 256, 512)
# Adam moves every weight by about its rate, so that a layer's output moves by the rate times the channels: at its
# usual 0.01 networks of 64 channels and more leave the neighbourhood of their start, where the process describes them.
RATE, RATE_BY_CHANNELS = 0.003, 0.2
STEPS = 600


def rate_of(channels: int) -> float:
    """Adam's learning rate at which a network of so many channels stays near its start."""
    return min(RATE, RATE_BY_CHANNELS / channels)


def run(results: Results, options: Options) -> None:
    """Kernels, with ``best`` networks of growing width, and targets."""
    pair = figure6(options.folder)
    kernels(results, pair, options.seed)
    if options.effort == "best":
        networks(results, pair, seed=options.seed)
    results.conclude(targets(results.part("figure6")))


def kernels(results: Results, pair: Pair, seed: int = 0) -> None:
    """The closed-form kernel, RBF learnt on the known pixels, and the likeliest kernel."""
    for name in ("skip2", "rbf", "auto"):
        if results.has(part="figure6", kernel=name):
            continue
        with timed() as clock:
            if name == "rbf":
                mean, how = _learnt_rbf(pair)
            else:
                chosen = (
                    {"kernel": "auto"}
                    if name == "auto"
                    else {"arch": arch.skip(scales=2, width=1024, skip=4)}
                )
                r = bd.inpaint(pair.clean, pair.given, method=bd.GP(seed=seed, draws=0, **chosen))
                mean, how = r.mean, r.info.get("why", "2 scales, 1024 channels, 4 skip: in closed form")
        row: Row = {
            "part": "figure6",
            "kernel": name,
            "psnr": psnr(mean, pair.clean),
            "paper": PAPER.get(name),
        }
        results.add(row | {"seconds": clock.seconds, "how": how})


def networks(
    results: Results, pair: Pair, *, widths: Sequence[int] = WIDTHS, steps: int = STEPS, seed: int = 0
) -> None:
    """The same network fitted with ever more channels, 4 of them skip throughout, from the start that its prior draws.

    Adam on the negative log-likelihood alone. ``method="map"`` restores better by larger steps, a perturbed input and an
    average, and thereby leaves what the Gaussian process says of a wide network.
    """
    clean = torch.from_numpy(pair.clean.astype(np.float32))[None]
    problem = Problem(clean, Mask(torch.from_numpy(pair.given)), Gaussian(0.0))
    for width in widths:
        if results.has(part="figure6", width=width):
            continue
        network, rate = arch.skip(scales=2, width=width, skip=4), rate_of(width)
        generator = torch.Generator().manual_seed(seed)
        energy = Energy.of(problem, network, generator, "cpu")
        precision.lower(energy.network, torch.float32)
        stepper = AdamStepper(energy, generator, learning_rate=rate, input_noise=0.0)
        with timed() as clock:
            for _ in range(steps):
                picture = stepper.step().detach()
        mean = torch.where(problem.operator.observed, clean, picture)
        row: Row = {
            "part": "figure6",
            "width": width,
            "psnr": psnr(mean[0], pair.clean),
            "fit": energy.fit(picture),
        }
        how = f"{network.describe()} fitted, Adam at {rate:.2g}"
        results.add(row | {"steps": steps, "seconds": clock.seconds, "how": how})


def targets(rows: list[Row]) -> list[Target]:
    """The paper's figures, the likeliest kernel, and that wide networks come nearer to their process."""
    psnrs = {row.get("kernel", row.get("width")): row["psnr"] for row in rows}
    found = []
    for name, off in (("skip2", 0.15), ("rbf", 0.3)):
        if name in psnrs:
            what = f"figure 6, {name}, dB (the paper: {PAPER[name]})"
            found.append(Target(what, psnrs[name], least=PAPER[name] - off, most=PAPER[name] + off))
    if "auto" in psnrs:
        found.append(Target("figure 6, kernel auto, dB", psnrs["auto"], least=26.6))
    widths = sorted(row["width"] for row in rows if "width" in row)
    if len(widths) > 1 and "skip2" in psnrs:
        narrow, wide = (abs(psnrs[w] - psnrs["skip2"]) for w in (widths[0], widths[-1]))
        what = f"figure 6, distance to the kernel's dB at {widths[-1]} channels over that at {widths[0]}"
        found.append(Target(what, wide / narrow, most=1.0))
    return found


def _learnt_rbf(pair: Pair) -> tuple[Array, str]:
    """RBF with lengthscale, amplitude and noise by our evidence on the known pixels."""
    y = torch.from_numpy(np.where(pair.given, 0, pair.clean).astype(np.float64))[None]
    operator = Mask(torch.from_numpy(pair.given))
    best = learn(y, operator, "rbf")
    found = posterior(y, operator, best.kernel, best.noise, colour=best.colour)
    mean = np.where(pair.given, found.mean[0].numpy(), pair.clean)
    return mean, f"lengthscale {best.parameters['lengthscale']:.3g}, {best.noise.describe()}"
