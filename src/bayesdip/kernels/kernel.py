"""What a stationary kernel is: a covariance that depends on the lag between two pixels only."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


class Kernel(ABC):
    """A stationary covariance on a pixel grid, symmetric in each lag axis by itself.

    Because ``K(t) = K(-t)`` on every axis, the lags ``0, 1, 2, ...`` of each axis (the
    *quadrant*) say everything. Kernels are added and multiplied with ``+`` and ``*``.
    """

    @abstractmethod
    def quadrant(self, shape: Sequence[int]) -> Tensor:
        """Covariance at the lags ``0 .. shape[i] - 1`` of each axis, float64, shape ``shape``."""

    @property
    def limit(self) -> float:
        """Covariance at infinite lag: the share of the variance that is the picture's mean."""
        return 0.0

    def window(self, lags: int, dims: int = 2) -> Tensor:
        """Covariance at lags ``-lags .. lags`` of each axis; lag zero is in the middle."""
        table = self.quadrant((lags + 1,) * dims)
        for axis in range(dims):
            mirrored = table.flip(axis).narrow(axis, 0, lags)
            table = torch.cat((mirrored, table), dim=axis)
        return table

    def __add__(self, other: Kernel) -> Kernel:
        return Sum((self, other))

    def __mul__(self, other: Kernel | float) -> Kernel:
        return Product((self, other)) if isinstance(other, Kernel) else Scaled(self, float(other))

    __rmul__ = __mul__


@dataclass(frozen=True)
class Scaled(Kernel):
    """``variance * kernel``."""

    kernel: Kernel
    variance: float

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return self.variance * self.kernel.quadrant(shape)

    @property
    def limit(self) -> float:
        return self.variance * self.kernel.limit


@dataclass(frozen=True)
class Sum(Kernel):
    """The kernel of a sum of independent processes."""

    terms: tuple[Kernel, ...]

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return torch.stack([k.quadrant(shape) for k in self.terms]).sum(0)

    @property
    def limit(self) -> float:
        return sum(k.limit for k in self.terms)


@dataclass(frozen=True)
class Product(Kernel):
    """The kernel of a pointwise product of independent zero-mean processes."""

    factors: tuple[Kernel, ...]

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return torch.stack([k.quadrant(shape) for k in self.factors]).prod(0)

    @property
    def limit(self) -> float:
        return math.prod(k.limit for k in self.factors)


@dataclass(frozen=True)
class Tabulated(Kernel):
    """A kernel known by its values at the lags ``0 .. n`` of each axis.

    Outside the table the covariance is ``beyond`` (its value at infinite lag).
    """

    table: Tensor
    beyond: float = 0.0

    @property
    def limit(self) -> float:
        return self.beyond

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        out = torch.full(tuple(shape), self.beyond, dtype=torch.float64)
        inside = tuple(slice(0, min(a, b)) for a, b in zip(shape, self.table.shape, strict=True))
        out[inside] = self.table[inside].to(torch.float64)
        return out
