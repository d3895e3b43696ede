"""``method="dropout"``: one network fitted with dropout, its pictures drawn with dropout.

Monte-Carlo dropout (Gal and Ghahramani, *Dropout as a Bayesian Approximation*, ICML 2016), as Laves,
Tölle and Ortmaier used it for the deep image prior (*Uncertainty Estimation in Medical Image
Denoising with Bayesian Deep Image Prior*, UNSURE 2020): a peer to compare with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bayesdip.arch.layers import Convolution
from bayesdip.lab.methods.draws import Drawn, DrawStepper, posterior_of
from bayesdip.methods.map import pose
from bayesdip.networks.schedule import schedule_of
from bayesdip.networks.steppers import AdamStepper
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.settings import Settings

# Share of the features that a convolution does not see.
RATE = 0.1
# Share of the steps at which the fit ends; the rest are draws.
FITTED = 0.9


def run(problem: Problem, settings: Settings, progress: Progress) -> Posterior:
    """Fit one network with dropout, then draw pictures with dropout."""
    schedule = schedule_of(settings)
    target, generator = pose(problem, settings)
    add_dropout(target.network, RATE, generator)
    drawn = Drawn(settings.samples)
    chain = TrainingLoop(target, progress, schedule.steps, drawn.mean, samples=settings.samples)
    adam = AdamStepper(target, generator, learning_rate=schedule.learning_rate, input_noise=0.0)
    chain.advance(adam, FITTED, "fit", drawn.average.add)
    chain.advance(DrawStepper(target, generator, lambda: None), 1.0, "sampling", drawn.count)
    return posterior_of(drawn, chain, {"rate": RATE})


def add_dropout(network: nn.Module, rate: float, generator: torch.Generator) -> None:
    """From now on every convolution but the first sees each of its inputs with probability ``1 - rate``."""

    def drop(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        kept = torch.empty_like(x).bernoulli_(1 - rate, generator=generator)
        return (x * kept / (1 - rate), *inputs[1:])

    convolutions = [module for module in network.modules() if isinstance(module, Convolution)]
    for module in convolutions[1:]:
        module.register_forward_pre_hook(drop)
