"""Mean-field variational inference: the best independent Gaussians over a network's weights.

With reparametrised gradients: Blundell et al., *Weight Uncertainty in Neural Networks*, ICML 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from bayesdip.lab.methods.draws import FITTED, FitThenDraw
from bayesdip.networks.langevin import normal_like
from bayesdip.networks.running_averages import ExponentialAverage
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.steppers import AdamStepper, Stepper, Target
from bayesdip.networks.training_loop import TrainingLoop

# The Gaussians begin this narrow, relative to the prior: a fit that is already good stays one.
INITIAL_STD = 0.02
# Share of the steps at which Adam's own fit ends and the Gaussians' begins.
WARM_UP = 0.25


@dataclass(frozen=True, kw_only=True)
class Variational(FitThenDraw):
    """Mean-field variational inference.

    Parameters
    ----------
    arch, steps, samples, precision, effort, seed, device
        As for :class:`FitThenDraw`.

    Raises
    ------
    BayesDipError
        An option is out of its range, or a name is unknown.
    """

    name: ClassVar[str] = "variational"
    summary: ClassVar[str] = "independent Gaussians over a network's weights, by the evidence lower bound"

    def train(
        self, loop: TrainingLoop, schedule: Schedule, generator: torch.Generator, average: ExponentialAverage
    ) -> Callable[[], None]:
        rate = schedule.learning_rate
        adam = AdamStepper(loop.target, generator, learning_rate=rate, input_noise=schedule.input_noise)
        loop.advance(adam, WARM_UP, "warm-up", average.add)
        field = MeanFieldStepper(loop.target, generator, learning_rate=rate)

        def anneal(picture: Tensor) -> None:
            field.pace((loop.share - WARM_UP) / (FITTED - WARM_UP))
            average.add(picture)

        loop.advance(field, FITTED, "fit", anneal)
        return field.draw


class MeanFieldStepper(Stepper):
    """Adam on the evidence lower bound of independent Gaussians ``N(m_i, s_i^2)`` over the weights.

        E U(w) - sum_i log s_i,    w = m + s xi,    U(w) = negative_log_likelihood + sum_i w_i^2 / (2 p_i^2),

    whose gradient, with one draw of xi a step, is ``g`` in m and ``g s xi - 1`` in log s, where
    ``g = dU/dw``; of the prior's part the expectation over xi is taken in closed form. For a
    quadratic U the optimum is known: m the mean, ``s_i^2 = 1 / (d^2 U / d w_i^2)``.
    """

    def __init__(self, target: Target, generator: torch.Generator, *, learning_rate: float) -> None:
        super().__init__(target, generator)
        self.learning_rate = learning_rate
        self.means = [w.detach().clone() for w in self.weights]
        self.log_stds = [
            torch.full_like(w, INITIAL_STD * p).log() for w, p in zip(self.means, target.stds, strict=True)
        ]
        self.adam = torch.optim.Adam([*self.means, *self.log_stds], lr=learning_rate)

    @torch.no_grad()
    def draw(self) -> None:
        """Put a draw of the weights into the network."""
        for w, mean, log_std in zip(self.weights, self.means, self.log_stds, strict=True):
            w.copy_(mean + log_std.exp() * normal_like(mean, self.generator))

    def step(self) -> Tensor:
        self.draw()
        picture, _, gradients = self._evaluate()
        with torch.no_grad():
            self._set_gradients(gradients)
        self.adam.step()
        return picture

    def _set_gradients(self, gradients: list[Tensor]) -> None:
        """Per observation, so that their size does not depend on the picture's."""
        count = self.target.observations
        parts = zip(self.weights, gradients, self.means, self.log_stds, self.target.stds, strict=True)
        for w, g, mean, log_std, prior in parts:
            variance = (2 * log_std).exp()
            mean.grad = (g + mean / prior**2) / count
            log_std.grad = (g * (w - mean) + variance / prior**2 - 1) / count

    def pace(self, share: float) -> None:
        """Smaller steps towards the end, when that share of them is done: the draws' scatter averages out."""
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate * max(1 - share, 0.01)

    def reduce_step(self) -> None:
        self.learning_rate *= 0.7

    def state(self) -> Any:
        state = self.adam.state_dict()["state"]
        return (
            [part.clone() for part in (*self.means, *self.log_stds)],
            {i: {k: v.clone() for k, v in s.items()} for i, s in state.items()},
        )

    @torch.no_grad()
    def load_state(self, state: Any) -> None:
        for part, kept in zip((*self.means, *self.log_stds), state[0], strict=True):
            part.copy_(kept)
        self.adam.load_state_dict(self.adam.state_dict() | {"state": state[1]})
