"""Several pictures of one size, each with a network of its own, fitted side by side on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import ShapeError
from bayesdip.fit.problem import Problem
from bayesdip.fit.stacked import StackedProblem


@dataclass(frozen=True)
class Batch(StackedProblem):
    """K problems of one architecture and one size as one: weights and pictures have a leading axis of K.

    A stepper moves all of them at once, each as if it were alone but for the random numbers that it
    draws. A small picture leaves most of a GPU idle; many together fill it.

    Attributes
    ----------
    problems : tuple of Problem
    inputs : Tensor, shape (K, 1, D, *grid)
        The networks' own inputs.
    """

    problems: tuple[Problem, ...]
    inputs: Tensor

    @classmethod
    def together(cls, problems: Sequence[Problem]) -> Batch:
        """Stack them; their weights are copied.

        Raises
        ------
        ShapeError
            They differ in architecture, size, channels, or in how many values were seen.
        """
        kinds = {(p.network.arch, p.code.shape, p.measurement.y.shape, p.observations) for p in problems}
        if len(kinds) != 1:
            raise ShapeError(
                f"{len(problems)} problems of {len(kinds)} kinds were given: expected one architecture, one size and "
                "as many observed pixels in each; make one batch of each kind"
            )
        stacked = StackedProblem.stack(problems[0], [p.network for p in problems])
        inputs = torch.stack([p.code for p in problems])
        return cls(**vars(stacked), problems=tuple(problems), inputs=inputs)

    def codes(self) -> Tensor:
        return self.inputs

    def _misfit_of(self, k: int, picture: Tensor) -> Tensor:
        return self.problems[k].misfit(picture)

    def fit(self, picture: Tensor) -> float:
        """As :meth:`Problem.fit`, over all problems: the root of the mean of their squares."""
        squares = [p.fit(x) ** 2 for p, x in zip(self.problems, picture, strict=True)]
        return float((sum(squares) / len(squares)) ** 0.5)
