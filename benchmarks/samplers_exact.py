"""Samplers held against posteriors that are known: a linear network, and a wide shallow one against its process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from bayesdip.arch.activations import LeakyReLU
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.combinators import Sequential
from bayesdip.arch.layers import Conv, Layer
from bayesdip.arch.network import GridRule
from bayesdip.lab.methods import SAMPLERS
from bayesdip.lab.results import Row
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.networks.samplers import LangevinStepper
from bayesdip.networks.weight_prior import initial_stds
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from benchmarks.results import Results, Target, of_part

# Hidden features of the wide network, and of one to extrapolate with.
WIDE, NARROW = 256, 128
# Of the noise, over the prior's standard deviation.
SIGMA = 0.6
# Steps that are both stable and accurate: an Euler step errs by O(h^2), a splitting or a Metropolis test does not.
STEP_SIZES = {
    "linear": {"psgld": 0.4, "sgld": 0.25, "sghmc": 0.15, "cyclical": 0.4, "hmc": 0.4},
    "wide": {"psgld": 0.2, "sgld": 0.12, "sghmc": 0.08, "cyclical": 0.2, "hmc": 0.2},
}


@dataclass(frozen=True, kw_only=True)
class Shallow(Architecture):
    """No hidden layer (``hidden_layer=False``: linear in its weights), or one wide layer; no norm."""

    input: str = "normal"
    input_depth: int = 4
    input_scale: float = 1.0
    input_smoothness: float = 0.5
    output: str = "linear"
    hidden_layer: bool = False

    name: ClassVar[str] = "shallow"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        if not self.hidden_layer:
            return Conv(channels, 3)
        return Sequential((Conv(self.width, 3), LeakyReLU(), Conv(channels, 1)))

    def grid_rule(self) -> GridRule:
        return GridRule(smallest=2)


@dataclass(frozen=True)
class Known:
    """A target and the exact posterior of its picture: mean and variance, each (C, *grid)."""

    target: Energy
    curvature: list[Tensor]
    mean: Tensor
    variance: Tensor


def linear(grid: tuple[int, ...] = (10, 10), seed: int = 0) -> Known:
    """A network that is linear in its weights: its posterior is Gaussian and known in closed form.

    With J the pictures of unit weights and S the prior variances, the weights have the precision
    ``J^T J / sigma^2 + 1 / S`` over the observed pixels.
    """
    target, sigma = _pose(Shallow(), grid, seed)
    jacobian = _jacobian(target)
    prior = torch.cat(
        [torch.full((w.numel(),), s**2) for w, s in zip(target.weights, target.stds, strict=True)]
    )
    return _known(target, jacobian, jacobian * prior.double() @ jacobian.T, sigma)


def wide(grid: tuple[int, ...] = (10, 10), width: int = WIDE, seed: int = 0) -> Known:
    """One wide hidden layer; what is exact is the posterior of its process at infinite width.

    The input and the data are the same at every width.
    """
    arch = Shallow(hidden_layer=True, width=WIDE)
    target, sigma = _pose(arch, grid, seed)
    if width != WIDE:
        network = arch.build(1, len(grid), width, torch.Generator().manual_seed(seed))
        target = replace(target, network=network, stds=initial_stds(network))
    covariance = arch.exact_covariance(grid, target.latent).matrix
    return _known(target, _jacobian(target), covariance, sigma)


def compare(
    known: Known, name: str, *, chains: int, steps: int, step_size: float, seed: int = 0
) -> dict[str, float]:
    """Run a sampler from fresh weights; the first quarter of its steps is burn-in.

    Returns
    -------
    dict
        ``mean_error``: of the sampled mean, root mean square over the pixels, in posterior
        standard deviations, and ``mean_z`` the same over its own Monte-Carlo error.
        ``variance_ratio``: sampled over exact variance, the mean over the pixels;
        ``variance_error`` its Monte-Carlo error, from the scatter between the chains.
    """
    generator = torch.Generator().manual_seed(seed)
    target = EnsembleEnergy.of(known.target, chains, generator)
    sampler = SAMPLERS[name](target, generator, known.curvature, step_size=step_size)
    return statistics(known, lambda: _advance(sampler, steps), chains)


def statistics(known: Known, pictures: Callable[[], Iterator[Tensor]], chains: int) -> dict[str, float]:
    """Of pictures (K, C, *grid) from chains that are independent of each other; see :func:`compare`."""
    total = torch.zeros(chains, *known.mean.shape, dtype=torch.float64)
    squares, count = torch.zeros_like(total), 0
    for picture in pictures():
        deviation = picture.double() - known.mean
        total += deviation
        squares += deviation.square()
        count += 1
    error = total / count / known.variance.sqrt()  # (K, C, *grid)
    scatter = error.std(0) / math.sqrt(chains)
    ratios = (squares / count / known.variance).flatten(1).mean(1)
    mean_error = float(error.mean(0).square().mean().sqrt())
    return {
        "mean_error": mean_error,
        "mean_z": mean_error / float(scatter.square().mean().sqrt()),
        "variance_ratio": float(ratios.mean()),
        "variance_error": float(ratios.std() / math.sqrt(chains)),
    }


def _advance(sampler: LangevinStepper, steps: int) -> Iterator[Tensor]:
    """Pictures of the sampling phase."""
    sampler.temperature = 1.0
    for step in range(steps):
        if step == steps // 4:
            sampler.begin()
        sampler.pace(step / steps)
        picture = sampler.step()
        if step >= steps // 4 and sampler.counts:
            yield picture


def _pose(arch: Architecture, grid: tuple[int, ...], seed: int) -> tuple[Energy, float]:
    """Data from the prior itself, a third of the pixels missing."""
    generator = torch.Generator().manual_seed(seed)
    network = arch.build(1, len(grid), generator=generator)
    latent = network.new_input(grid, generator)
    covariance = arch.exact_covariance(grid, latent).matrix
    sigma = SIGMA * float(covariance.diagonal().mean().sqrt())
    missing = torch.rand(grid, generator=generator) < 1 / 3
    root = torch.linalg.cholesky(covariance + 1e-8 * torch.eye(len(covariance)))
    truth = root @ torch.randn(len(covariance), generator=generator, dtype=torch.float64)
    y = truth + sigma * torch.randn(len(truth), generator=generator, dtype=torch.float64)
    operator, noise = Mask(missing), Gaussian(sigma)
    problem = Problem(y.float().reshape(1, *grid), operator, noise)
    observed = problem.observed
    stds = initial_stds(network)
    variance = noise.variance(problem.y, observed)
    return Energy(network, problem, latent, stds, observed, variance), sigma


def _known(target: Energy, jacobian: Tensor, covariance: Tensor, sigma: float) -> Known:
    """The Gaussian posterior under that prior covariance of the pictures, by dense algebra."""
    seen = target.observed.flatten()
    cross = covariance[:, seen]
    gram = covariance[seen][:, seen] + sigma**2 * torch.eye(int(seen.sum()), dtype=torch.float64)
    solved = torch.linalg.solve(gram, cross.T)
    y = target.problem.y.flatten()[seen].double()
    shape = target.problem.y.shape
    mean, variance = y @ solved, covariance.diagonal() - (cross.T * solved).sum(0)
    diagonal = jacobian[seen].square().sum(0) / sigma**2
    sizes = [w.numel() for w in target.weights]
    curvature = [
        c.reshape(w.shape).float() for c, w in zip(torch.split(diagonal, sizes), target.weights, strict=True)
    ]
    return Known(target, curvature, mean.reshape(shape), variance.reshape(shape))


def _jacobian(target: Energy) -> Tensor:
    """Of the picture's pixels by the weights, float64 (pixels, weights)."""
    picture = target.picture().flatten()
    rows = torch.autograd.grad(picture, target.weights, torch.eye(len(picture)), is_grads_batched=True)
    return torch.cat([r.flatten(1) for r in rows], dim=1).double()


def exact(results: Results, *, chains: int, steps: int, seed: int = 0) -> None:
    """Every sampler on both known posteriors, each as many gradients per chain."""
    targets = {"linear": linear(seed=seed), "wide": wide(seed=seed)}
    for part, known in targets.items():
        for name in SAMPLERS:
            key: Row = {"part": part, "sampler": name}
            if not results.has(**key):
                step_size = STEP_SIZES[part][name]
                found = compare(known, name, chains=chains, steps=steps, step_size=step_size, seed=seed)
                results.add(key | {"chains": chains, "steps": steps, "step_size": step_size} | found)
    key = {"part": "width", "width": NARROW}
    if not results.has(**key):
        step_size = STEP_SIZES["wide"]["psgld"]
        known = wide(width=NARROW, seed=seed)
        results.add(key | compare(known, "psgld", chains=chains, steps=steps, step_size=step_size, seed=seed))


def exact_targets(rows: list[Row]) -> list[Target]:
    """Within Monte-Carlo error; the wide network's process is what two widths tend to."""
    found = []
    for row in of_part(rows, "linear"):
        what = f"linear network, {row['sampler']}"
        off = abs(row["variance_ratio"] - 1) / row["variance_error"]
        found.append(Target(f"{what}: error of the mean over its Monte-Carlo error", row["mean_z"], most=2))
        found.append(Target(f"{what}: error of the variance over its Monte-Carlo error", off, most=3))
        found.append(
            Target(f"{what}: Monte-Carlo error of the variance, relative", row["variance_error"], most=0.05)
        )
    for row in of_part(rows, "wide"):
        what = f"{WIDE} hidden features, {row['sampler']}, against the process"
        found.append(Target(f"{what}: mean, in standard deviations", row["mean_error"], most=0.1))
        found.append(Target(f"{what}: variance ratio", row["variance_ratio"], least=0.95, most=1.05))
    for narrow in of_part(rows, "width"):
        found += [_at_infinity(narrow, row) for row in of_part(rows, "wide") if row["sampler"] == "psgld"]
    return found


def _at_infinity(narrow: Row, broad: Row) -> Target:
    """A network's variance differs from its process' by O(1/width): two widths tell what is left at infinity."""
    times = WIDE / narrow["width"]
    limit = (times * broad["variance_ratio"] - narrow["variance_ratio"]) / (times - 1)
    error = math.hypot(times * broad["variance_error"], narrow["variance_error"]) / (times - 1)
    what = "variance extrapolated to infinite width, psgld: error over its Monte-Carlo error"
    return Target(what, abs(limit - 1) / error, most=3)
