"""What is done to a network before or while it is sampled, for ``bench frontier``: each in the steps of the plain one.

A variant is a problem of its own (what is minimised, or what goes in), or a start of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesdip.arch.layers import Convolution
from bayesdip.bench.stopping import SIGMA
from bayesdip.fit.chain import Chain
from bayesdip.fit.dropout import add_dropout
from bayesdip.fit.effort import PLANS, Plan
from bayesdip.fit.first import process_mean
from bayesdip.fit.map import pose
from bayesdip.fit.moments import ExponentialAverage, Moments, Thinned
from bayesdip.fit.muon import MuonStepper
from bayesdip.fit.prior import weight_stds
from bayesdip.fit.problem import Problem
from bayesdip.fit.sgld import Summary, posed, sample_posterior
from bayesdip.fit.steppers import Target
from bayesdip.gp import method as gp
from bayesdip.kernels.patches import PatchKernel
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.pipeline import put_back_known
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings

# Shares of the steps: for the fit to a picture that is there before, and for the coarse grid (a step there costs a quarter).
WARM_STEPS, COARSE_STEPS = 0.15, 0.2
# The noise of a coarse pixel of which only some fine ones are known.
BLOCK_SIGMA = 5 / 255
# Of a pixel's total variation in the energy, per gray level in 0..1: weak, and as strong as a usual denoiser by it.
TV_WEIGHTS = (2.0, 8.0)
# Standard deviation of the prior around the picture that the patches give: about the error of that picture.
DENOISER_STD = 10 / 255
# Self2Self (Quan, Chen, Pang, Ji, CVPR 2020): the share of pixels that the input lacks and the loss sees, and
# of the features that a convolution does not see. The network is drawn from in the last part of the steps.
UNSEEN, DROPPED, FITTED = 0.3, 0.3, 0.9

P = TypeVar("P", bound=Problem)


def restore(variant: str, given: Measurement, settings: Settings, steps: int) -> Tensor:
    """The mean picture, (C, *grid), known pixels put back.

    Parameters
    ----------
    variant : str
        One of ``VARIANTS``; ``""`` is the network as it is.
    given : Measurement
        Of pixels, in 0..1.
    steps : int
        Of the plain network, in all.
    """
    mean = VARIANTS[variant](given, settings, steps)
    found = Posterior(mean, None, mean.new_zeros((0, *mean.shape)), {})
    return put_back_known(found, given).mean.cpu()


def sampled(
    given: Measurement,
    settings: Settings,
    steps: int,
    change: Callable[[Any, torch.Generator], Target] = lambda problem, _: problem,
) -> Tensor:
    """The posterior mean of the network, or chains of them, that ``change`` makes of fresh ones."""
    _, target, generator = posed(given, settings)
    plan = replace(PLANS["fast"], steps=steps)
    if given.noise.is_exact:
        plan = plan.of_exact()
    summary = Summary((given.channels, *given.grid), Thinned(0))
    chain = Chain(change(target, generator), Monitor(), steps, summary.mean)
    sample_posterior(chain, plan, settings, generator, summary)
    mean = summary.mean()
    assert mean is not None
    return mean


def frozen(problem: Problem) -> Problem:
    """The strided convolutions of the way down stay as they were drawn."""
    for module in problem.network.modules():
        if isinstance(module, Convolution) and module.record.stride > 1:
            module.requires_grad_(False)
    return replace(problem, stds=weight_stds(problem.network))


def warm_up(problem: Problem, target: Tensor, generator: torch.Generator, steps: int) -> None:
    """Fit the network to a picture, (C, *grid), first."""
    target = target.to(problem.code)
    whole = Measurement(target, Identity(problem.measurement.grid), Gaussian(SIGMA))
    other = replace(problem, measurement=whole, observed=torch.ones_like(target, dtype=torch.bool))
    stepper = MuonStepper(other, generator, input_noise=Plan.input_noise)
    for _ in range(steps):
        stepper.step()


def from_picture(given: Measurement, settings: Settings, steps: int, target: Tensor) -> Tensor:
    """Sampled from a fit to that picture, which has its share of the steps."""
    warming = round(WARM_STEPS * steps)

    def begin(problem: Problem, generator: torch.Generator) -> Problem:
        warm_up(problem, target, generator, warming)
        return problem

    return sampled(given, settings, steps - warming, begin)


def from_process(given: Measurement, settings: Settings, steps: int) -> Tensor:
    return from_picture(given, settings, steps, _process_mean(given))


def from_coarse(given: Measurement, settings: Settings, steps: int) -> Tensor:
    """Coarse to fine: the posterior mean at half the resolution is what the network is fitted to first."""
    share = round(COARSE_STEPS * steps)
    coarse = sampled(halved(given), settings, 4 * share)
    target = F.interpolate(coarse[None].double(), given.grid, mode="bicubic", align_corners=False)[0]
    return from_picture(given, settings, steps - share, target)


def halved(given: Measurement) -> Measurement:
    """The data at half the resolution: means of the known pixels of each block of 2x2, missing where none is."""
    known = given.operator.observed.expand(given.y.shape).to(given.y)
    share = F.avg_pool2d(known, 2)
    y = F.avg_pool2d(given.y * known, 2) / share.clamp_min(1e-9)
    grid = tuple(y.shape[1:])
    if isinstance(given.operator, Identity):
        return Measurement(y, Identity(grid), Gaussian(SIGMA / 2))
    return Measurement(y, Mask(share == 0, grid), Gaussian(BLOCK_SIGMA))


def residual(given: Measurement, settings: Settings, steps: int) -> Tensor:
    """The network makes what the process leaves, about the middle of what it can make."""
    base = _process_mean(given).to(given.y) - 0.5
    rest = replace(given, y=given.y - given.operator.forward(base))
    return base + sampled(rest, settings, steps).to(base)


def two_chains(given: Measurement, settings: Settings, steps: int) -> Tensor:
    """The mean of two networks, each in half of the steps."""
    return sampled(given, replace(settings, chains=2), steps // 2)


@dataclass(frozen=True)
class Mirrored(Problem):
    """Input and picture are mirrored at random at every step: the mean is one over all mirrored inputs."""

    draws: torch.Generator

    def picture(self, input_noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        axes = [axis for axis in (-2, -1) if torch.rand((), generator=self.draws) < 0.5]
        mirrored = replace(self, code=self.code.flip(axes))
        return Problem.picture(mirrored, input_noise, generator).flip(axes)


@dataclass(frozen=True)
class Smooth(Problem):
    """The energy has the picture's total variation too (isotropic)."""

    weight: float

    def misfit(self, picture: Tensor) -> Tensor:
        down = F.pad(picture.diff(dim=-2), (0, 0, 0, 1))
        right = F.pad(picture.diff(dim=-1), (0, 1))
        variation = (down.square() + right.square() + 1e-6).sqrt().sum()
        return super().misfit(picture) + self.weight * variation


@dataclass(frozen=True)
class Denoised(Problem):
    """The energy draws the picture to what a denoiser makes of the data: that of the patches."""

    towards: Tensor

    def misfit(self, picture: Tensor) -> Tensor:
        pull: Tensor = (picture - self.towards).square().sum() / (2 * DENOISER_STD**2)
        return super().misfit(picture) + pull


@dataclass(frozen=True)
class Unseeing(Problem):
    """What goes in is the data, of which a random share is left out; only that share is to be explained."""

    draws: torch.Generator

    def picture(self, input_noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        return self._with_input(self._drawn())

    def evaluate(self, input_noise: float, generator: torch.Generator) -> list[Tensor]:
        shown = self._drawn()
        picture = self._with_input(shown)
        misfit = replace(self, observed=self.observed & ~shown).misfit(picture) / UNSEEN
        return [picture.detach(), misfit.detach(), *torch.autograd.grad(misfit, self.weights)]

    def _drawn(self) -> Tensor:
        shown = torch.rand(self.observed.shape, generator=self.draws) >= UNSEEN
        return shown.to(self.observed.device) & self.observed

    def _with_input(self, shown: Tensor) -> Tensor:
        code = torch.zeros_like(self.code)
        rows, columns = self.measurement.grid
        code[0, :, :rows, :columns] = self.measurement.y * shown
        return Problem.picture(replace(self, code=code))


def self2self(given: Measurement, settings: Settings, steps: int) -> Tensor:
    """Fitted to pixels that it does not see, with dropout; the mean of what it then makes of other draws."""
    settings = replace(settings, arch=replace(settings.arch, input_depth=given.channels))
    problem, generator = pose(given, settings)
    add_dropout(problem.network, DROPPED, generator)
    problem = _as(Unseeing, problem, draws=torch.Generator().manual_seed(settings.seed))
    stepper = MuonStepper(problem, generator, input_noise=0.0)
    chain = Chain(problem, Monitor(), steps, lambda: None)
    fitted, drawn = ExponentialAverage(), Moments()
    chain.advance(stepper, FITTED, "fit", fitted.add)
    with torch.no_grad():
        for _ in range(steps - chain.step):
            drawn.add(problem.picture())
    assert drawn.mean is not None
    return drawn.mean


def by_patches(given: Measurement, settings: Settings, steps: int) -> Tensor:
    """No network: the non-local process."""
    return gp.run(given, replace(settings, method="gp", kernel=PatchKernel(), samples=0), Monitor()).mean


def with_patches(given: Measurement, settings: Settings, steps: int) -> Tensor:
    """The mean of the sampled network's picture and that of the patches."""
    return (by_patches(given, settings, steps) + sampled(given, settings, steps).cpu()) / 2


def to_patches(given: Measurement, settings: Settings, steps: int) -> Tensor:
    towards = by_patches(given, settings, steps)
    return sampled(given, settings, steps, lambda p, _: _as(Denoised, p, towards=towards.to(p.code)))


def _smooth(weight: float) -> Callable[[Measurement, Settings, int], Tensor]:
    return lambda given, settings, steps: sampled(
        given, settings, steps, lambda p, _: _as(Smooth, p, weight=weight)
    )


def _mirrored(given: Measurement, settings: Settings, steps: int) -> Tensor:
    draws = torch.Generator().manual_seed(settings.seed)
    return sampled(given, settings, steps, lambda p, _: _as(Mirrored, p, draws=draws))


def _frozen(given: Measurement, settings: Settings, steps: int) -> Tensor:
    return sampled(given, settings, steps, lambda p, _: frozen(p))


def _process_mean(given: Measurement) -> Tensor:
    mean = process_mean(given)
    assert mean is not None
    return mean


def _as(kind: type[P], problem: Problem, **more: Any) -> P:
    """The same problem, of that kind."""
    return kind(**{f.name: getattr(problem, f.name) for f in fields(Problem)}, **more)


VARIANTS: dict[str, Callable[[Measurement, Settings, int], Tensor]] = {
    "": sampled,
    "frozen": _frozen,
    "from the process": from_process,
    "on top of the process": residual,
    "from a coarse one": from_coarse,
    "two chains": two_chains,
    "mirrored": _mirrored,
    **{f"total variation {weight:g}": _smooth(weight) for weight in TV_WEIGHTS},
    "drawn to the patches": to_patches,
    "Self2Self": self2self,
    "patches alone": by_patches,
    "averaged with the patches": with_patches,
}
