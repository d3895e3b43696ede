"""How sure kriging is: the standard deviation of its predictions, and the noise that it takes the known values to have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bayesdip.gp.kriging import (
    AT_ONCE,
    LEARNT_FROM,
    Array,
    Bools,
    Fitted,
    known_values,
    pieces,
    with_nugget,
)
from bayesdip.interruption import look

# The standard deviation takes so many operations at most: 2500 known values and 1600 missing ones.
OPERATIONS = 10**10
# A nugget of a smaller share of the variance only keeps the covariance well-conditioned.
LEAST_NUGGET = 1e-6


def deviation(fitted: Fitted, y: Array, missing: Bools) -> Array | None:
    """Standard deviation of what is filled in.

    Parameters
    ----------
    fitted : Fitted
    y : ndarray, shape grid
    missing : ndarray of bool, shape grid

    Returns
    -------
    ndarray, shape grid, or None
        0 where values are known; None where it would take too long.
    """
    parts = list(pieces(y, missing))
    if sum(len(places) ** 2 * len(wanted) for _, places, _, wanted in parts) > OPERATIONS:
        return None
    full = np.zeros(y.shape)
    for gone, places, values, wanted in parts:
        full[gone] = _variance(fitted, places, values, wanted).clamp(min=0).sqrt().numpy()
    return full


def nugget(fitted: Fitted, y: Array, missing: Bools) -> float:
    """Variance of the white noise on the known values, from as many of them as the kernel was learnt from.

    Parameters
    ----------
    fitted : Fitted
    y : ndarray, shape grid
    missing : ndarray of bool, shape grid

    Returns
    -------
    float
        0 where it is negligible.
    """
    if float(fitted.parameters[0]) < LEAST_NUGGET:
        return 0.0
    places, values = known_values(y, missing)
    chosen = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:LEARNT_FROM]
    return float(fitted.parameters[0]) * _Whitened.of(fitted, places[chosen], values[:, chosen]).power


@dataclass(frozen=True)
class _Whitened:
    """The known values of a single channel by the inverse of their covariance's Cholesky factor.

    Attributes
    ----------
    factor : Tensor, shape (n, n)
    ones : Tensor, shape (n, 1)
        Of the constant mean.
    power : float
        The first part's variance.
    """

    factor: Tensor
    ones: Tensor
    power: float

    @classmethod
    def of(cls, fitted: Fitted, places: Tensor, values: Tensor) -> _Whitened:
        K = with_nugget(fitted.covariance(places[:, None] - places[None]), fitted.parameters[0])
        factor: Tensor = torch.linalg.cholesky(K)
        both = torch.cat((torch.ones(1, len(places), dtype=K.dtype), values)).T
        ones, rest = torch.linalg.solve_triangular(factor, both, upper=False).split((1, len(values)), 1)
        rest = rest - ones * (ones * rest).sum(0) / ones.square().sum()
        return cls(factor, ones, float(rest.square().sum()) / (len(places) - 1))


def _variance(fitted: Fitted, places: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """Of the prediction of a single channel, (m,): that of the process given the mean, and that of the mean."""
    known = _Whitened.of(fitted, places, values)
    own = fitted.covariance(torch.zeros(1, places.shape[1], dtype=places.dtype))
    found = []
    for part in torch.split(wanted, AT_ONCE):
        look()
        lags = places[:, None] - part[None]
        seen = torch.linalg.solve_triangular(known.factor, fitted.covariance(lags), upper=False)
        of_mean = (1 - (known.ones * seen).sum(0)).square() / known.ones.square().sum()
        found.append(own - seen.square().sum(0) + of_mean)
    return known.power * torch.cat(found)
