"""The stationary process beside a method against noise: the network's own, or the likeliest where noise is strong."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
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


def noise_of(problem: Problem) -> Tensor:
    """Variance of each channel's noise, (C,), its mean over the data."""
    whole = problem.whole
    variance = whole.noise.variance(whole.y, whole.operator.observed).double().cpu()
    return variance.expand(whole.y.shape).flatten(1).mean(1)


def is_strong(problem: Problem) -> bool:
    """Whether the noise of data that are pixels is much stronger than the picture below it."""
    noise = float(noise_of(problem).sum())
    picture = float(problem.whole.y.double().flatten(1).var(1).sum()) - noise
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
        self.problem = problem
        self._found: list[Process | None] = []

    @property
    def process(self) -> Process | None:
        """None where there is none: then the usual one stands for it."""
        if not self._found:
            whole = self.problem.whole
            self._found.append(likeliest_process(whole.y, whole.operator, whole.noise))
        return self._found[0]

    def estimate(self, problem: Problem) -> Tensor | None:
        """Its posterior mean from some of the data, float64 (C, *grid)."""
        process = self.process
        if process is None:
            return usual(problem)
        return in_parts(problem, lambda part: process.posterior(part.y, part.operator, part.noise).mean)

    def expected_square(self, problem: Problem) -> float | None:
        """The mean squared error of its mean; None too where it misses what stands out, such as stars: no process draws them."""
        each = self._expected(problem)
        return None if each is None or self._misses_something(problem) else float(each.mean())

    def _misses_something(self, problem: Problem) -> bool:
        """Whether the largest residual, summed locally, is beyond those of data drawn from the process's picture with noise alone."""
        mean = self.estimate(problem)
        assert mean is not None
        sd = problem.noise.variance(problem.y, problem.operator.observed).double().cpu().sqrt()
        generator = torch.Generator().manual_seed(0)
        try:
            drawn = [problem.noise.sample(mean, generator) for _ in range(REPLICAS)]
        except BayesDipError:  # a likelihood without draws
            return False
        residuals = [
            torch.where(problem.observed, (y - mean) / sd, 0.0) for y in (problem.y.double().cpu(), *drawn)
        ]
        for width in WIDTHS:
            sums = (
                window_sum(residual, [min(width, n - 1 + n % 2) for n in problem.grid])
                for residual in residuals
            )
            seen, *usual = (float(each.abs().max()) for each in sums)
            if seen > STANDS_OUT * max(usual):
                return True
        return False

    def std(self, problem: Problem) -> Tensor | None:
        """The same number for every pixel of a channel, (C, *grid)."""
        each = self._expected(problem)
        return (
            None
            if each is None
            else each.sqrt().reshape(-1, *[1] * len(problem.grid)).expand(-1, *problem.grid)
        )

    def _expected(self, problem: Problem) -> Tensor | None:
        """The mean squared error of each channel, (C,): at least half the standard error of the data's variance.

        A picture of less variance than that is not seen at all.
        """
        if self.process is None:
            return None
        noise = noise_of(problem)
        return self.process.expected_square(problem.grid, noise).maximum(
            noise / (2 * prod(problem.grid)) ** 0.5
        )


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
