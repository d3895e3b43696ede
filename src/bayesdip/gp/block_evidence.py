"""The evidence of kernels by blocks of the data, each of which has its exact one.

The likelihood of a stationary process in frequencies, Whittle's, takes the powers of all of them for independent. Of a smooth
picture most are leakage from a few, and are wrong together: it preferred rough kernels by a hundred nats, and the posterior
mean's errors were up to 1.7 times as large. Blocks of neighbours, each with the density of its values together, have no
leakage. Their product is a composite likelihood (Varin, Reid, Firth, Statistica Sinica 21, 2011), and one decomposition
serves all blocks, channels and amplitudes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from bayesdip.gp.data_covariance import without_masks
from bayesdip.gp.dense import NO_LEVEL
from bayesdip.gp.grid_covariance import embed
from bayesdip.gp.model import Model, build
from bayesdip.gp.output_covariance import output_covariance
from bayesdip.gp.preconditioners import output_table
from bayesdip.kernels import Matern32
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Noise
from bayesdip.noise.rounding import rounding_step
from bayesdip.operators import Operator

# Values of a block: a decomposition takes two hundredths of a second.
VALUES = 400
# Where blocks have masks of their own, and each needs a decomposition, so many that see most.
MOST_MASKS = 6
# Amplitudes that are tried, around the first guess.
LOG_AMPLITUDES = torch.linspace(-7.0, 7.0, 57, dtype=torch.float64)
# Data without noise have this share of their mean square as noise, and that of rounding.
LEAST_NOISE = 1e-8
# In noise of so many times the picture's variance blocks have one level together: what they differ by is most of what shows of the picture.
STRONG = 2.0


@dataclass(frozen=True)
class Blocks:
    """Data cut into blocks that cover them, and overlap where they do not fit.

    Attributes
    ----------
    model : Model
        Channels made independent: its R rows.
    operator : Operator
    sides : tuple of int
        Of a block.
    groups : tuple of (Tensor, Tensor, Tensor)
        For each mask of a block: where it sees, (m,) of int; the values there, (R, B, m); and the noise's variance, (R, B).
    count : float
        Entries of a row that are seen, over those of all blocks.
    own_levels : bool
        Whether each block has a level of its own, integrated out, and not that of all the data.
    """

    model: Model
    operator: Operator
    sides: tuple[int, ...]
    groups: tuple[tuple[Tensor, Tensor, Tensor], ...]
    count: float
    own_levels: bool

    @classmethod
    def of(cls, y: Tensor, operator: Operator, noise: Noise, size: int = VALUES) -> Blocks:
        """Cut data of independent noise, (C, *operator.output_shape), of an operator whose data are nearly stationary.

        Parameters
        ----------
        y : Tensor
        operator : Operator
        noise : Noise
        size : int
            Values of a block.
        """
        seen = operator.observed.expand(y.shape)
        y = torch.where(seen, y, 0.0)
        variance = torch.where(seen, noise.variance(y, seen).to(y), 0.0).expand(y.shape)
        alike = bool((variance == variance[:1]).all() and (seen == seen[:1]).all())
        model = build(
            y, seen, variance, operator, Matern32(2.0), constant=False, amplitude=None, colour=alike
        )
        rows = model.data[:, 0]
        own_levels = not is_strong(rows, variance, seen)
        if not own_levels:
            rows = rows - _mean(rows, seen)
        common, rounding = seen.all(0), rounding_step(y[seen]) ** 2 / 12
        box = _box(common)  # beside it nothing is seen, as of a scene beyond a picture's border
        sides = _sides([end - begin for begin, end in box], size)
        corners = [
            [begin + at for at in _corners(end - begin, side)]
            for (begin, end), side in zip(box, sides, strict=True)
        ]
        by_mask: dict[bytes, list[tuple[slice, ...]]] = {}
        for corner in product(*corners):
            here = tuple(slice(at, at + side) for at, side in zip(corner, sides, strict=True))
            by_mask.setdefault(common[here].numpy().tobytes(), []).append(here)
        chosen = sorted(by_mask.values(), key=lambda places: -int(common[places[0]].sum()))[:MOST_MASKS]
        groups = []
        for places in chosen:
            index = common[places[0]].flatten().nonzero()[:, 0]
            values, level = (
                torch.stack([part[(slice(None), *here)].flatten(1)[:, index] for here in places], 1)
                for part in (rows, variance)  # channels are turned only where their noise is alike
            )
            if len(index) > 1:
                least = LEAST_NOISE * rows.square().flatten(1).mean(1) + rounding
                groups.append((index, values, torch.maximum(level.mean(2), least[:, None])))
        total = sum(values[0].numel() for _, values, _ in groups)
        return cls(model, operator, sides, tuple(groups), float(common.sum()) / max(total, 1), own_levels)

    def evidence(self, kernel: Kernel) -> tuple[float, Tensor]:
        """Log evidence in nats, each row at its likeliest amplitude, and the covariance between channels that multiplies it.

        Parameters
        ----------
        kernel : Kernel

        Returns
        -------
        float, Tensor of shape (C, C)
        """
        table = self._covariance(kernel)[tuple(map(slice, self.sides))].flatten()
        total: Tensor | float = 0.0
        guess = self.model.data.flatten(1).square().mean(1) / table[0]
        amplitudes = guess[:, None] * LOG_AMPLITUDES.exp()
        for index, values, noise in self.groups:
            power, vectors = torch.linalg.eigh(table[lags(self.sides)[index][:, index]])
            ones = torch.full((len(index),), float(self.own_levels), dtype=torch.float64)
            total = total + torch.stack(
                [
                    log_evidence(power, vectors, *row, ones)
                    for row in zip(amplitudes, values, noise, strict=True)
                ]
            )
        assert isinstance(total, Tensor)
        best, at = total.max(1)
        return self.count * float(best.sum()), self.model.covariance(amplitudes.gather(1, at[:, None])[:, 0])

    def _covariance(self, kernel: Kernel) -> Tensor:
        """Of the data, at the lags 0, 1, ... of each axis, at unit amplitude."""
        if without_masks(self.operator) is None:  # pixels
            return kernel.quadrant(self.operator.input_shape) - kernel.limit
        exact = output_covariance(self.operator, kernel)
        if exact is not None:
            return exact
        shape = self.operator.input_shape
        grid = embed(kernel, shape, constant=False)
        return output_table(
            replace(self.model.system, grid=grid, _low={}), kernel.quadrant(shape) - kernel.limit
        )


def is_strong(rows: Tensor, variance: Tensor, seen: Tensor) -> bool:
    """Whether the noise's variance is more than `STRONG` times that of what is below it.

    Parameters
    ----------
    rows, variance, seen : Tensor, shape (R, *shape)
        The data, the variance of their noise, and where they were seen.
    """
    of_data = torch.where(seen, (rows - _mean(rows, seen)).square(), 0.0).sum()
    noise = torch.where(seen, variance, 0.0).sum()
    return bool(noise > STRONG * (of_data - noise))


def _mean(rows: Tensor, seen: Tensor) -> Tensor:
    """Of each row where it was seen, with as many axes."""
    axes = tuple(range(1, rows.ndim))
    count = seen.sum(axes, keepdim=True)
    found: Tensor = torch.where(seen, rows, 0.0).sum(axes, keepdim=True) / count
    return found


def log_evidence(
    power: Tensor, vectors: Tensor, amplitudes: Tensor, values: Tensor, noise: Tensor, ones: Tensor
) -> Tensor:
    """Log evidence of independent vectors under ``a M + n I`` for each amplitude a, a level of each integrated out.

    Parameters
    ----------
    power, vectors : Tensor, shape (m,) and (m, m)
        Eigenvalues and eigenvectors of M.
    amplitudes : Tensor, shape (A,)
    values : Tensor, shape (B, m)
    noise : Tensor, shape (B,)
    ones : Tensor, shape (m,)
        What a picture of ones gives.

    Returns
    -------
    Tensor, shape (A,)
    """
    power = power.clamp_min(0)
    rotated, level = values @ vectors, ones @ vectors
    total = amplitudes[:, None, None] * power + noise[:, None]  # (A, B, m)
    log = -0.5 * (total.log() + rotated.square() / total).sum((1, 2))
    if float(level.square().sum()) > NO_LEVEL * float(power.max()):
        weight = (level.square() / total).sum(2)
        log = log + 0.5 * ((rotated * level / total).sum(2).square() / weight - weight.log()).sum(1)
    return log


def dense_evidence(power: Tensor, vectors: Tensor, values: Tensor, ones: Tensor) -> tuple[float, float]:
    """The largest :func:`log_evidence` of whitened values, (m, B), and its amplitude."""
    guess = float(values.square().mean() / power.clamp_min(0).mean().clamp_min(1e-300))
    amplitudes = guess * LOG_AMPLITUDES.exp()
    noise = torch.ones(values.shape[1], dtype=torch.float64)
    found = log_evidence(power, vectors, amplitudes, values.T, noise, ones)
    at = int(found.argmax())
    return float(found[at]), float(amplitudes[at])


def lags(grid: Sequence[int]) -> Tensor:
    """Of every pair of pixels, (P, P), where its lag stands in a flat table of the lags 0, 1, ... of each axis."""
    return lags_between(torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij"), grid)


def lags_between(places: Sequence[Tensor], grid: Sequence[int]) -> Tensor:
    """The same of some pixels alone, whose places on each axis of the grid are given."""
    flat = torch.zeros((), dtype=torch.long)
    for at, n in zip(places, grid, strict=True):
        flat = flat * n + (at.flatten()[:, None] - at.flatten()).abs()
    return flat


def _box(seen: Tensor) -> list[tuple[int, int]]:
    """Begin and end on each axis of the box around all that is seen; of everything where nothing is."""
    found = seen.nonzero()
    if len(found) == 0:
        return [(0, n) for n in seen.shape]
    return [
        (int(low), int(high) + 1) for low, high in zip(found.min(0).values, found.max(0).values, strict=True)
    ]


def _sides(shape: Sequence[int], values: int) -> tuple[int, ...]:
    """Of a block of so many values: as long on every axis as the others are, or as the axis is."""
    sides = [0] * len(shape)
    left = float(values)
    for done, axis in enumerate(sorted(range(len(shape)), key=lambda axis: shape[axis])):
        sides[axis] = min(shape[axis], max(1, int(left ** (1 / (len(shape) - done)) + 1e-9)))
        left /= sides[axis]
    return tuple(sides)


def _corners(length: int, side: int) -> list[int]:
    """Where blocks begin that cover an axis."""
    count = math.ceil(length / side)
    return [round(k * (length - side) / max(1, count - 1)) for k in range(count)]
