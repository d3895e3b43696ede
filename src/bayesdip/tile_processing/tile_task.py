"""What a worker does: one tile, from the array on the disk to the results on the disk."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.batch_processing.machine import NETWORKS
from bayesdip.io.stored import Canvas, StoredArray
from bayesdip.result import Restoration
from bayesdip.tile_processing.blending import Piece, as_type, blended, cut, joined
from bayesdip.tile_processing.kept_tile import KeptTiles
from bayesdip.tile_processing.plan import Plan, Region, Tile, from_picture, overlap_of, seed_of
from bayesdip.tile_processing.survey import TILE, read_picture_region
from bayesdip.tile_processing.tile_restoration import Known, Request, restored

Array = NDArray[Any]
# A hole is seen whole, with as much around it as a tile's margin, as far as this many margins beyond the tile's core. A hole is
# where a missing pixel is farther than this from the nearest known one: what is thinner is filled in from its sides.
HOLE, FARTHEST = 4.0, 6


@dataclass
class Clock:
    """Seconds, and those of the processor, of the steps of a tile."""

    last: tuple[float, float] = field(default_factory=lambda: (time.monotonic(), time.process_time()))
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    def told(self, step: str) -> None:
        """A step ended; what it took is added to what it took before."""
        now = time.monotonic(), time.process_time()
        for kept, since, at in zip((self.seconds, self.cpu_seconds), self.last, now, strict=True):
            kept[step] = round(kept.get(step, 0.0) + at - since, 4)
        self.last = now


@dataclass(frozen=True)
class Part:
    """What came of a tile, or of a part of it.

    Attributes
    ----------
    piece : Piece
    found : Restoration or None
    missing, left : int
        Values that were missing; all of them, where nothing is known.
    """

    piece: Piece
    found: Restoration | None
    missing: int
    left: int


@dataclass(frozen=True, eq=False)
class TileTask:
    """One tile to restore.

    Attributes
    ----------
    source, mask : StoredArray
    plan : Plan
    tile : Tile
    request : Request
    known : Known
        Of the tile's group.
    kept : KeptTiles
        What is written.
    parts : int
        Into how many parts a side it is cut, each restored by itself, for want of memory.
    """

    source: StoredArray
    mask: StoredArray | None
    plan: Plan
    tile: Tile
    request: Request
    known: Known
    kept: KeptTiles
    parts: int = 1

    def __getstate__(self) -> dict[str, Any]:
        """As it is sent to a worker: arrays in memory go along by what the tile may see of them alone."""
        farthest = self.plan.grown(self.tile.core, self._farthest())
        state = {one.name: getattr(self, one.name) for one in fields(self)}
        state["source"] = self.source.cut(farthest)
        if self.mask is not None:
            names = self.plan.description.names
            own = tuple(farthest[names.index(name)] for name in self.mask.description.names)
            state["mask"] = self.mask.cut(own)
        return state

    def __call__(self, tell: Callable[[float], None]) -> dict[str, Any]:
        """Restore it and write it; gives the facts for the journal."""
        clock = Clock()
        done = [
            self._restored(cell, reach, number, clock) for number, (cell, reach) in enumerate(self._cells())
        ]
        sha256 = self.kept.keep(one_piece([part.piece for part in done], self.tile.core))
        clock.told("writing")
        runs = [part.found for part in done if part.found is not None]
        gone = sum(part.missing for part in done)
        return {
            "sha256": sha256,
            "seconds": clock.seconds,
            "cpu_seconds": clock.cpu_seconds,
            "missing": gone,
            "left": sum(part.left for part in done),
            "parts": self.parts,
            "method": runs[0].method if runs else None,
            "held_out": together([(r.held_out, r.held_out_count) for r in runs if r.held_out is not None]),
            "findings": [one.to_dict() for run in runs for one in run.findings],
            "memory": peak_memory(),
        }

    def _cells(self) -> list[tuple[Region, Region]]:
        """The parts of the tile's reach, and how far the values of each reach beyond, to be blended with those of others."""
        reach = self.plan.reach(self.tile.core)
        cells = self.plan.parts(reach, self.parts)
        places = [self.plan.position(name) for name in self.plan.roles.across]
        shortest = min(cell[place].stop - cell[place].start for cell in cells for place in places)
        overlap = overlap_of(self.plan.margin, shortest)
        return [(cell, within(self.plan.grown(cell, overlap), reach)) for cell in cells]

    def _restored(self, cell: Region, reach: Region, number: int, clock: Clock) -> Part:
        """One part of the tile: all of it, where it is not cut."""
        plan, names = self.plan, self.plan.description.names
        pixels, gone, window = self._seen(cell)
        clock.told("reading")
        numbers = (self.tile.number,) if self.parts == 1 else (self.tile.number, self.parts, number)
        seed = seed_of(self.request.seed, TILE, *numbers)
        # By other methods a tile takes less than a minute, and its checkpoints would be much to write.
        is_long = self.known.method.name in NETWORKS
        checkpoints = self.kept.checkpoints(self.tile.core, number) if is_long else None
        found = restored(pixels, gone, self.request, self.known, bool(plan.roles.channels), seed, checkpoints)
        if found.found is not None and found.found.stopped == "interrupted":
            from bayesdip.batch_processing.worker_pool import end_this_worker

            end_this_worker()
        clock.told("computing")
        pictures = {"output": found.mean, "std": found.std}
        values = {
            role: cut(from_picture(pictures[role], names, plan.roles), window, reach)
            for role in self.kept.canvases
        }
        nothing = bool(gone.all())
        empty = np.ones([s.stop - s.start for s in reach], dtype=bool) if nothing else None
        piece = Piece(cell, reach, values, empty)
        return Part(piece, found.found, int(gone.sum()), int(gone.size if nothing else 0))

    def _farthest(self) -> int:
        return self.plan.margin * (FARTHEST if self.request.task == "inpaint" else 1)

    def _seen(self, cell: Region) -> tuple[Array, NDArray[np.bool_], Region]:
        """A part's window: its picture, what is missing in it, and where it is: larger where holes reach out of the usual one."""
        plan, core = self.plan, self.tile.core
        window = within(plan.grown(cell, plan.margin), plan.grown(core, plan.margin))
        if self.request.task == "inpaint" and len(plan.roles.across) == 2:
            far = within(plan.grown(cell, self._farthest()), plan.grown(core, self._farthest()))
            _, gone = read_picture_region(self.source, self.mask, plan, self.request, far)
            window = self._around_holes(
                np.asarray(gone.any(-1)) if gone.ndim == 3 else gone, cell, window, far
            )
        pixels, gone = read_picture_region(self.source, self.mask, plan, self.request, window)
        return pixels, gone, window

    def _around_holes(self, gone: NDArray[np.bool_], cell: Region, usual: Region, far: Region) -> Region:
        """The usual window, grown so that holes in the cell are seen whole with the margin around them, within `far`."""
        from scipy.ndimage import distance_transform_edt, find_objects, label, maximum

        names = self.plan.description.names
        places = [names.index(name) for name in self.plan.roles.across]
        window = list(usual)
        if not gone.any() or gone.all():
            return usual
        inner = tuple(slice(cell[p].start - far[p].start, cell[p].stop - far[p].start) for p in places)
        number, count = label(gone, np.ones((3, 3), dtype=int))
        depth = np.asarray(maximum(distance_transform_edt(gone), number, np.arange(1, count + 1)))
        holes = [n for n in np.unique(number[inner]) if n and depth[n - 1] > HOLE]
        boxes = find_objects(number)
        for p, axis in zip(places, range(2), strict=True):
            low = min(
                [
                    window[p].start,
                    *(boxes[n - 1][axis].start + far[p].start - self.plan.margin for n in holes),
                ]
            )
            high = max(
                [window[p].stop, *(boxes[n - 1][axis].stop + far[p].start + self.plan.margin for n in holes)]
            )
            window[p] = slice(max(far[p].start, low), min(far[p].stop, high))
        return tuple(window)


@dataclass(frozen=True, eq=False)
class BlendTask:
    """A tile whose strips are blended with those of the tiles around, when all of them are there."""

    kept: KeptTiles
    tile: Tile

    def __call__(self, tell: Callable[[float], None]) -> None:
        """Read the strips, blend, write."""
        self.kept.blend(self.tile.core)


@dataclass(frozen=True, eq=False)
class LevelTask:
    """A block of a resolution level, as the mean of four pixels each of the finer one."""

    canvas: Canvas
    level: int
    region: Region

    def __call__(self, tell: Callable[[float], None]) -> None:
        """Read, average, write."""
        finer = self.canvas.levels[self.level - 1]
        inside = tuple(
            slice(2 * s.start, min(axis.length, 2 * s.stop)) if axis.name in "yx" else s
            for s, axis in zip(self.region, finer.axes, strict=True)
        )
        values = self.canvas.read(self.level - 1, inside)
        means = values.astype(np.float64)
        for place, axis in enumerate(finer.axes):
            if axis.name in "yx":
                means = halved(means, place)
        self.canvas.write(self.level, self.region, as_type(means, values.dtype))


def one_piece(pieces: Sequence[Piece], core: Region) -> Piece:
    """A tile of its parts, which are blended."""
    if len(pieces) == 1:
        return replace(pieces[0], core=core)
    cells = [piece.core for piece in pieces]
    reach = tuple(slice(a.start, b.stop) for a, b in zip(cells[0], cells[-1], strict=True))
    whole = [blended([one, *(other for other in pieces if other is not one)]) for one in pieces]
    values = {
        role: joined([(cell, found[role]) for cell, found in zip(cells, whole, strict=True)], reach)
        for role in whole[0]
    }
    if all(piece.empty is None for piece in pieces):
        return Piece(core, reach, values)
    empty = [np.full([s.stop - s.start for s in p.core], p.empty is not None) for p in pieces]
    return Piece(core, reach, values, joined(list(zip(cells, empty, strict=True)), reach))


def within(region: Region, bounds: Region) -> Region:
    """The part of a region that lies in another."""
    return tuple(
        slice(max(s.start, b.start), min(s.stop, b.stop)) for s, b in zip(region, bounds, strict=True)
    )


def together(errors: Sequence[tuple[float, int]]) -> list[float] | None:
    """The root mean square of held-out errors, each of so many values, and how many there are; None without any."""
    count = sum(n for _, n in errors)
    return [(sum(e**2 * n for e, n in errors) / count) ** 0.5, count] if count else None


def halved(values: Array, axis: int) -> Array:
    """Means of two neighbours each; a last one without a neighbour stands for itself."""
    if values.shape[axis] % 2:
        last = np.take(values, [-1], axis=axis)
        values = np.concatenate([values, last], axis=axis)
    first, second = (np.take(values, range(k, values.shape[axis], 2), axis=axis) for k in (0, 1))
    return np.asarray((first + second) / 2)


def level_tasks(canvas: Canvas, level: int) -> list[LevelTask]:
    """All blocks of a level, of two chunks a side."""
    edges = [
        [slice(a, min(axis.length, a + step)) for a in range(0, axis.length, step)]
        for axis, step in zip(
            canvas.levels[level].axes,
            (
                2 * c if axis.name in "yx" else c
                for c, axis in zip(canvas.chunk, canvas.levels[level].axes, strict=True)
            ),
            strict=True,
        )
    ]
    return [LevelTask(canvas, level, region) for region in product(*edges)]


def peak_memory() -> int:
    """Most bytes that this process had in memory so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0

    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(found) * (1 if sys.platform == "darwin" else 1024)
