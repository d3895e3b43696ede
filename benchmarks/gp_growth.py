"""Time and memory of a posterior mean by picture size, beside dense algebra and GPyTorch, with a figure.

Each solve is a process of its own. The common problem is one that all methods can do: GPyTorch's interpolation wants a
kernel that is a product over the axes, and wants noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bayesdip.gp import posterior
from bayesdip.kernels import RBF
from bayesdip.lab.results import Row
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from benchmarks.gp_problems import RESIDUAL, kernel_named, missing_pixels, noise_free
from benchmarks.measurement import answer, in_own_process, peak_bytes, timed
from benchmarks.options import Options
from benchmarks.pictures import camera, psnr
from benchmarks.results import Results, Target, of_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The common problem, for values in 0..1.
LENGTHSCALE, SIGMA, VARIANCE, MEAN = 2.0, 0.05, 0.06, 0.5
# Pixels for which the dense method's cross-covariance is held at a time.
DENSE_ROWS = 1024
# A quick solve is repeated, up to so many times or seconds.
REPEATS, SECONDS = 3, 10.0
# Sides from which on ours is asked to grow as N log N; below, fixed costs rule.
ASKED_FROM = 256
OURS = ("network", "smooth")
LABELS = {
    "network": "ours, kernel of the network",
    "smooth": "ours, RBF kernel",
    "dense": "dense Cholesky, RBF",
    "gpytorch": "GPyTorch exact, RBF",
    "gpytorch-grid": "GPyTorch grid interpolation, RBF",
}
SIDES, LARGE_SIDES = (256, 512, 1024), (256, 512, 1024, 2048, 4096)
OTHER_SIDES = (64, 96, 128, 192, 256, 512, 1024)
AMOUNTS: dict[str, dict[str, Any]] = {
    "fast": {"sides": SIDES, "other_sides": (64, 128, 256), "limit_seconds": 12.0},
    "balanced": {"sides": LARGE_SIDES, "other_sides": OTHER_SIDES, "limit_seconds": 30.0},
    "best": {"sides": LARGE_SIDES, "other_sides": (*OTHER_SIDES, 2048), "limit_seconds": 300.0},
}


def run(results: Results, options: Options) -> None:
    """Every method up to the size at which it fails, targets, and the figure."""
    growth(results, **AMOUNTS[options.effort], seed=options.seed)
    results.conclude(targets(results.rows))
    results.draw(growth_figure, "-growth")


def growth(
    results: Results,
    *,
    sides: Sequence[int] = SIDES,
    other_sides: Sequence[int] = (64, 128, 256, 512),
    limit_seconds: float = 15.0,
    methods: Sequence[str] = tuple(LABELS),
    seed: int = 0,
) -> None:
    """A row for each method and size.

    A method climbs until it fails, or exceeds the time or 70% of the free memory: that ends its line.
    ``limit_seconds`` counts the start of the process too and holds for the others; ours has ten times that.
    """
    chosen = {
        "network": sides,
        "smooth": [*(side for side in other_sides if side < min(sides)), *sides],
    }
    for method in methods:
        if method.startswith("gpytorch") and find_spec("gpytorch") is None:
            results.log("GPyTorch is not installed (pip install bayesdip[gpytorch]): its lines are left out")
            continue
        limit = 10 * limit_seconds if method in OURS else limit_seconds
        for side in chosen.get(method, other_sides):
            key = {"part": "growth", "method": method, "side": side}
            if not results.has(**key):
                arguments = {"method": method, "side": side, "seed": seed}
                row = in_own_process("benchmarks.gp_growth", arguments, limit)
                if "peak_bytes" in row:
                    row["copies"] = row["peak_bytes"] / (4 * side * side)
                results.add(key | row)
            if results.has(**key, failed=True):
                break


def targets(rows: list[Row]) -> list[Target]:
    """Growth as N log N, and memory, for each of our methods."""
    found = []
    for method in OURS:
        line = [row for row in _line(rows, method) if row["side"] >= ASKED_FROM]
        if not line:
            continue
        sides = f"{LABELS[method]}, {line[0]['side']} to {line[-1]['side']} a side"
        if len(line) > 1:
            worst = max(over_n_log_n(line[0], row) for row in line[1:])
            found.append(Target(f"time over N log N, {sides}", worst, most=1.5))
            step = max(over_n_log_n(a, b) for a, b in pairwise(line))
            found.append(Target(f"time over N log N from one size to the next, {sides}", step, most=1.5))
        most = max(row["copies"] for row in line)
        found.append(Target(f"peak memory in float32 copies of the picture, {sides}", most, most=25))
    return found


def over_n_log_n(small: Row, large: Row) -> float:
    """How many times more the large size took than N log N, N the pixels, makes of the small one's time."""
    n, m = small["side"] ** 2, large["side"] ** 2
    return float(large["seconds"] / small["seconds"] / (m * math.log(m) / (n * math.log(n))))


def growth_figure(rows: list[Row]) -> Figure:
    """Seconds and peak memory over the side of the picture, a line for each method."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    by_time, by_memory = figure.subplots(1, 2)
    for method, label in LABELS.items():
        line = _line(rows, method)
        if not line:
            continue
        sides = [row["side"] for row in line]
        style = "o-" if method in OURS else "s--"
        (drawn,) = by_time.plot(sides, [row["seconds"] for row in line], style, label=label)
        # A process that fits into what the tiny solve left has no peak to show.
        mebibytes = [max(row["peak_bytes"], 2**18) / 2**20 for row in line]
        by_memory.plot(sides, mebibytes, style, color=drawn.get_color())
        failed = [r["side"] for r in of_part(rows, "growth") if r["method"] == method and r.get("failed")]
        for axes in (by_time, by_memory):
            at_top = {"transform": axes.get_xaxis_transform(), "markersize": 9}
            axes.plot(failed, [0.97] * len(failed), "x", color=drawn.get_color(), **at_top)
    if line := _line(rows, OURS[0]):
        sides, n = [row["side"] for row in line], [row["side"] ** 2 for row in line]
        unit = line[0]["seconds"] / (n[0] * math.log(n[0]))
        thin: Row = {"color": "gray", "linewidth": 0.8}
        by_time.plot(sides, [unit * m * math.log(m) for m in n], label="N log N", **thin)
        copies = [25 * 4 * m / 2**20 for m in n]
        by_memory.plot(sides, copies, label="25 float32 copies of the picture", **thin)
        by_memory.legend(fontsize=8)
    log_log((by_time, by_memory), sorted({row["side"] for row in of_part(rows, "growth")}))
    by_time.set(xlabel="side of the picture (pixels)", ylabel="seconds")
    by_memory.set(xlabel="side of the picture (pixels)", ylabel="peak memory (MiB)")
    by_time.legend(fontsize=8)
    figure.suptitle(
        "One posterior mean, half of the pixels missing (cross at the top: a size at which a method failed)"
    )
    return figure


def log_log(axes: Sequence[Any], ticks: Sequence[int]) -> None:
    """Both scales logarithmic, with these ticks below."""
    for axis in axes:
        axis.set(xscale="log", yscale="log")
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)


def _line(rows: list[Row], method: str) -> list[Row]:
    mine = [row for row in of_part(rows, "growth") if row["method"] == method and not row.get("failed")]
    return sorted(mine, key=lambda row: int(row["side"]))


def network(picture: Tensor, gone: Tensor) -> Tensor:
    """The kernel of the network with 2 scales, no noise; offset and amplitude are estimated as well."""
    return noise_free(picture, gone, kernel_named("skip2")).mean


def smooth(noisy: Tensor, gone: Tensor) -> Tensor:
    """The common problem, by this package."""
    known: Row = {"tol": RESIDUAL, "mean": MEAN, "amplitude": VARIANCE}
    return posterior(noisy, Mask(gone), RBF(LENGTHSCALE), Gaussian(SIGMA), **known).mean


def dense(noisy: Tensor, gone: Tensor) -> Tensor:
    """The common problem by a Cholesky factorisation of all known pixels' covariance, double precision."""
    places = torch.cartesian_prod(*(torch.arange(n) for n in gone.shape)).double() / LENGTHSCALE
    known = places[~gone.flatten()]

    def covariance(a: Tensor, b: Tensor) -> Tensor:
        squared = torch.cdist(a, b).square_()
        return squared.mul_(-0.5).exp_().mul_(VARIANCE)

    K = covariance(known, known)
    K.diagonal().add_(SIGMA**2)
    weights = torch.cholesky_solve((noisy[0][~gone].double() - MEAN)[:, None], torch.linalg.cholesky(K))
    mean = torch.cat([covariance(rows, known) @ weights for rows in torch.split(places, DENSE_ROWS)])
    return mean.reshape(noisy.shape) + MEAN


def gpytorch_exact(noisy: Tensor, gone: Tensor) -> Tensor:
    """The common problem by GPyTorch's exact inference."""
    import gpytorch

    return _gpytorch(noisy, gone, gpytorch.kernels.RBFKernel())


def gpytorch_grid(noisy: Tensor, gone: Tensor) -> Tensor:
    """The common problem by GPyTorch's grid interpolation (KISS-GP) with as many nodes as pixels."""
    import gpytorch

    inner, bounds = gpytorch.kernels.RBFKernel(), [(0.0, len(gone) - 1.0)] * 2
    grid = gpytorch.kernels.GridInterpolationKernel(inner, len(gone), num_dims=2, grid_bounds=bounds)
    return _gpytorch(noisy, gone, grid, inner)


def _gpytorch(noisy: Tensor, gone: Tensor, covariance: Any, inner: Any = None) -> Tensor:
    import gpytorch

    places = torch.cartesian_prod(*(torch.arange(n) for n in gone.shape)).float()
    known = ~gone.flatten()

    class Model(gpytorch.models.ExactGP):
        def __init__(self, likelihood: Any) -> None:
            super().__init__(places[known], noisy.flatten()[known], likelihood)
            self.mean = gpytorch.means.ConstantMean()
            self.covariance = gpytorch.kernels.ScaleKernel(covariance)

        def forward(self, x: Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean(x), self.covariance(x))

    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = Model(likelihood)
    model.mean.initialize(constant=MEAN)
    model.covariance.initialize(outputscale=VARIANCE)
    (inner or covariance).initialize(lengthscale=LENGTHSCALE)
    likelihood.initialize(noise=SIGMA**2)
    model.eval()
    settings = gpytorch.settings
    tolerance, most = settings.eval_cg_tolerance(RESIDUAL), settings.max_cg_iterations(2000)
    with torch.no_grad(), settings.skip_posterior_variances(), tolerance, most:
        mean: Tensor = model(places).mean
    return mean.reshape(noisy.shape)


METHODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "network": network,
    "smooth": smooth,
    "dense": dense,
    "gpytorch": gpytorch_exact,
    "gpytorch-grid": gpytorch_grid,
}


def measure(method: str, side: int, seed: int = 0) -> Iterator[Row]:
    """Time and memory of one posterior mean, half of the pixels missing; a row again after each repetition.

    Yields
    ------
    dict
        ``seconds`` (the least of ``runs``), ``peak_bytes`` above what the process had after a tiny
        solve, and ``psnr`` over the missing pixels, which says that methods solve the same problem.
    """
    picture, gone = camera(side), missing_pixels(0.5, side, seed)
    data = picture
    if method != "network":
        data = picture + SIGMA * torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
    small = min(side, 24)
    METHODS[method](data[:, :small, :small].contiguous(), missing_pixels(0.5, small))
    before = peak_bytes()
    seconds: list[float] = []
    peak = 0
    while len(seconds) < REPEATS and sum(seconds) < SECONDS:
        with timed() as clock:
            mean = METHODS[method](data, gone)
        seconds.append(clock.seconds)
        # That of the first solve: what the comparison below leaves on the heap does not count.
        peak = peak or peak_bytes() - before
        quality = psnr(mean[:, gone], picture[:, gone])
        del mean
        yield {"seconds": min(seconds), "runs": len(seconds), "peak_bytes": peak, "psnr": quality}


if __name__ == "__main__":
    answer(measure)
