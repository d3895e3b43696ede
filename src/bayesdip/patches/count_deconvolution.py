"""Blurred counts of photons: expectation maximisation and denoising by patches, in turns.

Least squares with a variance for each entry does not know that no rate is negative, and where most counts are zero that
is most of what the data say. Expectation maximisation does (Richardson, JOSA 1972; Lucy, AJ 1974; Shepp and Vardi, IEEE
TMI 1982):

    x = x A' (n / A x) / A' 1

It fits noise after a few steps. So every step follows a denoising of the square root of x, which makes the noise of counts
alike (Anscombe, Biometrika 1948), with a strength that falls from turn to turn (plug-and-play priors: Venkatakrishnan,
Bouman, Wohlberg, GlobalSIP 2013). With read-out noise of variance v, in counts, n + v is taken for Poisson with the
mean A x + v (Snyder, Helstrom, Lanterman, Faisal, White, JOSA A 1995).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.interruption import Stopped
from bayesdip.noise import Noise, Poisson, PoissonGaussian
from bayesdip.operators import Blur, Compose, Identity, Mask, Operator
from bayesdip.patches.back_projection import denoised_by_patches, turns_of
from bayesdip.result import Posterior

# Strength of the denoising in the first turn and in the last, over the range of the square root. On blurred counts of parts
# of 64 x 64 pixels of two pictures of scikit-image, up to 60 counts, 16 turns from 30 to 8, to 5 and to 3 came to 29.96,
# 29.60 and 29.05 dB (cell) and to 25.56, 25.56 and 25.51 (camera). The number of steps without denoising that is best for the
# truth came to 31.09, above all of them, and to 25.17.
FIRST_SIGMA, LAST_SIGMA = 30 / 255, 5 / 255
# Steps before the first turn: as many as predict entries best, of which one in so many is left out in turns. The search
# ends after so many steps without a better one.
FOLDS, MOST_STEPS, PATIENCE = 5, 100, 5
# Rates below this are nothing.
LEAST_RATE = 1e-6
# Added to a rate before its square root is taken: without it, differences between rates near zero would count most.
ROOT_OF = 0.01

Stop = Callable[[int, Tensor], bool]


def takes(operator: Operator, noise: Noise) -> bool:
    """Whether the data are counts, of a picture that was blurred and perhaps masked, by weights that are not negative."""
    if isinstance(operator, Compose):
        return takes(operator.outer, noise) and takes(operator.inner, noise)
    blurs = isinstance(operator, Blur) and bool((operator.psf >= 0).all())
    return isinstance(noise, Poisson | PoissonGaussian) and (blurs or isinstance(operator, Identity | Mask))


def deconvolve_counts(
    y: Tensor,
    operator: Operator,
    noise: Noise,
    *,
    turns: int,
    start: Tensor | None = None,
    stop: Stop = lambda turn, picture: False,
) -> Posterior:
    """Restore a picture from blurred counts by expectation maximisation and its patches.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
    operator, noise
        That :func:`takes` takes.
    turns : int
        Of denoising and one step.
    start : Tensor, shape (C, *grid), optional
        A good estimate: the last quarter of the turns is then enough.
    stop : callable
        Called before each turn with its number and the picture so far; True ends with that.

    Returns
    -------
    Posterior
        Its mean alone; ``info`` has ``turns``, those that were finished.
    """
    assert isinstance(noise, Poisson | PoissonGaussian)  # `takes` has seen to that
    counts = _Counts.of(y, operator, noise)
    if start is None:
        rate = counts.maximised(counts.flat(), counts.best_steps())
    else:
        rate = ((start.to(y) - noise.offset) / noise.gain).clamp_min(LEAST_RATE)
    first = turns - turns_of(turns, good_start=start is not None)
    for turn in range(first, turns):
        if stop(turn - first, counts.picture(rate, noise)):
            return Posterior(counts.picture(rate, noise), info={"turns": turn - first})
        share = turn / max(1, turns - 1)
        try:
            cleaned = _denoised(rate, FIRST_SIGMA * (LAST_SIGMA / FIRST_SIGMA) ** share)
        except Stopped:
            return Posterior(counts.picture(rate, noise), info={"turns": turn - first})
        rate = cleaned if turn == turns - 1 else counts.maximised(cleaned, 1)
    return Posterior(counts.picture(rate, noise), info={"turns": turns - first})


def _denoised(rate: Tensor, strength: float) -> Tensor:
    root = (rate + ROOT_OF).sqrt()
    value_range = float(root.max() - root.min())
    if not value_range > 0:
        return rate
    cleaned = denoised_by_patches(root, strength * value_range).clamp_min(0).square()
    return (cleaned - ROOT_OF).clamp_min(LEAST_RATE)


@dataclass(frozen=True)
class _Counts:
    """Counts, (C, *output): Poisson with the mean ``A x + read_out``, where they were seen."""

    counts: Tensor
    operator: Operator
    seen: Tensor
    read_out: float

    @classmethod
    def of(cls, y: Tensor, operator: Operator, noise: Poisson | PoissonGaussian) -> _Counts:
        seen = operator.observed.to(y.device).expand(y.shape)
        read_out = (noise.sigma / noise.gain) ** 2 if isinstance(noise, PoissonGaussian) else 0.0
        counts = ((torch.where(seen, y, noise.offset) - noise.offset) / noise.gain + read_out).clamp_min(0)
        return cls(counts, operator, seen, read_out)

    def picture(self, rate: Tensor, noise: Poisson | PoissonGaussian) -> Tensor:
        return noise.offset + noise.gain * rate

    def flat(self) -> Tensor:
        """The mean rate everywhere, (C, *grid)."""
        seen = self.seen.flatten(1).double()
        mean = (self.counts.flatten(1) * seen).sum(1) / seen.sum(1).clamp_min(1) - self.read_out
        shape = (len(mean), *self.operator.input_shape)
        column = mean.clamp_min(LEAST_RATE).reshape(-1, *[1] * len(self.operator.input_shape))
        return column.expand(shape).to(self.counts)

    def maximised(self, rate: Tensor, steps: int, seen: Tensor | None = None) -> Tensor:
        """After so many steps of expectation maximisation."""
        marks = (self.seen if seen is None else seen).to(rate)
        weight = self.operator.adjoint(marks)
        touched = weight > 1e-6 * float(weight.max())
        for _ in range(steps):
            ratio = marks * self.counts / (self.operator.forward(rate) + self.read_out).clamp_min(LEAST_RATE)
            step = self.operator.adjoint(ratio) / weight.clamp_min(LEAST_RATE)
            rate = torch.where(touched, rate * step, rate).clamp_min(LEAST_RATE)
        return rate

    def best_steps(self) -> int:
        """How many steps predict entries best that are left out: each entry once (cross-validation)."""
        folds = torch.randint(FOLDS, self.seen.shape, generator=torch.Generator().manual_seed(0)).to(
            self.seen.device
        )
        rates, best, least = [self.flat()] * FOLDS, 1, float("inf")
        for step in range(1, MOST_STEPS + 1):
            loss = 0.0
            for fold in range(FOLDS):
                rates[fold] = self.maximised(rates[fold], 1, self.seen & (folds != fold))
                mean = (self.operator.forward(rates[fold]) + self.read_out).clamp_min(LEAST_RATE)
                out = self.seen & (folds == fold)
                loss += float((mean - self.counts * mean.log())[out].sum())
            if loss < least:
                best, least = step, loss
            elif step - best >= PATIENCE:
                break
        return best
