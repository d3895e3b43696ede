"""The posterior that some entries of the data would have had no part in, along with the one of all data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.errors import NoResultError
from bayesdip.gp.solve import Solution
from bayesdip.gp.solver import Solver
from bayesdip.gp.system import DataCovariance
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor
from bayesdip.posterior import Posterior

# Relative residual from which on the error on hidden entries does not change by a hundredth.
TOLERANCE = 1e-3


def without_hidden(
    system: DataCovariance, data: Tensor, hidden: Tensor, solver: Solver
) -> tuple[DataCovariance, Tensor, Solution]:
    """The system without the hidden entries, its posterior mean of the centred picture, and its solution.

    That solution is a first guess for the solve with all entries, which then takes few iterations.

    Parameters
    ----------
    system : DataCovariance
    data : Tensor, shape (R, G, *output)
        The centred data.
    hidden : Tensor of bool, shape (*output)
    solver : Solver
        Its preconditioner is one for the data without the hidden entries.
    """
    low = system.to(solver.dtype)
    others = replace(low, seen=low.seen & ~hidden, _low={})
    found = replace(solver, tol=max(TOLERANCE, solver.tol))(others, (data * ~hidden).to(solver.dtype))
    return others, others.to_picture(found.x, torch.arange(len(data), device=data.device)), found


def with_own_value(system: DataCovariance, variance: Tensor, hidden: Tensor) -> Tensor:
    """The variance once every hidden pixel has told its own value, (R or 1, G, *grid).

    By Bayes' rule for each by itself. What it tells about its neighbours is left out: that is far less than
    the Monte-Carlo error.
    """
    noise = system.noise.to(variance)
    informed = variance * noise / (variance + noise)
    return torch.where(hidden & system.seen, informed, variance)


def twice(measurement: Measurement, monitor: Monitor, once: Callable[[Measurement], Posterior]) -> Posterior:
    """Without the hidden entries, where there are some, and then with all; stopped on the way, the former."""
    if measurement.hidden is None:
        return once(measurement)
    operator = measurement.operator.with_hidden(measurement.hidden)
    first = once(replace(measurement, operator=operator, hidden=None))
    found = first
    if not monitor.should_stop():
        with suppress(NoResultError):
            found = once(replace(measurement, hidden=None))
    if monitor.should_stop():
        found = replace(first, stopped=monitor.stop_reason or first.stopped)
    return replace(found, without=first)


def bare(mean: Tensor, std: Tensor | None) -> Posterior:
    """A mean and a standard deviation as a posterior."""
    return Posterior(mean, std, mean.new_zeros((0, *mean.shape)), {})
