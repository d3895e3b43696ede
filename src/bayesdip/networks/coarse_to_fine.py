"""Holes from coarse to fine: networks are fitted at a quarter of the resolution, then at half of it.

What spans a hole is found where a step costs a sixteenth. The layers are convolutions, so that the next network begins with
the weights of the one before, and with its latent input, interpolated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bayesdip.damage_parts import HOLE
from bayesdip.networks.running_averages import ExponentialAverage, Moments, Thinned
from bayesdip.networks.sampling import Summary, warm_up
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.setup import SetUp
from bayesdip.networks.steppers import Target
from bayesdip.networks.training_loop import TrainingLoop, picture_or_raise
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.quick_picture import filled
from bayesdip.result import Posterior

# The finest grid in holes. On a tuning crop of 112x112 two networks had 21.2 dB in the holes at half the resolution, and 17.8 to
# 19.1 dB when carried over to the full one.
FINEST = 2
# How much coarser the coarsest grid may be, and how many pixels each of its sides has at least.
COARSEST, SMALLEST_SIDE = 4, 32
# A coarser grid is of use as long as the deepest hole in it is so many pixels deep.
SMALLEST_DEPTH = 3.0
# The finest grid has at most so many pixels, by effort: on 2**15 of them a run takes some four minutes of one core.
MOST_PIXELS = {"fast": 2**14, "balanced": 2**15, "best": 2**17}
# Share of a block's pixels from which on the coarse pixel counts as observed.
MAJORITY = 0.5
# Steps of each level, from the coarsest, over those of a run on one grid; a finer one begins near its end. On that crop four
# networks gained 0.4 dB from 180 steps at half the resolution to 240, and nothing from there to 280.
STEPS = (0.45, 0.25, 0.2)
# Decay of the average of a fit's pictures: a level has some hundred steps, and begins far from where it ends.
DECAY = 0.97


def factors(problem: Problem, effort: str = "balanced") -> tuple[int, ...]:
    """By how much each level is coarser than the picture, from the coarsest to the finest.

    Parameters
    ----------
    problem : Problem
    effort : {"fast", "balanced", "best"}

    Returns
    -------
    tuple of int
        ``(1,)`` where there are no holes in an exact picture.
    """
    if not (isinstance(problem.operator, Mask) and problem.noise.is_exact and len(problem.grid) == 2):
        return (1,)
    depth = deepest(problem)
    if depth <= HOLE:
        return (1,)
    coarsest, finest = 1, 1
    while coarsest < COARSEST and min(problem.grid) >= 2 * coarsest * SMALLEST_SIDE:
        if depth < 2 * coarsest * SMALLEST_DEPTH:
            break
        coarsest *= 2
    finest = min(FINEST, coarsest)
    while finest < coarsest and problem.grid[0] * problem.grid[1] > MOST_PIXELS[effort] * finest**2:
        finest *= 2
    return tuple(2**k for k in range(7, -1, -1) if finest <= 2**k <= coarsest)


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
    """Pictures of a coarser level on the problem's grid: known pixels are put in, and the step at their rim is spread into the holes.

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


@torch.no_grad()
def carry_over(target: Target, before: Target) -> bool:
    """Begin with the weights and the latent input of a coarser level.

    In holes of three crops of 192x192, 100 steps at half resolution came to 19.1 dB after 200 at a quarter, and to 16.4 dB from
    fresh weights.

    Parameters
    ----------
    target, before : Target
        Of the same architecture and number of networks. `target` is changed.

    Returns
    -------
    bool
        False, and nothing is changed, where the weights go by the size of the grid.
    """
    shapes = ([w.shape for w in one.weights] for one in (target, before))
    if next(shapes) != next(shapes) or target.latent.ndim != 4:
        return False
    for w, then in zip(target.weights, before.weights, strict=True):
        w.copy_(then)
    size = target.latent.shape[2:]
    target.latent.copy_(functional.interpolate(before.latent, size, mode="bilinear", align_corners=False))
    return True


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
    picture : Tensor or None, float64, shape (C, *grid)
    error : float
        Its mean squared error.
    offered : Moments
        Of all pictures that were offered: their spread stands for the samples' where a run is stopped before these.
    """

    problem: Problem
    beside: Posterior | None = None
    picture: Tensor | None = None
    error: float = float("inf")
    offered: Moments = field(default_factory=Moments)

    def __post_init__(self) -> None:
        entries = self.problem.held_out_entries
        inside = torch.from_numpy(_distance(self.problem) > 1) & entries
        self._judges = inside if bool(inside.any()) else entries

    def offer(self, picture: Tensor) -> bool:
        """Take a picture of any level if it is better; without held-out entries, the latest.

        Parameters
        ----------
        picture : Tensor, shape (C, *grid of a level)

        Returns
        -------
        bool
            Whether it was taken.
        """
        fine = refined(picture, self.problem)
        self.offered.add(fine)
        if not bool(self._judges.any()):
            self.picture = fine
            return True
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
        """The samples of the last level, around the best picture.

        Parameters
        ----------
        found : Posterior
            On the grid of the last level.

        Returns
        -------
        Posterior
            Its variance is that of the samples, the squared distance of their mean from the best picture, and what the last
            level's grid cannot show.
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


def level_steps(steps: int, levels: int) -> list[int]:
    """Steps of each level, from the coarsest to the finest, of a run that would have so many on one grid."""
    return [max(1, round(STEPS[number] * steps)) for number in range(levels)]


def fit_coarser(
    best: BestInHoles,
    levels: Sequence[int],
    make: Callable[[Problem], SetUp],
    schedule: Schedule,
    progress: Progress,
) -> Target | None:
    """Fit networks at all levels but the last, each started from the one before.

    Parameters
    ----------
    best : BestInHoles
        Is offered the average of the pictures at even distances.
    levels : sequence of int
        As :func:`factors` gives them.
    make : callable
        Gives fresh networks for some data.
    schedule : Schedule
        Of a run on one grid.
    progress : Progress
        Of these levels.

    Returns
    -------
    Target or None
        The networks of the last level but one; None where there is none.
    """
    problem = best.problem
    before: Target | None = None
    steps = level_steps(schedule.steps, len(levels))
    weights = time_weights(len(levels))[:-1]
    for number, factor in enumerate(levels[:-1]):
        if progress.should_stop():
            break
        begin, end = (sum(weights[:n]) / sum(weights) for n in (number, number + 1))
        part = progress.part(
            (begin, end),
            time_share=weights[number] / sum(weights[number:]),
            to_whole=lambda picture: refined(picture, problem),
        )
        made = make(coarsened(problem, factor))
        if before is not None:
            carry_over(made.target, before)
        shape = (problem.channels, *made.energy.problem.grid)
        summary = Summary(shape, Thinned(0), average=ExponentialAverage(DECAY), judge=best.offer)
        loop = TrainingLoop(made.target, part, steps[number], summary.mean)
        own = replace(schedule, steps=steps[number], warm_up=1.0, fitted=0.0, decays=False)
        warm_up(loop, own, made.generator, summary)
        before = made.target
    return before


def time_weights(levels: int) -> list[float]:
    """What the levels have of a time budget, in proportion."""
    return [STEPS[number] * 2.0**number for number in range(levels)]


def last_schedule(schedule: Schedule, levels: int) -> Schedule:
    """Of the last level: a fit that begins where the one before ended, and the samples.

    Parameters
    ----------
    schedule : Schedule
        Of a run on one grid.
    levels : int

    Returns
    -------
    Schedule
    """
    steps = level_steps(schedule.steps, levels)[-1]
    return replace(
        schedule, steps=steps, warm_up=0.75, heated=0.78, burnt_in=0.82, sampled=1.0, fitted=0.0, decays=False
    )
