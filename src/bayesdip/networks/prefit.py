"""A fit to a first picture, before the fit to indirect data.

Through a blur, what tells of fine detail is small in the data, and a network learns it last: after as many steps as restore
noisy pixels, networks fitted to blurred data are behind the data themselves. A picture that it sees, a network learns in some
hundred steps. So it begins with the first picture as its data, and goes on with the true ones from there.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem

# Standard deviation of the first picture's own error, in working units.
SIGMA = 4 / 255
# Share of the warm-up's steps.
SHARE = 0.6


def prefit(loop: TrainingLoop, picture: Tensor, schedule: Schedule, generator: torch.Generator) -> None:
    """Fit the loop's networks to a picture, for the first part of the warm-up.

    Parameters
    ----------
    loop : TrainingLoop
        Its target's weights are changed.
    picture : Tensor, shape (C, *grid)
    schedule : Schedule
    generator : torch.Generator
        On the device of the target.
    """
    own = loop.target
    assert isinstance(own, Energy | EnsembleEnergy)
    loop.target = with_picture(own, picture)
    muon = MuonStepper(loop.target, generator, input_noise=schedule.sampled_input_noise)
    loop.advance(muon, SHARE * schedule.warm_up, "warm-up", lambda picture: None)
    loop.target = own


def with_picture(target: Energy | EnsembleEnergy, picture: Tensor) -> Energy | EnsembleEnergy:
    """The same networks, with a picture in place of the data.

    Parameters
    ----------
    target : Energy or EnsembleEnergy
    picture : Tensor, shape (C, *grid)

    Returns
    -------
    Energy or EnsembleEnergy
    """
    if isinstance(target, EnsembleEnergy):
        first = with_picture(target.target, picture)
        assert isinstance(first, Energy)
        return replace(target, target=first)
    y = picture.to(target.problem.y)
    problem = Problem(y, Identity(target.problem.grid), Gaussian(SIGMA))
    seen = torch.ones_like(y, dtype=torch.bool)
    return replace(target, problem=problem, observed=seen, variance=torch.full_like(y, SIGMA**2))
