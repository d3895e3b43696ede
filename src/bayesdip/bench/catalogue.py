"""The benchmarks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bayesdip.bench import gp, kernels, tables
from bayesdip.bench.results import Results
from bayesdip.errors import BayesDipError
from bayesdip.pipeline import Options
from bayesdip.settings import one_of


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
    """

    data: Path | None
    options: Options
    pictures: tuple[str, ...] = ()
    sigma: float | None = None

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


BENCHMARKS = {
    "paper-denoise": Benchmark(
        "the 9 colour pictures of the paper's denoising table, sigma 25",
        lambda results, ask: tables.paper_denoise(results, ask.folder, ask.options, ask.pictures, ask.sigma),
    ),
    "paper-inpaint": Benchmark(
        "the 11 gray pictures of the paper's inpainting table, half of the pixels missing",
        lambda results, ask: tables.paper_inpaint(results, ask.folder, ask.options, ask.pictures),
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
    stated = {k: v for k, v in ask.options.items() if k != "callback"}
    results = Results(name, {**stated, "sigma": ask.sigma, "pictures": list(ask.pictures)}, file, tell)
    results.take_up()
    BENCHMARKS[name].run(results, ask)
    return results
