"""Operators that are no averages: rows of the Fourier transform, projections, random sums, differences.

PSNR of what a method makes of a Shepp-Logan phantom and of a part of scikit-image's ``camera``, beside least
squares (the number of LSQR's steps the best of six for the truth) and total variation (its weight the best of six for the
truth). Fourier rows are exact, all else has noise of 1% of the data's largest value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import bayesdip as bd
from bayesdip.operators import Operator, from_function, from_matrix
from benchmarks.options import Options
from benchmarks.pictures import crop, psnr
from benchmarks.results import Results
from benchmarks.total_variation import total_variation

Array = NDArray[Any]

SIDE = 48
# Shares of the Fourier rows, and of as many random sums as pixels; number of projections; noise over the largest value.
SHARE, VIEWS, NOISE = 0.35, 30, 0.01
STEPS = (3, 6, 12, 25, 50, 400)
WEIGHTS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)
ITERATIONS = 400


def run(results: Results, options: Options) -> None:
    """Each operator on each picture."""
    for name, make in OPERATORS.items():
        for picture, clean in pictures().items():
            wanted = not options.pictures or picture in options.pictures
            if not wanted or results.has(operator=name, picture=picture):
                continue
            operator = make()
            y, sigma = observed(clean, operator, exact=name == "fourier rows")
            row: dict[str, Any] = {"operator": name, "picture": picture}
            row["least_squares"] = best(least_squares(y, operator), clean)
            row["total_variation"] = best(
                total_variation(y, operator, (1, SIDE, SIDE), WEIGHTS, ITERATIONS), clean
            )
            found = bd.restore(
                y.numpy(),
                operator,
                bd.Gaussian(sigma),
                method=options.method,
                effort=options.effort,
                channel_axis=0,
            )
            row |= {options.method: level_free_psnr(found.mean, clean), f"{options.method}_ran": found.method}
            results.add(row)
    results.conclude(gain=min(row[options.method] - row["total_variation"] for row in results.rows))


def pictures() -> dict[str, Array]:
    """In 0..1, (SIDE, SIDE)."""
    from skimage.data import shepp_logan_phantom
    from skimage.transform import resize

    phantom = resize(shepp_logan_phantom(), (SIDE, SIDE), anti_aliasing=True)  # type: ignore[no-untyped-call]
    return {"phantom": phantom, "camera": crop("camera")[40 : 40 + SIDE, 20 : 20 + SIDE] / 255}


def fourier_rows() -> Operator:
    """A share of the rows, the lowest frequencies among them."""
    keep = torch.from_numpy(np.random.default_rng(15).random(SIDE) < SHARE)
    keep[:3] = keep[-3:] = True
    return from_function(lambda x: torch.fft.fft2(x, norm="ortho")[keep], (SIDE, SIDE))


def projections() -> Operator:
    """Sums along parallel lines, from `VIEWS` directions."""
    from scipy.sparse import csr_matrix

    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    bins, pixels = SIDE * 3 // 2, np.arange(SIDE**2)
    parts = []
    for view, angle in enumerate(np.linspace(0, np.pi, VIEWS, endpoint=False)):
        place = x * np.cos(angle) + y * np.sin(angle) + bins / 2 - 0.5
        low = np.floor(place).astype(int)
        for at, weight in ((low, low + 1 - place), (low + 1, place - low)):
            parts.append((weight.ravel(), (view * bins + at).ravel(), pixels))
    weights, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return from_matrix(csr_matrix((weights, (rows, columns)), shape=(VIEWS * bins, SIDE**2)), (SIDE, SIDE))


def random_sums() -> Operator:
    """Normal numbers times the pixels, summed."""
    count = int(SHARE * SIDE**2)
    matrix = np.random.default_rng(3).normal(size=(count, SIDE**2)) / count**0.5
    return from_matrix(matrix, (SIDE, SIDE))


def differences() -> Operator:
    """Of neighbours in rows and in columns; one after the other."""

    def both(x: Tensor) -> Tensor:
        return torch.cat([x.diff(dim=-1).flatten(-2), x.diff(dim=-2).flatten(-2)], -1)

    return from_function(both, (SIDE, SIDE))


OPERATORS: dict[str, Callable[[], Operator]] = {
    "fourier rows": fourier_rows,
    "projections": projections,
    "random sums": random_sums,
    "differences": differences,
}


def observed(clean: Array, operator: Operator, *, exact: bool) -> tuple[Tensor, float]:
    """The data, (C, *output), and the standard deviation of their noise."""
    y = operator.forward(torch.from_numpy(clean)[None])
    sigma = 0.0 if exact else NOISE * float(y.abs().max())
    noise = np.random.default_rng(16).normal(0, 1, tuple(y.shape))
    return y + sigma * torch.from_numpy(noise), sigma


def level_free_psnr(found: Array | Tensor, clean: Array) -> float:
    """In dB, with the mean of the truth, which differences do not see."""
    picture = np.asarray(found, dtype=np.float64).reshape(clean.shape)
    return psnr(picture - picture.mean() + clean.mean(), clean)


def best(found: list[Tensor], clean: Array) -> float:
    """The highest."""
    return max(level_free_psnr(picture, clean) for picture in found)


def least_squares(y: Tensor, operator: Operator) -> list[Tensor]:
    """After each number of steps."""
    from scipy.sparse.linalg import LinearOperator, lsqr

    def forward(x: Array) -> Array:
        return operator.forward(torch.from_numpy(x.reshape(1, SIDE, SIDE))).numpy().ravel()

    def adjoint(v: Array) -> Array:
        return operator.adjoint(torch.from_numpy(v.reshape(y.shape))).numpy().ravel()

    A = LinearOperator((y.numel(), SIDE**2), matvec=forward, rmatvec=adjoint, dtype=np.float64)
    return [
        torch.from_numpy(lsqr(A, y.numpy().ravel(), iter_lim=n, atol=0, btol=0)[0]).reshape(1, SIDE, SIDE)
        for n in STEPS
    ]
