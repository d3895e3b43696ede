"""What every method gives back, in working units: the posterior of one picture, summarised."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Trace = dict[str, list[float]]


@dataclass(frozen=True)
class Posterior:
    """A posterior over pictures, summarised.

    Attributes
    ----------
    mean : Tensor, shape (C, *grid)
        Posterior mean; for ``method="map"`` the averaged fit, which is not a posterior mean.
    std : Tensor or None, shape (C, *grid)
        Posterior standard deviation of the noise-free picture; None where a method has none.
    samples : Tensor, shape (S, C, *grid)
        Posterior draws; S may be 0.
    trace : dict of lists
        What happened, step by step: one list for each quantity, all as long as ``trace["step"]``.
    stopped : str
        Why it ended: ``"finished"``, ``"stopping rule"``, ``"converged"``, ``"time budget"`` or ``"interrupted"``.
    chain : Tensor of int or None, shape (S,)
        From which chain each sample comes, 0, 1, ...; the samples of a chain follow each other in
        time. None where samples are independent draws.
    without : Posterior or None
        The posterior without the problem's held-out entries: mean and standard deviation alone.
    info : dict
        Facts about the run that belong to the method alone (iterations, temperature, ...).
    """

    mean: Tensor
    std: Tensor | None
    samples: Tensor
    trace: Trace
    stopped: str = "finished"
    chain: Tensor | None = None
    without: Posterior | None = None
    info: dict[str, Any] = field(default_factory=dict)
