"""What was asked of a run, as plain JSON values: two runs with the same one come to the same result."""

from __future__ import annotations

from typing import Any

import torch

from bayesdip import __version__
from bayesdip.arrays import fingerprint
from bayesdip.inputs import Inputs
from bayesdip.methods import Method
from bayesdip.problem import Problem


def request_of(inputs: Inputs, method: Method, time_budget: float | None) -> dict[str, Any]:
    """All that decides the result; the device is only where it is computed.

    Parameters
    ----------
    inputs : Inputs
    method : Method
        Resolved for the problem.
    time_budget : float or None

    Returns
    -------
    dict
        Arrays and operators stand there by digests.
    """
    problem = inputs.problem
    settings = {name: value for name, value in method.to_dict().items() if name != "device"}
    return {
        "version": __version__,
        "torch": torch.__version__,
        **settings,
        "time_budget": time_budget,
        "noise": inputs.noise.describe(),
        "operator": f"{problem.operator!r} {_digest_of_operator(problem)}",
        "known pixels": fingerprint(problem.observed.cpu().numpy()),
        "noise of each pixel": fingerprint(
            problem.noise.variance(problem.y, problem.operator.observed).cpu().numpy()
        ),
        "input": fingerprint(problem.y.cpu().numpy()),
        "scale": [problem.units.shift, problem.units.scale, problem.keeps_known, problem.shares_noise],
    }


def _digest_of_operator(problem: Problem) -> str:
    """Of what it makes of one picture: a function of one's own says nothing else of itself."""
    shape = (problem.channels, *problem.grid)
    count = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    answer = problem.operator.forward((0.5 + 0.4 * torch.sin(0.7 * count)).reshape(shape))
    return fingerprint(answer.detach().cpu().resolve_conj().numpy())
