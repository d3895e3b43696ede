"""Splits of the data: what a method is given, and how its result is judged without a clean picture.

Held out
    Some of the observed values are kept from the method; its error is measured on them.
Recorruption
    With noise n of the data's own kind, the method is given ``y + a n`` and judged on ``y - n / a``.
    For Gaussian noise the two have independent noise, and the mean of

        (f(y + a n) - y)^2 - sigma^2 + 2 n (f(y + a n) - y) / a

    is the method's squared error at the noise level ``sigma sqrt(1 + a^2)``, whatever f is
    (Pang et al., *Recorrupted-to-Recorrupted*, CVPR 2021; Oliveira, Lei, Tibshirani, *Unbiased risk
    estimation in the normal means problem via coupled bootstrap techniques*, EJS 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem

ESTIMATORS = ("held-out", "recorruption")
# Share of the observed values that one split holds out, and the fewest values that say something.
SHARE, FEWEST = 0.1, 16
# The a of recorruption. The noise that methods are given is larger by sqrt(1 + a^2), here 12%; a smaller a comes
# closer to the noise itself, and scatters more.
STRENGTH = 0.5
# Added to the seed of the noise that is drawn: whoever made the picture's own noise with torch and a small seed would
# else be given the same noise once more. Torch takes 32 bits of a seed on the CPU.
SEED_OFFSET = 2**31
# The largest side (pixels) of held-out squares: larger ones would leave too few places for them.
LARGEST_SQUARE = 63
# Squares are large enough when their pixels lie this share as far from known ones as the missing ones do.
DEEP_ENOUGH = 0.9


@dataclass(frozen=True)
class Split:
    """One split of the data.

    Attributes
    ----------
    training : Problem
        What the methods are given.
    squared_errors : callable
        From a restored picture (C, M, N) to two tensors on the data's grid (M', N'): squared errors, summed over
        the channels and free of the noise's share, and how many values were summed.
    """

    training: Problem
    squared_errors: Callable[[Tensor], tuple[Tensor, Tensor]]

    def error(self, restored: Tensor) -> float:
        """Mean squared error of a picture (C, M, N), in working units."""
        total, count = self.squared_errors(restored)
        return float(total.sum() / count.sum())


def held_out(problem: Problem, seed: int) -> Split:
    """Hold out a tenth of what was observed, as far from known pixels as the missing ones are.

    Raises
    ------
    BayesDipError
        Too little is observed.
    """
    y, operator = problem.y.cpu().double(), problem.operator
    seen = operator.observed.expand(y.shape)
    chosen = choose_held_out(seen.any(0), seed, like_missing=isinstance(operator, Mask))
    judged = chosen & seen  # of a held-out pixel, the channels that were seen
    variance = problem.noise.variance(y, seen).expand(y.shape)

    def squared_errors(restored: Tensor) -> tuple[Tensor, Tensor]:
        squared = (operator.forward(restored.cpu().double()) - y).square() - variance
        return torch.where(judged, squared, 0.0).sum(0), judged.sum(0).double()

    return Split(replace(problem, operator=operator.with_held_out(chosen)), squared_errors)


def recorrupted(problem: Problem, seed: int) -> Split:
    """Give the methods noisier data, and judge them on data whose noise is independent of that.

    Raises
    ------
    BayesDipError
        The problem is not denoising, or its noise is not Gaussian.
    """
    noise = problem.noise
    if not can_recorrupt(problem) or not isinstance(noise, Gaussian):
        raise BayesDipError(
            f"recorruption was asked for {problem.operator!r} with {noise.describe()}: expected Gaussian noise "
            "on every pixel; use estimator='held-out'"
        )
    y = problem.y.cpu().double()
    noise = replace(noise, clipped=(-inf, inf))  # what is added is not clipped
    extra = noise.sample(torch.zeros_like(y), torch.Generator().manual_seed(seed + SEED_OFFSET))
    variance = noise.variance(y).expand(y.shape)
    # y + a n, with noise larger by sqrt(1 + a^2): a change of units changes the noise model alike.
    noisier = noise.rescaled(0.0, (1 + STRENGTH**2) ** -0.5)

    def squared_errors(restored: Tensor) -> tuple[Tensor, Tensor]:
        residual = restored.cpu().double() - y
        squared = residual.square() - variance + (2 / STRENGTH) * extra * residual
        return squared.sum(0), torch.full(y.shape[1:], float(len(y)), dtype=y.dtype)

    return Split(replace(problem, y=y + STRENGTH * extra, noise=noisier), squared_errors)


def can_recorrupt(problem: Problem) -> bool:
    """Whether every pixel was seen with Gaussian noise; that it was clipped is left out of account."""
    gaussian = isinstance(problem.noise, Gaussian) and not problem.noise.is_exact
    return gaussian and isinstance(problem.operator, Identity)


def split(estimator: str, problem: Problem, seed: int) -> Split:
    """One split for the estimator of that name, one of `ESTIMATORS`."""
    return (recorrupted if estimator == "recorruption" else held_out)(problem, seed)


def choose_held_out(observed: Tensor, seed: int, *, like_missing: bool) -> Tensor:
    """Choose a share of the observed places, bool (M, N).

    With ``like_missing`` they are chosen in squares of such a size that they lie as far from what is still known
    as the missing pixels do: single pixels for a scattered mask, large squares for a large hole.

    Raises
    ------
    BayesDipError
        Too little is observed.
    """
    known = observed.numpy()
    count = round(SHARE * int(known.sum()))
    if count < FEWEST:
        raise BayesDipError(
            f"{int(known.sum())} pixels are known: expected at least {int(FEWEST / SHARE)} to hold some out; "
            "use a larger picture"
        )
    # Of a mosaic, every pixel has a channel that is known: single pixels are as far as its missing entries.
    side = _side_like_missing(known, seed, count) if like_missing and not known.all() else 1
    return torch.from_numpy(_squares(known, side, count, np.random.default_rng(seed)))


def _squares(known: np.ndarray, side: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Squares at random places until about ``count`` known pixels are covered."""
    chosen = np.zeros(known.shape, bool)
    if side == 1:
        chosen.flat[generator.choice(np.flatnonzero(known), count, replace=False)] = True
        return chosen
    reach = side // 2
    for row, column in generator.permutation(np.argwhere(known)):
        if (chosen & known).sum() >= count:
            break
        chosen[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
    return np.asarray(chosen & known)


def _side_like_missing(known: np.ndarray, seed: int, count: int) -> int:
    """The side of squares whose pixels lie as far from known ones, on average, as the missing ones do."""
    from scipy.ndimage import distance_transform_edt

    depth = float(distance_transform_edt(~known)[~known].mean())
    side = 1
    while side < min(LARGEST_SQUARE, *known.shape):
        chosen = _squares(known, side, count, np.random.default_rng(seed))
        if distance_transform_edt(~(known & ~chosen))[chosen].mean() >= DEEP_ENOUGH * depth:
            break
        side += 2 if side < 9 else side // 4 * 2  # odd, and in steps of about a half
    return side
