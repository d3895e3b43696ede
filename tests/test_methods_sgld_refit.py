"""Exact pixels that are held_out from the networks at first: told to them last, and no sooner."""

import time
from dataclasses import replace

import pytest
import torch
from bayesdip.settings import Settings
from skimage import data

from bayesdip import arch
from bayesdip.holdout import choose_held_out
from bayesdip.methods import sgld
from bayesdip.networks import refit as told
from bayesdip.networks import schedule as effort
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress

GRID = (32, 32)
CLEAN = torch.from_numpy(data.camera()[80:112, 220:252] / 255.0)[None]
MISSING = torch.rand(GRID, generator=torch.Generator().manual_seed(1)) < 0.5


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(effort.PLANS, "fast", effort.Plan(200))


def given(sigma=0.0, y=CLEAN):
    problem = Problem(y, Mask(MISSING, GRID), Gaussian(sigma))
    return replace(problem, held_out=choose_held_out(problem, 0))


def settings(**changes):
    return Settings(arch=arch.skip(scales=2, width=8, skip=2), method="sgld", effort="fast", **changes)


@pytest.mark.parametrize("chains", [1, 2])
def test_before_they_are_told_the_networks_know_nothing_of_them(chains):
    problem = given()
    held_out = problem.held_out
    spoilt = given(y=torch.where(held_out, 1 - CLEAN, CLEAN))
    one, other = (sgld.run(m, settings(chains=chains), Progress()) for m in (problem, spoilt))
    assert torch.equal(one.without.mean, other.without.mean)
    assert torch.equal(one.without.std, other.without.std)
    assert not torch.allclose(one.mean, other.mean, atol=0.01)
    alone = sgld.run(
        told.blind(problem),
        settings(chains=chains),
        Progress(),
        plan=sgld.plan_for(problem, settings(chains=chains)),
    )
    assert alone.without is None and torch.equal(alone.mean, one.without.mean)


def test_told_they_come_close_to_them_and_the_samples_go_along():
    problem = given()
    found = sgld.run(problem, settings(), Progress())
    before, after = (
        float((x - CLEAN)[:, problem.held_out].square().mean()) for x in (found.without.mean, found.mean)
    )
    assert after < 0.5 * before
    gap = found.samples.double().mean(0) - found.mean
    untold = sgld.run(told.blind(problem), settings(), Progress(), plan=sgld.plan_for(problem, settings()))
    assert torch.allclose(gap, untold.samples.double().mean(0) - untold.mean, atol=1e-5)


def test_stopped_before_it_is_told_it_has_the_sampled_posterior_alone():
    problem = given()
    found = sgld.run(problem, settings(), Progress(lambda p: p.step >= 140))
    assert found.stopped == "interrupted" and found.without is None


def test_a_time_budget_covers_what_is_told(monkeypatch):
    monkeypatch.setitem(effort.PLANS, "fast", effort.Plan(10**6))
    found = sgld.run(given(), settings(), Progress(time_budget=6.0))
    assert found.stopped == "time budget" and found.without is not None


@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_only_exact_ones_that_the_operator_shows_are_told(sigma):
    problem = given(sigma)
    assert told.tells(problem) == (sigma == 0)
    assert not told.tells(replace(problem, held_out=None))
    assert not told.tells(told.blind(problem))


@pytest.mark.parametrize("budget", [0.3, 1.0])
def test_a_budget_of_a_few_steps_has_a_picture(monkeypatch, budget):
    """Phases that a slow step jumps over are left out."""
    monkeypatch.setattr(sgld.MuonStepper, "step", slowly(sgld.MuonStepper.step, 0.25))
    found = sgld.run(given(), settings(sampler="cyclical"), Progress(time_budget=budget))
    assert found.stopped == "time budget" and torch.isfinite(found.mean).all()


def slowly(step, seconds):
    def slow(self):
        time.sleep(seconds)
        return step(self)

    return slow
