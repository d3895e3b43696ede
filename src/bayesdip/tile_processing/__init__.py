"""Pictures and stacks larger than memory: restored tile by tile, from and to arrays that stay on the disk."""

from __future__ import annotations

from bayesdip.tile_processing.seam_statistic import Seams, seams
from bayesdip.tile_processing.tiled_function import tiled
from bayesdip.tile_processing.tiled_result import Tiled

__all__ = ["Seams", "Tiled", "seams", "tiled"]
