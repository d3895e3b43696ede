"""What a blur saw beyond the border of a picture, told by the data along it.

A photograph is a part of a larger scene, so that the blur saw pixels that are not in the picture. In simulations it often saw the
picture reflected, or periodically repeated. Each of these gives the data near the border a covariance of its own: beside a
reflecting border they change less across it, and of a repeated picture opposite borders belong together. So the three are
compared by the evidence of a stationary process for sets of pixels along opposite borders, each with its exact covariance
``A K A^T`` (:func:`bayesdip.gp.block_evidence.log_evidence`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.findings import Finding
from bayesdip.gp import families
from bayesdip.gp.block_evidence import LEAST_NOISE, LOG_AMPLITUDES, lags_between, log_evidence
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Correlated, Noise
from bayesdip.noise.rounding import rounding_step
from bayesdip.operators.sparse_matrix import EXTENSIONS

Indices = NDArray[np.int64]

UNKNOWN = "unknown"
# A set reaches so far from both ends of an axis, and is so long on the others; of an axis that is shorter, where it must not come
# near a border of its own, at least so long.
DEPTH, LENGTH, LEAST_LENGTH = 6, 12, 4
# Sets that are compared for an axis, evenly spread, and pixels of a scene that one of them may depend on: where there are more,
# nothing is said.
MOST_SETS, MOST_PIXELS = 8, 2500
# Kernels with their lengthscales in pixels: rough and smooth ones, short and long.
KERNELS = (
    ("matern12", 6.0),
    ("matern12", 24.0),
    ("matern32", 2.5),
    ("matern32", 6.5),
    ("rbf", 2.4),
    ("rbf", 7.0),
)
# Nats of evidence, from which on data are taken for those of a simulation: 2 of 144 blurred parts of 96x96 pixels of tuning pictures that were
# cut out of larger ones have as much, and 90 of 144 with a reflected border. Taken for the other, a part of a larger picture lost up to 6 dB, and one with
# a reflected border up to 0.5 (three pictures).
CLEAR = 20.0
TINY = 1e-300

TEXTS = {
    "reflect": "reflected there",
    "periodic": "repeated there",
}


def likeliest_border(y: Tensor, missing: Tensor, psf: NDArray[np.float64], noise: Noise) -> str:
    """What lies beyond the border, by the data.

    Parameters
    ----------
    y : Tensor, shape (C, *grid)
        Blurred.
    missing : Tensor of bool, broadcastable to it
    psf : ndarray
        With as many axes as the grid.
    noise : Noise
        In the scale of `y`.

    Returns
    -------
    str
        ``"reflect"`` or ``"periodic"`` where the data clearly say so, else ``"unknown"``.
    """
    if isinstance(noise, Correlated) or pixels_behind(psf.shape) > MOST_PIXELS:
        return UNKNOWN
    sides = list(_sides(y, missing.expand(y.shape), psf, noise))
    if not sides:
        return UNKNOWN
    kernels = [families.named(name).build(psf.ndim, lengthscale=lengthscale) for name, lengthscale in KERNELS]
    photograph = [side.seen(UNKNOWN) for side in sides]
    found = [_evidence(sides, photograph, kernel) for kernel in kernels]
    best = int(np.argmax(found))
    others = {
        name: _evidence(sides, [side.seen(name) for side in sides], kernels[best]) for name in EXTENSIONS
    }
    likeliest = max(others, key=others.__getitem__)
    return likeliest if others[likeliest] > found[best] + CLEAR else UNKNOWN


def pixels_behind(psf: Sequence[int]) -> int:
    """How many pixels of a scene a set depends on, at most."""
    both_ends, others = 2 * (DEPTH + max(psf)), [LENGTH + s for s in psf]
    return both_ends * math.prod(others) // max(others)


def border_finding(border: str) -> Finding:
    """What is said of a border that was found."""
    text = (
        f"along the border the data are those of a blur that saw the picture {TEXTS[border]}, as in a simulation, and are taken "
        "for such: boundary='unknown' (--boundary unknown) takes them for a part of a larger scene"
    )
    return Finding("border", text, {"boundary": border})


@dataclass(frozen=True)
class _Side:
    """Sets of pixels along both borders of an axis, alike but for their place along them.

    Attributes
    ----------
    places : ndarray of int, shape (m, axes)
        Of the first set.
    values, noise : Tensor, shape (C, B, m) and (C, B)
        Of all of them, and their mean variance.
    shape : tuple of int
        The picture's grid.
    psf : ndarray
    """

    places: Indices
    values: Tensor
    noise: Tensor
    shape: tuple[int, ...]
    psf: NDArray[np.float64]

    def seen(self, border: str) -> _Seen:
        """What the pixels of a set see of the scene."""
        fold = EXTENSIONS.get(border, _as_they_are)
        axes = [
            fold(at[:, None] + s // 2 - np.arange(s), n)
            for at, s, n in zip(self.places.T, self.psf.shape, self.shape, strict=True)
        ]
        origin = [int(axis.min()) for axis in axes]
        extent = [int(axis.max()) - low + 1 for axis, low in zip(axes, origin, strict=True)]
        pixels, column = np.unique(_combined(axes, origin, extent), return_inverse=True)
        blur = np.zeros((len(self.places), len(pixels)))
        rows = np.repeat(np.arange(len(self.places)), self.psf.size)
        np.add.at(blur, (rows, column.ravel()), np.tile(self.psf.ravel(), len(self.places)))
        at = [torch.from_numpy(axis) for axis in np.unravel_index(pixels, extent)]
        return _Seen(blur, lags_between(at, extent).numpy(), extent)


@dataclass(frozen=True)
class _Seen:
    """Weights of the scene's pixels in m values, (m, pixels); and where the lag of each pair of pixels stands in a table of `extent`."""

    blur: NDArray[np.float64]
    lags: Indices
    extent: list[int]

    def covariance(self, kernel: Kernel) -> Tensor:
        """Of the m values at unit amplitude, (m, m)."""
        table = (kernel.quadrant(self.extent) - kernel.limit).double().numpy()
        return torch.from_numpy(self.blur @ table.ravel()[self.lags] @ self.blur.T)


def _sides(y: Tensor, missing: Tensor, psf: NDArray[np.float64], noise: Noise) -> Iterator[_Side]:
    """Those of every axis that the blur goes along and that has room for sets without missing pixels."""
    shape = tuple(y.shape[1:])
    y = torch.where(missing, 0.0, y.double().cpu())
    variance = noise.variance(y, ~missing).to(y).expand(y.shape)
    least = LEAST_NOISE * float(y.var(correction=0)) + rounding_step(y[~missing]) ** 2 / 12
    for axis, (n, s) in enumerate(zip(shape, psf.shape, strict=True)):
        if s == 1 or n < 2 * DEPTH:
            continue
        ends = np.r_[:DEPTH, n - DEPTH : n]
        along = [
            _windows(m, reach // 2) if other != axis else [ends]
            for other, (m, reach) in enumerate(zip(shape, psf.shape, strict=True))
        ]
        sets = [
            np.stack(np.meshgrid(*window, indexing="ij"), -1).reshape(-1, len(shape))
            for window in product(*along)
        ]
        whole = [places for places in sets if not missing[(slice(None), *places.T)].any()]
        if whole:
            few = [whole[k] for k in np.unique(np.linspace(0, len(whole) - 1, MOST_SETS).round().astype(int))]
            values, levels = (
                torch.stack([part[(slice(None), *places.T)] for places in few], 1) for part in (y, variance)
            )
            yield _Side(few[0], values, levels.mean(2).clamp_min(least), shape, psf)


def _windows(n: int, reach: int) -> list[Indices]:
    """Parts of an axis, all of one length, that are farther from its ends than a blur reaches; none where there is no room."""
    room = n - 2 * reach
    if room < min(LEAST_LENGTH, n):
        return []
    length = min(LENGTH, room)
    return [np.arange(begin, begin + length) for begin in range(reach, n - reach - length + 1, length)]


def _evidence(sides: Sequence[_Side], seen: Sequence[_Seen], kernel: Kernel) -> float:
    """Log evidence of all sets in nats, each channel at its likeliest amplitude."""
    covariances = [each.covariance(kernel) for each in seen]
    prior = torch.stack([c.diagonal().mean() for c in covariances]).mean()
    values = torch.cat([side.values.flatten(1) for side in sides], 1)
    amplitudes = (values.var(1, correction=0) / prior).clamp_min(TINY)[:, None] * LOG_AMPLITUDES.exp()
    total = torch.zeros_like(amplitudes)
    for side, covariance in zip(sides, covariances, strict=True):
        power, vectors = torch.linalg.eigh(covariance)
        ones = torch.full((len(side.places),), float(side.psf.sum()), dtype=torch.float64)
        rows = zip(amplitudes, side.values, side.noise, strict=True)
        total += torch.stack([log_evidence(power, vectors, *row, ones) for row in rows])
    return float(total.max(1).values.sum())


def _combined(seen: Sequence[Indices], origin: Sequence[int], extent: Sequence[int]) -> Indices:
    """Flat numbers in a box of the pixels that each place sees, (m, pixels of the blur), from those of each axis, (m, s)."""
    found = np.zeros((len(seen[0]), 1), dtype=np.int64)
    for axis, low, length in zip(seen, origin, extent, strict=True):
        found = (found[:, :, None] * length + (axis - low)[:, None, :]).reshape(len(axis), -1)
    return found


def _as_they_are(indices: Indices, n: int) -> Indices:
    return indices
