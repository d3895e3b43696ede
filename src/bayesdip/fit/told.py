"""Networks that were fitted without the hidden pixels are told them in the end, for what these say of their neighbours."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.fit.chain import Chain
from bayesdip.fit.effort import Plan
from bayesdip.fit.moments import Moments
from bayesdip.fit.muon import MuonStepper
from bayesdip.fit.problem import Problem
from bayesdip.fit.stacked import StackedProblem
from bayesdip.gp.hidden import bare
from bayesdip.measurement import Measurement
from bayesdip.posterior import Posterior

# Of the course after they are told, the part whose pictures are averaged: first they take the new pixels in.
AVERAGED_FROM = 0.5


def tells(measurement: Measurement) -> bool:
    """Whether there are hidden entries to tell: exact ones that the operator shows. Among noise a few more tell next to nothing."""
    hidden = measurement.hidden
    return (
        measurement.noise.is_exact
        and hidden is not None
        and bool(measurement.operator.observed[..., hidden].any())
    )


def blind(measurement: Measurement) -> Measurement:
    """The same data, whose operator does not show the hidden entries."""
    if measurement.hidden is None:
        return measurement
    return replace(measurement, operator=measurement.operator.with_hidden(measurement.hidden))


def tell(
    chain: Chain, measurement: Measurement, plan: Plan, generator: torch.Generator, fitted: list[Tensor]
) -> Tensor | None:
    """Fit the chain's networks on to all of `measurement`, and average their pictures.

    Parameters
    ----------
    fitted : list of Tensor
        The weights to go on from: those of a fit are nearer to one than a sample is.

    Returns
    -------
    Tensor, shape (C, *grid), or None
        None where it was stopped before there was anything to average.
    """
    if chain.monitor.should_stop():
        return None
    assert isinstance(chain.problem, Problem | StackedProblem)
    chain.problem = chain.problem.with_operator(measurement.operator)
    muon = MuonStepper(chain.problem, generator, input_noise=plan.sampled_input_noise)
    with torch.no_grad():
        for w, then in zip(chain.problem.weights, fitted, strict=True):
            w.copy_(then)
    shape = (measurement.channels, *measurement.grid)
    began, moments = chain.share, Moments()

    def fit(picture: Tensor) -> None:
        course = (chain.share - began) / (1 - began)
        muon.pace(course)
        if course > AVERAGED_FROM:
            moments.add(picture.reshape(-1, *shape).mean(0))

    chain.advance(muon, 1.0, "fit", fit)
    return moments.mean


def moved(found: Posterior, mean: Tensor) -> Posterior:
    """The posterior around another mean, and as it was as the one without the hidden entries."""
    mean = mean.to(found.mean)
    samples = found.samples + (mean - found.mean).to(found.samples)
    return replace(found, mean=mean, samples=samples, without=bare(found.mean, found.std))
