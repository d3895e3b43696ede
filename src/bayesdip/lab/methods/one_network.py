"""What the methods share that fit one network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.networks import Shuffle
from bayesdip.methods.method import Method, at_least
from bayesdip.problem import Problem


@dataclass(frozen=True, kw_only=True)
class OneNetwork(Method):
    """A method with one network and a number of steps.

    Parameters
    ----------
    arch : Architecture, str or None
        The network; None takes one that works at half resolution.
    steps : int or None
        Instead of those of the effort.
    effort, seed, device
        As for :class:`~bayesdip.methods.Method`.

    Raises
    ------
    BayesDipError
        An option is out of its range, or a name is unknown.
    """

    arch: Architecture | str | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None:
            at_least("steps", self.steps, 1)

    def resolved(self, problem: Problem) -> Self:
        network = arch.named(self.arch) if isinstance(self.arch, str) else self.arch
        return replace(super().resolved(problem), arch=network or Shuffle())
