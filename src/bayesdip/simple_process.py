"""The stationary process beside a method against noise: the network's own, or the likeliest where noise is strong."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.expected_errors import mean_square
from bayesdip.gp.likeliest import Process, likeliest_process
from bayesdip.interruption import look
from bayesdip.networks.initial_estimate import process_mean
from bayesdip.problem import Problem
from bayesdip.tiling import cut, tiles, window
from bayesdip.window import window_sum

# A picture of more pixels has a stationary process for each tile of this side, with this margin: at once it needs 200 bytes for
# each value of the picture.
LARGEST_AT_ONCE, PROCESS_SIDE, PROCESS_MARGIN = 2**20, 768, 32
# A stack of at most so many values has the likeliest process: in smooth ones, and where frames are alike, it is better than patches. On
# five smooth slices it erred by 4.6 where these erred by 6.1, in one second.
LARGEST_STACK = 2**18
# Noise is strong where its variance is so many times that of the picture. Similar patches are then found by their noise: of counts with a
# mean of 0.05 patches left nearly all noise (rms 0.11, the process 0.009 to 0.019, on three tuning pictures), and in Gaussian noise of 200
# and 400 of 255 they erred by 1.0 to 1.3 times as much as the process. At four times the variance they were still ahead in one of three.
STRONG = 5.0
# A residual of the process, of one pixel or summed over 3, that is so many times the largest of that many pictures of noise alone is none
# of noise.
STANDS_OUT, REPLICAS, WIDTHS = 1.3, 4, (1, 3)


def is_strong(problem: Problem) -> bool:
    """Whether the noise of data that are pixels is much stronger than the picture below it."""
    whole = problem.whole
    if whole.y[0].numel() < 2:  # it has no variance
        return False
    noise = float(whole.noise_variance.flatten(1).mean(1).sum())
    picture = float(whole.y.double().flatten(1).var(1).sum()) - noise
    return noise > STRONG * max(picture, 0.0)


def is_small_stack(problem: Problem) -> bool:
    """Whether it has three axes, and few values."""
    return len(problem.grid) == 3 and prod(problem.grid) <= LARGEST_STACK


class Likeliest:
    """The process of largest evidence, which is learnt once, from all data, when it is asked for the first time.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.whole = problem.whole

    @cached_property
    def process(self) -> Process | None:
        """None where there is none: then the usual one stands for it."""
        return likeliest_process(self.whole.y, self.whole.operator, self.whole.noise)

    def estimate(self, problem: Problem) -> Tensor | None:
        """Its posterior mean from some of the data, float64 (C, *grid)."""
        process = self.process
        if process is None:
            return usual(problem)
        return in_parts(problem, lambda part: process.posterior(part.y, part.operator, part.noise).mean)

    @cached_property
    def _expected(self) -> Tensor | None:
        """The mean squared error of each channel, (C,): at least half the standard error of the data's variance.

        A picture of less variance than that is not seen at all. A picture that is no draw of the process is told by what is left of the data.
        """
        picture = None if self.process is None else self.estimate(self.whole)
        if self.process is None or picture is None:
            return None
        variance, seen, grid = self.whole.noise_variance.cpu(), self.whole.observed.cpu(), self.whole.grid
        missed, noise = self.whole.y.double().cpu() - picture, variance.flatten(1).mean(1)
        by_itself = self._expected_square()
        expected = [
            mean_square(float(square), left[here].numpy(), level[here].numpy())
            for square, left, level, here in zip(by_itself, missed, variance, seen, strict=True)
        ]
        return torch.tensor(expected, dtype=torch.float64).maximum(noise / (2 * prod(grid)) ** 0.5)

    def _expected_square(self) -> Tensor:
        """By the process alone, (C,)."""
        assert self.process is not None
        noise = self.whole.noise_variance.cpu().flatten(1).mean(1)
        return self.process.expected_square(self.whole.grid, noise)

    def std(self, problem: Problem) -> Tensor | None:
        """The same number for every pixel of a channel, (C, *grid)."""
        if self._expected is None:
            return None
        ones = [1] * len(problem.grid)
        return self._expected.sqrt().reshape(-1, *ones).expand(-1, *problem.grid)

    def expected_square(self, problem: Problem, picture: Tensor) -> float | None:
        """The mean squared error of its estimate; None too where that misses what stands out, such as stars: no process draws them."""
        if self._expected is None or misses_something(problem, picture):
            return None
        return float(self._expected.mean())


def misses_something(problem: Problem, picture: Tensor) -> bool:
    """Whether a picture's largest residual, alone or summed locally, is beyond those of data drawn from it with noise alone."""
    deviation = problem.noise_variance.cpu().sqrt()
    generator = torch.Generator().manual_seed(0)

    def largest(y: Tensor) -> Tensor:
        residual = torch.where(problem.observed, (y - picture) / deviation, 0.0)
        sums = (window_sum(residual, [min(width, n - 1 + n % 2) for n in problem.grid]) for width in WIDTHS)
        return torch.stack([each.abs().max() for each in sums])

    try:
        of_noise = [largest(problem.noise.sample(picture, generator)) for _ in range(REPLICAS)]
    except BayesDipError:  # a likelihood without draws
        return False
    return bool((largest(problem.y.double().cpu()) > STANDS_OUT * torch.stack(of_noise).amax(0)).any())


def usual(problem: Problem) -> Tensor | None:
    """The posterior mean of the network's process, float64 (C, *grid)."""
    return in_parts(problem, process_mean)


def in_parts(problem: Problem, estimate: Callable[[Problem], Tensor | None]) -> Tensor | None:
    """An estimate of the picture, of a large one in tiles that are blended: at once, it would be most of the memory of a run."""
    if prod(problem.grid) <= LARGEST_AT_ONCE:
        found = estimate(problem)
        return None if found is None else found.double().cpu()
    total = torch.zeros((problem.channels, *problem.grid), dtype=torch.float64)
    for tile in tiles(problem.grid, PROCESS_SIDE, PROCESS_MARGIN):
        look()
        found = estimate(cut(problem, tile))
        if found is None:
            return None
        total[(slice(None), *tile)] += window(tile, problem.grid, PROCESS_MARGIN) * found.double().cpu()
    return total
