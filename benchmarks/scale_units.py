"""What a megapixel costs of each thing that a huge picture needs: seconds of the processor, and bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bayesdip as bd
from bayesdip.batch_processing.journal import open_journal
from bayesdip.io.stored import Axis, Description, canvas_for
from bayesdip.tile_processing.blending import Piece, cut
from bayesdip.tile_processing.kept_tile import KeptTiles
from bayesdip.tile_processing.plan import Plan, roles_of
from bayesdip.tile_processing.tile_task import level_tasks
from benchmarks.pictures import Array

SIDE, WINDOW, LINES = 384, 1120, 200
LOAD = "import resource, bayesdip.api, bayesdip.tile_processing.tile_task as t; print(sum(resource.getrusage(0)[:2]))"


def restoring_costs(
    noisy: Array, gone: Array, window: Array, window_gone: Array, sigma: float, seed: int
) -> dict[str, float]:
    """Seconds of the processor for a megapixel, of a picture of `SIDE` and of what a tile sees, at effort ``fast``."""
    shared: dict[str, Any] = {"effort": "fast", "seed": seed}
    bd.denoise(noisy[:64, :64], sigma, **shared)  # loads what was compiled
    million = noisy.size / 10**6
    return {
        "patches": cpu(lambda: bd.denoise(noisy, sigma, **shared)) / million,
        "gp": cpu(lambda: bd.denoise(noisy, sigma, method="gp", **shared)) / million,
        "gp_window_and_scratches": cpu(
            lambda: bd.inpaint(window, window_gone, sigma=sigma, method="gp", grow_mask=False, **shared)
        )
        / (window.size / 10**6),
        "patches_and_scratches": cpu(lambda: bd.inpaint(noisy, gone, sigma=sigma, grow_mask=False, **shared))
        / million,
    }


def storing_costs(folder: Path, values: Array, name: str) -> dict[str, float]:
    """Writing, checking and averaging an OME-Zarr: seconds of the processor for a megapixel, bytes of a pixel, and files."""
    axes = (Axis("y", values.shape[0]), Axis("x", values.shape[1]))
    plan = Plan(Description(axes, values.dtype), roles_of(Description(axes, values.dtype)), 1024, 48)
    canvas = canvas_for(folder / f"{name}.ome.zarr", folder / f".{name}", plan.description, plan.chunk)
    canvas.create()
    kept = KeptTiles(plan, {"output": canvas}, folder / f".{name}-strips")
    digests: list[str] = []
    tiles = list(plan.tiles())
    whole = (slice(0, values.shape[0]), slice(0, values.shape[1]))

    def write() -> None:
        for tile in tiles:
            reach = plan.reach(tile.core)
            digests.append(kept.keep(Piece(tile.core, reach, {"output": cut(values, whole, reach)})))

    def check() -> None:
        if not all(kept.is_whole(tile.core, digest) for tile, digest in zip(tiles, digests, strict=True)):
            raise AssertionError("what was written is not what is read")

    def blend() -> None:
        for tile in tiles:
            kept.blend(tile.core)

    def average() -> None:
        for level in range(1, len(canvas.levels)):
            for task in level_tasks(canvas, level):
                task(lambda seconds: None)

    million = values.size / 10**6
    found = {"write": cpu(write), "check": cpu(check), "blend": cpu(blend), "levels": cpu(average)}
    files = [path for path in canvas.finish().rglob("*") if path.is_file()]
    bytes_of_a_pixel = sum(path.stat().st_size for path in files) / values.size
    return {
        **{f"{name}_{step}": round(seconds / million, 4) for step, seconds in found.items()},
        f"{name}_bytes_of_a_pixel": round(bytes_of_a_pixel, 3),
        f"{name}_files": len(files),
    }


def journal_costs(folder: Path) -> dict[str, float]:
    """Seconds of the wall, and bytes, of a tile's line, on the disk."""
    steps = {"reading": 0.1234, "computing": 12.3456, "writing": 0.1234}
    record = {"output": "tile 10240:11264,10240:11264", "files": {}, "sha256": "0" * 64, "seconds": steps}
    record |= {"cpu_seconds": steps, "missing": 10000, "left": 0, "method": "patches", "findings": []}
    record |= {"held_out": [15.12345678, 4000], "memory": 1234567890}
    with open_journal(folder / "journal") as journal:
        began = time.monotonic()
        for _ in range(LINES):
            journal.add(record)
        seconds = (time.monotonic() - began) / LINES
    return {"line_seconds": round(seconds, 5), "line_bytes": len(json.dumps(record)) + 1}


def starting_cost() -> float:
    """Seconds of the processor until a worker has loaded the program."""
    done = subprocess.run([sys.executable, "-c", LOAD], check=True, capture_output=True, text=True)
    return round(float(done.stdout), 2)


def smooth_std(shape: tuple[int, int], seed: int) -> Array:
    """What a standard deviation looks like: smooth, in single precision."""
    from scipy.ndimage import gaussian_filter

    rough = np.random.default_rng(seed).random(shape, dtype=np.float32)
    return np.asarray(2 + gaussian_filter(rough, 2), dtype=np.float32)


def cpu(work: Callable[[], object]) -> float:
    """Seconds of the processor that it takes."""
    began = time.process_time()
    work()
    return time.process_time() - began
