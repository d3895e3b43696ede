"""Time and memory of filling in scratches, by their share of a picture and by the picture's size.

Each row in a process of its own, on one thread. Pictures are those of the folder ``--data``, side by side and mirrored to
fill the size; without one, a picture that scikit-image ships.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import bayesdip as bd
from bayesdip.lab.results import Row
from benchmarks.measurement import answer, in_own_process, peak_bytes
from benchmarks.options import Options
from benchmarks.results import Results

# Of the missing pixels, at one side; and sides at one share.
SHARES, SIDE = (0.001, 0.003, 0.01, 0.03, 0.1), 384
SIDES, SHARE = (256, 512, 1024), 0.01
# Width of a scratch, and its longest length as a share of the picture's side.
WIDTH, LENGTH = 3, 0.3
# Seconds after which a row is given up.
LIMIT = 1800.0


def run(results: Results, options: Options) -> None:
    """The two lines, and what a missing pixel and a megapixel cost."""
    sides = options.sides or SIDES
    line = [("share", SIDE, share) for share in SHARES] + [("megapixels", side, SHARE) for side in sides]
    for part, side, share in line:
        key: Row = {"part": part, "side": side, "share": share}
        if results.has(**key):
            continue
        arguments = {"side": side, "share": share, "seed": options.seed, "effort": options.effort}
        arguments |= {"folder": str(options.data) if options.data else ""}
        results.add(key | in_own_process("benchmarks.damage", arguments, LIMIT))
    done = [row for row in results.rows if not row.get("failed")]
    if len(done) > 1:
        work = np.array([[row["missing"], row["side"] ** 2, 1.0] for row in done])
        cost, *_ = np.linalg.lstsq(work, np.array([row["cpu_seconds"] for row in done]), rcond=None)
        results.conclude(seconds_of_1000_missing=1e3 * cost[0], seconds_of_a_megapixel=1e6 * cost[1])


def measure(side: int, share: float, seed: int, effort: str, folder: str) -> Iterator[Row]:
    """Fill in one picture of that side.

    Yields
    ------
    dict
        ``cpu_seconds``, ``seconds`` and ``peak_bytes`` above what the process had before; ``psnr`` and ``coverage`` of 90%
        intervals on the missing pixels; ``missing`` counts them, and ``parts`` those of the picture.
    """
    torch.set_num_threads(1)
    clean = mosaic(folder, side)
    mask = scratches(side, share, np.random.default_rng(seed))
    image = np.where(mask[..., None], 0, clean).astype(clean.dtype)
    before, processor, clock = peak_bytes(), time.process_time(), time.monotonic()
    r = bd.inpaint(image, mask, channel_axis=-1, effort=effort, seed=seed)
    spent = {"cpu_seconds": time.process_time() - processor, "seconds": time.monotonic() - clock}
    error = r.mean[mask].astype(float) - clean[mask]
    low, high = r.interval(0.9)
    inside = (low <= clean) & (clean <= high)
    yield spent | {
        "peak_bytes": peak_bytes() - before,
        "psnr": float(10 * np.log10(255**2 / np.mean(error**2))),
        "coverage": float(inside[mask].mean()),
        "missing": int(mask.sum()),
        "parts": int(r.info.get("parts", 1)),
    }


def mosaic(folder: str, side: int) -> NDArray[np.uint8]:
    """Colour pictures side by side, mirrored to fill a square of that side."""
    if folder:
        files = sorted(path for path in Path(folder).iterdir() if path.suffix in (".jpg", ".png"))
        pictures = [np.asarray(Image.open(path).convert("RGB")) for path in files]
    else:
        from skimage.data import astronaut

        pictures = [astronaut()]
    height, width = (min(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    rows, columns = -(-side // height), -(-side // width)
    tiles = [
        [pictures[(i * columns + j) % len(pictures)][:height, :width, :3] for j in range(columns)]
        for i in range(rows)
    ]
    turned = [
        np.concatenate([tile[:: (-1) ** i, :: (-1) ** j] for j, tile in enumerate(row)], axis=1)
        for i, row in enumerate(tiles)
    ]
    return np.ascontiguousarray(np.concatenate(turned)[:side, :side])


def scratches(side: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Straight scratches at random, until that share of the pixels is missing."""
    from scipy.ndimage import maximum_filter
    from skimage.draw import line

    mask = np.zeros((side, side), bool)
    while mask.mean() < share:
        start, angle = rng.uniform(0, side, 2), rng.uniform(0, np.pi)
        end = start + LENGTH * side * rng.uniform(0.2, 1) * np.array([np.sin(angle), np.cos(angle)])
        row, column = line(*np.clip(np.round([*start, *end]), 0, side - 1).astype(int))
        one = np.zeros_like(mask)
        one[row, column] = True
        mask |= maximum_filter(one, WIDTH)
    return mask


if __name__ == "__main__":
    answer(measure)
