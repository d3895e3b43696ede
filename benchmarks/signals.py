"""Sampled 1-D networks of growing width against their Gaussian process, with a figure.

As figure 3 of Cheng et al. 2019 (arXiv 1904.07457): draws from the prior, and the posterior's mean and
standard deviation. The process is exact: the covariance between all pixels that the same architecture
has at infinite width for the very input that the networks are given, borders included. PyTorch starts
a bias with the variance ``1 / (3 fan_in)``, so that each width has a process of its own, with its biases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bayesdip.arch.layers import PictureNorm
from bayesdip.arch.networks import Decoder
from bayesdip.errors import BayesDipError
from bayesdip.lab.results import Row
from bayesdip.networks.energy import Energy
from bayesdip.networks.running_averages import Moments
from bayesdip.networks.samplers import Psgld
from bayesdip.networks.weight_prior import initial_stds
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from benchmarks.options import Options
from benchmarks.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LENGTH = 64
ARCH = Decoder(scales=2, width=1024, mixing=False, input="normal", input_scale=1.0, output="linear")
WIDTHS = {"fast": (32, 128), "balanced": (32, 128, 256), "best": (32, 64, 128, 256, 512)}
STEPS = {"fast": 1500, "balanced": 8000, "best": 40_000}
NETWORKS = {"fast": 50, "balanced": 200, "best": 1000}
CHANNELS = 64  # outputs of each network of the prior: independent, given its features
NOISE = 0.3  # of the prior's standard deviation
SEEN = 0.4  # share of the samples that are observed
STEP_SIZE = 0.06
BURN_IN = 0.25
COUNT_EVERY = 5


@dataclass(frozen=True)
class Known:
    """A signal of which some samples are seen with noise, and its exact posterior.

    Attributes
    ----------
    latent : Tensor, shape (1, D, *)
        The input that all networks share.
    covariance : Tensor, shape (LENGTH, LENGTH)
        The prior's.
    problem : Problem
    mean, std : Tensor, shape (LENGTH,)
        Of the posterior under the process.
    """

    latent: Tensor
    covariance: Tensor
    problem: Problem
    mean: Tensor
    std: Tensor

    def at(self, width: int) -> Known:
        """The same data under the process of networks of that width."""
        covariance = replace(ARCH, width=width).exact_covariance((LENGTH,), self.latent).matrix
        noise, seen = self.problem.noise, self.problem.observed[0]
        variance = noise.variance(self.problem.y)
        mean, std = dense_posterior(covariance, self.problem.y[0], seen, float(variance) ** 0.5)
        return replace(self, covariance=covariance, mean=mean, std=std)

    @property
    def scale(self) -> float:
        """Root mean square standard deviation of the prior."""
        return float(self.covariance.diagonal().mean().sqrt())


def run(results: Results, options: Options) -> None:
    """Prior and posterior at each width."""
    effort, seed = options.effort, options.seed
    known = draw_problem(seed)
    if not results.has(part="exact"):
        seen = known.problem.observed[0]
        exact = {"prior_std": known.scale, "data": known.problem.y[0].tolist(), "seen": seen.tolist()}
        results.add({"part": "exact", **exact, **lines_of(known)}, quiet=True)
    for width in WIDTHS[effort]:
        if not results.has(part="prior", width=width):
            found = prior(known.at(width), width, NETWORKS[effort], seed)
            results.add({"part": "prior", "width": width, **found})
    for width in WIDTHS[effort]:
        if not results.has(part="posterior", width=width):
            found, lines = sampled_posterior(known.at(width), width, STEPS[effort], seed)
            results.add({"part": "posterior", "width": width, **found})
            results.add({"part": "lines", "width": width, **lines}, quiet=True)
    widest = results.part("posterior")[-1]
    results.conclude(**{key: widest[key] for key in ("width", "mean_error", "std_error", "mean_monte_carlo")})
    results.draw(signals_figure)


def lines_of(known: Known) -> Row:
    """Mean and standard deviation of the process, as lists."""
    return {"mean": known.mean.tolist(), "std": known.std.tolist()}


def draw_problem(seed: int = 0) -> Known:
    """A draw of the process of 1024 features, all but without biases; `SEEN` of its samples are observed."""
    generator = torch.Generator().manual_seed(seed)
    latent = ARCH.build(1, 1, width=1, generator=generator).new_input((LENGTH,), generator)
    covariance = ARCH.exact_covariance((LENGTH,), latent).matrix
    sigma = NOISE * float(covariance.diagonal().mean().sqrt())
    eye = torch.eye(LENGTH, dtype=torch.float64)
    root = torch.linalg.cholesky(covariance + 1e-9 * sigma * eye)
    normal = torch.randn(2, LENGTH, generator=generator, dtype=torch.float64)
    y = root @ normal[0] + sigma * normal[1]
    missing = torch.rand(LENGTH, generator=generator) >= SEEN
    mean, std = dense_posterior(covariance, y, ~missing, sigma)
    return Known(latent, covariance, Problem(y[None], Mask(missing), Gaussian(sigma)), mean, std)


def dense_posterior(covariance: Tensor, y: Tensor, seen: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (n,) of a zero-mean process given its noisy samples at `seen`."""
    gram = covariance[seen][:, seen] + sigma**2 * torch.eye(int(seen.sum()), dtype=torch.float64)
    solved = torch.linalg.solve(gram, covariance[seen])
    variance = covariance.diagonal() - (covariance[:, seen] * solved.T).sum(1)
    return y[seen] @ solved, variance.clamp(min=0).sqrt()


def prior(known: Known, width: int, networks: int, seed: int) -> Row:
    """Covariance of the outputs of fresh networks, beside that of the process.

    Returns
    -------
    dict
        ``covariance_error``: root mean square difference over all pairs of samples, over the prior's
        variance; ``monte_carlo`` what of it so many networks leave to chance, by two halves of them.
    """
    generator = torch.Generator().manual_seed(seed + width)
    halves = [torch.zeros_like(known.covariance) for _ in range(2)]
    for index in range(networks):
        network = ARCH.build(CHANNELS, 1, width=width, generator=generator)
        with torch.no_grad():
            outputs = network(known.latent, (LENGTH,))[0].double()
        halves[index % 2] += outputs.T @ outputs / (CHANNELS * networks / 2)
    variance = known.scale**2
    error = (halves[0] + halves[1]) / 2 - known.covariance
    chance = (halves[0] - halves[1]) / 2
    return {
        "covariance_error": float(error.square().mean().sqrt()) / variance,
        "monte_carlo": float(chance.square().mean().sqrt()) / variance,
        "networks": networks,
    }


def sampled_posterior(known: Known, width: int, steps: int, seed: int) -> tuple[Row, Row]:
    """The posterior of one network of that width by `Psgld` at temperature 1: errors, and the lines to draw.

    Errors are root mean squares over the samples, over the prior's standard deviation.
    ``mean_monte_carlo`` is the difference between the means of the run's halves, over two.
    """
    generator = torch.Generator().manual_seed(seed + width)
    target = network_problem(known, width, generator)
    # Preconditioned by the prior alone: so a step is the same at every width.
    flat = [torch.zeros_like(w) for w in target.weights]
    sampler = Psgld(target, generator, flat, step_size=STEP_SIZE)
    sampler.temperature = 1.0
    halves = (Moments(), Moments())
    kept: list[list[float]] = []
    begin = int(BURN_IN * steps)
    for step in range(steps):
        picture = sampler.step()
        if step >= begin and step % COUNT_EVERY == 0:
            halves[2 * (step - begin) >= steps - begin].add(picture[0])
        if step >= begin and (step - begin) % ((steps - begin) // 4) == 0:
            kept.append(picture[0].tolist())
    mean, std, chance = together(*halves)
    found = {
        "mean_error": float((mean - known.mean).square().mean().sqrt()) / known.scale,
        "std_error": float((std - known.std).square().mean().sqrt()) / known.scale,
        "mean_monte_carlo": float(chance.square().mean().sqrt()) / known.scale,
        "std_ratio": float((std / known.std).mean()),
        "steps": steps,
    }
    return found, {"mean": mean.tolist(), "std": std.tolist(), "samples": kept, "process": lines_of(known)}


def together(first: Moments, second: Moments) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation of two halves of a chain, and half the difference of their means."""
    if first.mean is None or first.squares is None or second.mean is None or second.squares is None:
        raise BayesDipError("a half of the chain is empty: expected samples in both; give it more steps")
    count = first.count + second.count
    mean = (first.count * first.mean + second.count * second.mean) / count
    between = first.count * (first.mean - mean) ** 2 + second.count * (second.mean - mean) ** 2
    std = ((first.squares + second.squares + between) / (count - 1)).sqrt()
    return mean, std, (first.mean - second.mean) / 2


def network_problem(known: Known, width: int, generator: torch.Generator) -> Energy:
    """A fresh network of that width for the data, under the prior whose limit the process is.

    The gains and shifts of the norms stand at 1 and 0, as they do in the process.
    """
    network = ARCH.build(1, 1, width=width, generator=generator)
    for module in network.modules():
        if isinstance(module, PictureNorm):
            module.requires_grad_(False)
    problem = replace(known.problem, y=known.problem.y.float())
    observed = problem.observed
    variance = problem.noise.variance(problem.y, observed)
    return Energy(network, problem, known.latent, initial_stds(network), observed, variance)


def signals_figure(rows: list[Row]) -> Figure:
    """Posterior mean and two standard deviations of the process and of each width, and the width's process dashed."""
    from matplotlib.figure import Figure

    exact = next(row for row in rows if row["part"] == "exact")
    panels: list[tuple[str, Row, list[list[float]]]] = [("Gaussian process", exact, [])]
    panels += [
        (f"network, width {row['width']}", row, row["samples"]) for row in rows if row["part"] == "lines"
    ]
    figure = Figure(figsize=(3.4 * len(panels), 3.4), layout="constrained")
    for axes, (title, line, samples) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
    ):
        _draw(axes, exact, line, samples)
        axes.set(title=title, xlabel="sample")
    return figure


def _draw(axes: Any, exact: Row, line: Row, samples: list[list[float]]) -> None:
    mean, std = torch.tensor(line["mean"]), torch.tensor(line["std"])
    places = torch.arange(len(mean))
    axes.fill_between(places, mean - 2 * std, mean + 2 * std, alpha=0.25, linewidth=0)
    for sample in samples:
        axes.plot(places, sample, linewidth=0.4, color="gray")
    axes.plot(places, mean, linewidth=1.2)
    process = line.get("process", line)
    for edge in (-2, 0, 2):
        height = torch.tensor(process["mean"]) + edge * torch.tensor(process["std"])
        axes.plot(places, height, linewidth=0.8, linestyle="--", color="black")
    seen = torch.tensor(exact["seen"])
    axes.plot(places[seen], torch.tensor(exact["data"])[seen], "o", markersize=3, color="black")
