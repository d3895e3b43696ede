"""Tests of a method that need no clean picture: what it is given, and how its answer is judged.

Held out
    Some of the observed values are held_out from the method; its error is measured on them.
Recorruption
    With noise n of the data's own kind, the method is given ``y + a n`` and judged on ``y - n / a``.
    For Gaussian noise the two have independent noise, and the mean of

        (f(y + a n) - y)^2 - sigma^2 + 2 n (f(y + a n) - y) / a

    is the method's squared error at the noise level ``sigma sqrt(1 + a^2)``, whatever f is
    (Pang et al., *Recorrupted-to-Recorrupted*, CVPR 2021; Oliveira, Lei, Tibshirani, *Unbiased risk
    estimation in the normal means setup via coupled bootstrap techniques*, EJS 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem

# Share of the observed values that one round hides.
HIDDEN_SHARE = 0.1
# The a of recorruption: the noise that methods meet is larger by sqrt(1 + a^2), 12%.
STRENGTH = 0.5
DEEPEST_HOLE = 63
FEWEST_HIDDEN = 16
ESTIMATORS = ("held-out", "recorruption")


@dataclass(frozen=True)
class Trial:
    """One round.

    Attributes
    ----------
    seen : Problem
        What the methods are given.
    losses : callable
        From a restored picture (C, M, N) to a squared error (M', N') on the data's grid, summed over
        channels, and how many values were summed at each place. Noise is already subtracted.
    """

    seen: Problem
    losses: Callable[[Tensor], tuple[Tensor, Tensor]]

    def error(self, restored: Tensor) -> float:
        """Mean squared error in working units."""
        total, count = self.losses(restored)
        return float(total.sum() / count.sum())


def held_out(problem: Problem, seed: int) -> Trial:
    """Hide a tenth of what was observed, in holes as deep as those that are to be filled."""
    y, operator = problem.y.cpu().double(), problem.operator
    observed = operator.observed.expand(y.shape).all(0)
    held_out = hide(observed, seed, like_holes=isinstance(operator, Mask))
    variance = problem.noise.variance(y, observed).expand(y.shape)
    seen = replace(problem, operator=operator.with_held_out(held_out))

    def losses(restored: Tensor) -> tuple[Tensor, Tensor]:
        squared = (operator.forward(restored.cpu().double()) - y).square() - variance
        return torch.where(held_out, squared, 0.0).sum(0), held_out * float(len(y))

    return Trial(seen, losses)


def recorrupted(problem: Problem, seed: int, strength: float = STRENGTH) -> Trial:
    """Add noise to what the methods see, and judge them on data whose noise is independent of that.

    Raises
    ------
    BayesDipError
        The noise is not white and Gaussian.
    """
    noise, y = problem.noise, problem.y.cpu().double()
    if not isinstance(noise, Gaussian) or isinstance(noise.sigma, Tensor):
        raise BayesDipError(
            f"{noise.describe()}: recorruption expects Gaussian noise; hold pixels out instead"
        )
    extra = noise.sample(torch.zeros_like(y), torch.Generator().manual_seed(seed))
    variance = noise.variance(y).expand(y.shape)
    more = (1 + strength**2) ** 0.5
    sigma = tuple(more * s for s in noise.sigma) if isinstance(noise.sigma, tuple) else more * noise.sigma
    seen = Problem(y + strength * extra, problem.operator, Gaussian(sigma))

    def losses(restored: Tensor) -> tuple[Tensor, Tensor]:
        residual = restored.cpu().double() - y
        squared = residual.square() - variance + (2 / strength) * extra * residual
        return squared.sum(0), torch.full(y.shape[1:], float(len(y)), dtype=y.dtype)

    return Trial(seen, losses)


def usual_estimator(problem: Problem) -> str:
    """Recorruption where all pixels are seen and are sought as they are; else values are held out."""
    return "held-out" if _sees_less(problem) else "recorruption"


def trial(estimator: str, problem: Problem, seed: int) -> Trial:
    """One round of the estimator of that name."""
    return (recorrupted if estimator == "recorruption" else held_out)(problem, seed)


def hide(observed: Tensor, seed: int, *, like_holes: bool) -> Tensor:
    """Choose a share of the observed places, bool (M, N).

    With ``like_holes`` they are chosen in squares of such a size that they lie as far from what is
    still known as the missing ones do: single pixels for a scattered mask, large squares for a large hole.

    Raises
    ------
    BayesDipError
        Too little is observed.
    """
    known = observed.numpy()
    count = round(HIDDEN_SHARE * int(known.sum()))
    if count < FEWEST_HIDDEN:
        raise BayesDipError(
            f"{int(known.sum())} pixels are known: expected at least {int(FEWEST_HIDDEN / HIDDEN_SHARE)} to hold some out"
        )
    side = _side_of_holes(known, seed, count) if like_holes else 1
    return torch.from_numpy(_squares(known, side, count, np.random.default_rng(seed)))


def _squares(known: np.ndarray, side: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Squares at random places until about ``count`` known pixels are covered."""
    if side == 1:
        chosen = generator.choice(np.flatnonzero(known), count, replace=False)
        held_out = np.zeros(known.size, bool)
        held_out[chosen] = True
        return held_out.reshape(known.shape)
    held_out = np.zeros_like(known)
    centres = np.argwhere(known)
    reach = side // 2
    for row, column in generator.permutation(centres):
        if (held_out & known).sum() >= count:
            break
        held_out[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
    return np.asarray(held_out & known)


def _side_of_holes(known: np.ndarray, seed: int, count: int) -> int:
    """The side of squares whose pixels lie as far from known ones, on average, as the missing do."""
    from scipy.ndimage import distance_transform_edt

    depth = float(distance_transform_edt(~known)[~known].mean())
    side = 1
    while side < min(DEEPEST_HOLE, *known.shape):
        held_out = _squares(known, side, count, np.random.default_rng(seed))
        if distance_transform_edt(~(known & ~held_out))[held_out].mean() >= 0.9 * depth:
            break
        side += 2 if side < 9 else side // 4 * 2
    return side


def _sees_less(problem: Problem) -> bool:
    operator = problem.operator
    same = operator.input_shape == operator.output_shape
    x = torch.rand(1, *operator.input_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return not (same and bool(torch.equal(operator.forward(x), x)))
