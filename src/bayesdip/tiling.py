"""Large pictures in overlapping tiles: one way to cut a problem and to blend the posteriors, for every method."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor

from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.result import Posterior, Trace

Tile = tuple[slice, ...]
"""A box of the picture's grid, its margin included."""


def tiles(grid: Sequence[int], side: float, margin: int) -> list[Tile]:
    """Boxes of about `side` pixels an axis that cover the grid, each grown by `margin` on its inner sides."""
    axes = []
    for n in grid:
        count = max(1, round(n / side))
        edges = [round(i * n / count) for i in range(count + 1)]
        axes.append([slice(max(0, a - margin), min(n, b + margin)) for a, b in pairwise(edges)])
    return list(product(*axes))


def can_be_cut(problem: Problem) -> bool:
    """Whether the data of a tile are those of its own pixels alone."""
    return isinstance(problem.operator, Identity | Mask)


def cut(problem: Problem, tile: Tile) -> Problem:
    """What was seen of a tile, of the whole problem and of its training part alike."""
    here = (slice(None), *tile)

    def mask(whole: Problem) -> Mask:
        return Mask(~whole.observed[here], tuple(problem.y[here].shape[1:]))

    noise = problem.noise
    if isinstance(noise, Gaussian) and isinstance(noise.sigma, Tensor):
        noise = replace(noise, sigma=noise.sigma.expand(problem.y.shape)[here])
    held_out = None if problem.held_out is None else problem.held_out[tile]
    part = replace(problem, y=problem.y[here], noise=noise, held_out=held_out)
    if problem.whole is problem:
        return replace(part, operator=mask(problem))
    return replace(part, operator=mask(problem.whole), _whole_operator=None).training


def window(tile: Tile, grid: Sequence[int], margin: int) -> Tensor:
    """The weight of a tile in each of its pixels, (*tile): 1 inside, falling linearly where another tile reaches.

    The weights of all tiles sum to one in every pixel, for a margin of at least 1 and tiles of at least two margins.
    """
    weight = torch.ones([s.stop - s.start for s in tile], dtype=torch.float64)
    for axis, (s, n) in enumerate(zip(tile, grid, strict=True)):
        at = torch.arange(s.start, s.stop, dtype=torch.float64) + 0.5
        width = max(2 * margin, 1)
        rising = ((at - s.start) / width).clamp(max=1) if s.start > 0 else torch.ones_like(at)
        falling = ((s.stop - at) / width).clamp(max=1) if s.stop < n else torch.ones_like(at)
        weight = weight * (rising * falling).reshape(-1, *[1] * (len(grid) - 1 - axis))
    return weight


@dataclass
class Mosaic:
    """Posteriors of tiles, blended over the posterior of the whole where that is known.

    Attributes
    ----------
    grid : tuple of int
    margin : int
    fallback : Posterior or None
        Stands where no tile has come to yet.
    found : list of (Tile, Posterior)
    """

    grid: tuple[int, ...]
    margin: int
    fallback: Posterior | None
    found: list[tuple[Tile, Posterior]]

    def preview(self, tile: Tile, mean: Tensor) -> Tensor:
        """The mean with this one for the next tile."""
        return self._blend([*((t, p.mean) for t, p in self.found), (tile, mean)], self._under("mean"))

    def posterior(self, tiles: int, stopped: str) -> Posterior:
        """Of the whole. Samples only where all tiles have them: tiles are sampled apart from each other."""
        mean = self._blend([(t, p.mean) for t, p in self.found], self._under("mean"))
        variances = [(t, p.std.square()) for t, p in self.found if p.std is not None]
        under, std = self._under("std"), None
        if variances and (under is not None or len(variances) == tiles):
            std = self._blend(variances, None if under is None else under.square()).sqrt()
        first = self.found[0][1]
        pictures = [p.samples for _, p in self.found if p.samples is not None]
        kept = min(map(len, pictures)) if len(pictures) == tiles else 0
        drawn = [
            self._blend([(t, s[k]) for (t, _), s in zip(self.found, pictures, strict=True)], None)
            for k in range(kept)
        ]
        return Posterior(
            mean=mean,
            std=std,
            samples=torch.stack(drawn) if drawn else mean.new_empty((0, *mean.shape)),
            trace=joined([p.trace for _, p in self.found]),
            stopped=stopped,
            chain=None if first.chain is None else first.chain[:kept],
            info={**_facts([p.info for _, p in self.found]), "tiles": tiles, "seam_error": self.seam_error()},
        )

    def seam_error(self) -> float:
        """Root mean square difference of neighbouring tiles' means where they overlap, in working units.

        A pixel counts as much as both tiles do in its blend: at the outermost pixels of one, the other stands alone.
        """
        total, weights = 0.0, 0.0
        for index, (one, first) in enumerate(self.found):
            for other, second in self.found[index + 1 :]:
                common = [
                    slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
                ]
                if all(s.start < s.stop for s in common):
                    pair = [(p.mean.double().cpu(), tile) for tile, p in ((one, first), (other, second))]
                    a, b = (mean[(slice(None), *_within(common, tile))] for mean, tile in pair)
                    u, v = (window(t, self.grid, self.margin)[_within(common, t)] for t in (one, other))
                    total += float((u * v * (a - b).square()).sum())
                    weights += float((u * v).sum()) * len(a)
        return math.sqrt(total / weights) if weights else 0.0

    def _under(self, name: str) -> Tensor | None:
        found: Tensor | None = None if self.fallback is None else getattr(self.fallback, name)
        return found

    def _blend(self, pieces: Sequence[tuple[Tile, Tensor]], under: Tensor | None) -> Tensor:
        """Pieces (C, *tile) blended by their windows, over `under`, (C, *grid)."""
        like = pieces[0][1]
        total = torch.zeros((len(like), *self.grid), dtype=torch.float64)
        weights = torch.zeros(self.grid, dtype=torch.float64)
        for tile, piece in pieces:
            here = (slice(None), *tile)
            weight = window(tile, self.grid, self.margin)
            total[here] += weight * piece.double().cpu()
            weights[tile] += weight
        if under is not None:
            total += (1 - weights) * under.double().cpu()
        return total.to(like)


def _within(box: Sequence[slice], tile: Tile) -> Tile:
    """A box in the coordinates of a tile."""
    return tuple(slice(b.start - t.start, b.stop - t.start) for b, t in zip(box, tile, strict=True))


def joined(traces: list[Trace]) -> Trace:
    """The traces of tiles as one: fits averaged, energies added, by the steps that all of them took."""
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
    """Those of the first tile, but for what adds up."""
    added: dict[str, Any] = {
        key: sum(i[key] for i in infos) for key in ("steps", "rollbacks", "iterations") if key in infos[0]
    }
    return {**infos[0], **added}
