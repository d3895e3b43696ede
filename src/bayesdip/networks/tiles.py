"""A large picture in parts: a sampled network for each, and their posteriors put together.

A network of a given size learns a picture the more slowly the more there is to learn in it: in as many
steps for each, four networks on the quarters of a picture come farther than one on the whole, at the same cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor

from bayesdip.errors import NoResultError
from bayesdip.gp.held_out import bare
from bayesdip.methods import sgld
from bayesdip.networks.schedule import LONG, Schedule
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.posterior import Posterior, Trace
from bayesdip.problem import Problem
from bayesdip.progress import Progress, Snapshot
from bayesdip.settings import Settings

# Pixels of a part, about, and how far neighbours reach over the seam between them.
PIXELS, MARGIN = 2**16, 16
# Those of exact data in a long run, and the share of its steps that each of them has, for the same time. Two networks
# of 1500 steps for each quarter of `montage` had 11, 12 and 18% less squared error in words, face and bird than two of 3000 steps for the whole.
PIXELS_OF_EXACT, STEPS_OF_EXACT = 2**14, 0.45
# A part with less than this share of its pixels known would be guessed: then the picture is not cut.
LEAST_KNOWN = 0.05

Part = tuple[slice, ...]


def run(problem: Problem, settings: Settings, progress: Progress, otherwise: Posterior) -> Posterior:
    """``sgld.run``, part by part; :mod:`bayesdip.networks.warm_up_timing` tells what that costs. Stopped early, the parts that it did not come to are as in `otherwise`.

    Each part has its share of a time budget.

    Parameters
    ----------
    problem : Problem
        Of pixels: a mask.
    otherwise : Posterior
        Mean, and standard deviation if it has one. With :attr:`Posterior.without` if that is asked for of the result.

    Raises
    ------
    NoResultError
        Stopped before there was a picture of the first part.
    """
    parts, schedule = planned(problem, settings)
    if len(parts) == 1:
        return sgld.run(problem, settings, progress, schedule, initial_estimate=False)
    mosaic = Mosaic(otherwise)
    for i, part in enumerate(parts):
        course = _Course(i, len(parts), progress, mosaic, part)
        own = progress.part(1 / (len(parts) - i), course.told)
        try:
            here = replace(settings, seed=settings.seed + i)
            mosaic.add(part, sgld.run(cut(problem, part), here, own, schedule, initial_estimate=False))
        except NoResultError:
            if not mosaic.found:
                raise
        if progress.should_stop():
            break
    return mosaic.posterior(len(parts), settings.samples, progress.stop_reason or "finished")


def planned(problem: Problem, settings: Settings) -> tuple[list[Part], Schedule]:
    """The parts, and what each of their networks is to do."""
    schedule = sgld.schedule_for(problem, settings)
    if problem.noise.is_exact and schedule.steps >= LONG:
        small = parts_of(problem, PIXELS_OF_EXACT)
        if len(small) > 1:
            return small, replace(schedule, steps=round(STEPS_OF_EXACT * schedule.steps))
    return parts_of(problem, PIXELS), schedule


def parts_of(problem: Problem, pixels: int) -> list[Part]:
    """Overlapping boxes of about so many pixels that cover the grid; one for all of it where some would know too little."""
    grid = problem.grid
    side = pixels ** (1 / len(grid))
    axes = []
    for n in grid:
        count = max(1, round(n / side))
        edges = [round(i * n / count) for i in range(count + 1)]
        axes.append([slice(max(0, a - MARGIN), min(n, b + MARGIN)) for a, b in pairwise(edges)])
    parts = list(product(*axes))
    known = problem.operator.observed.expand(problem.y.shape)
    enough = all(float(known[(slice(None), *part)].double().mean()) >= LEAST_KNOWN for part in parts)
    return parts if enough else [tuple(slice(0, n) for n in grid)]


def cut(problem: Problem, part: Part) -> Problem:
    """What was seen of a part."""
    noise = problem.noise
    if isinstance(noise, Gaussian) and isinstance(noise.sigma, Tensor):
        noise = replace(noise, sigma=noise.sigma.expand(problem.y.shape)[(slice(None), *part)])
    missing = ~problem.operator.observed.expand(problem.y.shape)[(slice(None), *part)]
    y = problem.y[(slice(None), *part)]
    held_out = None if problem.held_out is None else problem.held_out[part]
    return Problem(y, Mask(missing, tuple(y.shape[1:])), noise, held_out)


def window(part: Part, grid: tuple[int, ...]) -> Tensor:
    """The share of a part in each of its pixels, (*part): 1 inside, falling linearly where another part reaches."""
    share = torch.ones([s.stop - s.start for s in part], dtype=torch.float64)
    for axis, (s, n) in enumerate(zip(part, grid, strict=True)):
        at = torch.arange(s.start, s.stop, dtype=torch.float64) + 0.5
        rising = ((at - s.start) / (2 * MARGIN)).clamp(max=1) if s.start > 0 else torch.ones_like(at)
        falling = ((s.stop - at) / (2 * MARGIN)).clamp(max=1) if s.stop < n else torch.ones_like(at)
        share = share * (rising * falling).reshape(-1, *[1] * (len(grid) - 1 - axis))
    return share


class Mosaic:
    """Posteriors of parts on top of the posterior of the whole."""

    def __init__(self, otherwise: Posterior) -> None:
        self.otherwise = otherwise
        self.grid = tuple(otherwise.mean.shape[1:])
        self.found: list[tuple[Part, Posterior]] = []

    def add(self, part: Part, posterior: Posterior) -> None:
        self.found.append((part, posterior))

    def preview(self, part: Part, mean: Tensor) -> Tensor:
        """The mean with this one for the next part; where it is known, that without the held-out entries."""
        otherwise = (self.otherwise.without or self.otherwise).mean
        return self._over(otherwise, [*self._without(), (part, mean)])

    def _without(self) -> list[tuple[Part, Tensor]]:
        return [(p, (f.without or f).mean) for p, f in self.found]

    def posterior(self, parts: int, samples: int, stopped: str) -> Posterior:
        """Of the whole. Samples only where all parts have them: parts are sampled apart from each other."""
        mean = self._over(self.otherwise.mean, [(p, f.mean) for p, f in self.found])
        std = self.otherwise.std
        if std is not None:
            variances = [(p, f.std.square()) for p, f in self.found if f.std is not None]
            std = self._over(std.square(), variances).sqrt()
        without = None
        if self.otherwise.without is not None:
            without = bare(self._over(self.otherwise.without.mean, self._without()), std)
        first = self.found[0][1]
        kept = min(len(f.samples) for _, f in self.found) if len(self.found) == parts else 0
        blank = torch.zeros_like(mean)
        drawn = [self._over(blank, [(p, f.samples[k]) for p, f in self.found]) for k in range(kept)]
        return Posterior(
            mean=mean,
            std=std,
            samples=torch.stack(drawn) if drawn else mean.new_empty((0, *mean.shape)),
            trace=joined([f.trace for _, f in self.found]),
            stopped=stopped,
            chain=None if first.chain is None else first.chain[:kept],
            without=without,
            info=_facts([f.info for _, f in self.found]),
        )

    def _over(self, whole: Tensor, pieces: list[tuple[Part, Tensor]]) -> Tensor:
        """`whole`, (C, *grid), moved towards the pieces by their windows."""
        total = whole.double().cpu().clone()
        for part, piece in pieces:
            here = (slice(None), *part)
            share = window(part, self.grid)
            total[here] += share * (piece.double().cpu() - whole[here].double().cpu())
        return total.to(whole)


def joined(traces: list[Trace]) -> Trace:
    """The traces of parts as one: fits averaged, energies added, by the steps that all of them took."""
    ways: dict[str, Callable[[tuple[float, ...]], float]] = {
        "seconds": sum,
        "energy": sum,
        "fit": lambda fits: (sum(f * f for f in fits) / len(fits)) ** 0.5,
    }
    return {
        key: [ways.get(key, min)(each) for each in zip(*(t[key] for t in traces), strict=False)]
        for key in traces[0]
    }


def _facts(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Those of the first part, but for what adds up."""
    added = {key: sum(info[key] for info in infos) for key in ("steps", "rollbacks")}
    return {**infos[0], **added, "parts": len(infos)}


@dataclass(frozen=True)
class _Course:
    """Which part it is of how many, for what is told of it to be told of the whole."""

    index: int
    count: int
    progress: Progress
    mosaic: Mosaic
    part: Part

    def told(self, snapshot: Snapshot) -> Snapshot:
        mean = snapshot.mean
        one = snapshot.elapsed + snapshot.remaining
        remaining = self.progress.within_budget(snapshot.remaining + (self.count - self.index - 1) * one)
        whole = replace(
            snapshot,
            step=self.index * snapshot.steps + snapshot.step,
            steps=self.count * snapshot.steps,
            elapsed=self.progress.elapsed,
            remaining=remaining,
            mean=None if mean is None else lambda: self.mosaic.preview(self.part, mean()),
        )
        return whole if snapshot.estimate is None else replace(whole, phase="warm-up", estimate=None)
