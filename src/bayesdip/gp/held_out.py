"""The posterior that some entries of the data would have had no part in, along with the one of all data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.errors import NoResultError
from bayesdip.gp.conjugate_gradients import Solution
from bayesdip.gp.data_covariance import DataCovariance
from bayesdip.gp.solver import Solver
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Progress

# Relative residual from which on the error on held-out entries does not change by a hundredth.
TOLERANCE = 1e-3


def without_hidden(
    system: DataCovariance, data: Tensor, held_out: Tensor, solver: Solver
) -> tuple[DataCovariance, Tensor, Solution]:
    """The system without the held-out entries, its posterior mean of the centred picture, and its solution.

    That solution is a first guess for the solve with all entries, which then takes few iterations.

    Parameters
    ----------
    system : DataCovariance
    data : Tensor, shape (R, G, *output)
        The centred data.
    held_out : Tensor of bool, shape (*output)
    solver : Solver
        Its preconditioner is one for the data without the held-out entries.
    """
    low = system.to(solver.dtype)
    others = replace(low, seen=low.seen & ~held_out, _low={})
    found = replace(solver, tol=max(TOLERANCE, solver.tol))(others, (data * ~held_out).to(solver.dtype))
    return others, others.to_picture(found.x, torch.arange(len(data), device=data.device)), found


def with_own_value(system: DataCovariance, variance: Tensor, held_out: Tensor) -> Tensor:
    """The variance once every held-out pixel has told its own value, (R or 1, G, *grid).

    By Bayes' rule for each by itself. What it tells about its neighbours is left out: that is far less than
    the Monte-Carlo error.
    """
    noise = system.noise.to(variance)
    informed = variance * noise / (variance + noise)
    return torch.where(held_out & system.seen, informed, variance)


def twice(problem: Problem, progress: Progress, once: Callable[[Problem], Posterior]) -> Posterior:
    """Without the held-out entries, where there are some, and then with all; stopped on the way, the former."""
    if problem.held_out is None:
        return once(problem)
    operator = problem.operator.with_held_out(problem.held_out)
    first = once(replace(problem, operator=operator, held_out=None))
    found = first
    if not progress.should_stop():
        with suppress(NoResultError):
            found = once(replace(problem, held_out=None))
    if progress.should_stop():
        found = replace(first, stopped=progress.stop_reason or first.stopped)
    return replace(found, without=first)


def bare(mean: Tensor, std: Tensor | None) -> Posterior:
    """A mean and a standard deviation as a posterior."""
    return Posterior(mean, std, mean.new_zeros((0, *mean.shape)), {})
