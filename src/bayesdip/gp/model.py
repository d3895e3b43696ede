"""From data and a kernel to the linear system that the posterior is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdip.gp.data_covariance import DataCovariance, is_nearly_stationary, without_masks
from bayesdip.gp.grid_covariance import GridCovariance, embed, empty_share
from bayesdip.gp.moment_estimates import amplitudes, colour_covariance
from bayesdip.gp.preconditioners import central_column
from bayesdip.gp.shared_noise import SharedNoise
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Correlated
from bayesdip.operators import Operator

# Where there is no noise, a variance of this share of the picture's keeps the system
# well-conditioned. 8-bit rounding alone has a share of about 3e-5 in a photograph.
JITTER = 1e-5
# A kernel without energy in part of the grid's frequencies (a smooth one, as RBF) explains no
# texture: what it must leave to noise grows by up to this factor, as the empty share grows to a third. With it, solves
# take at most 60 iterations for smooth kernels, too (tests/test_gp_vecchia.py).
JITTER_OF_SMOOTH = 300.0
# Draws from the prior by which the power of an unknown operator's data is estimated.
PROBES = 8


@dataclass(frozen=True)
class Model:
    """Rows of channels that are solved together, each row independent of the others.

    Attributes
    ----------
    system : DataCovariance
        R rows of G channels: C rows of one, or one row of all C.
    data : Tensor, shape (R, G, *output)
        The data in the model's channels, zero where not seen.
    scale : Tensor, shape (R,)
        What multiplies the system's covariance in each row.
    noise_free : Tensor of bool, shape (R,)
        Rows whose scale does not matter to the mean, and is still to be found.
    rotation : Tensor or None, shape (C, C)
        Orthogonal: the model's channels, independent, are ``rotation @`` the picture's, which are correlated.
    """

    system: DataCovariance
    data: Tensor
    scale: Tensor
    noise_free: Tensor
    rotation: Tensor | None

    def to_model(self, offsets: Tensor) -> Tensor:
        """One number for each channel, (C,), in the model's channels: (R, G)."""
        turned = offsets if self.rotation is None else self.rotation @ offsets
        return turned.reshape(len(self.data), self.system.picture_channels)

    def to_picture(self, x: Tensor) -> Tensor:
        """(..., R, G, *any) in the model's channels to (..., C, *any) in the picture's."""
        lead = x.ndim - 2 - len(self.system.grid.shape)
        x = x.flatten(lead, lead + 1)
        return (
            x
            if self.rotation is None
            else torch.einsum("ij,...i->...j", self.rotation.to(x), x.movedim(lead, -1)).movedim(-1, lead)
        )

    def covariance(self, scale: Tensor) -> Tensor:
        """The covariance between the picture's channels that multiplies the kernel, (C, C)."""
        if self.system.coregionalisation is not None:
            return self.system.coregionalisation * scale
        if self.system.mixes_channels:
            return scale * torch.eye(self.system.picture_channels).to(scale)
        return scale.diag() if self.rotation is None else (self.rotation.T * scale) @ self.rotation


def build(
    data: Tensor,
    seen: Tensor,
    variance: Tensor,
    operator: Operator,
    kernel: Kernel,
    *,
    constant: bool,
    amplitude: float | Tensor | None,
    colour: bool | Tensor,
    correlated: Correlated | None = None,
) -> Model:
    """Choose how the channels depend on each other, and the prior's scale.

    Channels of the same mask and noise are rotated into independent ones; others are
    solved together. Without colour they are independent as they are.

    Parameters
    ----------
    data, variance : Tensor, float64, shape (C, *output)
        Data and variance of their noise, both zero where not seen.
    seen : Tensor of bool, shape (C, *output)
    constant : bool
        Whether the kernel's value at infinite lag counts.
    amplitude, colour
        As `gp.posterior` takes them.
    correlated : Correlated, optional
        The noise, where its values are not independent.

    Returns
    -------
    Model
    """
    channels = len(data)
    grid = embed(kernel, operator.input_shape, constant=constant, like=data)
    base = without_masks(operator)
    if not is_nearly_stationary(base):
        return _of_any_operator(data, seen, variance, grid, base, amplitude, correlated)
    rows = torch.arange(channels, device=data.device)
    shared = _all_equal(seen)
    marks = (seen[:1] if shared else seen)[:, None]
    probe = DataCovariance(grid, base, marks, torch.zeros_like(data[:1, None]), rows)
    unit = grid.variance if base is None else float(central_column(probe).max())
    least = _least_noise(variance, grid)
    noise_free = ~(variance.flatten(1) > 0).any(1)

    B = _colour(colour, amplitude, data, seen, variance, unit)
    rotation: Tensor | None = None
    if B is not None and shared and _all_equal(variance) and correlated is None:
        rotation = torch.linalg.eigh(B).eigenvectors.T
        data = torch.einsum("ij,j...->i...", rotation, data)
        scale = torch.where(noise_free, 1.0, (rotation @ B @ rotation.T).diagonal())
    elif B is not None:
        floor = least * _column(B.diagonal(), data)
        noise = _merged(variance.maximum(floor), seen)[None]
        own = _shared(correlated, data, together=True)
        system = DataCovariance(grid, base, seen[None], noise, rows[:1] * 0, B, own)
        return Model(system, data[None], data.new_ones(1), noise_free.all()[None], None)
    elif amplitude is None:
        scale = torch.where(noise_free, 1.0, amplitudes(data, seen, variance, unit))
    else:
        scale, noise_free = torch.as_tensor(amplitude).to(data).expand(channels), torch.zeros_like(noise_free)
    noise = _merged((variance / _column(scale, variance)).maximum(least), seen)[:, None]
    own = _shared(correlated, data, together=False)
    system = DataCovariance(grid, base, marks, noise, rows, shared=own)
    return Model(system, data[:, None], scale, noise_free, rotation)


def _of_any_operator(
    data: Tensor,
    seen: Tensor,
    variance: Tensor,
    grid: GridCovariance,
    operator: Operator | None,
    amplitude: float | Tensor | None,
    correlated: Correlated | None,
) -> Model:
    """For an operator of which nothing is known but that it is linear.

    Channels are independent, in one row where the operator mixes them. The scale is the data's power, less the
    noise's, over the power of ``A f`` for draws f from the prior.
    """
    mixed = operator is not None and operator.input_channels is not None
    shared = _shared(correlated, data, together=mixed)
    if mixed:
        data, seen, variance = data[None], seen[None], variance[None]
        rows = torch.zeros(1, dtype=torch.long, device=data.device)
    else:
        data, seen, variance = data[:, None], seen[:, None], variance[:, None]
        rows = torch.arange(len(data), device=data.device)
    probe = DataCovariance(grid, operator, seen, torch.zeros_like(data), rows)
    generator = torch.Generator(data.device).manual_seed(0)
    count = seen.flatten(1).sum(1)
    draws = torch.stack([probe.predict(probe.draw(generator), rows) for _ in range(PROBES)])
    unit = draws.square().mean(0).flatten(1).sum(1) / count
    noise_free = ~(variance.flatten(1) > 0).any(1)
    if amplitude is None:
        power = ((data - _constant_part(probe, data)) * seen).square().flatten(1).sum(1) / count
        noise_power = variance.flatten(1).sum(1) / count
        signal = (power - noise_power).clamp(min=0) + 0.01 * torch.minimum(power, noise_power)
        scale = torch.where(noise_free | (signal <= 0) | (unit <= 0), 1.0, signal / unit.clamp(min=1e-300))
    else:
        scale = torch.as_tensor(amplitude).to(data).expand(len(data)).clone()
        noise_free = torch.zeros_like(noise_free)
    shape = (-1, *[1] * (data.ndim - 1))
    # Of an operator that sees nothing at all, any level will do.
    level = torch.where(unit > 0, unit / grid.variance, 1.0)
    floor = _least_noise(variance, grid) * level.reshape(shape)
    noise = torch.maximum(variance / scale.reshape(shape), floor)
    return Model(replace(probe, noise=noise, shared=shared, _low={}), data, scale, noise_free, None)


def _shared(correlated: Correlated | None, data: Tensor, *, together: bool) -> SharedNoise | None:
    """The correlation of the noise of data (C, *output)."""
    if correlated is None:
        return None
    return SharedNoise.of(correlated, len(data), tuple(data.shape[1:]), together=together).to(data)


def _constant_part(system: DataCovariance, data: Tensor) -> Tensor:
    """The least-squares fit of constant channels to the data, (R, G', *output)."""
    found = []
    for row, one in enumerate(data):
        A = system.regressors()[min(row, len(system.seen) - 1)].flatten(1).T
        found.append((A @ torch.linalg.lstsq(A, one.flatten()[:, None]).solution).reshape(one.shape))
    return torch.stack(found)


def jitter_for(grid: GridCovariance) -> float:
    """The variance that takes the place of none, in units of the amplitude."""
    empty = empty_share(grid, JITTER)
    least: float = JITTER * JITTER_OF_SMOOTH ** min(1.0, 3 * empty) * grid.variance
    return least


def _least_noise(variance: Tensor, grid: GridCovariance) -> Tensor:
    """Of every entry, at unit amplitude: a smooth kernel leaves more to noise only where no noise is known."""
    return torch.where(variance > 0, JITTER * grid.variance, jitter_for(grid))


def _colour(
    colour: bool | Tensor,
    amplitude: float | Tensor | None,
    data: Tensor,
    seen: Tensor,
    noise: Tensor,
    unit: float,
) -> Tensor | None:
    if isinstance(colour, Tensor):
        return colour.to(data)
    if not colour or len(data) == 1 or amplitude is not None:
        return None
    return colour_covariance(data, seen, noise, unit)


def _merged(noise: Tensor, seen: Tensor) -> Tensor:
    """The noise of each entry, (C, *output), in the smallest shape that says the same where seen."""
    low = torch.where(seen, noise, torch.inf).flatten(1).amin(1)
    high = torch.where(seen, noise, -torch.inf).flatten(1).amax(1)
    if bool((low == high).all()):
        noise = _column(low, noise)
    return noise[:1] if _all_equal(noise) else noise


def _all_equal(channels: Tensor) -> bool:
    return bool((channels == channels[:1]).all())


def _column(weights: Tensor, like: Tensor) -> Tensor:
    """(C,) as (C, 1, ..., 1)."""
    return weights.reshape(-1, *[1] * (like.ndim - 1))
