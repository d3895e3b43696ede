"""One hole to a picture: patches, the sampled network and biharmonic filling, with what ``method="auto"`` takes.

Each size of hole (``--sides``) is cut from ``--seeds`` pictures (3) of the folder ``--data``, or of those that scikit-image
ships, every third one in colour, in parts of ``--crop`` pixels (128). Every method is averaged with simple estimates by held-out
regions, as for users; so the rows say what ``auto`` would give by either choice.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from bayesdip.lab.results import Row
from benchmarks.holes import Bools, Pixels, by_biharmonic, cropped, filled, pictures
from benchmarks.options import Options
from benchmarks.results import Results, Target

METHODS = ("patches", "sgld")
SIDES, CROP, PICTURES = (16, 24, 40, 64), 128, 3
# Least distance of a hole from the part's border, in pixels.
BORDER = 8
# Share of the true values that 90% intervals should hold.
COVERAGE = (0.85, 0.95)


def run(results: Results, options: Options) -> None:
    """PSNR in the hole and coverage by each method."""
    torch.set_num_threads(1)
    found, part, each = pictures(options), options.crop or CROP, options.seeds or PICTURES
    sides = options.sides or SIDES
    for turn in range(each):
        for place, side in enumerate(sides):
            number = turn * len(sides) + place
            name, picture = found[number % len(found)]
            key: Row = {"side": side, "picture": name, "number": number}
            if results.has(**key) or min(picture.shape[:2]) < part:
                continue
            rng = np.random.default_rng([options.seed, side, number])
            clean = cropped(picture, part, rng)
            clean = clean if number % 3 == 2 else np.asarray(Image.fromarray(clean).convert("L"))
            results.add(key | measured(clean, hole(part, side, rng), options))
    if results.rows:
        conclude(results)


def measured(clean: Pixels, missing: Bools, options: Options) -> Row:
    """PSNR in the hole, coverage of 90% intervals in it and processor seconds by each method."""
    channels = 1 if clean.ndim == 2 else clean.shape[-1]
    row: Row = {"channels": channels, "biharmonic": by_biharmonic(clean, missing)}
    for method in METHODS:
        row[method], row[f"{method}_coverage"], row[f"{method}_seconds"] = filled(
            clean, missing, options, method
        )
    return row


def hole(part: int, side: int, rng: np.random.Generator) -> Bools:
    """A square hole at a random place, at least `BORDER` pixels from the border."""
    missing = np.zeros((part, part), bool)
    row, column = (int(rng.integers(BORDER, part - side - BORDER + 1)) for _ in range(2))
    missing[row : row + side, column : column + side] = True
    return missing


def conclude(results: Results) -> None:
    """Means over each size and over all."""
    facts: Row = {}
    for side in sorted({row["side"] for row in results.rows}):
        rows = [row for row in results.rows if row["side"] == side]
        facts[f"sgld_over_patches_{side}"] = mean_gain(rows, "sgld", "patches")
        facts[f"patches_over_biharmonic_{side}"] = mean_gain(rows, "patches", "biharmonic")
        for method in METHODS:
            facts[f"{method}_coverage_{side}"] = float(np.mean([row[f"{method}_coverage"] for row in rows]))
    ahead = [row["sgld"] > row["patches"] for row in results.rows]
    targets = [
        Target(f"coverage of 90% intervals in holes, {method}", held, least=COVERAGE[0], most=COVERAGE[1])
        for method in METHODS
        for held in [float(np.mean([row[f"{method}_coverage"] for row in results.rows]))]
    ]
    results.conclude(
        targets,
        sgld_over_patches=mean_gain(results.rows, "sgld", "patches"),
        sgld_ahead=f"{sum(ahead)} of {len(ahead)}",
        **facts,
    )


def mean_gain(rows: list[Row], one: str, other: str) -> float:
    """By how many dB one is above the other on average."""
    return float(np.mean([row[one] - row[other] for row in rows]))
