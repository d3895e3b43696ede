"""Gradient flow in function space under the tangent kernel of an infinitely wide network, at a given time.

Under the loss ``|f - y|^2 / 2`` over the observed pixels, gradient flow on the weights moves
the picture by ``df/dt = Theta (y - f)`` with the tangent kernel Theta (Jacot, Gabriel, Hongler
2018, arXiv 1806.07572). From a start at the constant c,

    f_t = c + Theta_xo phi_t(Theta_oo) (y - c),    phi_t(s) = (1 - exp(-t s)) / s,

which goes from c to Theta's interpolation of the data: early stopping is the choice of t.
This is the mean over networks; the variance of their starts is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.gp.grid_covariance import GridCovariance, embed
from bayesdip.kernels.kernel import Kernel

# Times that are compared by default, in units of 1 / Theta(0): from 1e-4 to 1e3, four to a decade.
TIMES = tuple(10 ** (k / 4) for k in range(-16, 13))
# Lanczos steps from one estimate of the error to the next.
CHECK_EVERY = 8


@dataclass(frozen=True)
class Flow:
    """Pictures at several times of gradient flow.

    Attributes
    ----------
    times : tuple of float
        In units of 1 / Theta(0), with the learning rate left out.
    means : Tensor, shape (T, C, *grid)
        The picture at each time.
    steps : int
        Lanczos steps that were taken; 0 where the Fourier transform gives the answer.
    error : float
        Estimate of the largest error at any time, as a share of the data's norm.
    """

    times: tuple[float, ...]
    means: Tensor
    steps: int
    error: float


@dataclass(frozen=True)
class Stopped:
    """Gradient flow stopped where it predicts held-out pixels best.

    Attributes
    ----------
    mean : Tensor, shape (C, *grid)
        The picture at that time, from all observed pixels.
    time : float
    times : tuple of float
        Those that were compared.
    losses : Tensor, shape (T,)
        Mean square error on the held-out pixels at each.
    """

    mean: Tensor
    time: float
    times: tuple[float, ...]
    losses: Tensor


def flow(
    y: Tensor,
    kernel: Kernel,
    times: Sequence[float],
    observed: Tensor | None = None,
    *,
    start: Tensor | None = None,
    periodic: bool = False,
    steps: int = 200,
    tol: float = 1e-3,
) -> Flow:
    """The mean picture of gradient flow at each of the times.

    One Krylov space serves all times: with the Lanczos vectors V and the tridiagonal T of
    Theta_oo, ``phi_t(Theta_oo) r`` is ``|r| V phi_t(T) e_1``. Where every pixel of a torus is
    observed, Theta is diagonal in Fourier space and no iteration is needed.

    Parameters
    ----------
    y : Tensor, shape (C, *grid)
        The data; its values where ``observed`` is False mean nothing.
    kernel : Kernel
        Theta by lag, such as ``arch.tangent_kernel()``.
    times : sequence of float
        Zero or more, in units of 1 / Theta(0).
    observed : Tensor of bool, broadcastable to ``y``, optional
        All pixels by default.
    start : Tensor, shape (C,), optional
        The constant that the flow starts from; by default each channel's observed mean.
    periodic : bool
        Take the grid as a torus. Only where all pixels are observed.
    steps : int
        Most Lanczos steps. The later the time, the more are needed, as its square root.
    tol : float
        When the estimated error is below this share of the data's norm, the steps end.

    Returns
    -------
    Flow

    Raises
    ------
    BayesDipError
        Negative times, nothing observed, or a torus with missing pixels.
    ShapeError
        ``observed`` does not fit ``y``.
    """
    if not times or min(times) < 0:
        raise BayesDipError(
            f"gradient flow was asked for at the times {tuple(times)}: expected at least one, none negative; "
            "change these"
        )
    seen = _seen(y, observed)
    centre = (y * seen).flatten(1).sum(1) / seen.flatten(1).sum(1) if start is None else start.to(y)
    centre = centre.reshape(-1, *(1,) * (y.ndim - 1))
    residual = (y - centre) * seen
    if periodic:
        if not bool(seen.all()):
            raise BayesDipError(
                "gradient flow on a torus was asked for with pixels missing: expected a full grid; leave "
                "periodic=False"
            )
        return _on_torus(residual, kernel, tuple(times), centre)
    theta = embed(kernel, y.shape[1:], like=y)
    basis, diagonal, off, size = _lanczos(theta, residual, seen, tuple(times), steps, tol)
    means = []
    for t in times:
        weights = size[:, None] * _phi(diagonal, off, t).to(y)
        means.append(centre + theta.apply(torch.einsum("kc,kc...->c...", weights.T, basis)))
    return Flow(tuple(times), torch.stack(means), len(basis), _error(diagonal, off, max(times)))


def stop(
    y: Tensor,
    kernel: Kernel,
    observed: Tensor | None = None,
    *,
    times: Sequence[float] = TIMES,
    share: float = 0.05,
    generator: torch.Generator | None = None,
    steps: int = 200,
) -> Stopped:
    """Gradient flow up to the time at which it predicts pixels that it has not seen best.

    A share of the observed pixels, the same in all channels, is held out; the time of their least
    error is then used with all observed pixels. It is the best time for inpainting. For
    denoising, where a pixel's own value is data too, it tends to be early.

    Parameters
    ----------
    y, kernel, observed, steps
        As :func:`flow` takes them.
    times : sequence of float
        The times to compare, in units of 1 / Theta(0).
    share : float
        Of the observed pixels, 0 to 1: those to hold out.
    generator : torch.Generator, optional
        Chooses them; torch's own by default.

    Returns
    -------
    Stopped

    Raises
    ------
    BayesDipError
        The share leaves no pixel to hold out, or none to learn from.
    """
    seen = _seen(y, observed)
    device = generator.device if generator is not None else y.device
    drawn = torch.rand(y.shape[1:], generator=generator, device=device).to(y.device)
    held = (drawn < share) & seen.bool()
    if not bool(held.any()) or not bool((seen.bool() & ~held).flatten(1).any(1).all()):
        raise BayesDipError(
            f"a share of {share} of the observed pixels was to be held out, which leaves none on one side: "
            "expected more pixels, or another share"
        )
    tried = flow(y, kernel, times, seen.bool() & ~held, steps=steps)
    losses = ((tried.means - y).square() * held).flatten(1).sum(1) / held.sum()
    best = float(times[int(losses.argmin())])
    mean = flow(y, kernel, (best,), seen.bool(), steps=steps).means[0]
    return Stopped(mean, best, tuple(times), losses)


def _seen(y: Tensor, observed: Tensor | None) -> Tensor:
    if observed is None:
        return torch.ones_like(y)
    try:
        seen = observed.to(y.device).broadcast_to(y.shape).to(y)
    except RuntimeError:
        raise ShapeError(
            f"the observed pixels have shape {tuple(observed.shape)} and the data {tuple(y.shape)}: expected shapes "
            "that fit; give (*grid) or (C, *grid)"
        ) from None
    if not bool(seen.flatten(1).any(1).all()):
        raise BayesDipError("no pixel of a channel is observed: expected at least one; check the mask")
    return seen


def _on_torus(residual: Tensor, kernel: Kernel, times: tuple[float, ...], centre: Tensor) -> Flow:
    grid = residual.shape[1:]
    table = kernel.quadrant([n // 2 + 1 for n in grid])
    for axis, n in enumerate(grid):
        lag = torch.arange(n)
        table = table.index_select(axis, torch.minimum(lag, n - lag))
    axes = tuple(range(1, residual.ndim))
    spectrum = torch.fft.fftn(table).real.clamp_min(0.0).to(residual)
    modes = torch.fft.fftn(residual, dim=axes)
    means = [torch.fft.ifftn(modes * -torch.expm1(-t * spectrum), dim=axes).real + centre for t in times]
    return Flow(times, torch.stack(means), 0, 0.0)


def _lanczos(
    theta: GridCovariance, residual: Tensor, seen: Tensor, times: tuple[float, ...], steps: int, tol: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lanczos vectors (K, C, *grid), both diagonals (C, K) in float64, and |residual| (C,).

    Every channel has a Krylov space of its own; all vectors are kept and each new one is made
    orthogonal to them.
    """
    floor = torch.finfo(residual.dtype).tiny

    def norm(v: Tensor) -> Tensor:
        lengths: Tensor = torch.linalg.vector_norm(v.flatten(1), dim=1)
        return lengths.reshape(-1, *(1,) * (v.ndim - 1))

    def normalised(v: Tensor, size: Tensor) -> Tensor:
        return v / size.clamp_min(floor)

    size = norm(residual)
    vectors = [normalised(residual, size)]
    diagonal: list[Tensor] = []
    off: list[Tensor] = []
    for k in range(min(steps, int(seen.flatten(1).sum(1).max()))):
        w = theta.apply(vectors[-1]) * seen
        diagonal.append((w * vectors[-1]).flatten(1).sum(1).double())
        basis = torch.stack(vectors)
        for _ in range(2):  # once leaves rounding errors
            w = w - torch.einsum("kc,kc...->c...", torch.einsum("kc...,c...->kc", basis, w), basis)
        length = norm(w)
        # After a complete Krylov space, all vectors are zero.
        length = torch.where(length < 1e3 * torch.finfo(w.dtype).eps * theta.variance, 0.0, length)
        off.append(length.flatten().double())
        vectors.append(normalised(w, length) * (length > 0))
        done = k % CHECK_EVERY == CHECK_EVERY - 1 or not bool(length.any())
        if done and _error(torch.stack(diagonal, 1), torch.stack(off, 1), max(times)) < tol:
            break
    basis = torch.stack(vectors[: len(diagonal)])
    return basis, torch.stack(diagonal, 1), torch.stack(off, 1), size.flatten()


def _eigen(diagonal: Tensor, off: Tensor) -> tuple[Tensor, Tensor]:
    T = torch.diag_embed(diagonal) + torch.diag_embed(off[:, :-1], 1) + torch.diag_embed(off[:, :-1], -1)
    values, vectors = torch.linalg.eigh(T)
    return values.clamp_min(0.0), vectors


def _phi(diagonal: Tensor, off: Tensor, t: float) -> Tensor:
    """``phi_t(T) e_1`` for each channel, (C, K), in float64."""
    values, vectors = _eigen(diagonal, off)
    tiny = values * t < 1e-8
    phi = torch.where(tiny, t, -torch.expm1(-t * values) / values.clamp_min(torch.finfo(values.dtype).tiny))
    out: Tensor = torch.einsum("ckj,cj->ck", vectors, phi * vectors[:, 0])
    return out


def _error(diagonal: Tensor, off: Tensor, t: float) -> float:
    """The estimated error of the Krylov space at time t, as a share of the data's norm.

    The residual ``exp(-t Theta) r`` obeys its equation up to ``off_K (exp(-t T))_{K1}`` times the
    next vector; integrated over time, that is ``off_K phi_t(T)_{K1}``.
    """
    return float((off[:, -1] * _phi(diagonal, off, t)[:, -1]).abs().max())
