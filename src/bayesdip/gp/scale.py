"""The amplitude of noisy data, by evidence."""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.optimize import minimize_scalar

from bayesdip.gp.evidence import LocalEvidence, WhittleEvidence
from bayesdip.gp.model import Model, jitter_for
from bayesdip.gp.precondition import output_table
from bayesdip.kernels.kernel import Kernel

# How far the amplitude may be from its first guess.
LEAST, MOST = 0.01, 100.0
TARGETS = 3000
# Pixels on which it is estimated: more add nothing but time.
LARGEST = 2**20


def rescaled(model: Model, kernel: Kernel, *, constant: bool) -> Model:
    """The model with the scale of its noisy rows multiplied by the most likely common factor.

    The variance of the data, from which the first guess comes, is that of all structures together. What
    counts beside noise is the variance at the scales that the kernel describes.
    """
    noisy = ~model.noise_free
    if not bool(noisy.any()) or model.system.mixing is not None:
        return model
    limit = 0.0 if constant else kernel.limit
    part = _cropped(model) if model.system.operator is None else model
    evidence: LocalEvidence | WhittleEvidence
    if model.system.operator is None:
        evidence = LocalEvidence(part, targets=TARGETS)
        table = kernel.quadrant(evidence.extent) - limit
    else:
        evidence = WhittleEvidence(part)
        table = output_table(model.system, kernel.quadrant(model.system.grid.shape) - limit)
    jitter = jitter_for(model.system.grid)[1]

    def loss(log: float) -> float:
        factor = math.exp(log)
        noise = (part.system.noise / factor).clamp(min=jitter)
        return -evidence(table, noise, part.scale * factor).per_entry

    found = minimize_scalar(
        loss, bounds=(math.log(LEAST), math.log(MOST)), method="bounded", options={"xatol": 0.03}
    )
    factor = math.exp(float(found.x))
    scale = model.scale.where(model.noise_free, model.scale * factor)
    ratio = model.system.noise * (model.scale / scale).reshape(-1, *[1] * (model.system.noise.ndim - 1))
    if bool(noisy.all()):
        ratio = model.system.noise / factor
    return replace(model, system=replace(model.system, noise=ratio.clamp(min=jitter), _low={}), scale=scale)


def _cropped(model: Model) -> Model:
    """The middle of a large picture of pixels."""
    shape = model.data.shape[2:]
    side = max(1, int(LARGEST ** (1 / max(1, sum(n > 1 for n in shape)))))
    noise, seen, data = model.system.noise, model.system.seen, model.data
    for axis, n in enumerate(shape, start=2):
        begin, length = (n - min(n, side)) // 2, min(n, side)
        data, seen = data.narrow(axis, begin, length), seen.narrow(axis, begin, length)
        noise = noise if noise.shape[axis] == 1 else noise.narrow(axis, begin, length)
    if not bool((seen.flatten(1) > 0).any(1).all()):
        return model
    return replace(model, data=data, system=replace(model.system, noise=noise, seen=seen, _low={}))
