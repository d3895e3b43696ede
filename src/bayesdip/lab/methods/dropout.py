"""Monte-Carlo dropout: one network fitted with dropout, its pictures drawn with dropout.

Gal and Ghahramani, *Dropout as a Bayesian Approximation*, ICML 2016, as Laves, Tölle and Ortmaier used it for the
deep image prior (*Uncertainty Estimation in Medical Image Denoising with Bayesian Deep Image Prior*, UNSURE 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from bayesdip.arch.layers import Convolution
from bayesdip.errors import BayesDipError
from bayesdip.lab.methods.draws import FITTED, FitThenDraw
from bayesdip.networks.running_averages import ExponentialAverage
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.steppers import AdamStepper
from bayesdip.networks.training_loop import TrainingLoop


@dataclass(frozen=True, kw_only=True)
class Dropout(FitThenDraw):
    """Monte-Carlo dropout.

    Parameters
    ----------
    rate : float
        Share of the features that a convolution does not see, at least 0 and below 1.
    arch, steps, samples, precision, effort, seed, device
        As for :class:`FitThenDraw`.

    Raises
    ------
    BayesDipError
        An option is out of its range, or a name is unknown.
    """

    rate: float = 0.1

    name: ClassVar[str] = "dropout"
    summary: ClassVar[str] = "one network fitted with dropout, its pictures drawn with dropout"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rate < 1:
            raise BayesDipError(f"rate is {self.rate}: expected at least 0 and below 1; change it")

    def train(
        self, loop: TrainingLoop, schedule: Schedule, generator: torch.Generator, average: ExponentialAverage
    ) -> Callable[[], None]:
        add_dropout(loop.target.network, self.rate, generator)
        adam = AdamStepper(loop.target, generator, learning_rate=schedule.learning_rate, input_noise=0.0)
        loop.advance(adam, FITTED, "fit", average.add)
        return lambda: None  # every forward pass draws


def add_dropout(network: nn.Module, rate: float, generator: torch.Generator) -> None:
    """From now on every convolution but the first sees each of its inputs with probability ``1 - rate``."""

    def drop(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        kept = torch.empty_like(x).bernoulli_(1 - rate, generator=generator)
        return (x * kept / (1 - rate), *inputs[1:])

    convolutions = [module for module in network.modules() if isinstance(module, Convolution)]
    for module in convolutions[1:]:
        module.register_forward_pre_hook(drop)
