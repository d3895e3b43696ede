"""How probable the data are under a kernel: the evidence, three ways.

- `local`: the product of each observed pixel's density given its nearest predecessors (Vecchia
  1988). For pixels, with any mask.
- `whittle`: the debiased spatial Whittle likelihood (Guillaumin et al., J. R. Stat. Soc. B 84, 2022): the
  periodogram against its exact expectation on this grid, so the edges do not count as a jump.
- `lanczos`: exact but for a stochastic estimate of the log-determinant (Ubaru, Chen and Saad, SIAM
  J. Matrix Anal. Appl. 38, 2017), for any operator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.gp.local import LocalInverse, local_inverse, predecessors, prediction
from bayesdip.gp.model import Model
from bayesdip.gp.precondition import NEIGHBOURS
from bayesdip.gp.solve import conjugate_gradients

# Pixels that are predicted for one evaluation of the local evidence.
TARGETS = 6000
# Share of each axis, at both ends together, over which the data fade before a periodogram.
TAPER = 0.2


@dataclass(frozen=True)
class Evidence:
    """Log evidence of the data.

    Attributes
    ----------
    per_entry : float
        In nats, over the observed entries of all channels.
    scale : Tensor, shape (R,)
        What multiplies the covariance in each of the model's rows: the most likely value where the
        row is noise-free, else as given.
    """

    per_entry: float
    scale: Tensor


class LocalEvidence:
    """The local evidence of some data, ready to be asked for many kernels.

    Parameters
    ----------
    model : Model
        With independent channels and pixels for data.
    neighbours : int
    targets : int
        A random choice of that many pixels stands for all.
    """

    def __init__(self, model: Model, neighbours: int = NEIGHBOURS, targets: int = TARGETS) -> None:
        self.model = model
        self.seen = model.system.seen > 0
        generator = torch.Generator().manual_seed(1)
        self.targets = []
        for marks in self.seen:
            own, near = (torch.cat(part) for part in zip(*predecessors(marks.cpu(), neighbours), strict=True))
            chosen = torch.randperm(len(own), generator=generator)[: max(500, targets // len(self.seen))]
            self.targets.append((own[chosen], near[chosen]))

    def __call__(self, table: Tensor, noise: Tensor, scale: Tensor) -> Evidence:
        """Evidence for the covariance `table` (*grid) and `noise`, (R or 1, 1, *grid or ones), at unit scale."""
        table = table.cpu()
        found, total = [], 0.0
        for row, data in enumerate(self.model.data.cpu()):
            own, near = self.targets[min(row, len(self.targets) - 1)]
            variances = noise[min(row, len(noise) - 1)].cpu().expand(data.shape).flatten()
            weights, deviation = prediction(own, near, table, torch.ones((1, 1), dtype=table.dtype), variances)
            values, valid = data.flatten(), near >= 0
            expected = (weights.T * values[near.clamp(min=0)] * valid).sum(1)
            error = (values[own] - expected) / deviation
            ones = (1 - (weights.T * valid).sum(1)) / deviation
            error = error - ones * (error @ ones) / (ones @ ones)
            density, s = _density(error.square().mean(), deviation.log().mean(), scale[row], self.model.noise_free[row])
            total += density / len(self.model.data)
            found.append(s)
        return Evidence(total, torch.stack(found).to(scale))


class WhittleEvidence:
    """The debiased Whittle likelihood of complete data on a grid."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.taper = _taper(model.data.shape[2:]) * model.system.seen[0, 0].cpu()
        self.double = tuple(2 * n for n in self.taper.shape)
        # How often the window meets itself at each lag.
        overlap = torch.fft.irfftn(torch.fft.rfftn(self.taper, self.double).abs().square(), self.double)
        self.overlap = overlap / self.taper.square().sum()
        centred = model.data.cpu() * self.taper
        mean = centred.flatten(2).sum(2) / self.taper.sum()
        centred = centred - mean.reshape(*mean.shape, *[1] * self.taper.ndim) * self.taper
        axes = tuple(range(2, centred.ndim))
        self.periodogram = torch.fft.fftn(centred, dim=axes).abs().square() / self.taper.square().sum()

    def __call__(self, table: Tensor, noise: Tensor, scale: Tensor) -> Evidence:
        """Evidence for the data's covariance `table` (*output) and one `noise` a row, (R or 1, 1, ...)."""
        expected = self._expectation(table.cpu())
        found, total = [], 0.0
        for row, seen in enumerate(self.periodogram[:, 0]):
            floor = noise[min(row, len(noise) - 1)].mean().cpu()
            E = (expected + floor).flatten()[1:]  # the mean is unknown
            ratio = seen.flatten()[1:] / E
            density, s = _density(ratio.mean(), 0.5 * E.log().mean(), scale[row], self.model.noise_free[row])
            total += density / len(self.periodogram)
            found.append(s)
        return Evidence(total, torch.stack(found).to(scale))

    def _expectation(self, table: Tensor) -> Tensor:
        """What the periodogram is on average: the transform of covariance times overlap, folded onto the grid."""
        for axis, n in enumerate(self.taper.shape):
            # Lag n never meets itself: its covariance does not matter.
            edge = torch.zeros_like(table.narrow(axis, 0, 1))
            table = torch.cat((table, edge, table.narrow(axis, 1, n - 1).flip(axis)), axis)
        product = table * self.overlap
        for axis, n in enumerate(self.taper.shape):
            product = product.narrow(axis, 0, n) + product.narrow(axis, n, n)
        expected = torch.fft.fftn(product).real
        return expected.clamp(min=1e-9 * float(expected.max()))


def _density(power: Tensor, half_log: Tensor, scale: Tensor, free: Tensor) -> tuple[float, Tensor]:
    """Mean log density of whitened errors of that power, and the scale: the most likely one where it is free."""
    s = power.clamp(min=1e-30).cpu() if bool(free) else scale.cpu()
    log = -0.5 * (math.log(2 * math.pi) + s.log() + power.cpu() / s) - half_log.cpu()
    return float(log), s


def _taper(shape: torch.Size) -> Tensor:
    """A window that fades as a cosine at the ends of each axis."""
    window = torch.ones((), dtype=torch.float64)
    for n in shape:
        t = torch.arange(n, dtype=torch.float64) + 0.5
        edge = torch.minimum(t, n - t) / max(1e-9, TAPER / 2 * n)
        window = window[..., None] * (0.5 - 0.5 * (math.pi * edge.clamp(max=1)).cos())
    return window


def lanczos_evidence(
    model: Model,
    table: Tensor | None = None,
    *,
    probes: int = 8,
    steps: int = 25,
    generator: torch.Generator | None = None,
) -> Evidence:
    """Evidence with the log-determinant by stochastic Lanczos quadrature.

    Parameters
    ----------
    model : Model
        With independent channels.
    table : Tensor, shape (*grid), optional
        The covariance at the lags 0, 1, ... of each axis: where the data are pixels, the local inverse
        made from it leaves little for the quadrature to estimate.
    probes, steps : int
        Random vectors, and Lanczos steps for each.
    """
    system = model.system
    seen = system.seen > 0
    inverses: list[LocalInverse | None] = [
        None
        if table is None
        else local_inverse(seen[m], table, system.noise[min(m, len(system.noise) - 1)], 2 * NEIGHBOURS, system.seen)
        for m in range(max(len(seen), len(system.noise)) if len(seen) > 1 else 1)
    ]
    found, total, entries = [], 0.0, 0
    for row in range(len(model.data)):
        inverse = inverses[min(row, len(inverses) - 1)]
        marks = seen[min(row, len(seen) - 1)]
        count = int(marks.sum())
        which = torch.full((probes,), row, device=system.seen.device)

        def whitened(v: Tensor, which: Tensor = which, inverse: LocalInverse | None = inverse) -> Tensor:
            u = v if inverse is None else inverse.up(v.flatten(1)).reshape(v.shape)
            c = system.apply(u, which[: len(v)])
            return c if inverse is None else inverse.down(c.flatten(1)).reshape(v.shape)

        z = torch.randint(0, 2, (probes, *marks.shape), generator=generator).to(system.seen) * 2 - 1
        log_determinant = count * _quadrature(whitened, z * marks, min(steps, count))
        if inverse is not None:
            log_determinant -= inverse.log_determinant
        error = model.data[row : row + 1]
        ones = system.predict(torch.ones_like(error[:, :, :1].expand(1, 1, *error.shape[2:]))
                              if system.operator is None
                              else torch.ones((1, 1, *system.grid.shape)).to(error), which[:1])
        pair = torch.cat((error, ones))
        precondition = None if inverse is None else _inverse_map(inverse)
        solved = conjugate_gradients(
            lambda v, active, which=which: system.apply(v, which[active]), pair, precondition=precondition, tol=1e-6, max_iterations=2000
        ).x
        gram = (solved.flatten(1) @ pair.flatten(1).T).cpu()
        power = (gram[0, 0] - gram[0, 1] ** 2 / gram[1, 1]) / count
        half = torch.tensor(0.5 * log_determinant / count, dtype=torch.float64)
        density, s = _density(power, half, model.scale[row], model.noise_free[row])
        total, entries = total + density * count, entries + count
        found.append(s)
    return Evidence(total / entries, torch.stack(found).to(model.scale))
