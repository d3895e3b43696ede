"""Figure 6 of Cheng et al. 2019 (arXiv 1904.07457): one 64x64 inpainting by kernels, and by trained networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bayesdip import api as tasks
from bayesdip import arch
from bayesdip.gp import learn, posterior
from bayesdip.methods.map import pose
from bayesdip.networks.steppers import AdamStepper
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.settings import Settings
from benchmarks.pictures import Array, Pair, figure6, psnr
from benchmarks.problems import timed
from benchmarks.results import Results, Row
from benchmarks.targets import Check, of_part

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


def kernels(results: Results, data: Path, seed: int = 0) -> None:
    """The closed-form kernel, RBF learnt on the known pixels, and the likeliest kernel.

    Values are clipped to 0..1 and known pixels put back.
    """
    pair = figure6(data)
    assert pair.missing is not None
    for name in ("skip2", "rbf", "auto"):
        if results.has(part="figure6", kernel=name):
            continue
        with timed() as clock:
            if name == "rbf":
                mean, how = _learnt_rbf(pair)
            else:
                kernel = {"kernel": "auto"} if name == "auto" else {}
                r = tasks.inpaint(
                    pair.clean,
                    pair.missing,
                    method="gp",
                    arch=arch.skip(scales=2, width=1024, skip=4),
                    seed=seed,
                    draws=0,
                    **kernel,  # type: ignore[arg-type]
                )
                mean, how = r.mean, r.info.get("why", "2 scales, 1024 channels, 4 skip: in closed form")
        results.add(
            {
                "part": "figure6",
                "kernel": name,
                "psnr": psnr(mean, pair.clean),
                "paper": PAPER.get(name),
                "seconds": clock.seconds,
                "how": how,
            }
        )


def networks(
    results: Results, data: Path, *, widths: Sequence[int] = WIDTHS, steps: int = STEPS, seed: int = 0
) -> None:
    """The same network fitted with ever more channels, 4 of them skip throughout, from the start that its prior draws.

    Adam on the negative_log_likelihood alone. ``method="map"`` restores better by larger steps, a perturbed input and an average, and
    thereby leaves what the Gaussian process says of a wide network.
    """
    pair = figure6(data)
    assert pair.missing is not None
    clean = torch.from_numpy(pair.clean.astype(np.float32))[None]
    given = Problem(clean, Mask(torch.from_numpy(pair.missing)), Gaussian(0.0))
    for width in widths:
        if results.has(part="figure6", width=width):
            continue
        description = arch.skip(scales=2, width=width, skip=4)
        settings = Settings(arch=description, method="map", precision="single", seed=seed)
        rate = rate_of(width)
        problem, generator = pose(given, settings)
        stepper = AdamStepper(problem, generator, learning_rate=rate, input_noise=0.0)
        with timed() as clock:
            for _ in range(steps):
                picture = stepper.step()
        mean = torch.where(given.operator.observed, clean, picture.detach().cpu())
        results.add(
            {
                "part": "figure6",
                "width": width,
                "psnr": psnr(mean[0].numpy(), pair.clean),
                "fit": problem.fit(picture),
                "steps": steps,
                "seconds": clock.seconds,
                "how": f"{description.describe()} fitted, Adam at {rate:.2g}",
            }
        )


def figure6_checks(rows: list[Row]) -> list[Check]:
    mine = of_part(rows, "figure6")
    found = {row.get("kernel", row.get("width")): row["psnr"] for row in mine}
    checks = []
    for name, off in (("skip2", 0.15), ("rbf", 0.3)):
        if name in found:
            what = f"figure 6, {name}, dB (the paper: {PAPER[name]})"
            checks.append(Check(what, found[name], least=PAPER[name] - off, most=PAPER[name] + off))
    if "auto" in found:
        checks.append(Check("figure 6, kernel auto, dB", found["auto"], least=26.6))
    widths = sorted(row["width"] for row in mine if "width" in row)
    if len(widths) > 1 and "skip2" in found:
        narrow, wide = (abs(found[w] - found["skip2"]) for w in (widths[0], widths[-1]))
        what = f"figure 6, distance to the kernel's dB at {widths[-1]} channels over that at {widths[0]}"
        checks.append(Check(what, wide / narrow, most=1.0))
    return checks


def _learnt_rbf(pair: Pair) -> tuple[Array, str]:
    """RBF with lengthscale, amplitude and noise by our evidence on the known pixels."""
    assert pair.missing is not None
    y = torch.from_numpy(np.where(pair.missing, 0, pair.clean).astype(np.float64))[None]
    operator = Mask(torch.from_numpy(pair.missing))
    best = learn(y, operator, "rbf")
    found = posterior(y, operator, best.kernel, best.noise, colour=best.colour)
    mean = np.where(pair.missing, found.mean[0].numpy(), pair.clean)
    return mean, f"lengthscale {best.parameters['lengthscale']:.3g}, {best.noise.describe()}"
