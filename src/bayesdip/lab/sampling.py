"""The library's own posterior sampler on the lab's cases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.api import restore
from bayesdip.arch.architecture import Architecture
from bayesdip.lab.cases import Case
from bayesdip.lab.claim import Trial
from bayesdip.methods import MAP, SGLD
from bayesdip.methods.method import Method
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.result import Restoration

EFFORT = {"quick": "fast", "full": "balanced"}


@dataclass(frozen=True)
class Sampled:
    """Posterior mean and standard deviation (not calibrated), (1, 1, *grid), and the trace.

    ``fit`` is the root mean square of the residual over sigma at each of ``steps``, the last ``sampling``
    of which are of the samples.
    """

    mean: Tensor
    std: Tensor
    steps: list[float]
    fit: list[float]
    sampling: int


def restored(case: Case, sigma: float, method: Method) -> Restoration:
    """One gray picture or signal, with pixels missing or noise of that sigma, by a method of the library.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C or SIGTERM came. The library then gives what it has, which is no row of an experiment.
    """
    found = restore(case.y[0, 0].numpy(), Mask(~case.observed[0, 0]), Gaussian(sigma), method=method)
    if found.stopped == "interrupted":
        raise KeyboardInterrupt
    return found


def restored_by(method: Method, case: Case, sigma: float) -> Tensor:
    """The picture of :func:`restored`, (1, 1, *grid)."""
    return torch.as_tensor(restored(case, sigma, method).mean)[None, None].float()


def sample(
    arch: Architecture, case: Case, sigma: float, trial: Trial, *, effort: str | None = None
) -> Sampled:
    """Sample the posterior of one gray picture or signal with pixels missing or noise of that sigma.

    ``effort`` is that of the size unless given.
    """
    found = restored(
        case,
        sigma,
        SGLD(
            arch=arch,
            effort=effort or EFFORT.get(trial.size.name, "fast"),
            seed=trial.seed,
            device="cpu",
            samples=0,
        ),
    )
    std = found.mean * 0 if found.raw_std is None else found.raw_std
    return Sampled(
        torch.as_tensor(found.mean)[None, None].float(),
        torch.as_tensor(std)[None, None].float(),
        found.trace["step"],
        found.trace["fit"],
        int(sum(found.trace["sampling"])),
    )


def stopped_fit(
    arch: Architecture, case: Case, sigma: float, trial: Trial, *, rule: str, steps: int
) -> tuple[Tensor, float]:
    """One fit of the library, the network's own picture at the step that a rule of ``networks.stopping`` takes.

    Returns
    -------
    picture : Tensor, shape (1, 1, *grid)
    steps : float
        That the fit took until the rule ended it.
    """
    method = MAP(arch=arch, optimiser="sgd", stop=rule, steps=steps, seed=trial.seed, device="cpu")
    found = restored(case, sigma, method)
    return torch.as_tensor(found.mean)[None, None].float(), float(found.trace["step"][-1])
