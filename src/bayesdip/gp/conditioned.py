"""A stationary Gaussian process and linear measurements, ready to be solved for the posterior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.gp.amplitude import rescaled
from bayesdip.gp.conjugate_gradients import FLOOR, Solution, Stop
from bayesdip.gp.data_covariance import DataCovariance
from bayesdip.gp.dense import dense_variance
from bayesdip.gp.matheron import Draws, draw
from bayesdip.gp.model import Model, build
from bayesdip.gp.preconditioners import Preconditioner, preconditioners
from bayesdip.gp.solver import Solver
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Correlated, Noise
from bayesdip.operators import Operator
from bayesdip.result import Posterior

# Relative residual from which up single precision reaches the solution, with corrections in double precision.
SINGLE_PRECISION_TOLERANCE = 1e-6
# Draws for the standard deviation are solved for to so many times the tolerance: a few draws estimate it to some ten
# percent, and the looser solves change it by one percent.
DRAWS_TOLERANCE_FACTOR = 20
# Precision (one over variance) of an offset below which the operator does not see it, in units of the prior's and as a
# share of the largest among mixtures of the channels: the offset is zero then.
LEAST_PRECISION, LEAST_PRECISION_SHARE = 1e-9, 1e-6
# Relative residual from which on the error on held-out entries does not change by a hundredth.
HELD_OUT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Conditioned:
    """A Gaussian process and data, ready to be solved: with all entries, and without the held-out ones.

    Attributes
    ----------
    kernel : Kernel
    model : Model
        Its data are centred.
    offset, offset_covariance : Tensor, shape (R, G) and (R, G, G), or None
        The prior mean of the model's channels, and its covariance where it was estimated.
    solver : Solver
        With all entries.
    other_solver : Solver
        Without the held-out ones.
    held_out : Tensor of bool or None, shape (*output)
    dtype : torch.dtype
        Of the data as they were given, and of the results.
    """

    kernel: Kernel
    model: Model
    offset: Tensor
    offset_covariance: Tensor | None
    solver: Solver
    other_solver: Solver
    held_out: Tensor | None
    dtype: torch.dtype

    @property
    def takes_other_data(self) -> bool:
        """Whether nothing but the offsets goes by the data: where all channels are without noise, and share their mask."""
        return self.model.system.coregionalisation is None and bool(self.model.noise_free.all())

    def with_data(self, y: Tensor) -> Conditioned:
        """The same for other data without noise, of the same operator and mask; the preconditioner is not made anew.

        Parameters
        ----------
        y : Tensor, shape (C, *output)
            Where :attr:`takes_other_data` holds.

        Returns
        -------
        Conditioned
        """
        model, rotation = self.model, self.model.rotation
        rows = y.double() if rotation is None else torch.einsum("ij,j...->i...", rotation, y.double())
        data = torch.where(model.system.seen, rows[:, None], 0.0).to(model.data)
        model, offset, covariance = replace(model, data=data), self.offset, self.offset_covariance
        if covariance is not None:
            offset, covariance = _offsets(model, self.solver.precondition, self.solver.dtype)
        return replace(self, model=_centred(model, offset), offset=offset, offset_covariance=covariance)

    def without_held_out(self, draws: int, generator: torch.Generator | None = None) -> Posterior:
        """The posterior without the held-out entries; offset and amplitude are those of all data.

        Parameters
        ----------
        draws, generator
            As :func:`posterior` takes them.

        Returns
        -------
        Posterior
            Its ``state`` is what :meth:`posterior` goes on from.
        """
        assert self.held_out is not None
        low = self.model.system.to(self.solver.dtype)
        others = replace(low, seen=low.seen & ~self.held_out, _low={})
        solver = replace(self.other_solver, tol=max(HELD_OUT_TOLERANCE, self.solver.tol))
        data = (self.model.data * ~self.held_out).to(solver.dtype)
        found = solver(others, data)
        centred = others.to_picture(found.x, torch.arange(len(data), device=data.device))
        mean = self.model.to_picture(centred + _inner(self.offset, centred)).to(self.dtype)
        drawn = self._drawn_up_to(Draws(), others, draws, generator) if _ran_through(found) else Draws()
        std = self._std(drawn, self._likeliest_scale(found.x, others.seen))
        return Posterior(mean, std, info=self._facts(found, drawn), state=(found, drawn))

    def posterior(
        self,
        samples: int = 0,
        draws: int = 0,
        generator: torch.Generator | None = None,
        before: Posterior | None = None,
        *,
        exact: bool = False,
    ) -> Posterior:
        """The posterior of all entries.

        Parameters
        ----------
        samples, draws, generator, exact
            As :func:`posterior` takes them.
        before : Posterior, optional
            From :meth:`without_held_out`: its solution is the first guess, and its draws are used again.

        Returns
        -------
        Posterior
        """
        model, system = self.model, self.model.system
        first, drawn = (None, Draws()) if before is None else before.state
        start = None if first is None else first.x.to(model.data)
        solution = replace(self.solver, refine=self.solver.dtype == torch.float32)(system, model.data, start)
        rows = torch.arange(len(model.data), device=model.data.device)
        centred = system.to_picture(solution.x, rows)
        mean = model.to_picture(centred.add_(_inner(self.offset, centred)))
        scale = self._likeliest_scale(solution.x, system.seen)
        given: Tensor | None = None
        if _ran_through(solution) and samples:
            own = draw(system, self.solver, samples, generator, self.offset_covariance, keep=True)
            amplitude = _inner(scale[:, None], centred).sqrt()
            parts = [mean + model.to_picture(s * amplitude.to(s)) for s in own.kept]
            given = torch.stack(parts).to(self.dtype) if parts else None
            drawn = drawn + replace(own, kept=())
        if _ran_through(solution):
            drawn = self._drawn_up_to(drawn, system, draws, generator)
        std = self._std(drawn, scale, seen=before is not None)
        if exact:
            unit = dense_variance(
                system,
                self.kernel,
                constant=self.offset_covariance is None,
                offset_unknown=self.offset_covariance is not None,
            )
            std, drawn = _scaled_std(model, unit, scale), Draws()
        iterations = solution.iterations + (0 if first is None else first.iterations)
        covariance = model.covariance(scale)
        return Posterior(
            mean.to(self.dtype),
            None if std is None else std.to(self.dtype),
            mean.new_zeros((0, *mean.shape), dtype=self.dtype) if given is None else given,
            info={
                **self._facts(solution, drawn),
                "iterations": iterations,
                "amplitude": covariance.diagonal().tolist(),
                "offset": model.to_picture(_inner(self.offset, centred)).flatten().tolist(),
                "colour": covariance.tolist(),
            },
        )

    def _drawn_up_to(
        self, drawn: Draws, system: DataCovariance, draws: int, generator: torch.Generator | None
    ) -> Draws:
        """More draws, up to `draws` in each channel, solved for with the looser tolerance."""
        together = len(self.model.scale) if self.model.system.shares_covariance else 1
        more = -(-draws // together) - drawn.made
        if more <= 0:
            return drawn
        solver = self.solver if system is self.model.system else self.other_solver
        loose = replace(solver, tol=DRAWS_TOLERANCE_FACTOR * self.solver.tol)
        return drawn + draw(system, loose, more, generator, self.offset_covariance)

    def _likeliest_scale(self, solution: Tensor, seen: Tensor) -> Tensor:
        """What multiplies the covariance in each row: for noise-free data the maximum-likelihood value."""
        model = self.model
        count = seen.expand(model.data.shape).flatten(1).sum(1)
        power = (model.data * solution).flatten(1).sum(1) / count
        return torch.where(model.noise_free, power.clamp(min=0) * model.scale, model.scale)

    def _std(self, drawn: Draws, scale: Tensor, *, seen: bool = False) -> Tensor | None:
        """From at least two draws of each channel; where held-out pixels were `seen` in the end, given their own values."""
        system = self.model.system
        together = len(self.model.scale) if system.shares_covariance else 1
        if drawn.power is None or drawn.made * together < 2:
            return None
        unit = drawn.power / drawn.made
        if seen and self.held_out is not None and system.operator is None:
            # By Bayes' rule for each pixel by itself. Its effect on other pixels is left out: that is far
            # less than the Monte-Carlo error.
            noise = system.noise.to(unit)
            informed = unit * noise / (unit + noise)
            unit = torch.where(self.held_out & system.seen, informed, unit)
        return _scaled_std(self.model, unit, scale).to(self.dtype)

    def _facts(self, solution: Solution, drawn: Draws) -> dict[str, Any]:
        together = len(self.model.scale) if self.model.system.shares_covariance else 1
        return {
            "iterations": solution.iterations,
            "residual": solution.residual,
            "converged": solution.converged,
            "stopped": solution.stopped,
            "std_error": (2 * drawn.made * together) ** -0.5 if drawn.made * together > 1 else 0.0,
            "sample_iterations": max((s.iterations for s in drawn.solutions), default=0),
            "sample_residual": max((s.residual for s in drawn.solutions), default=0.0),
            "clipped": self.model.system.grid.clipped,
        }


def condition(
    y: Tensor,
    operator: Operator,
    kernel: Kernel,
    noise: Noise,
    *,
    held_out: Tensor | None = None,
    tol: float = 1e-3,
    max_iterations: int = 500,
    stop: Stop | None = None,
    mean: float | Tensor | None = None,
    amplitude: float | Tensor | None = None,
    colour: bool | Tensor = True,
    exact: bool = False,
    once: bool = False,
) -> Conditioned:
    """Set up the linear system of a posterior, its preconditioner and the channels' offsets.

    Parameters
    ----------
    held_out : Tensor of bool, shape (*output), optional
        Entries that are also to be predicted from all others.
    y, operator, kernel, noise, tol, max_iterations, stop, mean, amplitude, colour, exact
        As :func:`posterior` takes them.
    once : bool
        Whether for one solution alone.

    Returns
    -------
    Conditioned

    Raises
    ------
    BayesDipError
        As :func:`posterior`.
    """
    if not operator.is_linear:
        raise BayesDipError(
            f"{operator!r} is not linear: expected a linear operator for a Gaussian process; use method='sgld' or 'map'"
        )
    seen = _observed(y, operator)
    if max_iterations < 1 or not tol > 0:
        raise BayesDipError(
            f"tol={tol}, max_iterations={max_iterations}: expected a positive tol and at least one iteration"
        )
    data = torch.where(seen, y, 0).to(torch.float64)
    variance = torch.where(seen, noise.variance(data, seen).to(data), 0)
    constant = mean is not None
    correlated = noise if isinstance(noise, Correlated) else None
    model = build(
        data,
        seen,
        variance,
        operator,
        kernel,
        constant=constant,
        amplitude=amplitude,
        colour=colour,
        correlated=correlated,
    )
    if amplitude is None and not isinstance(colour, Tensor):
        model = rescaled(model, kernel, constant=constant)
    del data, variance
    dtype = torch.float64 if tol < SINGLE_PRECISION_TOLERANCE else torch.float32
    if tol >= FLOOR[torch.float32] and not exact:
        model = _in_single_precision(model)
    system = model.system
    held_out = None if held_out is None else held_out.to(y.device)
    precondition, without = preconditioners(
        system.to(dtype), kernel, constant=constant, held_out=held_out, once=once
    )
    if mean is None:
        offset, offset_covariance = _offsets(model, precondition, dtype)
    else:
        offset, offset_covariance = model.to_model(_means(mean, y, operator.input_channels or len(y))), None
    solver = Solver(precondition, dtype, tol, max_iterations, stop)
    return Conditioned(
        kernel,
        _centred(model, offset),
        offset,
        offset_covariance,
        solver,
        replace(solver, precondition=without),
        held_out,
        y.dtype if y.is_floating_point() else torch.float64,
    )


def _centred(model: Model, offset: Tensor) -> Model:
    """With the data less what the offsets give."""
    return replace(model, data=model.system.predict_constant(offset).to(model.data).neg_().add_(model.data))


def _ran_through(solution: Solution) -> bool:
    return solution.stopped not in ("stopped", "interrupt")


def _scaled_std(model: Model, variance: Tensor, scale: Tensor) -> Tensor:
    """The standard deviation in the picture's channels from the variance at unit amplitude, (R or 1, G, *grid)."""
    squares = model if model.rotation is None else replace(model, rotation=model.rotation.square())
    scaled = variance * _inner(scale[:, None], variance).to(variance)
    return squares.to_picture(scaled).sqrt()


def _offsets(model: Model, precondition: Preconditioner, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Each channel's mean by generalised least squares, (R, G), and its covariance, (R, G, G).

    With the preconditioner in place of the exact inverse covariance: the estimate is unbiased all
    the same, its variance larger by what the preconditioner misses, and no solve is needed.
    """
    system = model.system
    channel = system.channel[:1] if system.shares_covariance else system.channel
    apart = system.regressors().to(dtype)
    apart = apart.expand(len(channel), *apart.shape[1:])
    together = apart.shape[1]
    weights = precondition(apart.flatten(0, 1), channel.repeat_interleave(together)).reshape(apart.shape)
    total = torch.stack([_sums(weights, apart[:, i : i + 1]) for i in range(together)], -1)
    total = (total + total.mT) / 2
    seen = _sums(weights, model.data[:, None])
    weakest = torch.linalg.eigvalsh(total).flatten()
    least = max(LEAST_PRECISION, LEAST_PRECISION_SHARE * float(weakest.max()))
    if float(weakest.min()) > least:
        covariance = torch.linalg.inv(total).expand(len(seen), -1, -1)
    else:
        covariance = torch.linalg.pinv(total, atol=least, hermitian=True).expand(len(seen), -1, -1)
    return (covariance @ seen[..., None])[..., 0], covariance


def _means(mean: float | Tensor, y: Tensor, channels: int) -> Tensor:
    return torch.as_tensor(mean, dtype=torch.float64, device=y.device).expand(channels)


def _sums(a: Tensor, b: Tensor) -> Tensor:
    """Over all but the first two axes of the product, in double precision."""
    return (a.double() * b).flatten(2).sum(2)


def _in_single_precision(model: Model) -> Model:
    """The same with the data and the spectrum rounded: that moves the solution less than the tolerance does."""
    data, shared = model.data.float(), model.system.shared
    shared = None if shared is None else shared.to(data)
    system = replace(model.system, grid=model.system.grid.to(data), shared=shared, _low={})
    return replace(model, system=system, data=data)


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
    unobserved = (~seen.flatten(1).any(1)).nonzero().flatten().tolist()
    if unobserved:
        raise BayesDipError(
            f"channel {unobserved[0]} has no observed entry: expected at least one in each channel; leave that channel out"
        )
    return seen


def _inner(weights: Tensor, like: Tensor) -> Tensor:
    """(R, G) as (R, G, 1, ..., 1)."""
    return weights.reshape(*weights.shape, *[1] * (like.ndim - 2))
