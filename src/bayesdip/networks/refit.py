"""For noise-free data the held-out pixels join the training set for the last quarter of the steps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.running_averages import Moments
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.problem import Problem
from bayesdip.result import Posterior

# Share of the refit's steps from which on pictures are averaged: in those before, the networks learn the held-out pixels.
AVERAGED_FROM = 0.5


def refit(
    loop: TrainingLoop,
    problem: Problem,
    schedule: Schedule,
    generator: torch.Generator,
    fitted: list[Tensor],
) -> Tensor | None:
    """Go on fitting the loop's networks, now to all observed pixels, and average their pictures.

    Parameters
    ----------
    loop : TrainingLoop
        Its target is replaced by that of all pixels.
    problem : Problem
        With all its entries.
    schedule : Schedule
    generator : torch.Generator
    fitted : list of Tensor
        The weights at the end of the fit, to start from: they are nearer to a fit than a sample is.

    Returns
    -------
    Tensor, shape (C, *grid), or None
        None if it was stopped before there was anything to average.
    """
    if loop.progress.should_stop():
        return None
    assert isinstance(loop.target, Energy | EnsembleEnergy)
    loop.target = loop.target.with_operator(problem.operator)
    muon = MuonStepper(loop.target, generator, input_noise=schedule.sampled_input_noise)
    with torch.no_grad():
        for w, then in zip(loop.target.weights, fitted, strict=True):
            w.copy_(then)
    shape = (problem.channels, *problem.grid)
    began, moments = loop.share, Moments()
    loop.listeners = (moments,)

    def fit(picture: Tensor) -> None:
        share = (loop.share - began) / (1 - began)
        muon.pace(share)
        if share > AVERAGED_FROM:
            moments.add(picture.reshape(-1, *shape).mean(0))

    loop.advance(muon, 1.0, "refit", fit)
    return moments.mean


def with_mean(posterior: Posterior, mean: Tensor) -> Posterior:
    """The same posterior around another mean: its samples are shifted with it.

    Parameters
    ----------
    posterior : Posterior
    mean : Tensor, shape (C, *grid)

    Returns
    -------
    Posterior
    """
    mean = mean.to(posterior.mean)
    samples = posterior.samples
    if samples is not None:
        samples = samples + (mean - posterior.mean).to(samples)
    return replace(posterior, mean=mean, samples=samples)
