"""What a callback sees of a run: where it stands, what it will cost, and its pictures so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """The cost of a run, told before its long part.

    Attributes
    ----------
    seconds : float
        Of the whole run.
    memory : int
        Bytes beyond the program itself: an upper bound.
    steps : int
        Steps, passes or iterations; 0 where they are not counted.
    """

    seconds: float
    memory: int
    steps: int

    def __str__(self) -> str:
        steps = f"{self.steps} steps, " if self.steps else ""
        return f"{steps}about {clock(self.seconds)}, at most {self.memory / 2**20:.0f} MiB"


@dataclass(frozen=True)
class Snapshot:
    """What a callback sees of a run.

    Attributes
    ----------
    phase : str
        ``"compiling"``, ``"initial estimate"``, ``"estimate"``, ``"solve"``, ``"patches"``, ``"warm-up"``, ``"burn-in"``, ``"sampling"``,
        ``"fit"``, ``"refit"`` or ``"simulation"``.
    step, steps : int
        Steps done, and steps planned; 0 where they are not counted.
    elapsed, remaining : float
        Seconds spent, and seconds left by the present pace (NaN while the pace is not known).
    fit : float
        Root mean squared residual of the data over its expectation under the noise: 1 means that
        the fit stands at the noise level, 0 that it has swallowed the noise.
    estimate : Estimate or None
        Given once, in the phase ``"estimate"``.
    mean : callable or None
        When called, the best picture so far, in the shape and scale of the picture that came in: what the run
        would give if it ended now.
    std : callable or None
        When called, the method's own standard deviation of every pixel so far, not calibrated, in the same shape and scale, in
        float32: while a network is sampled.
    sample : callable or None
        When called, the latest sample, as `mean`: while a network is sampled.
    method, why : str
        The name of the method that runs, and why that one.
    """

    phase: str
    step: int
    steps: int
    elapsed: float
    remaining: float
    fit: float = float("nan")
    estimate: Estimate | None = None
    mean: Callable[[], Any] | None = None
    std: Callable[[], Any] | None = None
    sample: Callable[[], Any] | None = None
    method: str = ""
    why: str = ""


Callback = Callable[[Snapshot], bool | None]


def clock(seconds: float) -> str:
    """``75`` -> ``"1 min 15 s"``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
