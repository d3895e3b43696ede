"""Exact pixels that are held out from the networks at first join the training set in the end, and not before."""

import time
from dataclasses import replace

import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip import arch
from bayesdip.holdout import split
from bayesdip.networks.muon import MuonStepper
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress

GRID = (32, 32)
CLEAN = torch.from_numpy(data.camera()[80:112, 220:252] / 255.0)[None]
MISSING = torch.rand(GRID, generator=torch.Generator().manual_seed(1)) < 0.5


def given(sigma=0.0, y=CLEAN):
    problem = Problem(y, Mask(MISSING, GRID), Gaussian(sigma))
    return replace(problem, held_out=split(problem, 0))


def sgld(steps=200, **options):
    return bd.SGLD(arch=arch.skip(scales=2, width=8, skip=2), steps=steps, refit=True, **options)


def fit_and_update(method, problem, progress=None):
    method, progress = method.resolved(problem), progress or Progress()
    first = method.fit(problem.training, progress)
    return first, method.update(problem, first, progress)


@pytest.mark.slow
@pytest.mark.parametrize("chains", [1, 2])
def test_before_the_refit_the_networks_know_nothing_of_the_held_out_pixels(chains):
    problem = given()
    changed = given(y=torch.where(problem.held_out, 1 - CLEAN, CLEAN))
    (one, refitted), (other, otherwise) = (fit_and_update(sgld(chains=chains), m) for m in (problem, changed))
    assert torch.equal(one.mean, other.mean) and torch.equal(one.std, other.std)
    assert not torch.allclose(refitted.mean, otherwise.mean, atol=0.01)


def test_the_refit_comes_close_to_them_and_the_samples_are_shifted_with_the_mean():
    problem = given()
    first, refitted = fit_and_update(sgld(), problem)
    before, after = (float((p.mean - CLEAN)[:, problem.held_out].square().mean()) for p in (first, refitted))
    assert after < 0.7 * before
    gaps = [p.samples.double().mean(0) - p.mean for p in (first, refitted)]
    assert torch.allclose(*gaps, atol=1e-5)
    assert torch.equal(first.std, refitted.std)


def test_the_refit_takes_the_last_quarter_of_the_steps():
    steps = []
    fit_and_update(sgld(), given(), Progress(lambda s: steps.append((s.phase, s.step))))
    refit = [step for phase, step in steps if phase == "refit"]
    assert max(step for phase, step in steps if phase == "sampling") <= 150 < min(refit)
    assert max(refit) == 200


@pytest.mark.parametrize("at", [100, 140])
def test_stopped_before_the_refit_there_is_the_sampled_posterior_alone(at):
    first, refitted = fit_and_update(sgld(), given(), Progress(lambda s: s.step >= at))
    assert first.stopped == "interrupted" and refitted is None


@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_only_exact_pixels_that_are_held_out_have_a_refit(sigma):
    problem, method = given(sigma), sgld()
    assert method.refits(problem) == (sigma == 0)
    assert not method.refits(replace(problem, held_out=None))
    assert not replace(method, refit=False).refits(problem)


@pytest.mark.parametrize("budget", [0.3, 1.0])
def test_a_time_budget_of_a_few_steps_still_gives_a_picture(monkeypatch, budget):
    """Phases over which a slow step jumps are left out."""
    plain = MuonStepper.step

    def slow(self):
        time.sleep(0.25)
        return plain(self)

    monkeypatch.setattr(MuonStepper, "step", slow)
    problem = given()
    method = sgld().resolved(problem)
    found = method.fit(problem.training, Progress(time_budget=budget))
    assert found.stopped == "time budget" and torch.isfinite(found.mean).all()
