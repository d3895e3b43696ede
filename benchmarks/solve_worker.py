"""One posterior mean by one method at one size, with its time and its peak memory.

Run as a program (``python -m benchmarks.solve_worker``): what to do comes as JSON on standard
input, what was measured goes as JSON to standard output: a line after each repetition, the last one
holds for all. A process of its own makes the peak memory that of this one solve.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesdip.gp import posterior, posterior_in_blocks
from bayesdip.kernels import RBF
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from benchmarks.problems import camera, kernel_named, missing_pixels, psnr_missing, timed

# The problem that all methods can do: GPyTorch's interpolation wants a kernel that is a product over
# the axes, and wants noise.
LENGTHSCALE, SIGMA, VARIANCE, MEAN = 2.0, 0.05, 0.06, 0.5
RESIDUAL = 1e-3
# Pixels for which a dense method's cross-covariance is held at a time.
BLOCK = 1024
# A quick solve is repeated, up to so many times or seconds.
REPEATS, SECONDS = 3, 10.0

Mean = Callable[[Tensor, Tensor], Tensor]
"""``(noisy (1, n, n), gone (n, n)) -> posterior mean (1, n, n)``."""


def network(picture: Tensor, gone: Tensor) -> Tensor:
    """The kernel of the network with 2 scales, no noise; offset and amplitude are found as well."""
    return posterior(picture, Mask(gone), kernel_named("skip2"), Gaussian(0.0), tol=RESIDUAL).mean


def blocks(picture: Tensor, gone: Tensor) -> Tensor:
    """The same as `network` in overlapping blocks of 1024 a side: near it, and in less memory."""
    found = posterior_in_blocks(picture, Mask(gone), kernel_named("skip2"), Gaussian(0.0), tol=RESIDUAL)
    return found.posterior.mean


def smooth(noisy: Tensor, gone: Tensor) -> Tensor:
    """The common problem, by this package."""
    kernel, noise = RBF(LENGTHSCALE), Gaussian(SIGMA)
    found = posterior(noisy, Mask(gone), kernel, noise, tol=RESIDUAL, mean=MEAN, amplitude=VARIANCE)
    return found.mean


def dense(noisy: Tensor, gone: Tensor) -> Tensor:
    """The common problem by a Cholesky factorisation of all known pixels' covariance, double precision."""
    places = torch.cartesian_prod(*(torch.arange(n) for n in gone.shape)).double() / LENGTHSCALE
    known = places[~gone.flatten()]

    def covariance(a: Tensor, b: Tensor) -> Tensor:
        squared = torch.cdist(a, b).square_()
        return squared.mul_(-0.5).exp_().mul_(VARIANCE)

    K = covariance(known, known)
    K.diagonal().add_(SIGMA**2)
    factor = torch.linalg.cholesky(K)
    weights = torch.cholesky_solve((noisy[0][~gone].double() - MEAN)[:, None], factor)
    mean = torch.cat([covariance(block, known) @ weights for block in torch.split(places, BLOCK)])
    return mean.reshape(noisy.shape) + MEAN


def gpytorch_exact(noisy: Tensor, gone: Tensor) -> Tensor:
    """The common problem by GPyTorch's exact inference."""
    import gpytorch

    return _gpytorch(noisy, gone, gpytorch.kernels.RBFKernel())


def gpytorch_grid(noisy: Tensor, gone: Tensor) -> Tensor:
    """The common problem by GPyTorch's grid interpolation (KISS-GP) with as many nodes as pixels."""
    import gpytorch

    side = len(gone)
    inner = gpytorch.kernels.RBFKernel()
    bounds = [(0.0, side - 1.0)] * 2
    return _gpytorch(
        noisy,
        gone,
        gpytorch.kernels.GridInterpolationKernel(inner, side, num_dims=2, grid_bounds=bounds),
        inner,
    )


def _gpytorch(noisy: Tensor, gone: Tensor, covariance: Any, inner: Any = None) -> Tensor:
    import gpytorch

    places = torch.cartesian_prod(*(torch.arange(n) for n in gone.shape)).float()
    known = ~gone.flatten()

    class Model(gpytorch.models.ExactGP):  # type: ignore[misc]
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
    with (
        torch.no_grad(),
        settings.skip_posterior_variances(),
        settings.eval_cg_tolerance(RESIDUAL),
        settings.max_cg_iterations(2000),
    ):
        mean: Tensor = model(places).mean
    return mean.reshape(noisy.shape)


METHODS: dict[str, Mean] = {
    "network": network,
    "blocks": blocks,
    "smooth": smooth,
    "dense": dense,
    "gpytorch": gpytorch_exact,
    "gpytorch-grid": gpytorch_grid,
}


def measure(method: str, side: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Time and memory of one posterior mean, half of the pixels missing; told again after each repetition.

    Yields
    ------
    dict
        ``seconds`` (the least of ``runs``), ``peak_bytes`` above what the process had after a tiny
        solve, and ``psnr`` over the missing pixels, which says that methods solve the same problem.
    """
    picture, gone = camera(side), missing_pixels(0.5, side, seed)
    data = picture
    if method not in ("network", "blocks"):
        data = picture + SIGMA * torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
    small = min(side, 24)
    METHODS[method](data[:, :small, :small].contiguous(), missing_pixels(0.5, small))
    before = peak_bytes()
    seconds: list[float] = []
    peak: int | None = None
    while len(seconds) < REPEATS and sum(seconds) < SECONDS:
        with timed() as clock:
            mean = METHODS[method](data, gone)
        seconds.append(clock.seconds)
        # That of the first solve: what the comparison below leaves on the heap is none of its business.
        peak = peak_bytes() - before if peak is None else peak
        psnr = psnr_missing(mean, picture, gone)
        del mean
        yield {"seconds": min(seconds), "runs": len(seconds), "peak_bytes": peak, "psnr": psnr}


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    for measured in measure(**json.load(sys.stdin)):
        print(json.dumps(measured), flush=True)
