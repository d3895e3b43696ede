"""The stationary process that is likeliest for a picture's data, whatever the operator.

Its kernel is a mixture of a few of the distance alone (:mod:`bayesdip.gp.families`), each by its probability given the data.
Few data are given their exact evidence, by dense algebra, for a few lengthscales of each. Many, where they are nearly
stationary, as those of blurs and downsampling are, have the Whittle likelihood of each, and the best lengthscale is refined.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.gp import families
from bayesdip.gp.data_covariance import is_nearly_stationary, without_masks
from bayesdip.gp.inference import posterior
from bayesdip.gp.learning import KernelData, Learnt
from bayesdip.gp.model import build
from bayesdip.gp.output_covariance import output_covariance
from bayesdip.interruption import look
from bayesdip.kernels import Matern32
from bayesdip.kernels.kernel import Kernel, Sum
from bayesdip.noise import Gaussian, Noise
from bayesdip.operators import Downsample, Operator
from bayesdip.operators.part import smaller
from bayesdip.result import Posterior

# Lengthscales in pixels that are tried for each kernel; amplitudes around the first guess.
LENGTHSCALES = {
    "matern12": (3.0, 6.0, 12.0, 24.0, 48.0),
    "matern32": (1.5, 2.5, 4.0, 6.5, 11.0),
    "matern52": (1.5, 2.5, 4.0, 6.5, 11.0),
    "rbf": (1.0, 1.6, 2.4, 3.4, 4.8, 7.0),
}
# To which part the best lengthscale is found of many data.
REFINED = 0.05
LOG_AMPLITUDES = torch.linspace(-7.0, 7.0, 57, dtype=torch.float64)
# Kernels of less than this part of the largest probability are left out.
LEAST_PROBABILITY = 0.15
# Data for which the evidence is computed by dense algebra, and pixels where the data are not nearly stationary.
FEW_DATA, MOST_PIXELS = 700, 1024
# Pixels of the part from which a kernel is learnt otherwise.
PART = 96**2
# Singular values below this share of the largest are none.
RANK = 1e-10
# Data without noise have this share of their mean square as noise.
LEAST_NOISE = 1e-8


@dataclass(frozen=True)
class Process:
    """A stationary process.

    Attributes
    ----------
    name : str
        The likeliest kernel's family.
    kernel : Kernel
    colour : Tensor, shape (C, C)
        The covariance between channels that multiplies the kernel.
    """

    name: str
    kernel: Kernel
    colour: Tensor

    def posterior(
        self,
        y: Tensor,
        operator: Operator,
        noise: Noise,
        *,
        draws: int = 0,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """Of a picture that it draws, from such data.

        Parameters
        ----------
        y, operator, noise, draws, generator
            As :func:`bayesdip.gp.inference.posterior` takes them.

        Returns
        -------
        Posterior
        """
        colour = self.colour.to(y.device)
        known: dict[str, Any] = {"colour": colour}
        if not is_nearly_stationary(without_masks(operator)):
            known = {"amplitude": colour.diagonal(), "colour": False}
        return posterior(y, operator, self.kernel, noise, draws=draws, generator=generator, **known)


def likeliest_process(y: Tensor, operator: Operator, noise: Noise) -> Process | None:
    """The process of largest evidence.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
    operator : Operator
        Linear.
    noise : Noise

    Returns
    -------
    Process or None
        None where the data do not vary, and for a large picture of an operator whose data are not nearly stationary.
    """
    seen = operator.observed.to(y.device).expand(y.shape)
    if not seen.flatten(1).any(1).all() or not all(
        float(c[s].std(correction=0)) > 0 for c, s in zip(y, seen, strict=True)
    ):
        return None
    y = y.double().cpu()
    try:
        few = bool((seen == seen[:1]).all()) and int(seen[0].sum()) <= FEW_DATA
        if few and isinstance(without_masks(operator), Downsample):
            return _of_few(y, operator, noise)
        if not is_nearly_stationary(operator) or (few and len(y) == 1):
            return _by_dense_algebra(y, operator, noise)
        return _by_whittle(*_part(y, operator, noise))
    except (BayesDipError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        return None


def _part(y: Tensor, operator: Operator, noise: Noise) -> tuple[Tensor, Operator, Noise]:
    """Of a large picture a part at one corner."""
    side = round(PART ** (1 / len(operator.input_shape)))
    if max(operator.input_shape) <= side:
        return y, operator, noise
    part = smaller(operator, [min(n, side) for n in operator.input_shape])
    if part is None or not part.observed.any():
        return y, operator, noise
    here = (slice(None), *(slice(n) for n in part.output_shape))
    if isinstance(noise, Gaussian) and isinstance(noise.sigma, Tensor):
        noise = replace(noise, sigma=noise.sigma.expand(y.shape)[here])
    return y[here], part, noise


def _by_whittle(y: Tensor, operator: Operator, noise: Noise) -> Process:
    data, count = KernelData(y, operator, noise), int(operator.observed.expand(y.shape).sum())
    tried: list[Learnt] = []

    def asked(name: str, lengthscale: float) -> float:
        look()
        tried.append(data.at(families.named(name), {"lengthscale": lengthscale}))
        return tried[-1].evidence

    for name, lengthscales in LENGTHSCALES.items():
        for lengthscale in lengthscales:
            asked(name, lengthscale)
    best = max(tried, key=lambda one: one.evidence)
    _refine(lambda lengthscale: asked(best.name, lengthscale), best.name, best.parameters["lengthscale"])
    return _mixture([(count * one.evidence, one.name, one.kernel, one.colour) for one in tried])


def _refine(asked: Callable[[float], float], name: str, lengthscale: float) -> None:
    """Ask for more lengthscales between the neighbours of the best one, or up to the end of its family's range."""
    from scipy.optimize import minimize_scalar

    low, _, high = families.named(name).ranges["lengthscale"]
    known = (low, *LENGTHSCALES[name], high)
    at = known.index(lengthscale, 1)
    minimize_scalar(
        lambda log: -asked(math.exp(log)),
        bounds=(math.log(known[at - 1]), math.log(known[at + 1])),
        method="bounded",
        options={"xatol": REFINED},
    )


def _of_few(y: Tensor, operator: Operator, noise: Noise) -> Process:
    """Few data of downsampling, whose covariance goes by the lag: channels made independent, and the noise whitened."""
    seen = operator.observed.expand(y.shape)
    variance = torch.where(seen, noise.variance(y, seen).to(y), 0.0).expand(y.shape)
    alike = bool((variance == variance[:1]).all())
    model = build(y, seen, variance, operator, Matern32(2.0), constant=False, amplitude=None, colour=alike)
    here = seen[0].flatten()
    level = variance.mean(0).flatten()[here]
    shape = level / level.mean() if float(level.mean()) > 0 else torch.ones_like(level)
    ones = shape.clamp_min(LEAST_NOISE).rsqrt()
    # Each row has noise of its own in units of its scale.
    noises = (float(level.mean()) / model.scale).clamp_min(LEAST_NOISE)
    rows = model.data[:, 0].flatten(1)[:, here] * ones / (model.scale * noises).sqrt()[:, None]
    lags, found = _lags(tuple(y.shape[1:]))[here][:, here], []
    for name, kernel in _kernels(len(operator.input_shape)):
        look()
        table = output_covariance(operator, kernel)
        assert table is not None  # of downsampling
        power, vectors = torch.linalg.eigh(ones[:, None] * table.flatten()[lags] * ones)
        each = [_evidence(power, vectors, row[:, None], ones) for row in rows]
        scales = (
            torch.tensor([amplitude for _, amplitude in each], dtype=torch.float64) * noises * model.scale
        )
        found.append((sum(evidence for evidence, _ in each), name, kernel, model.covariance(scales)))
    return _mixture(found)


def _by_dense_algebra(y: Tensor, operator: Operator, noise: Noise) -> Process | None:
    """The noise whitened and the data rotated onto the operator's singular vectors: there their covariance is ``a M + I``."""
    grid = operator.input_shape
    pixels = math.prod(grid)
    if pixels > MOST_PIXELS or operator.input_channels is not None:
        return None
    seen = operator.observed.expand(y.shape)[0]
    variance = noise.variance(y, operator.observed.expand(y.shape)).to(y).expand(y.shape)[:, seen].mean(0)
    data = y[:, seen]
    deviation = variance.clamp_min(LEAST_NOISE * float(data.square().mean())).sqrt()
    each = torch.eye(pixels, dtype=torch.float64).reshape(pixels, 1, *grid)
    matrix = torch.stack([operator.forward(one)[0][seen] for one in each], 1) / deviation[:, None]
    left, size, right = torch.linalg.svd(matrix, full_matrices=False)
    kept = size > RANK * size.max()
    if not kept.any():
        return None
    root = size[kept, None] * right[kept]
    values = left[:, kept].T @ (data / deviation).T
    lags, found = _lags(grid), []
    for name, kernel in _kernels(len(grid)):
        look()
        power, vectors = torch.linalg.eigh(root @ kernel.quadrant(grid).flatten()[lags] @ root.T)
        evidence, amplitude = _evidence(power, vectors, values, root.sum(1))
        found.append((evidence, name, kernel, amplitude * torch.eye(len(y), dtype=torch.float64)))
    return _mixture(found)


def _kernels(axes: int) -> list[tuple[str, Kernel]]:
    return [
        (name, families.named(name).build(axes, lengthscale=lengthscale))
        for name, lengthscales in LENGTHSCALES.items()
        for lengthscale in lengthscales
    ]


def _mixture(found: list[tuple[float, str, Kernel, Tensor]]) -> Process:
    """Of kernels with their log evidence and the covariances between channels that multiply them, each by its probability."""
    logs = torch.tensor([evidence for evidence, *_ in found], dtype=torch.float64)
    probability = torch.softmax(logs, 0)
    likely = [
        at for at, p in enumerate(probability.tolist()) if p >= LEAST_PROBABILITY * float(probability.max())
    ]
    total = float(probability[likely].sum())
    _, name, _, colour = found[int(logs.argmax())]
    size = float(colour.diagonal().sum())
    parts = [
        float(probability[at]) / total * float(found[at][3].diagonal().sum()) / size * found[at][2]
        for at in likely
    ]
    return Process(name, parts[0] if len(parts) == 1 else Sum(tuple(parts)), colour)


def _evidence(power: Tensor, vectors: Tensor, values: Tensor, ones: Tensor) -> tuple[float, float]:
    """The largest log evidence over the amplitude a of ``a M + I``, a constant integrated out, and that amplitude.

    Parameters
    ----------
    power, vectors : Tensor, shape (r,) and (r, r)
        Eigenvalues and eigenvectors of M.
    values : Tensor, shape (r, C)
    ones : Tensor, shape (r,)
        What a picture of ones gives.
    """
    power = power.clamp_min(0)
    rotated, level = (vectors.T @ values).T, vectors.T @ ones
    guess = float(values.square().mean() / power.mean().clamp_min(1e-300))
    amplitudes = guess * LOG_AMPLITUDES.exp()
    total = amplitudes[:, None] * power + 1
    log = -0.5 * len(rotated) * total.log().sum(1) - 0.5 * (rotated.square()[:, None] / total).sum((0, 2))
    if float(level.square().sum()) > RANK * float(power.max()):
        weight = (level.square() / total).sum(1)
        log = log + 0.5 * ((rotated[:, None] * level / total).sum(2).square() / weight).sum(0)
        log = log - 0.5 * len(rotated) * weight.log()
    at = int(log.argmax())
    return float(log[at]), float(amplitudes[at])


def _lags(grid: tuple[int, ...]) -> Tensor:
    """Of every pair of pixels, (P, P), where its lag stands in a flat table of the lags 0, 1, ... of each axis."""
    places = torch.stack(torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij"), -1).flatten(0, -2)
    lag = (places[:, None] - places[None]).abs()
    flat = torch.zeros(lag.shape[:2], dtype=torch.long)
    for axis, n in enumerate(grid):
        flat = flat * n + lag[..., axis]
    return flat
