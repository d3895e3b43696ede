"""What is done to a network before or while it is sampled, for ``bench frontier``: each in the steps of the plain one.

A variant is a target of its own (what is minimised, or what goes in), or a start of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bayesdip.arch.layers import Convolution
from bayesdip.lab.methods.dropout import add_dropout
from bayesdip.methods import gp
from bayesdip.methods.map import pose
from bayesdip.methods.sgld import Summary, posed, sample_posterior
from bayesdip.networks.energy import Energy
from bayesdip.networks.initial_estimate import process_mean
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.running_averages import ExponentialAverage, Moments, Thinned
from bayesdip.networks.schedule import SCHEDULES, Schedule
from bayesdip.networks.steppers import Target
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.networks.weight_prior import weight_stds
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.patches.pilot import PatchKernel
from bayesdip.pipeline import put_back_known
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.settings import Settings
from benchmarks.stopping import SIGMA

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

P = TypeVar("P", bound=Energy)


def restore(variant: str, given: Problem, settings: Settings, steps: int) -> Tensor:
    """The mean picture, (C, *grid), known pixels put back.

    Parameters
    ----------
    variant : str
        One of ``VARIANTS``; ``""`` is the network as it is.
    given : Problem
        Of pixels, in 0..1.
    steps : int
        Of the plain network, in all.
    """
    mean = VARIANTS[variant](given, settings, steps)
    found = Posterior(mean, None, mean.new_zeros((0, *mean.shape)), {})
    return put_back_known(found, given).mean.cpu()


def sampled(
    given: Problem,
    settings: Settings,
    steps: int,
    change: Callable[[Any, torch.Generator], Target] = lambda target, _: target,
) -> Tensor:
    """The posterior mean of the network, or chains of them, that ``change`` makes of fresh ones."""
    _, truth, generator = posed(given, settings)
    schedule = replace(SCHEDULES["fast"], steps=steps)
    if given.noise.is_exact:
        schedule = schedule.of_exact()
    summary = Summary((given.channels, *given.grid), Thinned(0))
    chain = TrainingLoop(change(truth, generator), Progress(), steps, summary.mean)
    sample_posterior(chain, schedule, settings, generator, summary)
    mean = summary.mean()
    assert mean is not None
    return mean


def frozen(target: Energy) -> Energy:
    """The strided convolutions of the way down stay as they were drawn."""
    for module in target.network.modules():
        if isinstance(module, Convolution) and module.record.stride > 1:
            module.requires_grad_(False)
    return replace(target, stds=weight_stds(target.network))


def warm_up(target: Energy, truth: Tensor, generator: torch.Generator, steps: int) -> None:
    """Fit the network to a picture, (C, *grid), first."""
    truth = truth.to(target.code)
    whole = Problem(truth, Identity(target.problem.grid), Gaussian(SIGMA))
    other = replace(target, problem=whole, observed=torch.ones_like(truth, dtype=torch.bool))
    stepper = MuonStepper(other, generator, input_noise=Schedule.input_noise)
    for _ in range(steps):
        stepper.step()


def from_picture(given: Problem, settings: Settings, steps: int, truth: Tensor) -> Tensor:
    """Sampled from a fit to that picture, which has its share of the steps."""
    warming = round(WARM_STEPS * steps)

    def begin(target: Energy, generator: torch.Generator) -> Energy:
        warm_up(target, truth, generator, warming)
        return target

    return sampled(given, settings, steps - warming, begin)


def from_process(given: Problem, settings: Settings, steps: int) -> Tensor:
    return from_picture(given, settings, steps, _process_mean(given))


def from_coarse(given: Problem, settings: Settings, steps: int) -> Tensor:
    """Coarse to fine: the posterior mean at half the resolution is what the network is fitted to first."""
    share = round(COARSE_STEPS * steps)
    coarse = sampled(halved(given), settings, 4 * share)
    truth = F.interpolate(coarse[None].double(), given.grid, mode="bicubic", align_corners=False)[0]
    return from_picture(given, settings, steps - share, truth)


def halved(given: Problem) -> Problem:
    """The data at half the resolution: means of the known pixels of each block of 2x2, missing where none is."""
    known = given.operator.observed.expand(given.y.shape).to(given.y)
    share = F.avg_pool2d(known, 2)
    y = F.avg_pool2d(given.y * known, 2) / share.clamp_min(1e-9)
    grid = tuple(y.shape[1:])
    if isinstance(given.operator, Identity):
        return Problem(y, Identity(grid), Gaussian(SIGMA / 2))
    return Problem(y, Mask(share == 0, grid), Gaussian(BLOCK_SIGMA))


def residual(given: Problem, settings: Settings, steps: int) -> Tensor:
    """The network makes what the process leaves, about the middle of what it can make."""
    base = _process_mean(given).to(given.y) - 0.5
    rest = replace(given, y=given.y - given.operator.forward(base))
    return base + sampled(rest, settings, steps).to(base)


def two_chains(given: Problem, settings: Settings, steps: int) -> Tensor:
    """The mean of two networks, each in half of the steps."""
    return sampled(given, replace(settings, chains=2), steps // 2)


@dataclass(frozen=True)
class Mirrored(Energy):
    """Input and picture are mirrored at random at every step: the mean is one over all mirrored inputs."""

    draws: torch.Generator

    def picture(self, input_noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        axes = [axis for axis in (-2, -1) if torch.rand((), generator=self.draws) < 0.5]
        mirrored = replace(self, code=self.code.flip(axes))
        return Energy.picture(mirrored, input_noise, generator).flip(axes)


@dataclass(frozen=True)
class Smooth(Energy):
    """The energy has the picture's total variation too (isotropic)."""

    weight: float

    def negative_log_likelihood(self, picture: Tensor) -> Tensor:
        down = F.pad(picture.diff(dim=-2), (0, 0, 0, 1))
        right = F.pad(picture.diff(dim=-1), (0, 1))
        variation = (down.square() + right.square() + 1e-6).sqrt().sum()
        return super().negative_log_likelihood(picture) + self.weight * variation


@dataclass(frozen=True)
class Denoised(Energy):
    """The energy draws the picture to what a denoiser makes of the data: that of the patches."""

    towards: Tensor

    def negative_log_likelihood(self, picture: Tensor) -> Tensor:
        pull: Tensor = (picture - self.towards).square().sum() / (2 * DENOISER_STD**2)
        return super().negative_log_likelihood(picture) + pull


@dataclass(frozen=True)
class Unseeing(Energy):
    """What goes in is the data, of which a random share is left out; only that share is to be explained."""

    draws: torch.Generator

    def picture(self, input_noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        return self._with_input(self._drawn())

    def evaluate(self, input_noise: float, generator: torch.Generator) -> list[Tensor]:
        shown = self._drawn()
        picture = self._with_input(shown)
        negative_log_likelihood = (
            replace(self, observed=self.observed & ~shown).negative_log_likelihood(picture) / UNSEEN
        )
        return [
            picture.detach(),
            negative_log_likelihood.detach(),
            *torch.autograd.grad(negative_log_likelihood, self.weights),
        ]

    def _drawn(self) -> Tensor:
        shown = torch.rand(self.observed.shape, generator=self.draws) >= UNSEEN
        return shown.to(self.observed.device) & self.observed

    def _with_input(self, shown: Tensor) -> Tensor:
        code = torch.zeros_like(self.code)
        rows, columns = self.problem.grid
        code[0, :, :rows, :columns] = self.problem.y * shown
        return Energy.picture(replace(self, code=code))


def self2self(given: Problem, settings: Settings, steps: int) -> Tensor:
    """Fitted to pixels that it does not see, with dropout; the mean of what it then makes of other draws."""
    settings = replace(settings, arch=replace(settings.arch, input_depth=given.channels))
    target, generator = pose(given, settings)
    add_dropout(target.network, DROPPED, generator)
    target = _as(Unseeing, target, draws=torch.Generator().manual_seed(settings.seed))
    stepper = MuonStepper(target, generator, input_noise=0.0)
    chain = TrainingLoop(target, Progress(), steps, lambda: None)
    fitted, drawn = ExponentialAverage(), Moments()
    chain.advance(stepper, FITTED, "fit", fitted.add)
    with torch.no_grad():
        for _ in range(steps - chain.step):
            drawn.add(target.picture())
    assert drawn.mean is not None
    return drawn.mean


def by_patches(given: Problem, settings: Settings, steps: int) -> Tensor:
    """No network: the non-local process."""
    return gp.run(given, replace(settings, method="gp", kernel=PatchKernel(), samples=0), Progress()).mean


def with_patches(given: Problem, settings: Settings, steps: int) -> Tensor:
    """The mean of the sampled network's picture and that of the patches."""
    return (by_patches(given, settings, steps) + sampled(given, settings, steps).cpu()) / 2


def to_patches(given: Problem, settings: Settings, steps: int) -> Tensor:
    towards = by_patches(given, settings, steps)
    return sampled(given, settings, steps, lambda p, _: _as(Denoised, p, towards=towards.to(p.code)))


def _smooth(weight: float) -> Callable[[Problem, Settings, int], Tensor]:
    return lambda given, settings, steps: sampled(
        given, settings, steps, lambda p, _: _as(Smooth, p, weight=weight)
    )


def _mirrored(given: Problem, settings: Settings, steps: int) -> Tensor:
    draws = torch.Generator().manual_seed(settings.seed)
    return sampled(given, settings, steps, lambda p, _: _as(Mirrored, p, draws=draws))


def _frozen(given: Problem, settings: Settings, steps: int) -> Tensor:
    return sampled(given, settings, steps, lambda p, _: frozen(p))


def _process_mean(given: Problem) -> Tensor:
    mean = process_mean(given)
    assert mean is not None
    return mean


def _as(kind: type[P], target: Energy, **more: Any) -> P:
    """The same target, of that kind."""
    return kind(**{f.name: getattr(target, f.name) for f in fields(Energy)}, **more)


VARIANTS: dict[str, Callable[[Problem, Settings, int], Tensor]] = {
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
