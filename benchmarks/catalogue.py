"""The benchmarks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesdip.errors import BayesDipError
from bayesdip.pipeline import Options
from bayesdip.settings import one_of
from benchmarks import (
    blurred,
    compare,
    frontier,
    gp,
    kernels,
    restoring_growth,
    roofline,
    samplers,
    signals,
    speed,
    steps,
    stopping,
    tables,
)
from benchmarks.results import Results


@dataclass(frozen=True)
class Request:
    """What the caller wants measured.

    Attributes
    ----------
    data : Path or None
        The folder with the pictures, for the benchmarks that need it.
    options : Options
        Method, effort, seed and the like, as for the restoring functions.
    pictures : tuple of str
        Names of pictures; empty for all.
    sigma : float or None
        For ``paper-denoise``: the noise level to tell the method; None leaves it to the estimate.
    crop : int or None
        For ``paper-denoise`` and ``paper-inpaint``: the side of the middle to take of every picture.
    """

    data: Path | None
    options: Options
    pictures: tuple[str, ...] = ()
    sigma: float | None = None
    crop: int | None = None

    @property
    def folder(self) -> Path:
        if self.data is None:
            raise BayesDipError("this benchmark needs pictures: give their folder with --data")
        return self.data


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: what it shows, and how it is run."""

    shows: str
    run: Callable[[Results, Request], None]


def _gp(*parts: str) -> Callable[[Results, Request], None]:
    """The benchmark of the exact Gaussian process, or some of its parts."""

    def run(results: Results, ask: Request) -> None:
        chosen = parts or tuple(gp.PARTS)
        gp.bench_gp(results, ask.data, ask.options.get("effort", "fast"), ask.options.get("seed", 0), chosen)

    return run


def _kernel(results: Results, ask: Request) -> None:
    """Closed-form kernels against sampled networks; kept as a whole, for one generator draws all rows."""
    if not results.rows:
        full = ask.options.get("effort", "fast") != "fast"
        for row in list(kernels.measure(full, ask.options.get("seed", 0))):
            results.add(row)
    results.conclude(**kernels.summary(results.rows))


def _stopping(results: Results, ask: Request) -> None:
    effort, seed = ask.options.get("effort", "fast"), ask.options.get("seed", 0)
    stopping.bench_stopping(results, ask.data, effort, seed, ask.pictures)


def _signals(results: Results, ask: Request) -> None:
    signals.bench_signals(results, ask.options.get("effort", "fast"), ask.options.get("seed", 0))


def _frontier(results: Results, ask: Request) -> None:
    effort, seed = ask.options.get("effort", "fast"), ask.options.get("seed", 0)
    frontier.bench_frontier(results, effort, seed, ask.pictures)


def _steps(results: Results, ask: Request) -> None:
    steps.bench_steps(results, ask.options.get("effort", "fast"), ask.options.get("seed", 0))


def _samplers(results: Results, ask: Request) -> None:
    samplers.bench_samplers(results, ask.options.get("effort", "fast"), ask.options.get("seed", 0))


def _speed(results: Results, ask: Request) -> None:
    speed.bench_speed(results, ask.data, ask.options, _sides(ask))


def _roofline(results: Results, ask: Request) -> None:
    roofline.roofline(results, _sides(ask) or speed.default_sides(), ask.options.get("seed", 0))


def _growth(results: Results, ask: Request) -> None:
    effort, seed = ask.options.get("effort", "fast"), ask.options.get("seed", 0)
    restoring_growth.restoring_growth(results, effort=effort, seed=seed)


def _sides(ask: Request) -> tuple[int, ...]:
    """``--pictures 128,256`` names sides where the pictures are made to measure."""
    if not all(part.isdecimal() for part in ask.pictures):
        raise BayesDipError(
            f"pictures are {','.join(ask.pictures)}: expected sides in pixels here, such as 128,256"
        )
    return tuple(int(part) for part in ask.pictures)


BENCHMARKS = {
    "paper-denoise": Benchmark(
        "the 9 colour pictures of the paper's denoising table, sigma 25",
        lambda results, ask: tables.paper_denoise(
            results, ask.folder, ask.options, ask.pictures, ask.sigma, ask.crop
        ),
    ),
    "paper-inpaint": Benchmark(
        "the 11 gray pictures of the paper's inpainting table, half of the pixels missing",
        lambda results, ask: tables.paper_inpaint(results, ask.folder, ask.options, ask.pictures, ask.crop),
    ),
    "paper-upscale": Benchmark(
        "five pictures (Set5) enlarged four times, PSNR of the Y channel",
        lambda results, ask: tables.paper_upscale(results, ask.folder, ask.options, ask.pictures, 4),
    ),
    "deblur": Benchmark(
        "four gray pictures, blurred twice and noisy",
        lambda results, ask: blurred.deblur(results, ask.options, ask.pictures),
    ),
    "figure6": Benchmark(
        "the paper's 64x64 inpainting by the closed-form kernel",
        lambda results, ask: tables.paper_figure6(results, ask.folder, ask.options),
    ),
    "sigma": Benchmark(
        "the estimate of the noise level on the 9 noisy pictures",
        lambda results, ask: tables.sigma_estimates(results, ask.folder, ask.pictures),
    ),
    "gp": Benchmark("the exact Gaussian process: all of the following, figure 6 with --data alone", _gp()),
    **{f"gp-{name}": Benchmark(part.shows, _gp(name)) for name, part in gp.PARTS.items()},
    "compare": Benchmark(
        "the blind ranking of compare against the true one, on the pictures of both tables",
        lambda results, ask: compare.bench_compare(
            results, ask.folder, ask.options.get("effort", "fast"), ask.options.get("seed", 0), ask.pictures
        ),
    ),
    "compare-estimators": Benchmark(
        "the estimates of the error that rank without a clean picture, on 9 noisy crops",
        lambda results, ask: compare.bench_estimators(
            results, ask.folder, ask.options.get("seed", 0), ask.pictures
        ),
    ),
    "speed": Benchmark(
        "quality against time, the paper's recipe and ours taking turns, with plots; --pictures names sides",
        _speed,
    ),
    "roofline": Benchmark("a training step beside the machine's ceilings; --pictures names sides", _roofline),
    "steps": Benchmark("what a training step takes where one thing about it is otherwise", _steps),
    "growth": Benchmark("time and memory of training by size and number of pictures, with a plot", _growth),
    "stopping": Benchmark("a fit overfits; what rules without a truth save of it", _stopping),
    "signals": Benchmark("sampled 1-D networks of growing width against their Gaussian process", _signals),
    "samplers": Benchmark(
        "samplers against known posteriors, over a long run, and by noise level, with a plot", _samplers
    ),
    "frontier": Benchmark(
        "networks in place of the paper's, by cost, kernel and restored picture; --pictures names candidates",
        _frontier,
    ),
    "kernel": Benchmark("closed-form kernels against sampled networks of width 512", _kernel),
}


def run_benchmark(name: str, ask: Request, file: Path | None, tell: Callable[[str], None]) -> Results:
    """Run one benchmark; rows that ``file`` already holds are not measured again.

    Raises
    ------
    BayesDipError
        There is no such benchmark, or its pictures are not there.
    """
    one_of("benchmark", name, tuple(BENCHMARKS))
    stated: dict[str, Any] = {k: v for k, v in ask.options.items() if k != "callback"}
    stated |= {"sigma": ask.sigma, "pictures": list(ask.pictures)}
    if ask.crop is not None:
        if ask.crop < 16:
            raise BayesDipError(f"crop is {ask.crop}: expected a side of at least 16 pixels")
        stated |= {"crop": ask.crop}
    results = Results(name, stated, file, tell)
    results.take_up()
    BENCHMARKS[name].run(results, ask)
    return results
