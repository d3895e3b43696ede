"""What the Gaussian process is measured on: a picture of any size, masks, and the shipped kernels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bayesdip import arch, kernels
from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Kernel
from bayesdip.kernels import SpectralMixture
from benchmarks.pictures import Array

HOLE = "hole"
NETWORKS = {
    "skip2": arch.skip(scales=2, width=1024, skip=4),
    "skip5": arch.skip(scales=5, width=128, skip=4),
    "skip5-1024": arch.skip(scales=5, width=1024, skip=4),
}


def camera(side: int) -> Tensor:
    """scikit-image's ``camera`` (512x512) in 0..1, cropped or mirrored to that side: (1, side, side), float32."""
    from skimage import data

    gray: Array = data.camera()  # type: ignore[no-untyped-call]
    picture = torch.from_numpy(gray.astype(np.float32) / 255)
    again = -(-side // len(picture))
    for axis in (0, 1):
        turned = [picture if i % 2 == 0 else picture.flip(axis) for i in range(again)]
        picture = torch.cat(turned, axis)
    return picture[None, :side, :side].contiguous()


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
    """A kernel that is shipped: a classic one at its default lengthscale, or that of a network.

    ``skip2`` is the paper's network for its figure 6 (2 scales, 1024 channels), ``skip5`` the one
    it restores pictures with (5 scales, 128 channels). ``skip5-1024`` has 1024 channels as well: the
    share of its skips is as small, and its reach as long, as can be.

    Raises
    ------
    BayesDipError
        There is no such kernel.
    """
    if name in NETWORKS:
        return NETWORKS[name].kernel()
    if name in arch.names():
        return arch.named(name).kernel()
    if name == "mixture":
        return SpectralMixture((0.7, 0.3), ((0.0, 0.0), (0.1, 0.05)), ((0.03, 0.03), (0.05, 0.05)))
    found = kernels.named(name)
    if not isinstance(found, Kernel):
        raise BayesDipError(f"the kernel {name!r} is not stationary: give one of {', '.join(shipped())}")
    return found


def shipped() -> list[str]:
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


def psnr_missing(mean: Tensor | Array, picture: Tensor, gone: Tensor) -> float:
    """PSNR in dB over the missing pixels, values clipped to 0..1; what the known ones tell is left out."""
    estimate = torch.as_tensor(mean).double().reshape(picture.shape).clamp(0, 1)
    error = (estimate - picture.double())[:, gone]
    return float(-10 * error.square().mean().log10())


@dataclass
class Transforms(TorchFunctionMode):
    """Counts forward Fourier transforms of whole pictures while it is entered: each is one of a pair.

    A batch of n transforms counts n times; one of fewer pixels than `pixels` does not count. It slows
    torch down: count in one run, time another.
    """

    pixels: int = 0
    count: int = 0
    _names: tuple[str, ...] = field(default=("fft_rfftn",), repr=False)

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def pairs(self) -> int:
        return self.count

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if getattr(function, "__name__", "") in self._names:
            axes = len(args[1]) if len(args) > 1 else args[0].ndim
            size = args[1] if len(args) > 1 else args[0].shape
            if np.prod(size, dtype=int) < self.pixels:
                return result
            self.count += int(np.prod(args[0].shape[: args[0].ndim - axes], dtype=int))
        return result


@dataclass
class Clock:
    """Seconds on the wall and on the processor, which tells more where others are at work."""

    seconds: float = 0.0
    cpu: float = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    clock = Clock()
    wall, cpu = time.perf_counter(), time.process_time()
    yield clock
    clock.seconds, clock.cpu = time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def one_thread() -> Iterator[None]:
    """Where there are many small operations, threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
