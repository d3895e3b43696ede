"""Sets of gray and colour pictures with unclipped noise: every effort beside BM3D, quality, time and coverage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import bayesdip as bd
from bayesdip.errors import BayesDipError, FileError
from bayesdip.io import read_picture
from bayesdip.lab.results import Row
from bayesdip.threads import one_thread
from benchmarks.measurement import timed
from benchmarks.options import EFFORTS, Options
from benchmarks.pictures import Array, centre
from benchmarks.regions import is_textured
from benchmarks.results import Results, Target

GRAY, COLOUR = ("set12", "bsd68"), ("cbsd68", "kodak24", "mcmaster")
SIGMAS = (15.0, 25.0, 50.0)
RIVAL = "bm3d"
METHODS = (*EFFORTS, RIVAL)
# The patches and a sampled network, which `effort="best"` is without a word on the method: minutes for a picture, and so run
# only where it is named.
SLOW = "stack"
# These may have been run on some pictures of a set only.
FEWER = ("best", SLOW)
LEVEL = 0.9
# Side of the part on which the pace is measured beforehand.
SAMPLE = 128
# What is asked for: dB above BM3D in colour, and of its seconds, in colour and gray; coverage on average, and in each half of a
# picture.
ABOVE = {"fast": 0.0, "balanced": 0.3, "best": 0.6}
OF_ITS_SECONDS = {True: {"fast": 0.5, "balanced": 1.0}, False: {"fast": 0.5, "balanced": 2.5}}
# Published means over whole sets of gray pictures, the better of LIChI's and WNNM's, by sigma (Herbreteau and Kervrann, arXiv
# 2212.00422), and how many pictures there are; what is asked for beyond these means.
PUBLISHED = {"set12": (12, {25.0: 30.26, 50.0: 27.05}), "bsd68": (68, {25.0: 28.86, 50.0: 25.87})}
BEYOND = {"balanced": 0.0, "best": 0.2}
COVERAGE, COVERAGE_OF_HALF = (0.88, 0.92), (0.85, 0.95)


Restorer = Callable[[Array, float], tuple[Array, tuple[Array, Array] | None]]
"""From data and sigma to the picture and its interval."""


@dataclass(frozen=True)
class Job:
    """One picture at one noise level by one method."""

    set: str
    path: Path
    sigma: float
    method: str

    @property
    def key(self) -> Row:
        return {"set": self.set, "sigma": self.sigma, "picture": self.path.stem, "method": self.method}


def run(results: Results, options: Options) -> None:
    """A row for each job that the file does not hold yet.

    ``--pictures`` takes names of sets and of pictures, ``--method`` some of fast, balanced, best, bm3d, stack.
    """
    todo = [job for job in jobs(options) if not results.has(**job.key)]
    with one_thread():
        pace = paces(todo, results.rows, options)
        left = sum(seconds(job, pace, options.crop) for job in todo)
        results.log(f"{len(todo)} runs, about {left / 60:.0f} minutes of one processor")
        for job in todo:
            results.add(job.key | measured(job, options))
    results.conclude(targets(results.rows), averages=averages(results.rows))
    results.log(table(results.rows))


def saved_options(options: Options) -> Row:
    """Any sets, pictures, noise levels and methods stand in one file."""
    return {"seed": options.seed, "crop": options.crop}


def jobs(options: Options) -> Iterator[Job]:
    """All methods of a picture follow each other, and all pictures of a set at one noise level.

    Raises
    ------
    BayesDipError
        There is no such method.
    FileError
        There are no such pictures.
    """
    chosen, found = methods(options), False
    for name in (*GRAY, *COLOUR):
        paths = sorted(p for p in (options.folder / "sets" / name).glob("*") if p.suffix in (".png", ".tif"))
        for sigma in (options.sigma,) if options.sigma else SIGMAS:
            for path in paths:
                if not options.pictures or {name, path.stem} & set(options.pictures):
                    found = True
                    yield from (Job(name, path, float(sigma), method) for method in chosen)
    if not found:
        raise FileError(
            f"{options.folder / 'sets'} holds no such pictures: expected folders {', '.join((*GRAY, *COLOUR))}; "
            "give the data folder with --data"
        )


def methods(options: Options) -> tuple[str, ...]:
    """Those of ``--method``, or all but the slow one."""
    if options.method == "auto":
        return METHODS
    chosen = tuple(options.method.split(","))
    for name in chosen:
        if name not in (*METHODS, SLOW):
            raise BayesDipError(
                f"method is {name!r}: expected some of {', '.join((*METHODS, SLOW))}, with commas in between; leave "
                f"--method out for all but {SLOW}"
            )
    return chosen


def clean_picture(job: Job, side: int | None) -> Array:
    """In 0..255, (H, W) of the gray sets and (H, W, 3) of the others."""
    picture = centre(read_picture(job.path).pixels, side).astype(np.float64)
    if job.set in GRAY and picture.ndim == 3:
        return np.asarray(picture[..., 0])
    return picture


def noisy(clean: Array, job: Job, seed: int) -> Array:
    """The same noise for every method; each picture begins the generator anew, so that any of them can be run alone."""
    return np.asarray(clean + job.sigma * np.random.default_rng(seed).standard_normal(clean.shape))


def measured(job: Job, options: Options) -> Row:
    """PSNR in dB of the picture clipped to 0..255, seconds, and of our methods the share of true values in 90% intervals."""
    clean = clean_picture(job, options.crop)
    data = noisy(clean, job, options.seed)
    with timed() as clock:
        mean, interval = restorers()[job.method](data, job.sigma)
    row: Row = {
        "psnr": float(10 * np.log10(255**2 / np.mean((mean.clip(0, 255) - clean) ** 2))),
        "pixels": clean.shape[0] * clean.shape[1],
        "cpu_seconds": round(clock.cpu, 2),
    }
    if interval is None:
        return row
    held = (interval[0] <= clean) & (clean <= interval[1])
    textured = is_textured(clean)
    return row | {
        "coverage90": float(held.mean()),
        "coverage90_smooth": float(held[~textured].mean()),
        "coverage90_textured": float(held[textured].mean()),
    }


def restorers() -> dict[str, Restorer]:
    """By the name of the method."""

    def ours(**options: Any) -> Restorer:
        def restore(data: Array, sigma: float) -> tuple[Array, tuple[Array, Array]]:
            axis = -1 if data.ndim == 3 else None
            found = bd.denoise(data, sigma, channel_axis=axis, **options)
            return found.mean, found.interval(LEVEL)

        return restore

    def rival(data: Array, sigma: float) -> tuple[Array, None]:
        import bm3d

        restore = bm3d.bm3d_rgb if data.ndim == 3 else bm3d.bm3d
        return np.asarray(restore(data, sigma)), None

    by_effort = {effort: ours(method=bd.Patches(effort=effort)) for effort in EFFORTS}
    return {**by_effort, RIVAL: rival, SLOW: ours(method=SLOW, effort="best")}


def paces(todo: list[Job], rows: list[Row], options: Options) -> dict[tuple[str, bool], float]:
    """Seconds of the processor for a pixel, by method and colour.

    They are those of the rows that there are, or of a part of the first picture, run a second time.
    """
    found: dict[tuple[str, bool], float] = {}
    for kind in dict.fromkeys((job.method, job.set in COLOUR) for job in todo):
        done = [row for row in rows if (row["method"], row["set"] in COLOUR) == kind]
        if done:
            found[kind] = sum(row["cpu_seconds"] for row in done) / sum(row["pixels"] for row in done)
            continue
        job = next(job for job in todo if (job.method, job.set in COLOUR) == kind)
        data = noisy(clean_picture(job, min(SAMPLE, options.crop or SAMPLE)), job, options.seed)
        for _ in range(1 if job.method == SLOW else 2):
            with timed() as clock:
                restorers()[job.method](data, job.sigma)
        found[kind] = clock.cpu / (data.shape[0] * data.shape[1])
    return found


def seconds(job: Job, pace: dict[tuple[str, bool], float], crop: int | None) -> float:
    """Of the processor, about."""
    from PIL import Image

    with Image.open(job.path) as picture:
        width, height = picture.size
    return pace[job.method, job.set in COLOUR] * (min(width, crop or width) * min(height, crop or height))


def averages(rows: list[Row]) -> list[Row]:
    """By set, noise level and method, over the pictures that it and the others did: `FEWER` may have done fewer, and count by themselves."""
    grouped: dict[tuple[str, float], dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        grouped[row["set"], row["sigma"]][row["picture"]][row["method"]] = row
    found = []
    for (name, sigma), pictures in grouped.items():
        done = {method for by_method in pictures.values() for method in by_method}
        for method in (m for m in (*METHODS, SLOW) if m in done):
            wanted = (done - set(FEWER)) | {method}
            complete = [by_method for by_method in pictures.values() if wanted <= set(by_method)]
            if complete:
                found.append({"set": name, "sigma": sigma, "method": method} | _mean(complete, method))
    return found


def _mean(pictures: list[dict[str, Row]], method: str) -> Row:
    """Of a method on these pictures; dB above the rival and its share of the rival's seconds, where that did them too."""
    own = [by_method[method] for by_method in pictures]
    columns = (c for c in own[0] if c == "psnr" or c.startswith(("cpu", "coverage")))
    mean: Row = {"pictures": len(own)} | {c: float(np.mean([row[c] for row in own])) for c in columns}
    if method != RIVAL and all(RIVAL in by_method for by_method in pictures):
        psnr, seconds = (float(np.mean([p[RIVAL][c] for p in pictures])) for c in ("psnr", "cpu_seconds"))
        mean |= {"above": mean["psnr"] - psnr, "of_its_seconds": mean["cpu_seconds"] / max(seconds, 1e-9)}
    return mean


def targets(rows: list[Row]) -> list[Target]:
    """Ours against BM3D and against published means, set by set and noise level by noise level, and the coverages."""
    found = []
    means = averages(rows)
    for mean in means:
        effort = mean["method"]
        if effort == RIVAL:
            continue
        what = f"{mean['set']}, sigma {mean['sigma']:g}, {effort}"
        found += beside_rival(mean, what)
        count, published = PUBLISHED.get(mean["set"], (0, {}))
        if mean["pictures"] == count and mean["sigma"] in published and effort in BEYOND:
            least = published[mean["sigma"]] + BEYOND[effort]
            found.append(Target(f"{what}: PSNR", mean["psnr"], least=least))
        low, high = COVERAGE
        found.append(Target(f"{what}: coverage", mean["coverage90"], least=low, most=high))
    low, high = COVERAGE_OF_HALF
    halves = [
        row[f"coverage90_{half}"] for row in rows if "coverage90" in row for half in ("smooth", "textured")
    ]
    if halves:
        share = float(np.mean([low <= half <= high for half in halves]))
        found.append(Target(f"halves of pictures with coverage {low:g} to {high:g}, share", share, least=0.9))
    return found


def beside_rival(mean: Row, what: str) -> list[Target]:
    """How far above BM3D, and in which part of its seconds."""
    effort, colour = mean["method"], mean["set"] in COLOUR
    if "above" not in mean or effort not in ABOVE:
        return []
    above = ABOVE[effort] if colour else 0.0
    found = [Target(f"{what}: dB above BM3D", mean["above"], least=above)]
    if effort in OF_ITS_SECONDS[colour]:
        most = OF_ITS_SECONDS[colour][effort]
        found.append(Target(f"{what}: of BM3D's seconds", mean["of_its_seconds"], most=most))
    return found


def table(rows: list[Row]) -> str:
    """Markdown: a line for each set, noise level and method."""
    lines = [
        "| set | sigma | method | pictures | PSNR | CPU s | coverage, smooth, textured |",
        "|---|---|---|---|---|---|---|",
    ]
    for mean in averages(rows):
        shares = [mean.get(f"coverage90{half}") for half in ("", "_smooth", "_textured")]
        cells = [
            mean["set"],
            f"{mean['sigma']:g}",
            mean["method"],
            str(mean["pictures"]),
            f"{mean['psnr']:.2f}",
        ]
        cells += [f"{mean['cpu_seconds']:.1f}", ", ".join(f"{s:.2f}" for s in shares if s is not None)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
