"""Whether intervals and draws of the Gaussian process are right, on pictures drawn from its own prior.

The pictures are drawn by dense algebra, not by the code that is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from scipy.stats import chisquare, norm
from torch import Tensor

from bayesdip.gp import posterior
from bayesdip.gp.dense import dense_covariance
from bayesdip.kernels import RBF, Matern32
from bayesdip.kernels.kernel import Kernel
from bayesdip.lab.results import Row
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.result import Posterior
from bayesdip.threads import one_thread
from benchmarks.gp_problems import kernel_named, missing_pixels
from benchmarks.options import Options
from benchmarks.results import Results, Target

AMOUNTS: dict[str, dict[str, dict[str, Any]]] = {
    "fast": {"coverage": {"repetitions": 100, "draws": 400}, "ranks": {"repetitions": 256}},
    "balanced": {"coverage": {"repetitions": 400, "draws": 1000}, "ranks": {"repetitions": 1024}},
    "best": {"coverage": {"repetitions": 1000, "draws": 2000}, "ranks": {"repetitions": 4096}},
}
LEVELS = (0.5, 0.9, 0.99)
SIGMA = 0.1
KERNELS: dict[str, Kernel] = {"rbf": RBF(2.0), "matern32": Matern32(4.0), "skip2": kernel_named("skip2")}
# Added to the dense covariance's diagonal, so that rounding leaves it positive.
ROUNDING = 1e-9
# Pictures that are restored in one call.
BATCH = 64
# Ranks are counted in bins, each of at least so many expected.
FEWEST_IN_A_BIN = 16


def run(results: Results, options: Options) -> None:
    """Coverage, then ranks, and targets."""
    amount = AMOUNTS[options.effort]
    coverage(results, **amount["coverage"], seed=options.seed)
    ranks(results, **amount["ranks"], seed=options.seed)
    results.conclude([*coverage_targets(results.part("coverage")), *ranks_targets(results.part("ranks"))])


@one_thread()
def coverage(
    results: Results,
    *,
    side: int = 64,
    repetitions: int = 100,
    draws: int = 400,
    names: Sequence[str] = tuple(KERNELS),
    seed: int = 0,
) -> None:
    """How often 50, 90 and 99% intervals hold the truth: half of the pixels missing, noise of a tenth of the deviation.

    The standard deviation does not depend on the data, so it is computed once for each kernel: by dense
    algebra (``std`` is ``exact``), and from draws (``draws``).
    """
    for name in names:
        wanted = [s for s in ("exact", "draws") if not results.has(part="coverage", kernel=name, std=s)]
        if not wanted:
            continue
        gone = missing_pixels(0.5, side, seed)
        generator = torch.Generator().manual_seed(seed)
        truth, y = prior_pictures(KERNELS[name], gone, repetitions, generator)
        means = [restored(part, gone, KERNELS[name]).mean for part in torch.split(y, BATCH)]
        error = (torch.cat(means) - truth).abs()
        for kind in wanted:
            how: Row = {"exact": True} if kind == "exact" else {"draws": draws, "generator": generator}
            std = restored(y[:1], gone, KERNELS[name], **how).std
            assert std is not None
            row: Row = {
                "part": "coverage",
                "kernel": name,
                "std": kind,
                "side": side,
                "repetitions": repetitions,
            }
            for where, chosen in (("missing", gone), ("known", ~gone)):
                row |= _shares_inside((error / std)[:, chosen], where)
            results.add(row)


def coverage_targets(rows: list[Row]) -> list[Target]:
    """Coverage at its level."""
    found = []
    for row in rows:
        worst, which = max(
            (abs(row[_column(level, where)] - level), f"{level:.0%} of {where} pixels")
            for level in LEVELS
            for where in ("missing", "known")
        )
        what = f"coverage less its level, {row['kernel']}, std {row['std']}, worst for {which}"
        found.append(Target(what, worst, most=0.01))
    return found


@one_thread()
def ranks(
    results: Results,
    *,
    side: int = 32,
    repetitions: int = 256,
    draws: int = 31,
    names: Sequence[str] = tuple(KERNELS),
    seed: int = 0,
) -> None:
    """Simulation-based calibration: the rank of the truth among posterior draws is uniform.

    Talts, Betancourt, Simpson, Vehtari, Gelman, *Validating Bayesian inference algorithms with
    simulation-based calibration*, 2018 (arXiv 1804.06788). Ranked are a missing pixel, a known one,
    and the picture's mean, energy and roughness, which see the draws' correlations as well.
    """
    for name in names:
        if results.has(part="ranks", kernel=name):
            continue
        gone = missing_pixels(0.5, side, seed)
        generator = torch.Generator().manual_seed(seed + 1)
        truth, y = prior_pictures(KERNELS[name], gone, repetitions, generator)
        below = []
        for true, part in zip(torch.split(truth, BATCH), torch.split(y, BATCH), strict=True):
            drawn = restored(part, gone, KERNELS[name], draws=draws, generator=generator).samples
            below.append((_quantities(drawn, gone) < _quantities(true[None], gone)).sum(0))
        rank = torch.cat(below)  # (repetitions, quantities), from 0 to `draws`
        for i, quantity in enumerate(QUANTITIES):
            counts = in_bins(rank[:, i], draws)
            row: Row = {"part": "ranks", "kernel": name, "quantity": quantity, "side": side}
            row |= {"repetitions": repetitions, "draws": draws, "p": float(chisquare(counts.numpy()).pvalue)}
            results.add(row | {"counts": counts.tolist()})


def ranks_targets(rows: list[Row]) -> list[Target]:
    """The smallest p-value, times their number (Bonferroni)."""
    if not rows:
        return []
    worst = min(rows, key=lambda row: float(row["p"]))
    what = (
        f"uniform ranks: smallest of {len(rows)} p-values times {len(rows)}, "
        f"{worst['kernel']}, {worst['quantity']}"
    )
    return [Target(what, min(1.0, len(rows) * worst["p"]), least=0.01)]


def prior_pictures(
    kernel: Kernel, gone: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pictures from the prior by dense algebra, (count, *grid), and what is seen of them, 0 where missing."""
    K = dense_covariance(kernel, gone.shape)
    K.diagonal().add_(ROUNDING)
    white = torch.randn(count, len(K), dtype=K.dtype, generator=generator)
    truth = (white @ torch.linalg.cholesky(K).T).reshape(count, *gone.shape)
    noise = SIGMA * torch.randn(truth.shape, dtype=K.dtype, generator=generator)
    return truth, torch.where(gone, 0.0, truth + noise)


def restored(
    y: Tensor,
    gone: Tensor,
    kernel: Kernel,
    *,
    draws: int = 0,
    exact: bool = False,
    generator: torch.Generator | None = None,
) -> Posterior:
    """The posterior of many pictures at once, as independent channels under the known prior."""
    prior: Row = {"mean": 0.0, "amplitude": 1.0, "colour": False}
    draws_or_exact: Row = {"samples": draws, "generator": generator, "exact": exact}
    return posterior(y, Mask(gone), kernel, Gaussian(SIGMA), **draws_or_exact, **prior)


def in_bins(rank: Tensor, draws: int) -> Tensor:
    """How many ranks, of 0 to `draws`, fall into each of as many equal bins as the number of ranks allows."""
    possible = draws + 1
    bins = max(
        b
        for b in range(1, possible + 1)
        if possible % b == 0 and b * FEWEST_IN_A_BIN <= max(len(rank), FEWEST_IN_A_BIN)
    )
    return torch.bincount(rank * bins // possible, minlength=bins)


QUANTITIES = ("missing pixel", "known pixel", "mean", "energy", "roughness")


def _quantities(pictures: Tensor, gone: Tensor) -> Tensor:
    """(S, R, n, n) to (S, R, 5): one number for each of `QUANTITIES`."""
    flat = pictures.flatten(2)
    middle = gone.numel() // 2
    order = (torch.arange(gone.numel()) - middle).abs().argsort()
    missing = order[gone.flatten()[order]][0]
    known = order[~gone.flatten()[order]][0]
    rough = sum(pictures.diff(dim=axis).square().mean((2, 3)) for axis in (2, 3))
    values = (flat[..., missing], flat[..., known], flat.mean(-1), flat.square().mean(-1), rough)
    return torch.stack([torch.as_tensor(v) for v in values], -1)


def _shares_inside(deviation: Tensor, where: str) -> Row:
    """Coverage at each level and its standard error, from (repetitions, pixels) errors in deviations."""
    out: Row = {}
    for level in LEVELS:
        each = (deviation <= norm.ppf((1 + level) / 2)).double().mean(1)
        out[_column(level, where)] = float(each.mean())
        out[f"{_column(level, where)}_error"] = float(each.std()) / math.sqrt(len(each))
    return out


def _column(level: float, where: str) -> str:
    return f"{where}{round(100 * level)}"
