"""Sampling a network's posterior: what is counted, at which temperature, by which recipe."""

import math

import pytest
import torch

from bayesdip import arch
from bayesdip.fit import effort, sgld
from bayesdip.fit.problem import SMALLEST_SIGMA, Problem
from bayesdip.fit.steppers import LangevinStepper
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.settings import Settings

GRID = (16, 16)


def noisy(sigma=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0.2, 0.8, 16, dtype=torch.float64).expand(1, *GRID)
    return Measurement(Gaussian(sigma).sample(ramp, generator), Identity(GRID), Gaussian(sigma)), ramp


def settings(**changes):
    return Settings(arch=arch.skip(scales=2, width=8, skip=2), method="sgld", effort="fast", **changes)


@pytest.mark.parametrize(("sampler", "burnt_in"), [("psgld", "plan"), ("adam-noise", 7000 / 20000)])
def test_neither_start_nor_burn_in_is_counted(sampler, burnt_in, quick):
    plan = effort.PLANS["fast"]
    measurement, _ = noisy()
    found = sgld.run(measurement, settings(sampler=sampler), Monitor())
    share = plan.burnt_in if burnt_in == "plan" else burnt_in
    sampled = plan.steps - math.ceil(share * plan.steps)
    assert found.info["counted"] == math.ceil(sampled / sgld.COUNT_EVERY)
    first = next(s for s, on in zip(found.trace["step"], found.trace["sampling"], strict=True) if on)
    assert first >= share * plan.steps


def test_the_posterior_mean_is_the_mean_of_the_counted_pictures(quick):
    measurement, _ = noisy()
    found = sgld.run(measurement, settings(samples=1000), Monitor())
    assert torch.allclose(found.mean, found.samples.double().mean(0), atol=1e-6)
    assert torch.allclose(found.std, found.samples.double().std(0), atol=1e-6)


def test_stopped_before_sampling_it_gives_the_average_so_far_and_no_spread(quick):
    measurement, _ = noisy()
    found = sgld.run(measurement, settings(), Monitor(callback=lambda p: p.step >= 10))
    assert found.stopped == "interrupted" and found.std is None and torch.isfinite(found.mean).all()


def test_langevin_gradients_are_those_of_the_full_posterior():
    """Against finite differences of -log likelihood - log prior, in double precision."""
    measurement, _ = noisy()
    generator = torch.Generator().manual_seed(0)
    problem = Problem.pose(measurement, arch.skip(scales=1, width=4, skip=2), generator, "cpu")
    start = [w.detach().clone() for w in problem.weights]
    ones = [torch.ones_like(w) for w in start]
    langevin = LangevinStepper(problem, generator, ones, step_size=1e-4)
    langevin.momentum.values = [torch.zeros_like(w) for w in start]
    langevin.step()  # at temperature zero: u = -h R grad U, with R known
    gradients = [
        -u / (1e-4 * p.sqrt()) / 0.9
        for u, p in zip(langevin.momentum.values, langevin.preconditioner, strict=True)
    ]

    def energy(weights):
        with torch.no_grad():
            for w, value in zip(problem.weights, weights, strict=True):
                w.copy_(value)
            prior = sum((w**2).sum() / (2 * s**2) for w, s in zip(problem.weights, problem.stds, strict=True))
            return float(problem.misfit(problem.picture()) + prior)

    problem.network.double()
    for name in ("code",):
        object.__setattr__(problem, name, problem.code.double())
    for index in (0, 2, len(start) - 2):
        direction = torch.randn(start[index].shape, generator=generator, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            moved = [w.double() for w in start]
            moved[index] = moved[index] + sign * 1e-5 * direction
            ends.append(energy(moved))
        slope = (ends[0] - ends[1]) / 2e-5
        assert (gradients[index].double() * direction).sum().item() == pytest.approx(
            slope, rel=1e-2, abs=0.05
        )


def test_missing_pixels_have_no_influence(quick):
    missing = torch.rand(GRID, generator=torch.Generator().manual_seed(1)) < 0.5
    measurement, _ = noisy()
    results = []
    for value in (0.0, 1e3):
        y = torch.where(missing, value, measurement.y)
        results.append(sgld.run(Measurement(y, Mask(missing), measurement.noise), settings(), Monitor()).mean)
    assert torch.equal(results[0], results[1])


def test_exact_data_are_asked_for_within_the_smallest_sigma(quick):
    measurement, _ = noisy()
    exact = Measurement(measurement.y, measurement.operator, Gaussian(0.0))
    problem = Problem.pose(exact, settings().arch, torch.Generator().manual_seed(0), "cpu")
    assert problem.variance.flatten()[0].item() == pytest.approx(SMALLEST_SIGMA**2)
    assert problem.fit(problem.measurement.y) == 0.0


@pytest.mark.slow
def test_a_long_run_at_temperature_one_does_not_drift_into_the_noise(monkeypatch):
    """The plateau of the fit is reached and kept; at temperature zero the noise is swallowed."""
    monkeypatch.setitem(effort.PLANS, "fast", effort.Plan(2500))
    measurement, ramp = noisy(sigma=0.15)
    warm = sgld.run(measurement, settings(), Monitor())
    cold = sgld.run(measurement, settings(temperature=0.0), Monitor())
    fits = torch.tensor([f for f, on in zip(warm.trace["fit"], warm.trace["sampling"], strict=True) if on])
    halves = fits.square().chunk(2)
    assert abs(halves[0].mean() / halves[1].mean() - 1) < 0.08
    assert cold.trace["fit"][-1] < 0.8 * fits.mean()
    assert (warm.mean - ramp).square().mean() < 0.6 * (cold.mean - ramp).square().mean()
