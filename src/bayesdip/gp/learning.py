"""Kernels learnt from one degraded picture, by maximising the evidence (Rasmussen and Williams 2006, chapter 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.gp import families
from bayesdip.gp.amplitude import central_part, is_mostly_noise, row_factors
from bayesdip.gp.data_covariance import is_nearly_stationary, without_masks
from bayesdip.gp.evidence import Evidence, VecchiaEvidence, WhittleEvidence
from bayesdip.gp.families import FAMILIES, Family
from bayesdip.gp.grid_covariance import embed
from bayesdip.gp.model import build, jitter_for
from bayesdip.gp.output_covariance import output_covariance
from bayesdip.gp.preconditioners import output_table
from bayesdip.interruption import look
from bayesdip.kernels import Kernel, Matern32
from bayesdip.noise import Gaussian, Noise
from bayesdip.operators import Mask, Operator

# Where the search begins and how far it may go, as (lowest, start, highest): the scale of noisy data as a factor of its
# first guess, and the noise's variance, where it is learnt, in units of the picture's.
SCALE = (0.02, 1.0, 50.0)
NOISE = (1e-5, 1e-2, 10.0)
# The search (Nelder-Mead, in logarithms of the parameters): first step, tolerances of parameters and of evidence in nats
# a pixel, and most evaluations for each parameter.
FIRST_STEP, PARAMETER_TOLERANCE, EVIDENCE_TOLERANCE, EVALUATIONS = 0.7, 0.02, 1e-4, 60


@dataclass(frozen=True)
class Learnt:
    """A kernel fitted to data.

    Attributes
    ----------
    name : str
        Its family.
    kernel : Kernel
    parameters : mapping of str to float
    evidence : float
        Log evidence in nats per observed entry, at the best parameters.
    colour : Tensor, shape (C, C)
        The covariance between channels that multiplies the kernel: give it to `gp.posterior`.
    noise : Noise
        The noise that was given, or that was learnt.
    """

    name: str
    kernel: Kernel
    parameters: Mapping[str, float]
    evidence: float
    colour: Tensor
    noise: Noise


@dataclass(frozen=True)
class Choice:
    """Which kernel fits best, and why.

    Attributes
    ----------
    best : Learnt
    candidates : tuple of Learnt
        All that were tried, the best first.
    why : str
        One sentence.
    """

    best: Learnt
    candidates: tuple[Learnt, ...]
    why: str


def learn(y: Tensor, operator: Operator, family: Family | str, noise: Noise | None = None) -> Learnt:
    """Fit a kernel's parameters, its scale and, where it is not given, the noise.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
        The data; their values where ``operator.observed`` is False mean nothing.
    operator : Operator
        The identity, a mask, a blur or downsampling, or one behind the other.
    family : Family or its name
    noise : Noise, optional
        Without it, white Gaussian noise of unknown strength, the same in all channels.

    Returns
    -------
    Learnt

    Raises
    ------
    BayesDipError
        There is no such family, or the operator is another one.
    """
    family = families.named(family) if isinstance(family, str) else family
    return KernelData(y, operator, noise).fit(family)


def choose(
    y: Tensor,
    operator: Operator,
    noise: Noise | None = None,
    candidates: Sequence[Family | str] = tuple(FAMILIES),
) -> Choice:
    """Learn each of the candidates and pick the one with the largest evidence.

    Parameters
    ----------
    y, operator, noise
        As :func:`learn` takes them.
    candidates : sequence of Family or str
        Families to try, by default all of `FAMILIES`.

    Returns
    -------
    Choice

    Raises
    ------
    BayesDipError
        There are no candidates, one of them does not exist, or the operator is another one.
    """
    if not candidates:
        raise BayesDipError("candidates is empty: expected at least one kernel family; name some")
    data = KernelData(y, operator, noise)
    wanted = [families.named(f) if isinstance(f, str) else f for f in candidates]
    tried = sorted((data.fit(f) for f in wanted), key=lambda learnt: -learnt.evidence)
    best, *others = tried
    settings = ", ".join(f"{name} {value:.3g}" for name, value in best.parameters.items())
    why = f"{best.name} ({settings}) has the largest evidence, {best.evidence:.4f} nats per pixel"
    if others:
        why += f"; next is {others[0].name} with {others[0].evidence:.4f}"
    return Choice(best, tuple(tried), why + ".")


class KernelData:
    """The data, cropped and rotated into independent channels once for all kernels."""

    def __init__(self, y: Tensor, operator: Operator, noise: Noise | None) -> None:
        self.given = noise
        if not is_nearly_stationary(without_masks(operator)):
            raise BayesDipError(
                f"a kernel was to be learnt from the data of {operator!r}: expected pixels, or a blurred or downsampled "
                "picture; name a kernel instead"
            )
        pixels = without_masks(operator) is None
        seen = operator.observed.to(y.device).expand(y.shape)
        assumed = Gaussian(0.0) if noise is None else noise
        data = torch.where(seen, y, 0).to(torch.float64)
        variance = torch.where(seen, assumed.variance(data, seen).to(data), 0)
        if pixels:
            part = (slice(None), *central_part(y.shape[1:]))
            data, variance, seen = data[part], variance[part], seen[part]
            operator = Mask(~seen.cpu(), tuple(data.shape[1:]))
        self.operator = operator
        self.channels = len(y)
        # Any kernel will do to find the channels' axes and first scales.
        self.model = build(
            data,
            seen,
            variance,
            operator,
            Matern32(2.0),
            constant=False,
            amplitude=None,
            colour=_all_equal(seen, variance),
        )
        near = pixels and not is_mostly_noise(self.model)
        self.evidence = VecchiaEvidence(self.model) if near else WhittleEvidence(self.model)
        self.pixels = pixels

    def fit(self, family: Family) -> Learnt:
        ranges = dict(family.ranges)
        noisy = not bool(self.model.noise_free.all())
        if noisy:
            ranges["scale"] = SCALE
        if self.given is None:
            ranges["noise"] = NOISE
        low, start, high = (np.log([r[i] for r in ranges.values()]) for i in range(3))
        names = list(ranges)

        def loss(at: NDArray[np.float64]) -> float:
            look()
            inside = np.clip(at, low, high)
            value = -self._ask(family, dict(zip(names, np.exp(inside), strict=True))).per_entry
            # Outside, a slope that leads back.
            return (value if math.isfinite(value) else 1e6) + float(np.square(at - inside).sum())

        from scipy.optimize import minimize  # a tenth of a second that a run without learning does not need

        simplex = np.vstack([start, *(start + FIRST_STEP * step for step in np.eye(len(names)))])
        found = minimize(
            loss,
            start,
            method="Nelder-Mead",
            options={
                "initial_simplex": simplex,
                "xatol": PARAMETER_TOLERANCE,
                "fatol": EVIDENCE_TOLERANCE,
                "maxfev": EVALUATIONS * len(names),
            },
        )
        parameters = dict(zip(names, (float(p) for p in np.exp(np.clip(found.x, low, high))), strict=True))
        evidence = self._ask(family, parameters)
        kernel = self._kernel(family, parameters)
        unit = float(kernel.quadrant((1,) * len(self.operator.input_shape))) - kernel.limit
        scale = self._row_scales(family, parameters) if noisy else evidence.scale
        colour = self.model.covariance(torch.where(self.model.noise_free, evidence.scale, scale) / unit)
        noise = self.given
        if noise is None:
            sigma = math.sqrt(parameters["noise"] * float(evidence.scale.mean()))
            noise = Gaussian(sigma)
        kept = {name: value for name, value in parameters.items() if name in family.ranges}
        return Learnt(family.name, kernel, kept, evidence.per_entry, colour, noise)

    def _kernel(self, family: Family, parameters: Mapping[str, float]) -> Kernel:
        own = {name: value for name, value in parameters.items() if name in family.ranges}
        return family.build(len(self.operator.input_shape), **own)

    def _ask(self, family: Family, parameters: Mapping[str, float]) -> Evidence:
        table, noise, scale, jitter = self._setting(family, parameters)
        return self.evidence(table, noise.clamp(min=jitter), scale)

    def _row_scales(self, family: Family, parameters: Mapping[str, float]) -> Tensor:
        """The most likely scale of each row by itself."""
        table, noise, scale, jitter = self._setting(family, parameters)
        return scale * row_factors(self.evidence, table, noise, scale, jitter)

    def _setting(
        self, family: Family, parameters: Mapping[str, float]
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        """Covariances at unit variance, noise in units of each row's scale, the scales, the least noise."""
        kernel = self._kernel(family, parameters)
        shape = self.operator.input_shape
        small = embed(kernel, tuple(min(n, 48) for n in shape), constant=False)
        jitter = jitter_for(small) / small.variance
        lags = self.evidence.extent if isinstance(self.evidence, VecchiaEvidence) else shape
        table = (kernel.quadrant(lags) - kernel.limit) / small.variance
        system = self.model.system
        if not self.pixels:
            exact = output_covariance(self.operator, kernel)
            if exact is None:
                grid = embed(kernel, shape, constant=False, like=system.grid.spectrum)
                exact = output_table(replace(system, grid=grid, _low={}), table * small.variance)
            table = exact / small.variance
        factor = parameters.get("scale", 1.0)
        ratio = system.noise / factor + parameters.get("noise", 0.0)
        return table, ratio, self.model.scale * factor, jitter


def _all_equal(*tables: Tensor) -> bool:
    return all(bool((t == t[:1]).all()) for t in tables)
