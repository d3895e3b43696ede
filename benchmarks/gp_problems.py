"""What the Gaussian process is measured on: masks, the package's stationary kernels, and one noise-free problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bayesdip import arch, kernels
from bayesdip.errors import BayesDipError
from bayesdip.gp import posterior
from bayesdip.kernels import SpectralMixture
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.result import Posterior

RESIDUAL = 1e-3
HOLE = "hole"
# The network of the paper's figure 6, the one that it restores pictures with, and that with as many channels as the first.
NETWORKS = {
    "skip2": arch.skip(scales=2, width=1024, skip=4),
    "skip5": arch.skip(scales=5, width=128, skip=4),
    "skip5-1024": arch.skip(scales=5, width=1024, skip=4),
}


def missing_pixels(missing: float | str, side: int, seed: int = 0) -> Tensor:
    """True where a pixel is missing, (side, side).

    Parameters
    ----------
    missing : float or "hole"
        The exact share of pixels, at random places; or one square of half the side in the middle.
    """
    gone = torch.zeros(side, side, dtype=torch.bool)
    if missing == HOLE:
        edge = side // 4
        gone[edge : edge + side // 2, edge : edge + side // 2] = True
    else:
        places = torch.randperm(side * side, generator=torch.Generator().manual_seed(seed))
        gone.view(-1)[places[: round(float(missing) * side * side)]] = True
    return gone


def kernel_named(name: str) -> Kernel:
    """A stationary kernel of the package at its defaults, or that of one of `NETWORKS` or of ``arch.names()``."""
    if name in NETWORKS:
        return NETWORKS[name].kernel()
    if name in arch.names():
        return arch.named(name).kernel()
    if name == "mixture":
        return SpectralMixture((0.7, 0.3), ((0.0, 0.0), (0.1, 0.05)), ((0.03, 0.03), (0.05, 0.05)))
    return kernels.named(name)


def stationary_kernels() -> list[str]:
    """Names for `kernel_named`: all stationary kernels of the package."""
    classic = [name for name in kernels.names() if isinstance(kernels.named(name), Kernel)]
    networks = [name for name in arch.names() if name != "skip" and _in_closed_form(name)]
    return [*NETWORKS, *networks, *classic, "mixture"]


def _in_closed_form(name: str) -> bool:
    try:
        arch.named(name).kernel().quadrant((1, 1))
    except BayesDipError:
        return False
    return True


def noise_free(picture: Tensor, gone: Tensor, kernel: Kernel, draws: int = 0, seed: int = 0) -> Posterior:
    """The posterior of a noise-free picture with missing pixels."""
    generator = torch.Generator().manual_seed(seed)
    noise = Gaussian(0.0)
    return posterior(picture, Mask(gone), kernel, noise, samples=draws, generator=generator, tol=RESIDUAL)


class Transforms(TorchFunctionMode):
    """Counts forward Fourier transforms of whole pictures while it is entered: each is one of a pair.

    A batch of n transforms counts n times; one of fewer pixels than `pixels` does not count. It slows
    torch down: count in one run, time another.
    """

    def __init__(self, pixels: int = 0) -> None:
        super().__init__()
        self.pixels, self.pairs = pixels, 0

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__name__", "") == "fft_rfftn":
            size = args[1] if len(args) > 1 else args[0].shape
            if np.prod(size, dtype=int) >= self.pixels:
                self.pairs += int(np.prod(args[0].shape[: args[0].ndim - len(size)], dtype=int))
        return function(*args, **(kwargs or {}))
