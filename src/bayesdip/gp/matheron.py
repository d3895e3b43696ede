"""Posterior draws by Matheron's rule.

A draw from the prior, corrected by how far its posterior mean given data of its own is from it:
``f + K A^T (A K A^T + N)^-1 (y - A f - e)`` is a draw from the posterior when ``f`` is one from the
prior and ``e`` one of the noise (Wilson et al., *Pathwise conditioning of Gaussian processes*,
JMLR 22, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.gp.conjugate_gradients import FLOOR, Solution
from bayesdip.gp.data_covariance import DataCovariance
from bayesdip.gp.solver import Solver
from bayesdip.interruption import Stopped, look

Solve = Callable[[DataCovariance, Tensor], Solution]

# Values that one batch of draws holds on the torus: larger batches leave the processor's cache. It changes the time alone.
BATCH_VALUES = 2**20


def deviations(
    system: DataCovariance,
    count: int,
    solve: Solve,
    generator: torch.Generator | None = None,
    offset_covariance: Tensor | None = None,
) -> Iterator[tuple[Tensor, Solution]]:
    """Draws of the picture minus its posterior mean, at unit amplitude, batch by batch.

    Parameters
    ----------
    system : DataCovariance
        R rows of G channels, in the precision in which to work.
    count : int
    solve : callable
        ``(system, b) -> Solution`` of ``(A K A^T + N) a = b``.
    offset_covariance : Tensor, shape (R, G, G), optional
        Covariance of the channels' unknown offsets given the data, at unit amplitude.

    Yields
    ------
    Tensor, shape (n, R, G, *input), and the solution behind it.
    """
    rows_of_system = len(system.channel)
    each = max(1, BATCH_VALUES // (system.picture_channels * rows_of_system * math.prod(system.grid.torus)))
    factor = None if offset_covariance is None else _root(offset_covariance)
    for begin in range(0, count, each):
        look()
        n = min(each, count - begin)
        several = system.repeated(n)
        rows = torch.arange(n * rows_of_system, device=system.channel.device)
        f = several.draw(generator)
        if factor is not None:
            shift = factor.to(f).repeat(n, 1, 1) @ _normal((*f.shape[:2], 1), f, generator)
            f += shift.reshape(*f.shape[:2], *[1] * (f.ndim - 2))
        data = several.predict(f, rows)
        data += several.draw_noise(generator)
        solution = solve(several, data)
        f -= several.to_picture(solution.x, rows)
        yield f.reshape(n, rows_of_system, *f.shape[1:]), solution
        if solution.stopped in ("stopped", "interrupt"):
            return


@dataclass(frozen=True)
class Draws:
    """Draws at unit amplitude: those that were kept, the sum of their squares (``power``), their number and the solves."""

    kept: tuple[Tensor, ...] = ()
    power: Tensor | None = None
    made: int = 0
    solutions: tuple[Solution, ...] = ()

    def __add__(self, other: Draws) -> Draws:
        powers = [power for power in (self.power, other.power) if power is not None]
        return Draws(
            self.kept + other.kept,
            torch.stack(powers).sum(0) if powers else None,
            self.made + other.made,
            self.solutions + other.solutions,
        )


def draw(
    system: DataCovariance,
    solver: Solver,
    count: int,
    generator: torch.Generator | None,
    offset_covariance: Tensor | None,
    *,
    keep: bool = False,
) -> Draws:
    """Draws, and their mean squares, in single precision where it reaches the tolerance.

    Parameters
    ----------
    system, count, generator, offset_covariance
        As :func:`deviations` takes them.
    solver : Solver
    keep : bool
        Whether the draws themselves are kept.

    Returns
    -------
    Draws
        Rows of the same covariance share their ``power``.
    """
    low = system.to(torch.float32 if solver.tol >= FLOOR[torch.float32] else torch.float64)
    drawn = Draws()
    try:
        for spread, solution in deviations(low, count, solver, generator, offset_covariance):
            square = spread.square().sum(0)
            power = square.mean(0, keepdim=True) if system.shares_covariance else square
            drawn = drawn + Draws(tuple(spread) if keep else (), power, len(spread), (solution,))
    except Stopped:
        pass  # as many as there are by then
    return drawn


def _normal(shape: tuple[int, ...] | torch.Size, like: Tensor, generator: torch.Generator | None) -> Tensor:
    device = like.device if generator is None else generator.device
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=device).to(like.device)


def _root(covariance: Tensor) -> Tensor:
    """R with ``R R'`` the covariance, which may be singular."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if not bool(failed.any()):
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0).sqrt()[..., None, :]
    return root
