"""Who takes part: every method of the registry, the non-local kernel, and the baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from bayesdip import api as tasks
from bayesdip import baselines
from bayesdip.baselines import Baseline
from bayesdip.errors import BayesDipError
from bayesdip.problem import Problem
from bayesdip.settings import METHODS

# Methods under another kernel, beside each method by itself.
KERNELS = {"gp": ("nonlocal",)}


class Contender(Protocol):
    """One that restores; ``setting`` says with which parameter, once it is tuned."""

    @property
    def name(self) -> str: ...

    @property
    def ours(self) -> bool: ...

    @property
    def setting(self) -> str: ...

    def tune(self, seen: Problem, error: Callable[[Tensor], float]) -> Tensor | None:
        """Choose parameters by that error; gives the picture restored from ``seen`` if there was a choice."""

    def restore(self, problem: Problem) -> Tensor:
        """The picture, (C, M, N) in working units."""


@dataclass
class Ours:
    """One of our methods, called as a user calls it."""

    name: str
    options: dict[str, Any]
    ours: bool = True

    @property
    def setting(self) -> str:
        return ", ".join(f"{k} {self.options[k]}" for k in ("effort", "time_budget") if self.options.get(k))

    def tune(self, seen: Problem, error: Callable[[Tensor], float]) -> Tensor | None:
        return None

    def restore(self, problem: Problem) -> Tensor:
        """Through the front door, without standard deviations.

        Raises
        ------
        KeyboardInterrupt
            The run was interrupted; its picture of the moment is no result to compare.
        """
        from torch import from_numpy

        r = tasks.restore(problem.y.numpy(), problem.operator, problem.noise, channel_axis=0, **self.options)
        if r.stopped == "interrupted":
            raise KeyboardInterrupt
        return from_numpy(r.mean)


@dataclass
class Classical:
    """A baseline, tuned on what the ranking is made of."""

    baseline: Baseline
    value: float | None = None
    ours: bool = False

    @property
    def name(self) -> str:
        return self.baseline.name

    @property
    def setting(self) -> str:
        return self.baseline.describe(self.baseline.usual if self.value is None else self.value)

    def tune(self, seen: Problem, error: Callable[[Tensor], float]) -> Tensor | None:
        tuning = baselines.tune(self.baseline, seen, error)
        self.value = tuning.value
        return tuning.restored

    def restore(self, problem: Problem) -> Tensor:
        return self.baseline.restore(problem, self.baseline.usual if self.value is None else self.value)


def all_names() -> list[str]:
    """Names of everyone who could take part."""
    return [*_ours(), *baselines.names()]


def contenders(problem: Problem, only: tuple[str, ...], options: dict[str, Any]) -> list[Contender]:
    """Those who take part; by default all that are made for the setup.

    Parameters
    ----------
    only : tuple of str
        Names, or ``"ours"`` and ``"baselines"``; empty for all. Who is named takes part even where
        it will refuse.
    options : dict
        For our methods: effort, time budget, seed, device.

    Raises
    ------
    BayesDipError
        A name is unknown.
    """
    if unknown := [name for name in only if name not in (*all_names(), "ours", "baselines")]:
        raise BayesDipError(
            f"method {unknown[0]!r} is unknown: expected ours, baselines, or {', '.join(all_names())}"
        )
    found: list[Contender] = [
        Ours(name, own | options)
        for name, own in _ours().items()
        if not only or name in only or "ours" in only
    ]
    for name in baselines.names():
        if name in only or (baselines.named(name).applies(problem) and (not only or "baselines" in only)):
            found.append(Classical(baselines.named(name)))
    return found


def _ours() -> dict[str, dict[str, Any]]:
    quick = {"samples": 0, "draws": 0}
    found: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        found[method] = {"method": method, **quick}
        for kernel in KERNELS.get(method, ()):
            found[f"{method}-{kernel}"] = {"method": method, "kernel": kernel, **quick}
    return found
