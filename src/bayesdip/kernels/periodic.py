"""The kernel of rhythms (MacKay, *Introduction to Gaussian processes*, 1998; Rasmussen and Williams 2006, section 4.2.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Kernel


def periodic(lag: Tensor, period: Tensor | float, lengthscale: Tensor | float) -> Tensor:
    """``exp(-2 sin^2(pi t / p) / l^2)``.

    Parameters
    ----------
    lag : Tensor
        In samples.
    period : Tensor or float
        In samples, positive.
    lengthscale : Tensor or float
        Of the wave within one period, positive: about 1 and more for a sine, less for one with sharp features.

    Returns
    -------
    Tensor, of the lag's shape
    """
    return torch.exp(-2 * (torch.sin(math.pi * lag / period) / lengthscale).square())


@dataclass(frozen=True)
class Periodic(Kernel):
    """``exp(-2 sin^2(pi t / p) / l^2)`` of a signal: every period is like the others.

    Times a kernel that decays (``Periodic(24, 1.0) * RBF(500.0)``) it is locally periodic: the wave changes slowly.

    Attributes
    ----------
    period : float
        In samples, positive.
    lengthscale : float
        Of the wave within one period, positive.

    Raises
    ------
    BayesDipError
        A value is not positive.
    """

    period: float
    lengthscale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("period", "lengthscale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise BayesDipError(f"{name} is {value}: expected a positive number; change it")

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        if len(shape) != 1:
            raise BayesDipError(
                f"a periodic kernel was asked for a grid of {len(shape)} axes: expected a signal; use another kernel"
            )
        return periodic(torch.arange(shape[0], dtype=torch.float64), self.period, self.lengthscale)
