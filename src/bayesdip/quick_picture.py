"""A picture at the cost of a few simple filters, for runs that are stopped before their method has one.

Missing pixels: averages of the known ones around, from fine to coarse (pull-push: Gortler, Grzeszczuk, Szeliski, Cohen,
*The lumigraph*, SIGGRAPH 1996). Noise: the local Wiener filter (Lee, *Digital image enhancement and noise filtering by use
of local statistics*, IEEE PAMI 1980). Other measurements: a few steps of least squares.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bayesdip.interruption import Stopped, look
from bayesdip.operators import Identity, Mask
from bayesdip.operators.least_squares import least_squares_steps
from bayesdip.problem import Problem
from bayesdip.window import window_sum

# Side of the Wiener filter's window by the number of axes: some twenty pixels, enough for their variance.
WINDOW = {1: 15, 2: 5, 3: 3}
# Values of the stripes that the filter works on: a run is stopped between two of them.
STRIPE = 2**21
# Steps of least squares: few enough for the noise not to be amplified.
STEPS = 12


def quick_picture(problem: Problem) -> Tensor:
    """The picture in a fraction of a second for each megapixel; where that is stopped, what it has by then.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    Tensor, float64, shape (C, *grid)
        In working units, on the CPU.
    """
    seen = problem.observed
    y = torch.where(seen, problem.y, 0.0)
    if isinstance(problem.operator, Identity | Mask):
        y = filled(y, seen)
        variance = problem.noise.variance(y, problem.operator.observed).to(y)
        return y if problem.noise.is_exact else local_wiener(y, variance)
    start = torch.full((problem.channels, *problem.grid), 0.5, dtype=y.dtype)
    if problem.operator.is_linear:
        return least_squares(problem, y, start)
    return descent(problem, y, start)


def filled(y: Tensor, seen: Tensor) -> Tensor:
    """`y`, (C, *grid), with what was not seen as the mean of what was seen around, on the finest grid that knows one."""
    if bool(seen.all()):
        return y
    if not bool(seen.any()):
        return torch.full_like(y, 0.5)
    if max(y.shape[1:]) == 1:  # a channel of which nothing was seen
        return torch.where(seen, y, y[seen].mean())
    dims = y.ndim - 1
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[dims - 1]
    mode = ("linear", "bilinear", "trilinear")[dims - 1]
    known = seen.to(y)
    width = tuple(min(2, n) for n in y.shape[1:])
    sums, weights = (pool(x[None], width, ceil_mode=True)[0] for x in (y * known, known))
    coarse = filled(torch.where(weights > 0, sums / weights, 0.0), weights > 0)
    around = functional.interpolate(coarse[None], y.shape[1:], mode=mode, align_corners=False)[0]
    return torch.where(seen, y, around)


def local_wiener(y: Tensor, variance: Tensor) -> Tensor:
    """The linear estimate of every pixel of (C, *grid) given the local mean and variance, for noise of that variance.

    Stripe by stripe; where it is stopped, the other stripes stay as they are.
    """
    found, variance = y.clone(), variance.expand(y.shape)
    rows = max(1, STRIPE // (y[:, 0].numel()))
    around = WINDOW[y.ndim - 1] // 2
    try:
        for start in range(0, y.shape[1], rows):
            first, last = max(0, start - around), min(y.shape[1], start + rows + around)
            part = _local_wiener(y[:, first:last], variance[:, first:last])
            found[:, start : start + rows] = part[:, start - first : start - first + rows]
            look()
    except Stopped:
        pass
    return found


def _local_wiener(y: Tensor, variance: Tensor) -> Tensor:
    """Of one stripe."""
    widths = [min(WINDOW[y.ndim - 1], n - 1 + n % 2) for n in y.shape[1:]]  # odd
    count = window_sum(torch.ones_like(y[:1]), widths)
    mean = window_sum(y, widths) / count
    noise = window_sum(variance, widths) / count
    spread = window_sum((y - mean).square(), widths) / count
    gain = torch.where(spread > 0, 1 - variance.maximum(noise) / spread, 0.0).clamp(0.0, 1.0)
    return mean + gain * (y - mean)


def least_squares(problem: Problem, y: Tensor, start: Tensor) -> Tensor:
    """A few steps of conjugate gradients for ``|y - A x|^2``, fewer where the residual is the noise's by then."""
    operator, seen, x = problem.operator, problem.observed, start
    noise = float(torch.where(seen, problem.noise.variance(y, seen).to(y), 0.0).sum())

    def forward(picture: Tensor) -> Tensor:
        return torch.where(seen, operator.forward(picture), 0.0)

    try:
        steps = least_squares_steps(forward, operator.adjoint, y, start)
        for number, (estimate, residual, power) in enumerate(steps):
            x = estimate
            if number == STEPS or not power > 0 or float(residual.square().sum()) <= noise:
                break
            look()
    except Stopped:
        pass
    return x


def descent(problem: Problem, y: Tensor, start: Tensor) -> Tensor:
    """The same for an operator that is not linear, by its derivative (L-BFGS)."""
    best = [(float("inf"), start)]
    x, size = start.clone().requires_grad_(True), float(y.square().sum()) or 1.0
    search = torch.optim.LBFGS([x], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        look()
        search.zero_grad()
        residual = torch.where(problem.observed, problem.operator.forward(x) - y, 0.0)
        error = residual.square().sum() / size
        if float(error.detach()) < best[0][0]:
            best[0] = (float(error.detach()), x.detach().clone())
        error.backward()  # type: ignore[no-untyped-call]
        return error

    try:
        with torch.enable_grad():
            search.step(closure)  # type: ignore[no-untyped-call]
    except Stopped:
        pass
    return best[0][1]
