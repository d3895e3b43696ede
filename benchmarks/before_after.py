"""Two versions of the package on the same inputs and seeds: quality, coverage, time and memory, side by side.

Every restoration is a process of its own with one thread (``benchmarks.before_after_worker``), which finds the
version to measure on its ``PYTHONPATH``. The sides take turns, so that other load on the machine meets both.
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from bayesdip.errors import BayesDipError
from bayesdip.lab.results import Row
from benchmarks.measurement import in_own_process
from benchmarks.options import Options
from benchmarks.results import Results

EFFORTS = ("fast", "balanced")
# What may differ: dB, share of the pixels, and time and memory as factors.
PSNR_LIMIT, COVERAGE_LIMIT, TIME_LIMIT, MEMORY_LIMIT = 0.03, 0.01, 1.0, 1.1

# Name, maker of the input, picture, side. The small ones are for the methods that train networks.
LARGE = (
    ("denoise house", "denoise_published", "house", 128),
    ("denoise kodak12", "denoise_drawn", "kodak12", 128),
    ("inpaint barbara", "inpaint", "barbara", 128),
    ("inpaint boat", "inpaint", "boat", 128),
    ("inpaint montage", "inpaint", "montage", 128),
    ("upscale butterfly", "upscale", "butterfly", 128),
    ("upscale head", "upscale", "head", 128),
    ("deblur camera", "deblur_noisy", "camera", 128),
    ("deblur coins", "deblur_noisy", "coins", 128),
    ("restore hill", "restore", "hill", 128),
)
SMALL = (
    ("denoise house 48", "denoise_published", "house", 48),
    ("inpaint boat 48", "inpaint", "boat", 48),
    ("upscale butterfly 64", "upscale", "butterfly", 64),
    ("deblur camera 48", "deblur_noisy", "camera", 48),
)
SIGNAL = (("signal 256", "signal", "", 256),)
VOLUMES = (("volume 24", "volume", "", 24), ("volume inpaint 24", "volume_missing", "", 24))
POISSON = (("poisson lena 48", "denoise_poisson", "lena", 48),)

CASES_OF = {
    "patches": LARGE + SIGNAL,
    "gp": LARGE + SIGNAL + VOLUMES,
    "sgld": SMALL + SIGNAL + POISSON,
    "map": SMALL[::3] + SIGNAL,
    "stack": SMALL[:2] + SIGNAL,
    "auto": SMALL + SIGNAL + VOLUMES + POISSON,
}
# Methods whose result depends on the seed by more than rounding: they can be repeated with others.
RANDOM = ("sgld", "map", "stack")
ALL = "**all**"
# What a method was called before it had a name of its own.
OPTIONS = {
    "before": {"patches": {"method": "gp", "kernel": "nonlocal"}},
    "after": {},
}


def run(results: Results, options: Options) -> None:
    """Measure what the file does not hold yet, for the sides that ``--before`` and ``--after`` name; log the table."""
    sources = {side: source for side in OPTIONS if (source := getattr(options, side))}
    if not sources and not results.rows:
        raise BayesDipError("no version was given: expected src folders; name them with --before and --after")
    for key, task in planned(options.method, options.seeds or 1):
        for side, source in sources.items():
            if results.has(side=side, **key):
                continue
            method = OPTIONS[side].get(key["method"], {"method": key["method"]})
            chosen = method | {"effort": key["effort"], "seed": key["seed"]}
            arguments = task | {"data": str(options.folder), "options": chosen}
            measured = in_own_process("benchmarks.before_after_worker", arguments, path=(source,), threads=1)
            results.add({"side": side, **key, "commit": commit_of(source), **measured})
    results.conclude(limits={"psnr": PSNR_LIMIT, "coverage": COVERAGE_LIMIT, "memory": MEMORY_LIMIT})
    results.log(table(results.rows))


def commit_of(source: Path) -> str | None:
    """Of the working copy that holds a folder; None where there is none."""
    command = ["git", "-C", str(source), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def saved_options(options: Options) -> Row:
    """Rows of any method and seed stand in one file."""
    return {}


def planned(only: str, seeds: int) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Key of a row, and what the worker is asked to do, the method's options excepted; ``auto`` is every method."""
    methods = list(CASES_OF) if only == "auto" else only.split(",")
    for effort, method in product(EFFORTS, methods):
        for case, make, name, side in CASES_OF[method]:
            for seed in range(seeds if method in RANDOM else 1):
                key = {"method": method, "effort": effort, "case": case, "seed": seed}
                yield key, {"make": make, "name": name, "side": side}


def table(rows: list[Row]) -> str:
    """Markdown: a line for each method, effort and input, averages over the seeds, then those over the inputs."""
    sides: dict[tuple[str, ...], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if not row.get("failed"):
            sides[row["method"], row["effort"], row["case"]][row["side"]].append(row)
            sides[row["method"], row["effort"], ALL][row["side"]].append(row)
    lines = [
        "| method | effort | input | PSNR, dB | change | coverage | change | CPU s | factor | peak MiB | factor |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    order = sorted(sides, key=lambda k: (list(CASES_OF).index(k[0]), EFFORTS.index(k[1]), k[2] == ALL))
    for key in order:
        before, after = sides[key]["before"], sides[key]["after"]
        if key[2] == ALL:
            shared = {(r["case"], r["seed"]) for r in before} & {(r["case"], r["seed"]) for r in after}
            before, after = ([r for r in s if (r["case"], r["seed"]) in shared] for s in (before, after))
        if before and after:
            lines.append("| " + " | ".join([*key, *_cells(before, after)]) + " |")
    return "\n".join(lines)


def _cells(before: list[Row], after: list[Row]) -> list[str]:
    """Values of both sides and their difference or ratio, in bold where a limit is passed."""
    was, now = (
        {
            name: fmean(r[name] for r in side if r[name] is not None)
            if any(r[name] is not None for r in side)
            else None
            for name in ("psnr", "coverage", "cpu_s", "peak_mib")
        }
        for side in (before, after)
    )
    cells = [f"{was['psnr']:.2f} {now['psnr']:.2f}", *_change(now["psnr"] - was["psnr"], PSNR_LIMIT, "+.3f")]
    if was["coverage"] is None or now["coverage"] is None:
        cells += ["", ""]
    else:
        apart = _change(now["coverage"] - was["coverage"], COVERAGE_LIMIT, "+.3f")
        cells += [f"{was['coverage']:.3f} {now['coverage']:.3f}", *apart]
    for name, limit in (("cpu_s", TIME_LIMIT), ("peak_mib", MEMORY_LIMIT)):
        factor = now[name] / max(was[name], 1e-9)
        shown = f"{factor:.2f}"
        cells += [f"{was[name]:.1f} {now[name]:.1f}", f"**{shown}**" if factor > limit else shown]
    return cells


def _change(change: float, limit: float, form: str) -> list[str]:
    shown = f"{change:{form}}"
    return [f"**{shown}**" if abs(change) > limit else shown]
