"""Closed-form kernels against sampled networks of width 512: every rule by itself, and whole architectures.

A deviation is counted in standard errors of the sampled mean. Each row is the largest of
several (one for each lag), and there are many rows: one in some hundred lags is beyond 3 by
chance. Such a row is measured again with four times as many fresh draws, and both are kept:
the deviation of a rule that is wrong doubles, a chance one is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.arch import Layer, Sequential
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.covariance import Filter
from bayesdip.arch.exact import Exact, of_stationary
from bayesdip.arch.stationary import white
from bayesdip.kernels.monte_carlo import autocovariance
from bayesdip.lab.results import Row
from benchmarks.options import Options
from benchmarks.results import Results

WIDTH = 512
MEAN_VARIANCE = 0.2  # of the input features' own means, beside a fluctuation of variance 1
SMOOTHING = (6**-0.5, 2 * 6**-0.5, 6**-0.5)  # of unit norm

GRIDS = {1: (24,), 2: (8, 8)}
LONG = {1: (128,), 2: (28, 28)}  # for the stationary form, whose borders are cut off
LAGS = {1: (5,), 2: (3, 3)}
MARGIN = 3

RULES: dict[str, Layer] = {
    "convolution": arch.Conv(WIDTH),
    "convolution, zero padding": arch.Conv(WIDTH, padding="zero"),
    "convolution, circular, no bias": arch.Conv(WIDTH, padding="circular", bias=False),
    "convolution, stride 2": arch.Conv(WIDTH, stride=2),
    "ReLU": arch.LeakyReLU(0.0),
    "leaky ReLU 0.2": arch.LeakyReLU(0.2),
    "erf": arch.Erf(),
    "GELU": arch.GELU(),
    "sigmoid": arch.Sigmoid(),
    "batch norm": arch.BatchNorm(),
    "batch norm, leaky ReLU": Sequential((arch.BatchNorm(), arch.LeakyReLU(0.2))),
    "stride 2": arch.Downsample("stride"),
    "average pooling": arch.Downsample("average"),
    "Lanczos pooling": arch.Downsample("lanczos"),
    "nearest": arch.Upsample("nearest"),
    "bilinear": arch.Upsample("bilinear"),
    "transposed convolution": arch.Upsample("transposed"),
    "transposed convolution, batch norm": Sequential((arch.Upsample("transposed"), arch.BatchNorm())),
    "pixel shuffle": Sequential((arch.Conv(WIDTH, 1), arch.PixelShuffle(2))),
    "pixel shuffle, batch norm, leaky ReLU": Sequential(
        (arch.Conv(WIDTH, 1), arch.PixelShuffle(2), arch.BatchNorm(), arch.LeakyReLU(0.2))
    ),
    "skip concatenation": arch.SkipConcat(
        arch.Conv(WIDTH), Sequential((arch.Conv(WIDTH // 4, 1), arch.Erf()))
    ),
    "residual": arch.Residual(Sequential((arch.LeakyReLU(0.2), arch.Conv(WIDTH)))),
}

# Each with the grid and the number of networks; the width is that of RULES.
NETWORKS: list[tuple[Architecture, tuple[int, ...], int]] = [
    (arch.skip(scales=2), (64,), 64),
    (arch.skip(scales=2, upsample="transposed"), (64,), 64),
    (arch.skip(scales=2, upsample="nearest", downsample="average"), (64,), 64),
    (arch.skip(scales=2, norm=False, padding="zero"), (64,), 64),
    (arch.skip(scales=2, downsample="lanczos", input_smoothness=2.0), (64,), 64),
    (arch.decoder(scales=2), (64,), 64),
    (arch.shuffle(scales=1, shuffled=64), (64,), 64),
    (arch.skip(scales=1), (16, 16), 24),
    (arch.skip(scales=2), (24, 24), 24),
]


def run(results: Results, options: Options) -> None:
    """Every rule, form and number of axes, then whole networks; saved as a whole, for one generator draws all rows.

    With ``fast`` a quarter of the draws; all of them take two minutes on one core.
    """
    if not results.rows:
        for row in list(measure(options.effort != "fast", options.seed)):
            results.add(row)
    results.conclude(**summary(results.rows))


def measure(full: bool = True, seed: int = 0) -> Iterator[Row]:
    """A row for each rule, form and number of axes, then one for each network."""
    generator = torch.Generator().manual_seed(seed)
    for (name, rule), dims in product(RULES.items(), (1, 2)):
        yield from _rule_rows(name, rule, dims, 96 if full else 24, generator)
    for description, grid, draws in NETWORKS:
        yield _network_row(description, grid, draws if full else draws // 4, generator)


def summary(rows: Sequence[Row]) -> Row:
    """The largest deviations, and by name the rules that were beyond 3 standard errors at first, or both times."""
    rules = [row for row in rows if "rule" in row]
    networks = [row for row in rows if "network" in row]
    return {
        "rules_measured": len(rules),
        "rules_largest_deviation": max(row["deviation"] for row in rules),
        "rules_beyond_3": [_title(row) for row in rules if row["deviation"] > 3],
        "rules_beyond_3_twice": [_title(row) for row in rules if row.get("again_deviation", 0.0) > 3],
        "networks_measured": len(networks),
        "networks_largest_deviation": max(row["deviation"] for row in networks),
        "networks_largest_difference": max(row["difference"] for row in networks),
    }


def _title(row: Row) -> str:
    return f"{row['rule']} ({row['form']}, {row['dims']}-D)"


def _rule_rows(name: str, rule: Layer, dims: int, draws: int, generator: torch.Generator) -> list[Row]:
    fluctuation = white(dims, WIDTH).filtered(Filter(SMOOTHING))
    K = fluctuation.added(white(dims, WIDTH, 0.0, MEAN_VARIANCE**0.5))
    small = of_stationary(K, GRIDS[dims])
    exact = rule.covariance(small).averaged(LAGS[dims])
    rows = [_confirmed(name, "exact", rule, small, exact, 0, draws, generator)]
    if not any(isinstance(leaf, arch.BatchNorm) for leaf in rule.leaves()):
        # On any finite grid, a batch norm is another one than on the infinite grid.
        large = of_stationary(K, LONG[dims])
        stationary = rule.covariance(K).quadrant(LAGS[dims])
        rows.append(_confirmed(name, "stationary", rule, large, stationary, MARGIN, draws, generator))
    return rows


def _confirmed(
    name: str,
    form: str,
    rule: Layer,
    K: Exact,
    expected: Tensor,
    margin: int,
    draws: int,
    generator: torch.Generator,
) -> Row:
    """A row; where it is beyond 3 standard errors, with the deviation of four times as many fresh draws."""

    def measured(count: int) -> Row:
        sampled = _moments(rule, K, tuple(expected.shape), margin, count, generator)
        return _row(name, form, K.dims, sampled, expected)

    row = measured(draws)
    if row["deviation"] > 3:
        again = measured(4 * draws)
        row |= {"again_deviation": again["deviation"], "again_draws": again["draws"]}
    return row


def _moments(
    rule: Layer, K: Exact, lags: tuple[int, ...], margin: int, draws: int, generator: torch.Generator
) -> Tensor:
    """One number for each lag and draw: Gaussian features of covariance K go through fresh modules."""
    factor = torch.linalg.cholesky(K.matrix).float()
    rows = []
    for _ in range(draws):
        x = torch.randn(WIDTH, len(factor), generator=generator) @ factor.T
        module = rule.module(WIDTH, K.dims, generator)
        with torch.no_grad():
            y = module(x.reshape(1, WIDTH, *K.grid))[0]
        rows.append(_window_moments(y, lags, margin) if margin else autocovariance(y, lags).mean(0))
    return torch.stack(rows)


def _window_moments(y: Tensor, lags: tuple[int, ...], margin: int) -> Tensor:
    """Mean of ``f(x) f(x + t)`` over places x of every phase alike, away from the borders."""
    table = torch.zeros(lags, dtype=torch.float64)
    length = [(n - 2 * margin - m) // 2 * 2 for n, m in zip(y.shape[1:], lags, strict=True)]
    here = y[(slice(None), *(slice(margin, margin + n) for n in length))].double()
    for lag in product(*map(range, lags)):
        there = y[
            (slice(None), *(slice(margin + t, margin + t + n) for t, n in zip(lag, length, strict=True)))
        ]
        table[lag] = (here * there).mean()
    return table


def _row(name: str, form: str, dims: int, sampled: Tensor, expected: Tensor) -> Row:
    scale = float(expected.flatten()[0])
    error = sampled.std(0) / len(sampled) ** 0.5
    difference = (sampled.mean(0) - expected).abs()
    deviation = difference / error.clamp_min(1e-6 * scale)  # fixed filters of an exact mean have no error
    return {
        "rule": name,
        "form": form,
        "dims": dims,
        "draws": len(sampled),
        "lags": expected.numel(),
        "deviation": round(float(deviation.max()), 2),
        "difference": round(float(difference.max()) / scale, 5),
        "standard_error": round(float(error.max()) / scale, 5),
    }


def _network_row(
    description: Architecture, grid: tuple[int, ...], draws: int, generator: torch.Generator
) -> Row:
    """An architecture's kernels, each of unit variance, against its Monte-Carlo estimate on the same grid."""
    description = replace(description, width=WIDTH, input_depth=WIDTH)
    lags = 12 if len(grid) == 1 else 7
    K = description.monte_carlo_kernel(grid, draws, lags=lags, generator=generator)
    exact = description.exact_covariance(grid).averaged(K.table.shape)
    exact = exact / exact.flatten()[0]
    stationary = description.kernel().quadrant(K.table.shape)
    difference = (K.table - exact).abs()
    deviation = difference / K.standard_error.clamp_min(1e-9)  # both are 1 at lag zero, without an error
    return {
        "network": description.describe(),
        "grid": list(grid),
        "draws": draws,
        "deviation": round(float(deviation.max()), 2),
        "difference": round(float(difference.max()), 5),
        "standard_error": round(float(K.standard_error.max()), 5),
        "stationary_difference": round(float((K.table - stationary).abs().max()), 5),
        "window_mean": round(K.window_mean, 5),
    }
