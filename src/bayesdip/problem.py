"""What was seen: the data, how the picture became the data, and the noise on it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bayesdip.noise import Noise
from bayesdip.operators import Operator


@dataclass(frozen=True)
class Problem:
    """``y = A x + noise``, in working units (the picture's range mapped to 0..1).

    Attributes
    ----------
    y : Tensor, shape (C, *operator.output_shape)
        What was seen. Finite everywhere; its value where ``operator.observed`` is False
        means nothing.
    operator : Operator
        The linear map ``A`` from the picture's grid to the data's grid.
    noise : Noise
        The noise model, in working units.
    held_out : Tensor of bool or None, shape operator.output_shape
        Entries that were observed. Where the operator shows them, a method which can do so predicts without
        them too: ``Posterior.without``. Where it does not, they may tell which of two pictures is better.
    """

    y: Tensor
    operator: Operator
    noise: Noise
    held_out: Tensor | None = None

    @property
    def channels(self) -> int:
        return int(self.y.shape[0])

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the picture that is sought, without channels."""
        return self.operator.input_shape
