"""Holes on a coarser grid: networks are fitted at a half, a quarter or an eighth of the resolution.

What spans a hole is found where a step costs a quarter or a sixteenth. On three tuning crops of 128x128 pixels with a hole of 48, two
networks at half of the resolution came to at most 0.1 dB more in the hole than two at a quarter of it after as many steps. The next finer
grid is not begun with the weights of a coarser one: the same weights on another grid make another picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bayesdip.networks.running_averages import Moments
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.training_loop import picture_or_raise
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.quick_picture import filled
from bayesdip.result import Posterior

# How deep a hole has to be, in pixels, for a grid that is so many times coarser; and on the coarser grid, where more pixels than a
# grid may have decide.
DEPTHS, SMALLEST_DEPTH = {2: 6.0, 4: 24.0, 8: 48.0}, 3.0
# Pixels that each side of a coarser grid has at least; and that the grid has at most, by effort, if it can be coarser: the more there
# are, the longer a step takes. In trunk-like strips that miss in six whole tuning pictures, 21 to 34 pixels deep, four networks had 17.9,
# 23.9, 19.9, 16.0, 16.6 and 16.6 dB after 240 steps at an eighth of the resolution, in 21 s of one core; 18.6, 24.7, 20.3, 15.3, 16.7 and
# 16.5 at a quarter, in 37 s; and one network 18.3, 24.3, 20.6, 16.0, 15.5 and 16.7 at a half, in 26 s, where one had 18.6, 23.6, 20.1, 15.2,
# 16.6 and 16.6 at a quarter. A quarter's networks begun with the eighth's picture in the holes came no farther.
SMALLEST_SIDE = 32
MOST_PIXELS = {"fast": 2**12, "balanced": 2**15, "best": 2**15}
# Share of a block's pixels from which on the coarse pixel counts as observed.
MAJORITY = 0.5
# Steps over those of a run on the whole picture; the second number where a hole is as deep as said below.
STEPS = (0.45, 0.3)
# Standard deviation of fresh noise on the latent input where a hole is so many pixels deep, and so many on the coarser grid. With that of
# Deep Image Prior, 1/30, networks that are fitted on put blobs of any colour into such a hole: on four tuning crops of 128x128 with a hole
# of 48 the average of two had 17.5, 15.2, 26.3 and 14.4 dB in it after 200 steps, and 20.3, 17.6, 26.3 and 23.5 dB at its best moment. With
# 0.1 it had 21.7, 17.3 and 29.1 dB on the first three after 120 steps, and 22.0, 17.5 and 29.5 dB at its best; with 0.3, 22.0 and 17.5 on
# the first two and 29.4 on the last; with 0.2, 26.9 on the third. Of holes of 24 in two of these crops it is the other way round: 25.6 and
# 16.3 dB with 1/30, 23.5 and 15.1 with 0.1. So it is in three whole tuning pictures with strips missing, at an eighth of their resolution,
# where holes are 3 to 5 pixels deep: 19.0, 13.6 and 19.1 dB with 1/30 after 200 steps, 19.1, 13.6 and 18.6 with 0.1.
# On grids of more pixels networks have more to fit: in trunk-like strips that miss in six whole tuning pictures, 30 to 34 pixels deep,
# networks on 80x120 pixels had 18.6, 24.5, 20.1, 15.1, 16.8 and 16.7 dB with 1/30 after 240 steps; with 0.1 the first five had 18.1, 22.7,
# 19.7, 15.6 and 15.0.
INPUT_NOISE, DRIFTS, DRIFTS_COARSE, LARGE_GRID = 0.1, 24.0, 6.0, 2**12
# Decay of the average of a fit's pictures: a run has some hundred steps, and begins far from where it ends. On the picture's own grid
# pictures of more steps are as good, and differ more: in strips that miss in two whole tuning pictures the best by held-out regions of 340 steps
# had 20.74 and 14.22 dB with 0.97, 20.73 and 14.28 with 0.985, and 20.67 and 14.37 with 0.993.
DECAY, FINE_DECAY = 0.97, 0.99


def coarseness(problem: Problem, effort: str = "balanced") -> int:
    """By how much the grid for the holes of an exact picture is coarser than the picture's.

    Parameters
    ----------
    problem : Problem
    effort : {"fast", "balanced", "best"}

    Returns
    -------
    int
        1, 2, 4 or 8; 0 where no hole is deep enough, or the picture is not exact.
    """
    if not (isinstance(problem.operator, Mask) and problem.noise.is_exact and len(problem.grid) == 2):
        return 0
    depth = deepest(problem)
    if depth < min(DEPTHS.values()):
        return 0
    factor, pixels = 1, problem.grid[0] * problem.grid[1]
    for coarser, least in DEPTHS.items():
        has_room = min(problem.grid) >= coarser * SMALLEST_SIDE
        too_many = pixels > MOST_PIXELS[effort] * factor**2 and depth >= SMALLEST_DEPTH * coarser
        if has_room and (depth >= least or too_many):
            factor = coarser
    return factor


def deepest(problem: Problem) -> float:
    """The largest distance of a pixel of which nothing was observed from one of which something was."""
    return float(_distance(problem).max()) if bool(problem.observed.any()) else float(max(problem.grid))


def _distance(problem: Problem) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    found: np.ndarray = distance_transform_edt(~problem.observed.any(0).cpu().numpy())
    return found


def coarsened(problem: Problem, factor: int) -> Problem:
    """The problem on a coarser grid: a pixel is the mean of what was observed of a block.

    Parameters
    ----------
    problem : Problem
        Of an exact picture on two axes with missing pixels.
    factor : int
        Side of the blocks.

    Returns
    -------
    Problem
        A pixel counts as observed, or as held out, where most of its block is.
    """
    if factor == 1:
        return problem
    seen, share = _block_means(problem.y, problem.observed, factor)
    whole, share_of_whole = _block_means(problem.y, problem.whole.observed, factor)
    observed, all_observed = share >= MAJORITY, share_of_whole >= MAJORITY
    y = torch.where(observed, seen, whole)
    if problem.whole is problem or not bool((all_observed & ~observed).any()):
        return replace(problem, y=y, operator=_mask(observed), held_out=None, _whole_operator=None)
    held_out = (all_observed & ~observed).any(0)
    whole_operator = _mask(all_observed)
    return replace(problem, y=y, operator=whole_operator, held_out=held_out, _whole_operator=None).training


def _mask(observed: Tensor) -> Mask:
    """Of what is not observed, (C, *grid): one plane where the channels are alike."""
    alike = bool((observed == observed[:1]).all())
    return Mask(~observed[0] if alike else ~observed, tuple(observed.shape[1:]))


def _block_means(y: Tensor, seen: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Of what was seen of each block, (C, *coarse grid), and the share of it that was; blocks at the end may be smaller."""
    known = seen.to(y)
    sums, shares = (
        functional.avg_pool2d(x[None], factor, ceil_mode=True, count_include_pad=False)[0]
        for x in (torch.where(seen, y, 0.0), known)
    )
    return sums / shares.clamp_min(1e-9), shares


def refined(pictures: Tensor, problem: Problem) -> Tensor:
    """Pictures of a coarser grid on the problem's grid: known pixels are put in, and the step at their rim is spread into the holes.

    Parameters
    ----------
    pictures : Tensor, shape (..., C, *coarse grid)
    problem : Problem

    Returns
    -------
    Tensor, float64, shape (..., C, *grid)
        On the CPU.
    """
    coarse = pictures.detach().double().cpu()
    if tuple(coarse.shape[-2:]) == problem.grid:
        return coarse
    flat = coarse.reshape(-1, *coarse.shape[-3:])
    smooth = enlarged(flat, problem.grid)
    seen = problem.observed
    for one in smooth:
        one += filled(torch.where(seen, problem.y - one, 0.0), seen)
    return smooth.reshape(*coarse.shape[:-2], *problem.grid)


def enlarged(pictures: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Pictures (N, C, *coarse grid) on a finer grid, by bicubic interpolation; blocks at the end may be smaller."""
    factor = [-(-n // m) for n, m in zip(grid, pictures.shape[2:], strict=True)]
    full = [m * f for m, f in zip(pictures.shape[2:], factor, strict=True)]
    return functional.interpolate(pictures, full, mode="bicubic", align_corners=False)[
        ..., : grid[0], : grid[1]
    ]


@dataclass
class BestInHoles:
    """The picture with the least error on held-out regions, of those that a run offers.

    A network that is fitted for longer first finds what spans a hole and then, in the hole, what the known pixels have no
    say in. When to stop is told by the regions.

    Attributes
    ----------
    problem : Problem
        At full resolution.
    beside : Posterior or None
        Another estimate, which stands until there is a picture.
    decay : float
        Of the average that is offered.
    picture : Tensor or None, float64, shape (C, *grid)
    error : float
        Its mean squared error.
    offered : Moments
        Of all pictures that were offered: their spread stands for the samples' where a run is stopped before these.
    """

    problem: Problem
    beside: Posterior | None = None
    decay: float = DECAY
    picture: Tensor | None = None
    error: float = float("inf")
    offered: Moments = field(default_factory=Moments)

    def __post_init__(self) -> None:
        entries = self.problem.held_out_entries
        inside = torch.from_numpy(_distance(self.problem) > 1) & entries
        self._judges = inside if bool(inside.any()) else entries

    def offer(self, picture: Tensor) -> bool:
        """Take a picture if it is better; without held-out entries, the latest.

        Parameters
        ----------
        picture : Tensor, shape (C, *grid or *coarse grid)

        Returns
        -------
        bool
            Whether it was taken.
        """
        fine = refined(picture, self.problem)
        self.offered.add(fine)
        error = float("-inf")
        if bool(self._judges.any()):
            error = float((fine - self.problem.y)[self._judges].square().mean())
            if error >= self.error:
                return False
        self.picture, self.error = fine, error
        return True

    def as_posterior(self, stopped: str) -> Posterior:
        """What a run gives that was stopped before it sampled.

        Parameters
        ----------
        stopped : str
            Why.

        Returns
        -------
        Posterior

        Raises
        ------
        NoResultError
            Nothing was offered.
        """
        if self.picture is None and self.beside is not None:
            return replace(self.beside, stopped=stopped, info={"steps": 0})
        std, seen = self.offered.std, self.problem.observed
        return Posterior(
            picture_or_raise(self.picture, stopped),
            std=None if std is None else torch.where(seen, 0.0, std),
            stopped=stopped,
            info={"steps": 0},
            beside=self.beside,
        )

    def around(self, found: Posterior) -> Posterior:
        """The samples, around the best picture.

        Parameters
        ----------
        found : Posterior
            On the coarser grid.

        Returns
        -------
        Posterior
            Its variance is that of the samples, the squared distance of their mean from the best picture, and what that grid
            cannot show.
        """
        problem = self.problem
        mean, seen = refined(found.mean, problem), problem.observed
        self.offer(found.mean)
        best = picture_or_raise(self.picture)
        std, samples = found.std, found.samples
        if std is None and self.offered.std is not None:
            std = torch.where(seen, 0.0, self.offered.std)
        elif std is not None:
            coarse = std.double().cpu()
            fine = coarse if coarse.shape == mean.shape else enlarged(coarse[None], problem.grid)[0]
            variance = fine.square() + (best - mean).square() + self._unseen(found.mean)
            std = torch.where(seen, coarse if coarse.shape == mean.shape else 0.0, variance.sqrt())
        if samples is not None:
            samples = refined(samples, problem) + torch.where(seen, 0.0, best - mean)
        best = torch.where(seen, mean, best)
        return replace(found, mean=best, std=std, samples=samples, beside=self.beside)

    def _unseen(self, coarse: Tensor) -> Tensor:
        """Variance of what a grid like that of `coarse` cannot show of the known pixels, (C, 1, 1)."""
        problem = self.problem
        if tuple(coarse.shape[1:]) == problem.grid:
            return torch.zeros(())
        factor = -(-problem.grid[0] // coarse.shape[1])
        shown = enlarged(coarsened(problem, factor).y[None], problem.grid)[0]
        squares = torch.where(problem.observed, problem.y - shown, 0.0).square().sum((1, 2), keepdim=True)
        return squares / problem.observed.sum((1, 2), keepdim=True).clamp_min(1)


def hole_schedule(schedule: Schedule, depth: float, coarser: int, pixels: int) -> Schedule:
    """For holes: a short fit, whose best moment is looked for, and the samples.

    Parameters
    ----------
    schedule : Schedule
        Of a run on the whole picture.
    depth : float
        Of the deepest hole, in pixels.
    coarser : int
        By how much the grid is coarser than the picture.
    pixels : int
        Of that grid.

    Returns
    -------
    Schedule
    """
    drifts = depth >= max(DRIFTS, DRIFTS_COARSE * coarser) and pixels <= LARGE_GRID
    return replace(
        schedule,
        steps=max(1, round(STEPS[drifts] * schedule.steps)),
        warm_up=0.75,
        heated=0.78,
        burnt_in=0.82,
        sampled=1.0,
        fitted=0.0,
        decays=False,
        sampled_input_noise=INPUT_NOISE if drifts else schedule.sampled_input_noise,
    )
