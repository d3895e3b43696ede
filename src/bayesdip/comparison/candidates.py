"""Who is compared: the package's methods, called as a user calls them, and the baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from bayesdip import api, baselines, methods
from bayesdip.baselines import Baseline
from bayesdip.errors import BayesDipError
from bayesdip.methods import Method
from bayesdip.problem import Problem

# Groups of candidates that a user may name.
GROUPS = ("ours", "baselines")
# Options of how much a posterior is sampled: a comparison needs its mean alone.
SAMPLING = ("samples", "draws")


@dataclass
class MethodCandidate:
    """One of the package's methods, or a user's own."""

    method: Method
    name: str
    time_budget: float | None = None
    ours: bool = True

    @property
    def setting(self) -> str:
        """The options that are not the method's defaults, its effort, and the time budget."""
        words = []
        for option in fields(self.method):
            value = getattr(self.method, option.name)
            is_default = value == option.default or option.name in (*SAMPLING, "seed", "device")
            if option.name == "effort" or not is_default:
                words.append(f"{option.name} {value}")
        return ", ".join([*words, *([f"time_budget {self.time_budget:g}"] if self.time_budget else [])])

    def tune(self, training: Problem, error: Callable[[Tensor], float]) -> Tensor | None:
        """Do nothing: our methods have nothing to tune."""
        return None

    def restore(self, problem: Problem) -> Tensor:
        """The picture, (C, M, N) in working units, by :func:`bayesdip.restore`.

        Raises
        ------
        KeyboardInterrupt
            The run was interrupted; what it has by then is no result to compare.
        """
        result = api.restore(
            problem.y.numpy(),
            problem.operator,
            problem.noise,
            channel_axis=0,
            method=self.method,
            time_budget=self.time_budget,
        )
        if result.stopped == "interrupted":
            raise KeyboardInterrupt
        mean = result.mean
        # An operator of the channels gives them behind, as `restore` says, or leaves a single one away.
        channels = problem.operator.input_channels
        if channels is not None:
            mean = mean[None] if channels == 1 else np.moveaxis(mean, -1, 0)
        return from_numpy(np.ascontiguousarray(mean))


@dataclass
class BaselineCandidate:
    """A baseline, tuned on what the ranking is made of."""

    baseline: Baseline
    value: float | None = None
    ours: bool = False

    @property
    def name(self) -> str:
        """That of the baseline."""
        return self.baseline.name

    @property
    def setting(self) -> str:
        """The value of its parameter."""
        return self.baseline.describe(self.baseline.default if self.value is None else self.value)

    def tune(self, training: Problem, error: Callable[[Tensor], float]) -> Tensor | None:
        """Choose the parameter by that error; gives the picture that it gave."""
        self.value, restored = self.baseline.tune(training, error)
        return restored

    def restore(self, problem: Problem) -> Tensor:
        """The picture, (C, M, N) in working units."""
        return self.baseline.restore(problem, self.value)


Candidate = MethodCandidate | BaselineCandidate


def all_names() -> list[str]:
    """Names of all that can be compared."""
    return [*methods.NAMES, *baselines.names()]


def candidates(
    problem: Problem,
    chosen: Sequence[str | Method | Baseline] = (),
    *,
    time_budget: float | None = None,
    **options: Any,
) -> list[Candidate]:
    """Those that are compared.

    Parameters
    ----------
    problem : Problem
    chosen : sequence of str, Method or Baseline
        Names, ``"ours"``, ``"baselines"``, or objects; empty for ``("ours", "baselines")``. A group holds what is
        made for the problem; what is named takes part even where it will refuse.
    time_budget : float, optional
        Seconds of every run of our methods.
    **options
        For our methods that are named: effort, seed, device.

    Returns
    -------
    list of Candidate
        Their names differ: a second ``sgld`` is called ``sgld-2``.

    Raises
    ------
    BayesDipError
        A name is unknown.
    """
    found: dict[str, Candidate] = {}

    def add(item: str | Method | Baseline) -> None:
        if isinstance(item, str) and item in methods.NAMES:
            item = methods.create(item, **options)
        elif isinstance(item, str):
            item = baselines.named(item)
        if isinstance(item, Baseline):
            found[item.name] = BaselineCandidate(item)
        else:
            no_samples: dict[str, Any] = {f.name: 0 for f in fields(item) if f.name in SAMPLING}
            item = replace(item, **no_samples)
            name = _unused(item.name, found)
            found[name] = MethodCandidate(item, name, time_budget)

    for item in chosen or GROUPS:
        if item == "ours":
            members: Sequence[Any] = [name for name in methods.NAMES if name not in chosen]
        elif item == "baselines":
            members = [b for b in baselines.every().values() if b.name not in chosen and b.applies(problem)]
        elif isinstance(item, str) and item not in all_names():
            raise BayesDipError(
                f"method {item!r} is unknown: expected ours, baselines, or one of {', '.join(all_names())}; choose one"
            )
        else:
            members = [item]
        for member in members:
            add(member)
    return list(found.values())


def _unused(name: str, taken: dict[str, Candidate]) -> str:
    number = 1 + sum(other == name or other.startswith(f"{name}-") for other in taken)
    return name if number == 1 else f"{name}-{number}"
