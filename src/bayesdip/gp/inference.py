"""The posterior of a picture under a stationary Gaussian process, from linear measurements."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.gp.conditioned import condition
from bayesdip.gp.conjugate_gradients import Stop
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Noise
from bayesdip.operators import Operator
from bayesdip.result import Posterior


def posterior(
    y: Tensor,
    operator: Operator,
    kernel: Kernel,
    noise: Noise,
    *,
    samples: int = 0,
    draws: int = 0,
    generator: torch.Generator | None = None,
    tol: float = 1e-3,
    max_iterations: int = 500,
    stop: Stop | None = None,
    mean: float | Tensor | None = None,
    amplitude: float | Tensor | None = None,
    colour: bool | Tensor = True,
    exact: bool = False,
) -> Posterior:
    """Posterior of ``x ~ GP(mean, amplitude * kernel)`` given ``y = A x + noise``.

    The channels share the kernel, and a covariance between them multiplies it.

    Parameters
    ----------
    y : Tensor or array, shape (C, *operator.output_shape)
        The data; anything, NaN too, where ``operator.observed`` is False.
    operator : Operator
        Linear.
    kernel : Kernel
    noise : Noise
        Its plug-in variance is used, entry by entry. Where it is zero, `model.JITTER`
        times the picture's variance takes its place.
    samples : int
        How many posterior draws to give.
    draws : int
        How many draws `std` is estimated from in each channel, the samples included. Channels whose
        uncertainties differ by a scale alone share them. Those that are not given as samples are solved for to
        `DRAWS_TOLERANCE_FACTOR` times `tol`.
    generator : torch.Generator, optional
        Random numbers for the draws; torch's own by default.
    tol : float
        Relative residual at which the solves stop.
    max_iterations : int
        Of each solve, at least 1.
    stop : callable, optional
        ``(iteration, residual) -> bool``; True stops with the best so far, as Ctrl-C does.
    mean : float or Tensor of shape (C,), optional
        The prior mean. By default a constant for each channel, estimated from the data by
        generalised least squares; the kernel's constant part then has no effect and is dropped,
        and draws contain the offset's uncertainty.
    amplitude : float or Tensor of shape (C,), optional
        The prior's variance in units of the kernel's, by default estimated. Without noise: for each channel the
        maximum-likelihood value. With noise: the data's variance less the noise's, times the factor of largest evidence.
    colour : bool or Tensor of shape (C, C)
        The covariance between channels (coregionalisation): True learns it from the data, False takes the channels for
        independent, as a given `amplitude` does.
    exact : bool
        Compute `std` by dense algebra (small grids only) instead of from draws.

    Returns
    -------
    Posterior
        Its ``info`` has ``iterations`` and ``residual`` of the mean's solve, ``converged``, ``stopped``
        (``"converged"``, ``"max_iterations"``, ``"stopped"`` or ``"interrupt"``), ``amplitude`` and ``offset`` by channel,
        ``colour`` (the covariance between channels), ``std_error`` (relative Monte-Carlo standard error of `std`; 0 if
        exact), ``sample_iterations``, ``sample_residual``, and ``clipped`` (see `GridCovariance.clipped`).

    Raises
    ------
    ShapeError
        If `y` does not fit the operator.
    NonFiniteError
        If an observed entry of `y` is not finite.
    BayesDipError
        If nothing is observed, the operator is not linear, or an option is out of its range.
    ResourceError
        If `exact` is asked for on a grid too large for it.
    """
    conditioned = condition(
        torch.as_tensor(y),
        operator,
        kernel,
        noise,
        tol=tol,
        max_iterations=max_iterations,
        stop=stop,
        mean=mean,
        amplitude=amplitude,
        colour=colour,
        exact=exact,
        once=not (samples or draws),
    )
    return conditioned.posterior(samples, draws, generator, exact=exact)
