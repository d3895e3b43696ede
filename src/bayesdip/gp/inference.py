"""The posterior of a picture under a stationary Gaussian process, from linear problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.gp.amplitude import rescaled
from bayesdip.gp.conjugate_gradients import FLOOR, Solution, Watcher
from bayesdip.gp.data_covariance import DataCovariance
from bayesdip.gp.dense import dense_variance
from bayesdip.gp.held_out import with_own_value, without_hidden
from bayesdip.gp.matheron import deviations
from bayesdip.gp.model import Model, build
from bayesdip.gp.preconditioners import Preconditioner, preconditioners
from bayesdip.gp.solver import Solver
from bayesdip.kernels.kernel import Kernel
from bayesdip.memory import tight
from bayesdip.noise import Noise
from bayesdip.operators import Operator

# Tolerances from here up are reached in single precision, with corrections in double precision.
SINGLE_PRECISION_TOLERANCE = 1e-6
# A standard deviation from a few draws is known to some ten percent; this tolerance changes it by one.
LOOSER = 20
# Pixels from which on draws, too, give freed memory back.
LARGE = 2**20


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
        Conjugate-gradient steps of the mean's solve, and of the one without held-out entries.
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
    colour : Tensor, shape (C, C)
        The covariance between channels that multiplies the kernel; `amplitude` is its diagonal.
    mean_without, std_without : Tensor or None, shape (C, *grid)
        The same without the held-out entries.
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
    colour: Tensor | None = None
    mean_without: Tensor | None = None
    std_without: Tensor | None = None


def _counts_bytes(pixels: int, options: Mapping[str, object]) -> bool:
    """Whether memory matters more than time: each draw of a small picture would be slower by a third."""
    return pixels >= LARGE or not (options.get("draws") or options.get("samples"))


@tight(when=_counts_bytes)
def posterior(
    y: Tensor,
    operator: Operator,
    kernel: Kernel,
    noise: Noise,
    *,
    samples: int = 0,
    draws: int = 0,
    held_out: Tensor | None = None,
    generator: torch.Generator | None = None,
    tol: float = 1e-3,
    max_iterations: int = 500,
    progress: Watcher | None = None,
    mean: float | Tensor | None = None,
    amplitude: float | Tensor | None = None,
    colour: bool | Tensor = True,
    exact: bool = False,
) -> GPPosterior:
    """Posterior of ``x ~ GP(mean, amplitude * kernel)`` given ``y = A x + noise``.

    The channels share the kernel, and a covariance between them multiplies it.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
        What was seen; anything, NaN too, where ``operator.observed`` is False.
    operator : Operator
    kernel : Kernel
    noise : Noise
        Its plug-in variance counts, for each entry by itself. Where it is zero, `model.JITTER`
        times the picture's variance stands in.
    samples : int
        How many posterior draws to give.
    draws : int
        From how many `std` is estimated in each channel; the samples count. Channels that have the same
        uncertainty but for its scale share them. Those that are not given as samples are solved for to
        `LOOSER` times `tol`.
    held_out : Tensor of bool, shape (*output), optional
        Entries that are also predicted from all others: `mean_without` and `std_without`, for which
        offset and amplitude are not estimated anew.
    generator : torch.Generator, optional
    tol : float
        Relative residual at which the solves stop.
    max_iterations : int
    progress : callable, optional
        ``(iteration, residual) -> bool``; True stops with the best so far, as Ctrl-C does.
    mean : float or Tensor of shape (C,), optional
        The prior mean. By default a constant for each channel, estimated from the data by
        generalised least squares; the kernel's constant part then has no effect and is dropped,
        and draws carry the offset's uncertainty.
    amplitude : float or Tensor of shape (C,), optional
        By default estimated. Without noise: for each channel the maximum-likelihood value. With noise: the
        data's variance less the noise's, times the factor of largest evidence.
    colour : bool or Tensor of shape (C, C)
        The covariance between channels: True learns it from the data, False takes the channels for
        independent, as an `amplitude` does.
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
    data = torch.where(seen, y, 0).to(torch.float64)
    variance = torch.where(seen, noise.variance(data, seen).to(data), 0)
    constant = mean is not None
    model = build(
        data, seen, variance, operator, kernel, constant=constant, amplitude=amplitude, colour=colour
    )
    if amplitude is None and not isinstance(colour, Tensor):
        model = rescaled(model, kernel, constant=constant)
    del data, variance
    dtype = torch.float64 if tol < SINGLE_PRECISION_TOLERANCE else torch.float32
    if tol >= FLOOR[torch.float32] and not exact:
        model = _in_single_precision(model)
    system, rows = model.system, torch.arange(len(model.data), device=y.device)
    held_out = None if held_out is None else held_out.to(y.device)
    precondition, without = preconditioners(system.to(dtype), kernel, constant=constant, held_out=held_out)
    solver = Solver(precondition, dtype, tol, max_iterations, progress)
    refining = replace(solver, refine=dtype == torch.float32)

    ones = system.ones()
    if mean is None:
        offset, offset_covariance = _offsets(model, ones, precondition, dtype)
    else:
        offset, offset_covariance = model.to_model(_means(mean, y)), None
    residual = (_inner(offset, ones).to(model.data) * ones).neg_().add_(model.data)
    model = replace(model, data=residual)  # centred from here on
    start: Tensor | None = None
    mean_without: Tensor | None = None
    others, other_solver, iterations = system, solver, 0
    if held_out is not None:
        other_solver = replace(solver, precondition=without)
        others, centred, partial = without_hidden(system, residual, held_out, other_solver)
        mean_without = model.to_picture(centred + _inner(offset, centred)).to(y.dtype)
        start, iterations = partial.x.to(residual), partial.iterations
    solution = refining(system, residual, start)
    fitted = model.to_picture(system.to_picture(solution.x, rows).add_(_inner(offset, ones))).to(y.dtype)
    # The maximum-likelihood scale; for noisy data that of the moments stays.
    count = system.seen.expand(residual.shape).flatten(1).sum(1)
    likeliest = ((residual * solution.x).flatten(1).sum(1) / count).clamp(min=0)
    scale = torch.where(model.noise_free, likeliest * model.scale, model.scale)

    going = solution.stopped not in ("monitor", "interrupt")
    drawn = _Draws()
    given = fitted.new_zeros((0, *fitted.shape))
    if going and samples:
        drawn = _draw(system, solver, samples, generator, offset_covariance, keep=True)
        amplitude = _inner(scale[:, None], model.data).sqrt()
        given = torch.stack(
            [(fitted + model.to_picture(s * amplitude.to(s))).to(y.dtype) for s in drawn.kept]
        )
        drawn = replace(drawn, kept=()) if held_out is None else _Draws(solutions=drawn.solutions)
    together = len(scale) if system.alike else 1
    more = -(-draws // together) - drawn.made
    if going and more > 0:
        loose = replace(other_solver, tol=LOOSER * tol)
        drawn = drawn + _draw(others, loose, more, generator, offset_covariance)
    std = std_without = None
    std_error = 0.0
    if drawn.power is not None and drawn.made * together > 1:
        unit = drawn.power / drawn.made
        std, std_error = _std(model, unit, scale), (2 * drawn.made * together) ** -0.5
        if held_out is not None:
            std_without = std.to(y.dtype)
            if system.operator is None:
                std = _std(model, with_own_value(system, unit, held_out), scale)
    if exact:
        unit = dense_variance(system, kernel, constant=constant, offset_unknown=mean is None)
        std, std_error = _std(model, unit, scale), 0.0
    covariance = model.covariance(scale)
    return GPPosterior(
        fitted,
        None if std is None else std.to(y.dtype),
        given,
        iterations + solution.iterations,
        solution.residual,
        covariance.diagonal().to(y.dtype),
        model.to_picture(_inner(offset, ones)).flatten().to(y.dtype),
        solution.converged,
        solution.stopped,
        std_error,
        max((s.iterations for s in drawn.solutions), default=0),
        max((s.residual for s in drawn.solutions), default=0.0),
        system.grid.clipped,
        covariance.to(y.dtype),
        mean_without,
        std_without,
    )


@dataclass(frozen=True)
class _Draws:
    """Draws at unit amplitude: those that were kept, the sum of their squares, their number and the solves."""

    kept: tuple[Tensor, ...] = ()
    power: Tensor | None = None
    made: int = 0
    solutions: tuple[Solution, ...] = ()

    def __add__(self, other: _Draws) -> _Draws:
        powers = [power for power in (self.power, other.power) if power is not None]
        return _Draws(
            self.kept + other.kept,
            torch.stack(powers).sum(0) if powers else None,
            self.made + other.made,
            self.solutions + other.solutions,
        )


def _draw(
    system: DataCovariance,
    solver: Solver,
    count: int,
    generator: torch.Generator | None,
    offset_covariance: Tensor | None,
    *,
    keep: bool = False,
) -> _Draws:
    """That many, in single precision where it reaches the tolerance; rows that are alike share `power`."""
    dtype = torch.float32 if solver.tol >= FLOOR[torch.float32] else torch.float64
    drawn = _Draws()
    for spread, solution in deviations(
        system.to(dtype),
        count,
        replace(solver, dtype=dtype) if dtype == torch.float32 else solver,
        generator,
        offset_covariance,
    ):
        square = spread.square().sum(0)
        power = square.mean(0, keepdim=True) if system.alike else square
        drawn = drawn + _Draws(tuple(spread) if keep else (), power, len(spread), (solution,))
    return drawn


def _std(model: Model, variance: Tensor, scale: Tensor) -> Tensor:
    """The standard deviation in the picture's channels from the variance at unit amplitude, (R or 1, G, *grid)."""
    squares = model if model.turn is None else replace(model, turn=model.turn.square())
    scaled = variance * _inner(scale[:, None], variance).to(variance)
    return squares.to_picture(scaled).sqrt()


def _offsets(
    model: Model, ones: Tensor, precondition: Preconditioner, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Each channel's mean by generalised least squares, (R, G), and its covariance, (R, G, G).

    With the preconditioner in place of the exact inverse covariance: the estimate is unbiased all
    the same, its variance larger by what the preconditioner misses, and no solve is needed.
    """
    system, together = model.system, ones.shape[1]
    channel = system.channel[:1] if system.alike else system.channel
    marks = ones.to(dtype).expand(len(channel), *ones.shape[1:])
    each = torch.eye(together, dtype=dtype, device=ones.device)
    apart = marks[:, None] * each.reshape(together, together, *[1] * (ones.ndim - 2))
    weights = precondition(apart.flatten(0, 1), channel.repeat_interleave(together)).reshape(apart.shape)
    total = torch.stack([_sums(weights, apart[:, i : i + 1]) for i in range(together)], -1)
    total = (total + total.mT) / 2
    seen = _sums(weights, model.data[:, None])
    covariance = torch.linalg.inv(total).expand(len(seen), -1, -1)
    return (covariance @ seen[..., None])[..., 0], covariance


def _means(mean: float | Tensor, y: Tensor) -> Tensor:
    return torch.as_tensor(mean, dtype=torch.float64, device=y.device).expand(len(y))


def _sums(a: Tensor, b: Tensor) -> Tensor:
    """Over all but the first two axes of the product, in double precision."""
    return (a.double() * b).flatten(2).sum(2)


def _in_single_precision(model: Model) -> Model:
    """The same with the data and the spectrum rounded: that moves the solution less than the tolerance does."""
    system = replace(model.system, grid=model.system.grid.to(model.data.float()), _low={})
    return replace(model, system=system, data=model.data.float())


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


def _inner(weights: Tensor, like: Tensor) -> Tensor:
    """(R, G) as (R, G, 1, ..., 1)."""
    return weights.reshape(*weights.shape, *[1] * (like.ndim - 2))
