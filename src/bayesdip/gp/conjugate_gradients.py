"""Conjugate gradients for many right-hand sides at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.interruption import look

Stop = Callable[[int, float], "bool | None"]
"""``(iteration, residual) -> stop?``: asked after every iteration."""

LinearMap = Callable[[Tensor, Tensor], Tensor]
"""``(v, active) -> M v``: v has shape (R, ...), and ``active`` (R,) says which right-hand sides those are."""

# Least relative residual that rounding allows in each precision.
FLOOR = {torch.float32: 1e-4, torch.float64: 1e-13}


@dataclass(frozen=True)
class Solution:
    """What a solve reached.

    Attributes
    ----------
    x : Tensor, shape (R, ...)
    iterations : int
        Steps until the last right-hand side was done.
    residual : float
        The largest relative residual ``|b - A x| / |b|`` over the right-hand sides.
    converged : bool
    stopped : str
        ``"converged"``, ``"max_iterations"``, ``"stopped"`` or ``"interrupt"``.
    """

    x: Tensor
    iterations: int
    residual: float
    converged: bool
    stopped: str


def conjugate_gradients(
    apply: LinearMap,
    b: Tensor,
    *,
    precondition: LinearMap | None = None,
    tol: float = 1e-3,
    max_iterations: int = 500,
    stop: Stop | None = None,
    start: Tensor | None = None,
    overwrite_b: bool = False,
) -> Solution:
    """Solve ``A x = b`` for a symmetric positive definite A, each right-hand side by itself.

    Preconditioned conjugate gradients (Hestenes and Stiefel 1952). Right-hand sides that have converged leave the
    batch and cost nothing any more. A stop by `stop` or by Ctrl-C gives the present x: conjugate gradients come closer
    to the solution (in the norm of A) with every step, so the last x is the best.

    Parameters
    ----------
    apply, precondition : callable
        ``A v`` and an approximation of ``A^-1 v``, symmetric positive definite.
    b : Tensor, shape (R, ...)
    tol : float
        Stop when ``|b - A x| <= tol |b|``.
    max_iterations : int
    stop : callable, optional
        ``(iteration, residual) -> bool``, asked after every iteration; True stops. Without it a run that is stopped
        (:mod:`bayesdip.interruption`) has no solution.
    start : Tensor, optional
        A first guess, shape of `b`.
    overwrite_b : bool
        Whether `b` may be overwritten.

    Returns
    -------
    Solution
    """
    every = torch.arange(b.shape[0], device=b.device)
    scale = _norms(b)
    # A right-hand side of zero has the solution zero.
    x = torch.zeros_like(b) if start is None else start.clone()
    x[scale == 0] = 0
    r = (b if overwrite_b else b.clone()) if start is None else apply(x, every).neg_().add_(b)
    relative = _norms(r) / scale.clamp(min=torch.finfo(b.dtype).tiny)
    active = every[relative > tol]
    if len(active) == 0:
        return Solution(x, 0, float(relative.max()), True, "converged")

    # While all are active, `xa` is x itself: on a large picture every vector less counts.
    xa = x
    if len(active) < len(every):
        r, xa = r[active], x[active]
    iteration, stopped = 0, "max_iterations"
    p, rz = r, torch.ones_like(scale[active])
    try:
        while iteration < max_iterations:
            if stop is None:
                look()
            z = r if precondition is None else precondition(r, active)
            rz_next = _dots(r, z)
            p = p.mul_(_spread(rz_next / rz, z)).add_(z) if iteration else z.clone()
            del z  # while A is applied, no vector is held that is not needed
            rz = rz_next
            q = apply(p, active)
            alpha = _spread(rz / _dots(p, q), p)
            xa.addcmul_(p, alpha)
            r.addcmul_(q, alpha, value=-1)
            del q
            iteration += 1
            relative[active] = _norms(r) / scale[active]
            going = relative[active] > tol
            if not bool(going.any()):
                stopped = "converged"
                break
            if not bool(going.all()):
                _put(xa, x, active)
                active, xa, r, p, rz = active[going], xa[going], r[going], p[going], rz[going]
            if stop is not None and stop(iteration, float(relative.max())):
                stopped = "stopped"
                break
    except KeyboardInterrupt:
        stopped = "interrupt"
    _put(xa, x, active)
    return Solution(x, iteration, float(relative.max()), stopped == "converged", stopped)


def _put(rows: Tensor, x: Tensor, active: Tensor) -> None:
    """Write those rows of x, unless they are x."""
    if rows is not x:
        x[active] = rows


def refined(
    apply: LinearMap,
    apply_low: LinearMap,
    b: Tensor,
    low: torch.dtype,
    *,
    precondition: LinearMap | None = None,
    tol: float = 1e-3,
    max_iterations: int = 500,
    stop: Stop | None = None,
    start: Tensor | None = None,
) -> Solution:
    """Solve in a low precision, correct in a high one (iterative refinement).

    The residual is computed in double precision; what is missing is solved for in `low`, until the
    residual in double precision is small enough.

    Parameters
    ----------
    apply, apply_low, precondition : callable
        A in double precision, and A and its approximate inverse in `low`.
    start : Tensor, optional
        A first guess, shape of `b`.

    Returns
    -------
    Solution
        In double precision.
    """
    high = torch.float64
    every = torch.arange(b.shape[0], device=b.device)
    scale = _norms(b).to(high).clamp(min=torch.finfo(high).tiny)
    x: Tensor | None = None if start is None else start.to(high, copy=True)
    r = b if x is None else apply(x, every).neg_().add_(b)
    iterations, residual, stopped = 0, 1.0, "max_iterations"
    while True:
        sizes = _norms(r).to(high)
        relative = sizes / scale
        before, residual = residual, float(relative.max())
        if residual <= tol:
            return Solution(_or_zero(x, b), iterations, residual, True, "converged")
        # The comparison is false for NaN too.
        stalled = math.isnan(residual) or (iterations > 0 and not residual <= 0.5 * before)
        if stopped in ("stopped", "interrupt") or stalled or iterations >= max_iterations:
            return Solution(_or_zero(x, b), iterations, residual, False, stopped)
        todo = every[relative > tol]
        unit = torch.stack([(r[i] / sizes[i]).to(low) for i in todo.tolist()])
        del r
        # A little below the tolerance, so that rounding does not call for another round.
        target = max(0.9 * tol / residual, FLOOR[low])
        step = conjugate_gradients(
            _for_rows(apply_low, todo),
            unit,
            precondition=None if precondition is None else _for_rows(precondition, todo),
            tol=target,
            max_iterations=max_iterations - iterations,
            stop=None if stop is None else _continued(stop, iterations, residual),
            overwrite_b=True,
        )
        del unit
        x = _or_zero(x, b)
        for i, row in zip(todo.tolist(), step.x, strict=True):
            x[i].add_(row, alpha=float(sizes[i]))
        iterations, reached = iterations + step.iterations, step.residual
        stopped = step.stopped if step.stopped != "converged" else "max_iterations"
        del step
        try:
            r = apply(x, every).neg_().add_(b)
        except KeyboardInterrupt:
            return Solution(x, iterations, residual * reached, False, "interrupt")


def _or_zero(x: Tensor | None, like: Tensor) -> Tensor:
    """x, which takes no memory until it is needed."""
    return torch.zeros_like(like, dtype=torch.float64) if x is None else x


def _for_rows(linear: LinearMap, rows: Tensor) -> LinearMap:
    """The map for those right-hand sides alone."""
    return lambda v, active: linear(v, rows[active])


def _continued(stop: Stop, iterations: int, residual: float) -> Stop:
    """`stop` with the iterations and the residual of the whole solve, not of one round."""
    return lambda i, rest: stop(iterations + i, residual * rest)


def _dots(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([torch.dot(u, v) for u, v in zip(a.flatten(1), b.flatten(1), strict=True)])


def _norms(v: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(v.flatten(1), dim=1)
    return norms


def _spread(weights: Tensor, like: Tensor) -> Tensor:
    """(R,) as (R, 1, ..., 1)."""
    return weights.reshape(-1, *[1] * (like.ndim - 1))
