"""What is kept of a tile on the disk: its core in the canvases, and in a file the strips in which it is blended with others.

The file holds the strips on both sides of the core's borders. Blending reads these files alone and writes the strips of the cores, so
that it can be done again, and the rest of a core stays as its tile wrote it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError, FileError, one_line
from bayesdip.io.stored import Canvas
from bayesdip.resuming.encoding import decoded, encoded
from bayesdip.resuming.stages import write_whole
from bayesdip.tile_processing.blending import Piece, as_type, blended, cut
from bayesdip.tile_processing.plan import Plan, Region

Array = NDArray[Any]
STRIPS, CHECKPOINTS = "strips", "checkpoints"


@dataclass(frozen=True, eq=False)
class KeptTiles:
    """Where tiles are kept.

    Attributes
    ----------
    plan : Plan
    canvases : dict
        By ``"output"`` and ``"std"``.
    folder : Path
        Of the strips, and of the checkpoints of tiles at work.
    """

    plan: Plan
    canvases: dict[str, Canvas]
    folder: Path

    def keep(self, tile: Piece) -> str:
        """Write a tile; gives a digest of what does not change any more."""
        digest = hashlib.sha256()
        inside = self.plan.inside(tile.core)
        for role, canvas in self.canvases.items():
            values = cut(tile.values[role], tile.reach, tile.core)
            kept = written(canvas, self.plan.description.names, tile.core, values)
            digest.update(_bytes(cut(kept, tile.core, inside)))
        strips = self._strips(tile.core)
        if strips.any():
            parts = {role: _native(values[strips]) for role, values in tile.values.items()}
            if tile.empty is not None:
                parts["empty"] = tile.empty[strips]
            content, path = encoded(parts), self._path(tile.core)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, path.with_name(f"{path.name}.{os.getpid()}.part"), content)
            digest.update(content)
        shutil.rmtree(self.checkpoints(tile.core, 0).parent, ignore_errors=True)
        return digest.hexdigest()

    def is_whole(self, core: Region, sha256: str) -> bool:
        """Whether what lies on the disk of a tile is what its worker wrote."""
        digest, inside = hashlib.sha256(), self.plan.inside(core)
        try:
            for canvas in self.canvases.values():
                digest.update(_bytes(read_back(canvas, self.plan.description.names, inside)))
            if self._strips(core).any():
                digest.update(self._path(core).read_bytes())
        except (BayesDipError, OSError, ValueError):
            return False
        return digest.hexdigest() == sha256

    def blend(self, core: Region) -> None:
        """Write a core whose strips are blended with those of the tiles around."""
        around = (self._read(one) for one in self.plan.neighbours(core))
        for role, values in blended(chain([self._with_inside(core)], around)).items():
            written(self.canvases[role], self.plan.description.names, core, values)

    def _with_inside(self, core: Region) -> Piece:
        """A tile with the values that only its canvases hold."""
        tile, inside = self._read(core), self.plan.inside(core)
        for role, canvas in self.canvases.items():
            alone = read_back(canvas, self.plan.description.names, inside)
            values = tile.values[role].astype(np.result_type(tile.values[role], alone))
            cut(values, tile.reach, inside)[...] = alone
            tile.values[role] = values
        return tile

    def _read(self, core: Region) -> Piece:
        """A tile's strips, with zeros for the rest of it.

        Raises
        ------
        FileError
        """
        reach, strips, path = self.plan.reach(core), self._strips(core), self._path(core)
        whole: dict[str, Array] = {}
        try:
            for role, values in decoded(path.read_bytes()).items():
                whole[role] = np.zeros(strips.shape, values.dtype)
                whole[role][strips] = values
        except (OSError, ValueError) as error:
            raise FileError(
                f"{one_line(path)}: cannot be read ({one_line(error)}); what a tile wrote is expected: run the same again, which "
                "restores that tile anew"
            ) from error
        empty = whole.pop("empty", None)
        return Piece(core, reach, whole, empty)

    def _strips(self, core: Region) -> NDArray[np.bool_]:
        """Which values of the reach are kept in the file."""
        reach = self.plan.reach(core)
        found = np.ones([s.stop - s.start for s in reach], dtype=bool)
        cut(found, reach, self.plan.inside(core))[...] = False
        return found

    def _path(self, core: Region) -> Path:
        return self.folder / STRIPS / f"{_name(core)}.safetensors"

    def checkpoints(self, core: Region, part: int) -> Path:
        """Where a part of a tile keeps its checkpoints until the tile is done."""
        return self.folder / CHECKPOINTS / _name(core) / str(part)


def _name(core: Region) -> str:
    return "-".join(str(s.start) for s in core)


def written(canvas: Canvas, names: str, region: Region, values: Array) -> Array:
    """Write a region, whose values have the array's order of axes; gives the values as they were written."""
    place, order = _in_canvas(canvas, names, region)
    kept = as_type(values, canvas.levels[0].dtype)
    canvas.write(0, place, np.ascontiguousarray(kept.transpose(order)))
    return kept


def read_back(canvas: Canvas, names: str, region: Region) -> Array:
    """A region of a canvas, in the array's order of axes."""
    place, order = _in_canvas(canvas, names, region)
    return canvas.read(0, place).transpose(np.argsort(order))


def _in_canvas(canvas: Canvas, names: str, region: Region) -> tuple[Region, list[int]]:
    """A region of the array in the canvas' order of axes, and that order."""
    own = [name if name in names else "s" for name in canvas.levels[0].names]
    order = [names.index(name) for name in own]
    return tuple(region[place] for place in order), order


def _native(values: Array) -> Array:
    """In this machine's order of bytes."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _bytes(values: Array) -> bytes:
    return np.ascontiguousarray(values).tobytes()
