"""The amplitude of noisy data, by evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.gp.data_covariance import is_nearly_stationary
from bayesdip.gp.evidence import VecchiaEvidence, WhittleEvidence
from bayesdip.gp.model import Model, jitter_for
from bayesdip.gp.preconditioners import output_table
from bayesdip.kernels.kernel import Kernel

# Factors of the first guess that are tried: the smallest, the largest, and how many at equal ratios.
LEAST_FACTOR, MOST_FACTOR, FACTORS = 0.01, 100.0, 13
# Noise variance over that of the picture, by the first guess. For smooth volumes with 0.5 and 1 times the variance in noise the
# errors by the Whittle likelihood were 5% below those by Vecchia's; for six frames of counts of 0.15, 28 times, 40%.
MOSTLY_NOISE = 1.0
# Pixels, chosen at random, whose densities are averaged.
TARGETS = 3000
# Pixels on which scales and kernels are estimated: more add nothing but time.
LARGEST_PART = 2**20


def rescaled(model: Model, kernel: Kernel, *, constant: bool) -> Model:
    """The model with the scale of each noisy row at its most likely value.

    The first guess comes from the variance of the data, that of structures of every size. Beside noise, the
    variance at the lengths that the kernel describes is what matters.

    Parameters
    ----------
    model : Model
        With the first guess for its scale.
    kernel : Kernel
    constant : bool
        Whether the kernel's value at infinite lag counts.

    Returns
    -------
    Model
        The same where nothing is noisy, where channels are coupled, and for operators whose data are not nearly
        stationary.
    """
    noisy = ~model.noise_free
    if (
        not bool(noisy.any())
        or model.system.coregionalisation is not None
        or not is_nearly_stationary(model.system.operator)
    ):
        return model
    limit = 0.0 if constant else kernel.limit
    part = _cropped(model) if model.system.operator is None else model
    evidence: VecchiaEvidence | WhittleEvidence
    if model.system.operator is None and (model.system.shared is not None or is_mostly_noise(part)):
        evidence = WhittleEvidence(part)
        table = kernel.quadrant(part.data.shape[2:]) - limit
    elif model.system.operator is None:
        evidence = VecchiaEvidence(part, targets=TARGETS)
        table = kernel.quadrant(evidence.extent) - limit
    else:
        evidence = WhittleEvidence(part)
        table = output_table(model.system, kernel.quadrant(model.system.grid.shape) - limit)
    jitter = jitter_for(model.system.grid)

    factor = row_factors(evidence, table, part.system.noise, part.scale, jitter)
    factor = torch.where(model.noise_free, 1.0, factor)
    column = factor.reshape(-1, *[1] * (model.data.ndim - 1))
    noise = (model.system.noise / column).clamp(min=jitter)
    return replace(model, system=replace(model.system, noise=noise, _low={}), scale=model.scale * factor)


def is_mostly_noise(model: Model) -> bool:
    """Whether the noise of pixels is so large that what says something of a pixel is beyond its few nearest ones.

    Then the Whittle likelihood takes all of them together.
    """
    noise = model.system.noise.flatten(1).mean(1).expand(len(model.scale))  # in units of the scale
    return bool((noise[~model.noise_free] > MOSTLY_NOISE).any())


def row_factors(
    evidence: VecchiaEvidence | WhittleEvidence, table: Tensor, noise: Tensor, scale: Tensor, jitter: float
) -> Tensor:
    """The factor of the scale of each row that gives the largest evidence, (R,)."""
    steps = torch.linspace(math.log(LEAST_FACTOR), math.log(MOST_FACTOR), FACTORS, dtype=torch.float64)
    trials = [evidence(table, (noise / f).clamp(min=jitter), scale * f).rows for f in steps.exp().tolist()]
    density = torch.tensor(trials, dtype=torch.float64).nan_to_num(-torch.inf)
    peaks: Tensor = torch.stack([_peak(steps, row) for row in density.T])
    return peaks.exp().to(scale)


def _peak(at: Tensor, values: Tensor) -> Tensor:
    """Where the parabola through the largest value and its neighbours has its top."""
    best = int(values.argmax())
    if best in (0, len(at) - 1):
        return at[best]
    left, top, right = values[best - 1 : best + 2]
    bend = left - 2 * top + right
    if not bool(bend < 0) or not bool(bend.isfinite()):
        return at[best]
    top_at: Tensor = at[best] + 0.5 * (at[1] - at[0]) * (left - right) / bend
    return top_at


def _cropped(model: Model) -> Model:
    """The middle of a large picture of pixels."""
    noise, seen, data = model.system.noise, model.system.seen, model.data
    for axis, part in enumerate(central_part(model.data.shape[2:]), start=2):
        begin, length = part.start, part.stop - part.start
        data, seen = data.narrow(axis, begin, length), seen.narrow(axis, begin, length)
        noise = noise if noise.shape[axis] == 1 else noise.narrow(axis, begin, length)
    if not bool(seen.flatten(1).any(1).all()):
        return model
    return replace(model, data=data, system=replace(model.system, noise=noise, seen=seen, _low={}))


def central_part(shape: Sequence[int]) -> tuple[slice, ...]:
    """The middle of a grid, of at most `LARGEST_PART` pixels."""
    side = max(1, int(LARGEST_PART ** (1 / max(1, sum(n > 1 for n in shape)))))
    return tuple(slice((n - min(n, side)) // 2, (n - min(n, side)) // 2 + min(n, side)) for n in shape)
