"""The stationary process that is likeliest for a picture's data, whatever the operator.

Its kernel is a mixture of a few of the distance alone (:mod:`bayesdip.gp.families`), each by its probability given the data.
Data that are nearly stationary, as those of blurs and downsampling are, are cut into blocks, each of which has its exact
evidence (:mod:`bayesdip.gp.block_evidence`). Few data of any other operator are given theirs by dense algebra.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.gp import dense, families
from bayesdip.gp.block_evidence import LEAST_NOISE, Blocks, dense_evidence, is_strong, lags
from bayesdip.gp.conditioned import DRAWS_TOLERANCE_FACTOR
from bayesdip.gp.data_covariance import is_nearly_stationary, without_masks
from bayesdip.gp.inference import posterior
from bayesdip.gp.own_weights import endless_weights
from bayesdip.interruption import look
from bayesdip.kernels import Isotropic, Kernel, Stretched, Sum
from bayesdip.noise import Noise
from bayesdip.noise.levels import with_levels
from bayesdip.operators import Operator
from bayesdip.operators.part import smaller
from bayesdip.result import Posterior

# Lengthscales in pixels that are tried for each kernel.
LENGTHSCALES = {
    "matern12": (3.0, 6.0, 12.0, 24.0, 48.0),
    "matern32": (1.5, 2.5, 4.0, 6.5, 11.0),
    "matern52": (1.5, 2.5, 4.0, 6.5, 11.0),
    "rbf": (1.0, 1.6, 2.4, 3.4, 4.8, 7.0, 10.0),
}
# Of data on STACK axes, lengthscales along the first one over those along the others, beside 1, tried with one family at first.
STACK, STRETCHES, OF_STRETCHES = 3, (0.25, 0.5, 2.0, 4.0, 16.0), "matern32"
# To which part the best lengthscale is found of many data.
REFINED = 0.05
# An RBF kernel whose lengthscale is at least so many pixels draws pictures without edges.
EDGELESS = 2.0
# Where only that is asked, a few kernels and small blocks tell most pictures with edges in a tenth of the time.
EDGELESS_AT_FIRST, WITH_EDGES_AT_FIRST = ("rbf", (2.4, 3.4, 4.8, 7.0)), ("matern52", (2.5, 6.0))
VALUES_AT_FIRST = 144
# Kernels of less than this part of the largest probability are left out.
LEAST_PROBABILITY = 0.15
# Pixels of a picture whose data, not nearly stationary, are given their evidence by dense algebra.
MOST_PIXELS = 1024
# Pixels of the part from which a kernel is learnt otherwise; and where the noise is strong, so that few say little.
PART, PART_IN_NOISE = 96**2, 256**2
# Of solves: the usual tolerance and the least one, and which share of the noise the residual of draws may be. With 0.3, standard
# deviations of smooth pictures under weak noise (1% of theirs) were within a tenth of the errors; six times as large at the usual one.
TOLERANCE, LEAST_TOLERANCE, SHARE_OF_NOISE = 1e-3, 1e-4, 0.3
# Singular values below this share of the largest are none.
RANK = 1e-10


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
    edgeless : float
        The probability of kernels that draw pictures without edges, 0..1.
    """

    name: str
    kernel: Kernel
    colour: Tensor
    edgeless: float = 0.0

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
            As :func:`bayesdip.gp.inference.posterior` takes them; of few pixels by any operator it is exact, without draws.

        Returns
        -------
        Posterior
        """
        colour = self.colour.to(y.device)
        known: dict[str, Any] = {"colour": colour}
        if not is_nearly_stationary(without_masks(operator)):
            # Solutions for smooth pictures from data with little noise converge slowly: their draws scattered two to four times too much.
            if math.prod(operator.input_shape) <= MOST_PIXELS and math.prod(y.shape[1:]) <= dense.LARGEST:
                return self._by_dense_algebra(y, operator, noise)
            known = {"amplitude": colour.diagonal(), "colour": False}
        tol = self._tolerance(noise.variance(y, operator.observed.expand(y.shape)))
        return posterior(y, operator, self.kernel, noise, draws=draws, generator=generator, tol=tol, **known)

    def expected_square(self, grid: Sequence[int], noise: Tensor) -> Tensor:
        """Mean squared error of each channel, (C,), by its own data alone: of pixels with white noise, away from borders.

        The mean over the frequencies of ``s n / (s + n)``, with s the spectrum of the process and n that of the noise
        (Wiener's filter).

        Parameters
        ----------
        grid : sequence of int
            Pixels along each axis.
        noise : Tensor, shape (C,)
            Variance of the noise.

        Returns
        -------
        Tensor, float64, shape (C,)
        """
        return noise * endless_weights(self.kernel, self.colour.diagonal().double(), grid, noise)

    def _by_dense_algebra(self, y: Tensor, operator: Operator, noise: Noise) -> Posterior:
        """The exact one; samples there are none."""
        seen = operator.observed.to(y.device).expand(y.shape)
        given = torch.where(seen, y.double(), 0.0)
        variance = noise.variance(y, seen).to(given).expand(y.shape)
        least = LEAST_NOISE * float(given.square().mean())
        amplitude = self.colour.diagonal().to(given)
        return dense.dense_posterior(given, operator, self.kernel, variance.clamp_min(least), amplitude)

    def _tolerance(self, variance: Tensor) -> float:
        """Relative residual of the mean's solve: what that of the draws leaves has to be less than the noise."""
        power = float(self.colour.diagonal().mean() * self.kernel.quadrant((1,) * (variance.ndim - 1)))
        sigma = float(variance.double().mean().sqrt())
        if not (sigma > 0 and power > 0):
            return TOLERANCE
        wanted = SHARE_OF_NOISE * sigma / math.sqrt(power) / DRAWS_TOLERANCE_FACTOR
        return min(TOLERANCE, max(LEAST_TOLERANCE, wanted))


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
        if is_nearly_stationary(operator):
            return _by_blocks(*_part(y, operator, noise))
        return _by_dense_algebra(y, operator, noise)
    except (BayesDipError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        return None


def looks_edgeless(y: Tensor, operator: Operator, noise: Noise) -> bool:
    """Whether one of a few kernels without edges is likelier on small blocks than one of a few with edges; it costs little.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
    operator : Operator
        Linear, whose data are nearly stationary.
    noise : Noise

    Returns
    -------
    bool
    """
    try:
        data = Blocks.of(y.double().cpu(), operator, noise, VALUES_AT_FIRST)
    except (BayesDipError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        return False

    def best(name: str, lengthscales: Sequence[float]) -> float:
        kernels = (families.named(name).build(y.ndim - 1, lengthscale=length) for length in lengthscales)
        return max(data.evidence(kernel)[0] for kernel in kernels)

    return best(*EDGELESS_AT_FIRST) > best(*WITH_EDGES_AT_FIRST)


def _part(y: Tensor, operator: Operator, noise: Noise) -> tuple[Tensor, Operator, Noise]:
    """Of a large picture a part at one corner."""
    usual, in_noise = (round(pixels ** (1 / len(operator.input_shape))) for pixels in (PART, PART_IN_NOISE))
    if max(operator.input_shape) <= usual:
        return y, operator, noise
    seen = operator.observed.expand(y.shape)
    strong = is_strong(y, noise.variance(y, seen).to(y).expand(y.shape), seen)
    side = in_noise if strong else usual
    if max(operator.input_shape) <= side:
        return y, operator, noise
    part = smaller(operator, [min(n, side) for n in operator.input_shape])
    if part is None or not part.observed.any():
        return y, operator, noise
    here = (slice(None), *(slice(n) for n in part.output_shape))
    return y[here], part, with_levels(noise, y.shape, lambda levels: levels[here])


def _by_blocks(y: Tensor, operator: Operator, noise: Noise) -> Process:
    """By the evidence of blocks of the data: of three axes the best stretch along the first one, and the best lengthscale refined."""
    data, axes = Blocks.of(y, operator, noise), len(operator.input_shape)
    tried: list[tuple[float, str, Kernel, Tensor]] = []

    def asked(name: str, lengthscale: float, stretch: float = 1.0) -> float:
        look()
        kernel = families.named(name).build(axes, lengthscale=lengthscale)
        if stretch != 1:
            assert isinstance(kernel, Isotropic)
            kernel = Stretched(kernel, stretch)
        evidence, colour = data.evidence(kernel)
        tried.append((evidence, name, kernel, colour))
        return evidence

    def best_of(names: Sequence[str], stretches: Sequence[float]) -> tuple[float, str, float, float]:
        return max(
            (asked(name, lengthscale, stretch), name, lengthscale, stretch)
            for name in names
            for lengthscale in LENGTHSCALES[name]
            for stretch in stretches
        )

    best = best_of(tuple(LENGTHSCALES), (1.0,))
    if axes == STACK:
        stretched = best_of((OF_STRETCHES,), STRETCHES)
        if stretched > best:
            others = tuple(name for name in LENGTHSCALES if name != OF_STRETCHES)
            best = max(stretched, best_of(others, stretched[-1:]))
    evidence, name, lengthscale, stretch = best
    table = list(tried)
    _refine(lambda lengthscale: asked(name, lengthscale, stretch), name, lengthscale)
    refined = max(tried, key=lambda one: one[0])
    # One more kernel of the best family: all that were tried would be most of the mixture.
    return _mixture([*table, refined] if refined[0] > evidence else table)


def _refine(asked: Callable[[float], float], name: str, lengthscale: float) -> None:
    """Ask for more lengthscales between the neighbours of the best one.

    Not for longer ones than are known: of smooth pictures a rough kernel of endless reach would be found.
    """
    from scipy.optimize import minimize_scalar

    known = LENGTHSCALES[name]
    at = known.index(lengthscale)
    minimize_scalar(
        lambda log: -asked(math.exp(log)),
        bounds=(math.log(known[max(at - 1, 0)]), math.log(known[min(at + 1, len(known) - 1)])),
        method="bounded",
        options={"xatol": REFINED},
    )


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
    at, found = lags(grid), []
    for name, kernel in _kernels(len(grid)):
        look()
        power, vectors = torch.linalg.eigh(root @ kernel.quadrant(grid).flatten()[at] @ root.T)
        evidence, amplitude = dense_evidence(power, vectors, values, root.sum(1))
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
    edgeless = sum(
        float(p)
        for p, (_, family, kernel, _) in zip(probability, found, strict=True)
        if family == "rbf" and _lengthscale(kernel) >= EDGELESS
    )
    return Process(name, parts[0] if len(parts) == 1 else Sum(tuple(parts)), colour, edgeless)


def _lengthscale(kernel: Kernel) -> float:
    """Of a kernel that was tried, along the last axes."""
    kernel = kernel.kernel if isinstance(kernel, Stretched) else kernel
    assert isinstance(kernel, Isotropic)
    return kernel.lengthscale
