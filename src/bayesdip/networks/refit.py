"""Networks that were fitted without the held-out pixels are told them in the end, for what these say of their neighbours."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.gp.held_out import bare
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.running_averages import Moments
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem

# Of the course after they are told, the part whose pictures are averaged: first they take the new pixels in.
AVERAGED_FROM = 0.5


def tells(problem: Problem) -> bool:
    """Whether there are held-out entries to tell: exact ones that the operator shows. Among noise a few more tell next to nothing."""
    held_out = problem.held_out
    return (
        problem.noise.is_exact
        and held_out is not None
        and bool(problem.operator.observed[..., held_out].any())
    )


def blind(problem: Problem) -> Problem:
    """The same data, whose operator does not show the held-out entries."""
    if problem.held_out is None:
        return problem
    return replace(problem, operator=problem.operator.with_held_out(problem.held_out))


def tell(
    chain: TrainingLoop,
    problem: Problem,
    schedule: Schedule,
    generator: torch.Generator,
    fitted: list[Tensor],
) -> Tensor | None:
    """Fit the chain's networks on to all of `problem`, and average their pictures.

    Parameters
    ----------
    fitted : list of Tensor
        The weights to go on from: those of a fit are nearer to one than a sample is.

    Returns
    -------
    Tensor, shape (C, *grid), or None
        None where it was stopped before there was anything to average.
    """
    if chain.progress.should_stop():
        return None
    assert isinstance(chain.target, Energy | EnsembleEnergy)
    chain.target = chain.target.with_operator(problem.operator)
    muon = MuonStepper(chain.target, generator, input_noise=schedule.sampled_input_noise)
    with torch.no_grad():
        for w, then in zip(chain.target.weights, fitted, strict=True):
            w.copy_(then)
    shape = (problem.channels, *problem.grid)
    began, moments = chain.share, Moments()

    def fit(picture: Tensor) -> None:
        course = (chain.share - began) / (1 - began)
        muon.pace(course)
        if course > AVERAGED_FROM:
            moments.add(picture.reshape(-1, *shape).mean(0))

    chain.advance(muon, 1.0, "fit", fit)
    return moments.mean


def moved(found: Posterior, mean: Tensor) -> Posterior:
    """The posterior around another mean, and as it was as the one without the held-out entries."""
    mean = mean.to(found.mean)
    samples = found.samples + (mean - found.mean).to(found.samples)
    return replace(found, mean=mean, samples=samples, without=bare(found.mean, found.std))
