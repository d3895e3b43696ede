"""How probable the data are under a kernel: the evidence, two ways.

- Vecchia: the product of each observed pixel's density given its conditioning set (Vecchia
  1988). For pixels, with any mask.
- Whittle: the debiased spatial Whittle likelihood (Guillaumin et al., J. R. Stat. Soc. B 84, 2022): the
  periodogram against its exact expectation on this grid, so the edges do not count as a jump.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.gp.model import Model
from bayesdip.gp.vecchia import (
    conditioning_sets,
    observed_places,
    prediction,
    unravelled,
)
from bayesdip.interruption import look

# Pixels of a conditioning set: the evidence is then within 0.02 nats a pixel of the dense one (tests/test_gp_evidence.py).
SET_SIZE = 12
# Pixels that are predicted for one evaluation of the Vecchia evidence.
TARGETS = 6000
# The share of them that is kept: those whose sets do not reach exceptionally far; a reach in pixels that never is.
SHARE_OF_TARGETS, NEAR = 0.97, 32
# Share of each axis, at both ends together, over which the data fade before a periodogram (a Tukey window).
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
    rows : tuple of float
        The same as `per_entry`, for each row alone.
    """

    per_entry: float
    scale: Tensor
    rows: tuple[float, ...]


class VecchiaEvidence:
    """The Vecchia evidence of some data, ready to be asked for many kernels.

    Parameters
    ----------
    model : Model
        With independent channels and pixels for data.
    set_size : int
        Pixels of a conditioning set.
    targets : int
        Pixels, chosen at random, whose densities are averaged.
    """

    def __init__(self, model: Model, set_size: int = SET_SIZE, targets: int = TARGETS) -> None:
        self.model = model
        self.seen = model.system.seen
        generator = torch.Generator().manual_seed(1)
        self.targets = []
        each = max(1000, targets // len(model.data))
        extent = torch.ones(model.data.ndim - 2, dtype=torch.long)
        for marks in self.seen:
            places = observed_places(marks.cpu())
            own, near = (
                places[torch.cat(part)]
                for part in zip(*conditioning_sets(marks.cpu(), set_size), strict=True)
            )
            chosen = torch.randperm(len(own), generator=generator)[:each]
            own, near = own[chosen], near[chosen]
            lags = self._lags(own, near)
            # The few pixels of the coarsest levels would ask for the covariance at all lags.
            usual = max(NEAR, float(lags.amax(1).double().quantile(SHARE_OF_TARGETS)))
            close = lags.amax(1) <= usual
            self.targets.append((own[close], near[close]))
            extent = torch.maximum(extent, 2 * lags[close].amax(0) + 1)
        # Two pixels of a set lie on opposite sides at most.
        self.extent = tuple(int(min(a, b)) for a, b in zip(extent, model.data.shape[2:], strict=True))

    def _lags(self, own: Tensor, near: Tensor) -> Tensor:
        """How far the conditioning set of each pixel reaches on each axis, (m, axes)."""
        here, there = (
            torch.stack(unravelled(p, self.model.data.shape[1:])[1:], -1)
            for p in (own[:, None], near.clamp(min=0))
        )
        return ((here - there).abs() * (near >= 0)[..., None]).amax(1)

    def __call__(self, table: Tensor, noise: Tensor, scale: Tensor) -> Evidence:
        """Evidence for the covariance `table` and `noise`, (R or 1, 1, *grid or ones), at unit scale.

        The table holds the lags 0, 1, ... of each axis, `extent` of them at least.
        """
        table, one = table.cpu(), torch.ones((1, 1), dtype=torch.float64)
        found, densities = [], []
        for row, data in enumerate(self.model.data.cpu()):
            look()
            own, near = self.targets[min(row, len(self.targets) - 1)]
            variances = noise[min(row, len(noise) - 1)].cpu().expand(data.shape).flatten()
            weights, deviation = prediction(own, near, data.shape, table, one, variances)
            values, valid = data.flatten(), near >= 0
            expected = (weights.T * values[near.clamp(min=0)] * valid).sum(1)
            error = (values[own] - expected) / deviation
            ones = (1 - (weights.T * valid).sum(1)) / deviation
            error = error - ones * (error @ ones) / (ones @ ones)
            density, s = _density(
                error.square().mean(), deviation.log().mean(), scale[row], self.model.noise_free[row]
            )
            densities.append(density)
            found.append(s)
        return Evidence(sum(densities) / len(densities), torch.stack(found).to(scale), tuple(densities))


class WhittleEvidence:
    """The debiased Whittle likelihood of data on a grid, of the entries that all channels see."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.taper = _taper(model.data.shape[2:]) * model.system.seen.cpu().all(0).all(0)
        self.double = tuple(2 * n for n in self.taper.shape)
        # How often the window meets itself at each lag.
        overlap = torch.fft.irfftn(torch.fft.rfftn(self.taper, self.double).abs().square(), self.double)
        self.overlap = overlap / self.taper.square().sum()
        # The taper contains the mask: entries that are not observed have weight zero.
        centred = model.data.cpu() * self.taper
        mean = centred.flatten(2).sum(2) / self.taper.sum()
        centred = centred - mean.reshape(*mean.shape, *[1] * self.taper.ndim) * self.taper
        axes = tuple(range(2, centred.ndim))
        self.periodogram = torch.fft.fftn(centred, dim=axes).abs().square() / self.taper.square().sum()
        white = torch.zeros(self.taper.shape, dtype=torch.float64)
        white[(0,) * white.ndim] = 1
        shared = model.system.shared
        tables = (
            [white]
            if shared is None
            else [shared.quadrant(row).cpu().double() for row in range(len(centred))]
        )
        self.noise = [self._expectation(table) for table in tables]
        self.last = (white, self.noise[0])

    def __call__(self, table: Tensor, noise: Tensor, scale: Tensor) -> Evidence:
        """Evidence for the data's covariance `table` (*output) and one `noise` a row, (R or 1, 1, ...)."""
        if table is not self.last[0]:  # one table is asked for with many scales
            self.last = (table, self._expectation(table.cpu()))
        expected = self.last[1]
        found, densities = [], []
        for row, seen in enumerate(self.periodogram[:, 0]):
            look()
            floor = noise[min(row, len(noise) - 1)].mean().cpu()
            E = (expected + floor * self.noise[min(row, len(self.noise) - 1)]).flatten()[
                1:
            ]  # the mean is unknown
            ratio = seen.flatten()[1:] / E
            density, s = _density(ratio.mean(), 0.5 * E.log().mean(), scale[row], self.model.noise_free[row])
            densities.append(density)
            found.append(s)
        return Evidence(sum(densities) / len(densities), torch.stack(found).to(scale), tuple(densities))

    def _expectation(self, table: Tensor) -> Tensor:
        """What the periodogram is on average, for data of covariance `table` less their weighted mean.

        Without the mean, the transform of covariance times overlap, folded onto the grid.
        """
        g = self.taper
        for axis, n in enumerate(g.shape):
            # Lag n never meets itself: its covariance does not matter.
            edge = torch.zeros_like(table.narrow(axis, 0, 1))
            table = torch.cat((table, edge, table.narrow(axis, 1, n - 1).flip(axis)), axis)
        product = table * self.overlap
        near = torch.fft.irfftn(torch.fft.rfftn(table) * torch.fft.rfftn(g, self.double), self.double)
        for axis, n in enumerate(g.shape):
            product = product.narrow(axis, 0, n) + product.narrow(axis, n, n)
            near = near.narrow(axis, 0, n)
        # Of the mean u = sum(g x) / sum(g): its covariance with each frequency, and its variance.
        window, near = torch.fft.fftn(g), near * g
        along = (window.conj() * torch.fft.fftn(near)).real / g.sum()
        mean = window.abs().square() * near.sum() / g.sum().square()
        expected: Tensor = torch.fft.fftn(product).real + (mean - 2 * along) / g.square().sum()
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
