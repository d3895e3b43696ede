"""Many pictures by several workers, one of them killed now and then; and one huge picture in tiles: time, memory, seams.

``--pictures units,many,huge`` chooses the parts, ``--seeds N`` how many pictures of 256x256 there are (500), ``--sides N`` the side of
the huge one (16384), ``--method`` what restores it (on noise and scratches, 34.5 s of the processor a megapixel by ``patches`` and 11.3 by
``gp``, fast). Seconds are those of the wall; ``cpu`` those of the processor, which other programs do not touch.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing import active_children
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import bayesdip as bd
from bayesdip.io.stored import open_stored
from bayesdip.tile_processing import seams
from benchmarks import scale_units
from benchmarks.options import Options
from benchmarks.pictures import Array
from benchmarks.results import Results, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COUNT, SIDE, SMALL = 500, 16384, 2048
PICTURE, SIGMA = 256, 15.0
KILL_EVERY = 20.0
# Share of the pixels that scratches of the huge picture take.
SCRATCHED = 0.01
# The huge picture repeats itself every 2000 pixels, so that borders of tiles meet other lines of it each time; and it begins at
# such a place that no border up to 16384 lies within two pixels of where pictures meet.
PART, BEGIN = 500, (281, 217)
# Targets.
SPEED_UP, MEMORY, SLOWER = 1.8, 4 * 2**30, 1.3
# No seam is visible: jumps across borders of tiles are at most so many times what 95% of other lines, as far apart, show.
BY_CHANCE, TILE = 1.05, 1024
PARTS = ("units", "many", "huge")


def run(results: Results, options: Options) -> None:
    """Both parts, or those of ``--pictures``; results go into a temporary folder and are compared by their digests."""
    parts = options.pictures or PARTS
    targets: list[Target] = []
    with tempfile.TemporaryDirectory(prefix="bayesdip-scale-") as folder:
        if "units" in parts:
            units(results, Path(folder), options.seed)
        if "many" in parts:
            targets += many(results, Path(folder) / "many", options.seeds or COUNT, options)
        if "huge" in parts:
            side = options.sides[0] if options.sides else SIDE
            targets += huge(results, Path(folder) / "huge", side, options)
    results.conclude(targets, command=command(parts, options))


def command(parts: Sequence[str], options: Options) -> str:
    """That repeats the run."""
    words = f"python -m benchmarks scale --pictures {','.join(parts)} --seeds {options.seeds or COUNT}"
    sides = options.sides[0] if options.sides else SIDE
    return (
        f"{words} --sides {sides} --method {options.method} --effort {options.effort} --seed {options.seed}"
    )


def units(results: Results, folder: Path, seed: int) -> None:
    """What a megapixel costs."""
    rng = np.random.default_rng(seed)
    clean = mosaic(SMALL)
    picture = noisy(clean, rng)
    part, gone = picture[: scale_units.SIDE, : scale_units.SIDE].copy(), scratches(scale_units.SIDE, rng)
    window, window_gone = (
        picture[: scale_units.WINDOW, : scale_units.WINDOW].copy(),
        scratches(scale_units.WINDOW, rng),
    )
    found = scale_units.restoring_costs(part, gone, window, window_gone, SIGMA, seed)
    results.add(
        {"part": "units", "case": "restoring, s a megapixel", **{k: round(v, 2) for k, v in found.items()}}
    )
    pictures = {"noisy": picture, "restored": np.rint(clean).astype(np.uint8)}
    pictures["std"] = scale_units.smooth_std(clean.shape, seed)
    for name, values in pictures.items():
        costs = scale_units.storing_costs(folder, values, name)
        results.add({"part": "units", "case": f"storing, {name}", **costs})
    more = {**scale_units.journal_costs(folder), "start_of_a_worker": scale_units.starting_cost()}
    results.add({"part": "units", "case": "journal and workers", **more})


def many(results: Results, folder: Path, count: int, options: Options) -> list[Target]:
    """Pictures by `gp`: one worker, two, and two of which one is killed every 20 s."""
    source = folder / "in"
    source.mkdir(parents=True)
    clean = mosaic(2048)
    rng = np.random.default_rng(options.seed)
    for n in range(count):
        top, left = rng.integers(0, 2048 - PICTURE, 2)
        part = clean[top : top + PICTURE, left : left + PICTURE]
        bd.io.write_picture(source / f"{n:04d}.png", noisy(part, rng))
    seconds, digests = {}, {}
    for case, workers, kills in (("one worker", 1, 0.0), ("two workers", 2, 0.0), ("killed", 2, KILL_EVERY)):
        began, cpu = time.monotonic(), children_cpu()
        with killing(kills) as killed:
            items = bd.batch(
                source,
                "denoise",
                output=folder / case.replace(" ", "-"),
                method="gp",
                effort=options.effort,
                workers=workers,
                seed=options.seed,
            )
        seconds[case] = time.monotonic() - began
        digests[case] = [
            None if item.record is None else item.record["files"]["output"]["sha256"]
            for item in items
            if not item.error
        ]
        results.add(
            {
                "part": "many",
                "case": case,
                "pictures": count,
                "seconds": round(seconds[case], 2),
                "cpu": round(children_cpu() - cpu, 2),
                "failed": sum(bool(item.error) for item in items),
                "killed": len(killed),
                "same_bits": digests[case] == digests["one worker"],
            }
        )
    same = all(found == digests["one worker"] and len(found) == count for found in digests.values())
    return [
        Target(
            "one worker's time over two workers'",
            seconds["one worker"] / seconds["two workers"],
            least=SPEED_UP,
        ),
        Target(
            "the same bits by one worker, by two, and by two of which one is killed every 20 s",
            float(same),
            least=1,
        ),
    ]


def huge(results: Results, folder: Path, side: int, options: Options) -> list[Target]:
    """One gray picture with noise and scratches, in tiles, beside a small one restored as a whole."""
    import zarr

    folder.mkdir(parents=True)
    rng = np.random.default_rng(options.seed)
    clean = mosaic(side)
    picture, gone = noisy(clean, rng), scratches(side, rng)
    picture[gone] = 255
    for name, values in (("in", picture), ("mask", gone.astype(np.uint8))):
        array = zarr.create_array(
            str(folder / f"{name}.zarr"),
            shape=values.shape,
            chunks=(512, 512),
            dtype=values.dtype,
            dimension_names=["y", "x"],
        )
        array[:] = values
    small = min(SMALL, side)
    cpu, began = time.process_time(), time.monotonic()
    alone = bd.inpaint(
        picture[:small, :small],
        gone[:small, :small],
        sigma="auto",
        grow_mask=False,
        method=options.method,
        effort=options.effort,
        seed=options.seed,
    )
    whole = {"cpu": time.process_time() - cpu, "seconds": time.monotonic() - began}
    row = {name: round(value / (small / 1000) ** 2, 3) for name, value in whole.items()}
    error = rms(alone.mean, clean[:small, :small])
    results.add(
        {"part": "huge", "case": f"whole, {small}x{small}", "method": alone.method, **row, "error": error}
    )
    del alone
    done: list[dict[str, Any]] = []
    began, cpu = time.monotonic(), time.process_time() + children_cpu()
    found = bd.tiled(
        folder / "in.zarr",
        "inpaint",
        mask=folder / "mask.zarr",
        output=folder / "out.ome.zarr",
        std=folder / "std.ome.zarr",
        sigma="auto",
        grow_mask=False,
        method=options.method,
        effort=options.effort,
        seed=options.seed,
        callback=done.append,
    )
    seconds, cpu = time.monotonic() - began, time.process_time() + children_cpu() - cpu
    million = (side / 1000) ** 2
    steps = {
        name: round(sum(one["cpu_seconds"][name] for one in done) / million, 4)
        for name in ("reading", "computing", "writing")
    }
    restored, std = read(folder / "out.ome.zarr"), read(folder / "std.ome.zarr")
    borders = list(range(TILE, side - TILE // 4, TILE))
    shown = {
        name: seams(values, borders, borders, TILE)
        for name, values in (("restored", restored), ("std", std), ("truth", clean))
    }
    inside = held(restored, clean, std)
    results.add(
        {
            "part": "huge",
            "case": f"tiles, {side}x{side}",
            "method": found.method,
            "seconds": round(seconds / million, 3),
            "cpu": round(cpu / million, 3),
            **{f"cpu_{name}": value for name, value in steps.items()},
            "tiles": found.tiles,
            "memory_gib": round(found.memory / 2**30, 2),
            "error": rms(restored, clean),
            "error_of_small_part": rms(restored[:small, :small], clean[:small, :small]),
            "coverage": round(inside, 4),
            **{
                f"seam_{name}_{k}": round(v, 4)
                for name, found in shown.items()
                for k, v in asdict(found).items()
            },
            "std_step_percent": round(100 * border_step(std, borders), 3),
            "std_step_percent_elsewhere": round(100 * border_step(std, [b - TILE // 2 for b in borders]), 3),
            "bytes_in": size_of(folder / "in.zarr") + size_of(folder / "mask.zarr"),
            "bytes_out": size_of(folder / "out.ome.zarr"),
            "bytes_std": size_of(folder / "std.ome.zarr"),
            "files_out": sum(1 for path in (folder / "out.ome.zarr").rglob("*") if path.is_file()),
        }
    )
    return [
        Target("memory of a worker, GiB", found.memory / 2**30, most=MEMORY / 2**30),
        *(
            Target(f"{text}, over that of 95% of other lines", here / by_chance, most=BY_CHANCE)
            for of_what, found in (("", shown["restored"]), (" of the standard deviation", shown["std"]))
            for text, here, by_chance in (
                (f"jump{of_what} across borders of tiles", found.jump, found.jump_by_chance),
                (f"step{of_what} along borders of tiles", found.step, found.step_by_chance),
            )
        ),
        Target(
            "processor's time of a megapixel in tiles, all told, over that of the small whole",
            cpu / million / row["cpu"],
            most=SLOWER,
        ),
    ]


def mosaic(side: int) -> Array:
    """Pictures of scikit-image, mirrored to fill a square, 0 to 255."""
    from skimage import data

    parts = [
        np.asarray(part(), dtype=np.float32)[:PART, :PART]
        for part in (data.camera, data.brick, data.grass, data.moon)
    ]
    block = np.block([[parts[0], parts[1]], [parts[2], parts[3]]])
    block = np.block([[block, block[:, ::-1]], [block[::-1], block[::-1, ::-1]]])
    down, across = BEGIN
    repeats = -(-(side + max(BEGIN)) // len(block))
    return np.tile(block, (repeats, repeats))[down : down + side, across : across + side]


def noisy(clean: Array, rng: np.random.Generator) -> Array:
    """With Gaussian noise, rounded and clipped to 8 bits; row by row, for the noise of all would need much memory."""
    found = np.empty(clean.shape, np.uint8)
    for row, line in enumerate(clean):
        found[row] = np.clip(np.rint(line + rng.normal(0, SIGMA, line.shape)), 0, 255)
    return found


def scratches(side: int, rng: np.random.Generator) -> Array:
    """Straight lines of two to four pixels, as many as take their share."""
    gone = np.zeros((side, side), dtype=bool)
    length = min(side, 600)
    while gone.mean() < SCRATCHED:
        for _ in range(max(1, side**2 // 10**6)):
            top, left, angle = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(0, np.pi)
            along = np.arange(0, rng.uniform(0.2, 1) * length, 0.5)
            for across in range(rng.integers(2, 5)):
                rows = (top + along * np.sin(angle)).astype(int) + across
                columns = (left + along * np.cos(angle)).astype(int) + across
                here = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
                gone[rows[here], columns[here]] = True
    return gone


@contextmanager
def killing(every: float) -> Iterator[list[int]]:
    """Kill one worker of this process every so many seconds; gives their numbers."""
    killed: list[int] = []
    if not every:
        yield killed
        return
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(every):
            workers = active_children()
            if workers:
                with suppress(ProcessLookupError):
                    number = workers[len(killed) % len(workers)].pid or 0
                    os.kill(number, signal.SIGKILL)
                    killed.append(number)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def children_cpu() -> float:
    """Seconds of the processor of the workers that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def read(path: Path) -> Array:
    """All values of a stored array, in single precision."""
    stored = open_stored(path)
    return stored.read(tuple(slice(0, n) for n in stored.description.shape)).astype(np.float32)


def rms(one: Array, other: Array) -> float:
    """Root mean square difference, line by line."""
    return round(
        float(
            np.sqrt(np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in zip(one, other, strict=True)]))
        ),
        4,
    )


def held(restored: Array, clean: Array, std: Array) -> float:
    """The share of 90% intervals that hold, line by line."""
    lines = zip(restored, clean, std, strict=True)
    return float(np.mean([np.mean(np.abs(a - b) < 1.645 * c) for a, b, c in lines]))


def border_step(values: Array, lines: Sequence[int]) -> float:
    """Root mean square of the mean jump along a tile's side, in units of the mean value; 0 without lines."""
    if not lines:
        return 0.0
    steps = [
        (x[line] - x[line - 1])[start : start + TILE].mean()
        for x in (values, values.T)
        for line in lines
        for start in range(0, x.shape[1], TILE)
    ]
    return float(np.sqrt(np.mean(np.square(steps))) / values.mean())


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
