"""The posterior of a picture under a stationary Gaussian process, from linear measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.gp.dense import dense_std
from bayesdip.gp.grid import embed
from bayesdip.gp.precondition import Preconditioner, central_column, circulant
from bayesdip.gp.sample import deviations
from bayesdip.gp.solve import LinearMap, Monitor, Solution, conjugate_gradients, refined
from bayesdip.gp.system import DataCovariance, without_masks
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Noise
from bayesdip.operators import Operator

# Where there is no noise, a variance of this share of the picture's keeps the system
# well-conditioned. 8-bit rounding alone has a share of about 3e-5 in a photograph.
JITTER = 1e-5
# Tolerances from here up are reached in single precision, with corrections in double precision.
SINGLE_PRECISION_TOLERANCE = 1e-6


@dataclass(frozen=True)
class GPPosterior:
    """A Gaussian-process posterior over pictures, summarised.

    Attributes
    ----------
    mean : Tensor, shape (C, *grid)
    std : Tensor or None, shape (C, *grid)
        Posterior standard deviation of the noise-free picture.
    samples : Tensor, shape (S, C, *grid)
        Posterior draws; S may be 0.
    iterations : int
        Conjugate-gradient steps of the mean's solve.
    residual : float
        Largest relative residual of the mean's solve over the channels.
    amplitude : Tensor, shape (C,)
        What multiplies the kernel in each channel.
    offset : Tensor, shape (C,)
        The prior mean of each channel.
    converged : bool
        Whether the residual came below the tolerance.
    stopped : str
        ``"converged"``, ``"max_iterations"``, ``"monitor"`` or ``"interrupt"``.
    std_error : float
        Relative Monte-Carlo standard error of `std`; 0 if it is exact.
    sample_iterations : int
        Steps of the samples' solves, the largest over the batches.
    sample_residual : float
        Largest relative residual of the samples' solves.
    clipped : float
        Error of the covariance on the grid, see `GridCovariance.clipped`.
    """

    mean: Tensor
    std: Tensor | None
    samples: Tensor
    iterations: int
    residual: float
    amplitude: Tensor
    offset: Tensor
    converged: bool = True
    stopped: str = "converged"
    std_error: float = 0.0
    sample_iterations: int = 0
    sample_residual: float = 0.0
    clipped: float = 0.0


def posterior(
    y: Tensor,
    operator: Operator,
    kernel: Kernel,
    noise: Noise,
    *,
    samples: int = 0,
    generator: torch.Generator | None = None,
    tol: float = 1e-3,
    max_iterations: int = 500,
    monitor: Monitor | None = None,
    mean: float | Tensor | None = None,
    amplitude: float | Tensor | None = None,
    exact: bool = False,
) -> GPPosterior:
    """Posterior of ``x ~ GP(mean, amplitude * kernel)`` given ``y = A x + noise``.

    The channels share the kernel and are independent given their amplitudes.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
        What was seen; anything, NaN too, where ``operator.observed`` is False.
    operator : Operator
    kernel : Kernel
    noise : Noise
        Its plug-in variance counts, for each entry by itself. Where it is zero, `JITTER` times
        the picture's variance stands in.
    samples : int
        How many posterior draws to make; with at least two, `std` is estimated from them.
    generator : torch.Generator, optional
    tol : float
        Relative residual at which the solves stop.
    max_iterations : int
    monitor : callable, optional
        ``(iteration, residual) -> bool``; True stops with the best so far, as Ctrl-C does.
    mean : float or Tensor of shape (C,), optional
        The prior mean. By default a constant for each channel, estimated from the data by
        generalised least squares; the kernel's constant part then has no effect and is dropped,
        and draws carry the offset's uncertainty.
    amplitude : float or Tensor of shape (C,), optional
        By default estimated for each channel: with noise, from the data's variance less the
        noise's; without, as the maximum-likelihood value.
    exact : bool
        Compute `std` by dense algebra (small grids only) instead of from draws.

    Raises
    ------
    ShapeError
        If `y` does not fit the operator.
    NonFiniteError
        If an observed entry of `y` is not finite.
    BayesDipError
        If nothing is observed, or an option is out of its range.
    ResourceError
        If `exact` is asked for on a grid too large for it.
    """
    seen = _observed(y, operator)
    _check_options(samples, tol, max_iterations)
    channels, work = y.shape[0], torch.float64
    data = torch.where(seen, y, 0).to(work)
    variance = torch.where(seen, noise.variance(data, seen).to(data), 1)
    noise_free = ~((variance > 0) & seen).flatten(1).any(1)

    grid = embed(kernel, operator.input_shape, constant=mean is not None, like=data)
    base = without_masks(operator)
    alike = bool((seen == seen[:1]).all())
    marks = (seen[:1] if alike else seen).to(data)[:, None]
    rows = torch.arange(channels, device=y.device)
    system = DataCovariance(grid, base, marks, torch.ones_like(marks), rows)
    ones = system.predict(torch.ones((channels, 1, *grid.shape), dtype=work, device=y.device), rows)

    scale = _amplitudes(amplitude, data, seen, variance, noise_free, float(central_column(system).max()))
    ratio = _merged(variance / _column(scale, variance), seen).clamp(min=JITTER * grid.variance)[:, None]
    system = DataCovariance(grid, base, marks, ratio, rows)
    precondition, precondition_low = circulant(system), circulant(system.to(torch.float32))

    if mean is None:
        weights = precondition(ones, rows)
        total = (weights * ones).flatten(1).sum(1)
        offset = (weights[:, 0] * data).flatten(1).sum(1) / total
        offset_variance: Tensor | None = 1 / total
    else:
        offset, offset_variance = torch.as_tensor(mean).to(data).expand(channels), None

    def solve(which: DataCovariance, b: Tensor, tell: Monitor | None = None) -> Solution:
        if tol < SINGLE_PRECISION_TOLERANCE:
            return conjugate_gradients(
                which.apply,
                b,
                precondition=_rows(precondition, which),
                tol=tol,
                max_iterations=max_iterations,
                monitor=tell,
            )
        low = which.to(torch.float32)
        return refined(
            which.apply,
            low.apply,
            b,
            torch.float32,
            precondition=_rows(precondition_low, which),
            tol=tol,
            max_iterations=max_iterations,
            monitor=tell,
        )

    residual = data[:, None] - _column(offset, ones) * ones
    solution = solve(system, residual, monitor)
    fitted = system.to_picture(solution.x, rows)[:, 0] + _column(offset, data)
    likeliest = (residual * solution.x).flatten(1).sum(1) / seen.flatten(1).sum(1)
    if amplitude is None:
        scale = torch.where(noise_free, likeliest.clamp(min=0), scale)
    drawn = torch.zeros((0, *fitted.shape), dtype=y.dtype, device=y.device)
    std, error = None, 0.0
    told: list[Solution] = []
    if samples and solution.stopped not in ("monitor", "interrupt"):
        spread, told = deviations(system, samples, partial(solve, tell=monitor), generator, offset_variance)
        spread = spread * _column(scale, fitted).sqrt()
        drawn = (fitted + spread).to(y.dtype)
        if samples > 1:
            std, error = spread.square().mean(0).sqrt(), (2 * len(spread)) ** -0.5
    if exact:
        kept = mean is not None
        std = (
            dense_std(system, kernel, constant=kept, offset_unknown=not kept) * _column(scale, fitted).sqrt()
        )
        error = 0.0
    return GPPosterior(
        fitted.to(y.dtype),
        None if std is None else std.to(y.dtype),
        drawn,
        solution.iterations,
        solution.residual,
        scale.to(y.dtype),
        offset.to(y.dtype),
        solution.converged,
        solution.stopped,
        error,
        max((s.iterations for s in told), default=0),
        max((s.residual for s in told), default=0.0),
        grid.clipped,
    )


def _observed(y: Tensor, operator: Operator) -> Tensor:
    """Which entries of `y` count, (C, *output); checks `y` against the operator."""
    shape = operator.output_shape
    if y.ndim != len(shape) + 1 or tuple(y.shape[1:]) != tuple(shape) or y.shape[0] < 1:
        raise ShapeError(
            f"the data have shape {tuple(y.shape)}: expected (channels, {', '.join(map(str, shape))}), channels first; "
            "reshape the data, or build the operator for them"
        )
    seen = operator.observed.to(y.device).expand(y.shape)
    bad = int((~y.isfinite() & seen).sum())
    if bad:
        raise NonFiniteError(
            f"{bad} observed entries are NaN or infinite: expected numbers; declare them missing"
        )
    blind = (~seen.flatten(1).any(1)).nonzero().flatten().tolist()
    if blind:
        raise BayesDipError(
            f"channel {blind[0]} has no observed entry: expected at least one in each channel; leave that channel out"
        )
    return seen


def _check_options(samples: int, tol: float, max_iterations: int) -> None:
    if samples < 0 or max_iterations < 1 or not tol > 0:
        raise BayesDipError(
            f"samples={samples}, tol={tol}, max_iterations={max_iterations}: expected samples of at least 0, a positive "
            "tol and at least one iteration; change the one that is not"
        )


def _amplitudes(
    given: float | Tensor | None, data: Tensor, seen: Tensor, noise: Tensor, noise_free: Tensor, unit: float
) -> Tensor:
    """The amplitude of each channel, (C,): the given one, or by the method of moments.

    `unit` is the variance of an entry of the data at unit amplitude, without noise. Without noise the
    posterior mean does not depend on the amplitude, and one stands in.
    """
    if given is not None:
        return torch.as_tensor(given).to(data).expand(data.shape[0])
    count = seen.flatten(1).sum(1)
    centred = torch.where(seen, data - _column(data.flatten(1).sum(1) / count, data), 0)
    total = centred.square().flatten(1).sum(1) / count
    noise_power = torch.where(seen, noise, 0).flatten(1).sum(1) / count
    # A picture that hides below its noise still gets some amplitude: a tenth of the noise's deviation.
    found = (total - noise_power).clamp(min=0) + 0.01 * torch.minimum(total, noise_power)
    found = torch.where(found > 0, found, torch.where(noise_power > 0, 0.01 * noise_power, 1))
    return torch.where(noise_free, 1.0, found / unit)


def _merged(noise: Tensor, seen: Tensor) -> Tensor:
    """The noise of each entry, (C, *output), in the smallest shape that says the same."""
    low = torch.where(seen, noise, torch.inf).flatten(1).amin(1)
    high = torch.where(seen, noise, -torch.inf).flatten(1).amax(1)
    if bool((low == high).all()):
        noise = _column(low, noise)
    return noise[:1] if bool((noise == noise[:1]).all()) else noise


def _column(weights: Tensor, like: Tensor) -> Tensor:
    """(C,) as (C, 1, ..., 1)."""
    return weights.reshape(-1, *[1] * (like.ndim - 1))


def _rows(precondition: Preconditioner, system: DataCovariance) -> LinearMap:
    """The preconditioner for the right-hand sides of `system`."""
    return lambda v, active: precondition(v, system.channel[active])
