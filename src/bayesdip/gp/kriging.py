"""Kriging: missing values by a Gaussian process whose kernel has the largest evidence, by dense algebra.

For few or smooth data. Every model has a constant mean, which is integrated out, a nugget (white noise, such as rounding), and
a scale, both learnt (Rasmussen and Williams, *Gaussian Processes for Machine Learning*, 2006, chapters 2.7 and 5).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.interruption import look
from bayesdip.kernels import RBF, Isotropic, Matern12, Matern32, Matern52
from bayesdip.kernels.periodic import periodic

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Known values that kernels are learnt from, chosen at random: the time goes by their cube.
LEARNT_FROM = 250
# Known values at most from which one missing value is predicted.
MOST_KNOWN = 2500
# Known values at least; samples of a signal that are predicted together.
FEWEST_KNOWN, PIECE = 16, 1000
# Data are smooth if a kernel of two derivatives is so many nats ahead of rough ones (odds of 150), its lengthscale is so many pixels
# and the nugget so small a share of its variance.
CLEAR, SMOOTH_LENGTHSCALE, LITTLE = 5.0, 2.0, 0.1
# Missing values predicted at once.
AT_ONCE = 1024
# Nugget over the variance, where the search begins, and its least and largest value.
NUGGET = (1e-8, 1e-3, 10.0)
# Of the variance, added to the nugget: far above rounding, so that every covariance is positive definite.
JITTER = 1e-9
# The search ends after so many steps, or when one gains less than this share of the log evidence.
STEPS, TOLERANCE = 40, 1e-4
# Periods that are tried in a signal; each is kept if it raises the log evidence by more than this for each of its four parameters
# (half the logarithm of the number of data: Schwarz, Ann. Stat. 1978).
MOST_PERIODS = 3
# Samples of the shortest signal with rhythms; steps of the periodogram to one cycle; cycles over which its running median goes.
SHORTEST, FINENESS, BACKGROUND = 32, 4, 31
# Least and largest lengthscale of a wave within its period. The strongest line of a spectrum may be an overtone: these multiples of its
# period are tried.
WAVE, MULTIPLES = (0.1, 10.0), (1, 2, 3)


@dataclass(frozen=True)
class Part:
    """One term of a covariance.

    Attributes
    ----------
    of : callable
        From lags, (*, axes), and its parameters to values, (*).
    low, start, high : tuple of float
        Range of its parameters, all positive.
    """

    of: Callable[[Tensor, Tensor], Tensor]
    low: tuple[float, ...]
    start: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Fitted:
    """A sum of parts with its parameters.

    Attributes
    ----------
    parts : tuple of Part
    parameters : Tensor
        The nugget, the variances of all parts but the first, and the parts' own ones, in units of the first part's variance.
    evidence : float
        Log evidence of the data that it was learnt from, in nats.
    ahead : float
        How far that of the likeliest smooth kernel of the distance was above that of the likeliest rough one.
    """

    parts: tuple[Part, ...]
    parameters: Tensor
    evidence: float
    ahead: float = 0.0

    @property
    def is_smooth(self) -> bool:
        """Whether the evidence is clearly for a process of two derivatives: no texture is left to be found."""
        lengthscale = float(self.parameters[len(self.parts)])
        return (
            self.ahead >= CLEAR and lengthscale >= SMOOTH_LENGTHSCALE and float(self.parameters[0]) <= LITTLE
        )

    def covariance(self, lag: Tensor) -> Tensor:
        return _covariance(self.parts, self.parameters, lag)


def isotropic(kernel: Isotropic, start: float, longest: float) -> Part:
    """A kernel of the distance; its lengthscale from half a pixel on."""

    def of(lag: Tensor, parameters: Tensor) -> Tensor:
        return kernel.profile(lag.square().sum(-1) / parameters[0].square() + 1e-14)

    return Part(of, (0.5,), (start,), (longest,))


def rhythm(period: float, wave: float, duration: float) -> Part:
    """A wave of about that period that changes slowly: periodic times RBF."""

    def of(lag: Tensor, parameters: Tensor) -> Tensor:
        p, wave, decay = parameters
        t = lag.squeeze(-1)
        return periodic(t, p, wave) * torch.exp(-0.5 * (t / decay).square())

    return Part(
        of,
        (0.97 * period, WAVE[0], 2 * period),
        (period, wave, max(4 * period, duration)),
        (1.03 * period, WAVE[1], 20 * max(duration, period)),
    )


def _covariance(parts: Sequence[Part], parameters: Tensor, lag: Tensor) -> Tensor:
    at = len(parts)
    variances = [1.0, *parameters[1:at]]
    total = torch.zeros(lag.shape[:-1], dtype=lag.dtype)
    for part, variance in zip(parts, variances, strict=True):
        count = len(part.start)
        total = total + variance * part.of(lag, parameters[at : at + count])
        at += count
    return total


def learn(places: Tensor, values: Tensor, parts: Sequence[Part], start: Tensor | None = None) -> Fitted:
    """The parameters of largest evidence.

    Parameters
    ----------
    places : Tensor, shape (n, axes)
    values : Tensor, shape (channels, n)
        Channels are independent, with a scale and a mean of their own.
    parts : sequence of Part
    start : Tensor, optional
        Where the search begins.

    Returns
    -------
    Fitted
    """
    from scipy.optimize import minimize

    spread = [(1e-4, 0.5, 1e3)] * (len(parts) - 1)
    own = [r for part in parts for r in zip(part.low, part.start, part.high, strict=True)]
    low, begin, high = (np.log([r[i] for r in (NUGGET, *spread, *own)]) for i in range(3))
    if start is not None:
        begin = np.clip(start.log().numpy(), low, high)
    lag = places[:, None] - places[None]

    def loss(at: Array) -> tuple[float, Array]:
        look()
        logs = torch.tensor(at, requires_grad=True)
        with torch.enable_grad():
            value = -_log_evidence(lag, values, parts, logs.exp()) / values.numel()
        (slope,) = torch.autograd.grad(value, logs)
        return value.item(), slope.numpy()

    found = minimize(
        loss,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": STEPS, "ftol": TOLERANCE},
    )
    return Fitted(tuple(parts), torch.from_numpy(np.exp(found.x)), -float(found.fun) * values.numel())


def _log_evidence(lag: Tensor, values: Tensor, parts: Sequence[Part], parameters: Tensor) -> Tensor:
    """With the mean integrated out and the scale of each channel at its most likely value."""
    n = len(lag)
    factor = torch.linalg.cholesky(with_nugget(_covariance(parts, parameters, lag), parameters[0]))
    both = torch.cat((torch.ones(1, n, dtype=lag.dtype), values)).T
    white = torch.linalg.solve_triangular(factor, both, upper=False)
    ones, rest = white[:, :1], white[:, 1:]
    weight = ones.square().sum()
    rest = rest - ones * (ones * rest).sum(0) / weight
    power = rest.square().sum(0) / (n - 1)
    half_log = factor.diagonal().log().sum() + 0.5 * weight.log()
    found: Tensor = -(0.5 * (n - 1) * power.clamp(min=1e-300).log() + half_log).sum()
    return found


def with_nugget(covariance: Tensor, nugget: Tensor | float) -> Tensor:
    return covariance + (nugget + JITTER * covariance[0, 0].detach()) * torch.eye(
        len(covariance), dtype=covariance.dtype
    )


def predicted(fitted: Fitted, places: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """Best linear unbiased prediction, (channels, m), at the places wanted, (m, axes)."""
    K = with_nugget(fitted.covariance(places[:, None] - places[None]), fitted.parameters[0])
    factor: Tensor = torch.linalg.cholesky(K)
    both = torch.cat((torch.ones(1, len(places), dtype=values.dtype), values)).T
    solved = torch.cholesky_solve(both, factor)
    mean = solved[:, 1:].sum(0) / solved[:, 0].sum()
    weights = solved[:, 1:] - solved[:, :1] * mean
    found = [fitted.covariance(w[:, None] - places[None]) @ weights for w in torch.split(wanted, AT_ONCE)]
    return (torch.cat(found) + mean).T


def learnt_from(y: Array, missing: Bools) -> Fitted:
    """The kernel of largest evidence: one of the distance alone and, in a signal, rhythms.

    Parameters
    ----------
    y : ndarray, shape grid
    missing : ndarray of bool, shape grid

    Returns
    -------
    Fitted
    """
    places, values = known_values(y, missing)
    chosen = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:LEARNT_FROM]
    apart = max(1.0, (y.size / len(places)) ** (1 / y.ndim))
    rough, smooth = (
        [
            learn(places[chosen], values[:, chosen], (isotropic(k, 3 * apart, 3.0 * max(y.shape)),))
            for k in kinds
        ]
        for kinds in ((Matern12(1.0), Matern32(1.0)), (Matern52(1.0), RBF(1.0)))
    )
    likeliest = [max(group, key=lambda fitted: fitted.evidence) for group in (rough, smooth)]
    best = max(likeliest, key=lambda fitted: fitted.evidence)
    best = replace(best, ahead=likeliest[1].evidence - likeliest[0].evidence)
    return with_rhythms(places, values, best, chosen) if y.ndim == 1 else best


def filled(fitted: Fitted, y: Array, missing: Bools) -> Array:
    """Missing values predicted; of a long signal in pieces, each from what is known in it and around it.

    Parameters
    ----------
    fitted : Fitted
    y : ndarray, shape grid
    missing : ndarray of bool, shape grid

    Returns
    -------
    ndarray, shape grid
    """
    full = y.copy()
    for gone, places, values, wanted in pieces(y, missing):
        full[gone] = predicted(fitted, places, values, wanted)[0].numpy()
    return full


def pieces(y: Array, missing: Bools) -> Iterator[tuple[Bools, Tensor, Tensor, Tensor]]:
    """What is missing, and from which places and values it is predicted, and where."""
    long = y.ndim == 1 and int((~missing).sum()) > MOST_KNOWN
    known, of_known = known_values(y, missing)
    for piece in [slice(at, at + PIECE) for at in range(0, len(y), PIECE)] if long else [slice(None)]:
        gone = np.zeros_like(missing)
        gone[piece] = missing[piece]
        if not gone.any():
            continue
        places, values = known, of_known
        wanted = torch.from_numpy(np.argwhere(gone).astype(np.float64))
        if long:
            nearest = (places[:, 0] - wanted.mean()).abs().argsort()[:MOST_KNOWN]
            places, values = places[nearest], values[:, nearest]
        yield gone, places, values, wanted


def known_values(y: Array, missing: Bools) -> tuple[Tensor, Tensor]:
    places = torch.from_numpy(np.argwhere(~missing).astype(np.float64))
    return places, torch.from_numpy(y[~missing].astype(np.float64))[None]


def with_rhythms(places: Tensor, values: Tensor, best: Fitted, chosen: Tensor) -> Fitted:
    """Rhythms added one by one, the strongest in what is left first, as long as the evidence grows by more than chance."""
    duration = float(places.max() - places.min())
    left = values
    for _ in range(MOST_PERIODS):
        period = strongest_period(places, left)
        if period is None:
            break
        tried = _with_rhythm(best, period, duration, places[chosen], values[:, chosen])
        own = len(tried.parts[-1].start) + 1
        if tried.evidence - best.evidence < 0.5 * own * math.log(len(chosen) * len(values)):
            break
        best = replace(tried, ahead=best.ahead)
        left = values - waves(best, places[chosen], values[:, chosen], places)
    return best


def _with_rhythm(best: Fitted, period: float, duration: float, places: Tensor, values: Tensor) -> Fitted:
    """One more rhythm: of that period, or of one of which it is an overtone."""
    own, lag = len(best.parts), places[:, None] - places[None]
    starts = []
    for multiple in MULTIPLES:
        part = rhythm(multiple * period, 1 / multiple, duration)
        new = torch.tensor(part.start, dtype=torch.float64)
        start = torch.cat(
            (best.parameters[:own], torch.ones(1, dtype=torch.float64), best.parameters[own:], new)
        )
        parts = (*best.parts, part)
        starts.append((float(_log_evidence(lag, values, parts, start)), parts, start))
    _, parts, start = max(starts, key=lambda each: each[0])
    return learn(places, values, parts, start)


def waves(fitted: Fitted, places: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """What all known rhythms of a model explain."""
    K = with_nugget(fitted.covariance(places[:, None] - places[None]), fitted.parameters[0])
    centred = values - values.mean(1, keepdim=True)
    weights = torch.cholesky_solve(centred.T, torch.linalg.cholesky(K))
    silent = fitted.parts[0]
    own = len(fitted.parts)

    def rhythms(lag: Tensor) -> Tensor:
        first = silent.of(lag, fitted.parameters[own : own + len(silent.start)])
        return fitted.covariance(lag) - first

    found = torch.cat([rhythms(w[:, None] - places[None]) @ weights for w in torch.split(wanted, AT_ONCE)]).T
    return found + values.mean(1, keepdim=True)


def strongest_period(places: Tensor, values: Tensor) -> float | None:
    """Of the periodogram over its running median, so that slow changes are none; at least 3 cycles; None of a short signal."""
    from scipy.ndimage import median_filter

    at = places[:, 0].long()
    first, duration = int(at.min()), int(at.max() - at.min()) + 1
    if duration < SHORTEST:
        return None
    padded = FINENESS * duration
    full = torch.zeros(len(values), padded, dtype=values.dtype)
    full[:, at - first] = values - values.mean(1, keepdim=True)
    power = torch.fft.rfft(full).abs().square().sum(0).numpy()
    usual = median_filter(power, BACKGROUND * FINENESS, mode="nearest")
    excess = power / np.maximum(usual, 1e-6 * power.mean() + np.finfo(float).tiny)
    low, high = 3 * FINENESS, len(power) - FINENESS
    return padded / (low + int(np.argmax(excess[low:high])))
