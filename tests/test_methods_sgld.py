"""Sampling a network's posterior: what is counted, at which temperature, by which schedule."""

import math
import statistics
from dataclasses import replace

import pytest
import torch

import bayesdip as bd
from bayesdip import arch
from bayesdip.networks import sampling
from bayesdip.networks.energy import SMALLEST_SIGMA, Energy
from bayesdip.networks.samplers import Psgld
from bayesdip.networks.sampling import ENOUGH_SAMPLES, LARGEST_STEP_FACTOR, step_factor
from bayesdip.networks.schedule import SCHEDULES, Schedule
from bayesdip.noise import Gaussian, Poisson
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress

GRID = (16, 16)
TINY = arch.skip(scales=2, width=8, skip=2)


def noisy(sigma=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0.2, 0.8, 16, dtype=torch.float64).expand(1, *GRID)
    return Problem(Gaussian(sigma).sample(ramp, generator), Identity(GRID), Gaussian(sigma)), ramp


def sgld(steps=40, **options):
    return bd.SGLD(arch=TINY, steps=steps, **options)


def fit(method, problem, progress=None):
    return method.resolved(problem).fit(problem, progress or Progress())


def fit_by(schedule, problem, progress=None, *, initial=True, **options):
    method = sgld(**options).resolved(problem)
    return method.fit_by(problem, progress or Progress(), schedule, initial=initial)


def sampled(found):
    """Fits of the sampling phase."""
    return [f for f, on in zip(found.trace["fit"], found.trace["sampling"], strict=True) if on]


@pytest.mark.parametrize(
    ("sampler", "burnt_in", "every"),
    [("psgld", 0.45, 5), ("adam-noise", 7000 / 20000, 50)],
)
def test_neither_start_nor_burn_in_is_counted(sampler, burnt_in, every):
    """In a run too short for a verdict on its trend, burn-in takes all of the share that it may."""
    schedule = Schedule(200, burnt_in=0.45, fitted=0.0)
    problem, _ = noisy()
    found = fit_by(schedule, problem, sampler=sampler)
    counted = schedule.steps - math.ceil(burnt_in * schedule.steps)
    assert found.info["counted"] == math.ceil(counted / every)
    assert found.info["burn_in"] == pytest.approx(burnt_in, abs=1 / schedule.steps)
    first = next(s for s, on in zip(found.trace["step"], found.trace["sampling"], strict=True) if on)
    assert first >= burnt_in * schedule.steps


@pytest.mark.slow
def test_muon_ends_just_below_the_noise():
    """It would go on to fit the noise; what follows begins earlier for it."""
    schedule = Schedule(400, warm_up=0.7, heated=0.75, burnt_in=0.8)
    problem, _ = noisy()
    phases = []
    progress = Progress(lambda snapshot: phases.append((snapshot.phase, snapshot.step, snapshot.fit)))
    found = fit_by(schedule, problem, progress)
    *before, (_, last, fit) = [(p, s, f) for p, s, f in phases if p == "warm-up"]
    assert fit <= Schedule.fitted < min(f for _, _, f in before)
    assert last < 0.5 * 400
    assert found.info["burn_in"] == pytest.approx((last + 0.1 * 400) / 400, abs=0.01)


@pytest.mark.slow
def test_burn_in_ends_when_the_fit_has_no_trend_any_more():
    """For most seeds long before the share that it may take; then the fit stays where it is."""
    schedule = Schedule(800, warm_up=0.1, heated=0.12, burnt_in=0.9)
    problem, _ = noisy()
    runs = [fit_by(schedule, problem, seed=seed) for seed in range(3)]
    early = [found for found in runs if 0.2 < found.info["burn_in"] < 0.85]
    assert len(early) >= 2
    for found in early:
        fits = sampled(found)
        half = len(fits) // 2
        assert statistics.median(fits[:half]) == pytest.approx(statistics.median(fits[half:]), rel=0.1)


@pytest.mark.parametrize("sampler", ["psgld", "adam-noise"])
def test_several_chains_share_out_the_samples_and_say_whose_each_is(sampler):
    problem, _ = noisy()
    found = fit(sgld(120, sampler=sampler, chains=3, samples=6), problem)
    assert found.samples.shape[1:] == (1, *GRID) and len(found.samples) == len(found.chain) <= 6
    assert found.chain.unique().tolist() == [0, 1, 2] and (found.chain.diff() >= 0).all()
    assert found.info["chains"] == 3 and torch.isfinite(found.std).all()
    first = [found.samples[found.chain == k][0] for k in range(3)]
    assert not torch.allclose(first[0], first[1])


def test_mean_and_spread_are_those_of_all_chains_together():
    problem, _ = noisy()
    found = fit(sgld(chains=3, samples=3000), problem)
    assert len(found.samples) == 3 * found.info["counted"]
    assert torch.allclose(found.mean, found.samples.double().mean(0), atol=1e-6)
    assert torch.allclose(found.std, found.samples.double().std(0), atol=1e-6)


def test_a_signal_is_sampled_by_several_chains_too():
    y = torch.rand(1, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = fit(sgld(chains=2), Problem(y, Identity((40,)), Gaussian(0.1)))
    assert found.mean.shape == (1, 40) and found.samples.shape[1:] == (1, 40)


def test_the_noise_level_is_sampled_for_gaussian_noise_alone():
    problem, _ = noisy()
    found = fit(sgld(sample_sigma=True), problem)
    assert found.info["relative_sigma"] > 0
    counted = Problem(problem.y, problem.operator, Poisson(0.01))
    with pytest.raises(bd.BayesDipError, match="sample_sigma"):
        sgld(sample_sigma=True).check(counted)


def test_the_posterior_mean_is_the_mean_of_the_counted_pictures():
    problem, _ = noisy()
    found = fit(sgld(200, samples=1000), problem)
    assert torch.allclose(found.mean, found.samples.double().mean(0), atol=1e-6)
    assert torch.allclose(found.std, found.samples.double().std(0), atol=1e-6)


def test_stopped_before_sampling_it_gives_the_average_so_far_and_no_spread():
    problem, _ = noisy()
    found = fit(sgld(), problem, Progress(callback=lambda s: s.step >= 10))
    assert found.stopped == "interrupted" and found.std is None and torch.isfinite(found.mean).all()


def test_langevin_gradients_are_those_of_the_full_posterior():
    """Against finite differences of -log likelihood - log prior, in double precision."""
    problem, _ = noisy()
    generator = torch.Generator().manual_seed(0)
    target = Energy.of(problem, arch.skip(scales=1, width=4, skip=2), generator, "cpu")
    start = [w.detach().clone() for w in target.weights]
    ones = [torch.ones_like(w) for w in start]
    langevin = Psgld(target, generator, ones, step_size=1e-4)
    langevin.momentum.values = [torch.zeros_like(w) for w in start]
    langevin.step()  # at temperature zero: u = -h R grad U, with R known
    gradients = [
        -u / (1e-4 * p.sqrt()) / 0.9
        for u, p in zip(langevin.momentum.values, langevin.preconditioner, strict=True)
    ]

    def energy(weights):
        with torch.no_grad():
            for w, value in zip(target.weights, weights, strict=True):
                w.copy_(value)
            prior = sum((w**2).sum() / (2 * s**2) for w, s in zip(target.weights, target.stds, strict=True))
            return float(target.negative_log_likelihood(target.picture()) + prior)

    target.network.double()
    target = replace(target, latent=target.latent.double())
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


def test_missing_pixels_have_no_influence():
    missing = torch.rand(GRID, generator=torch.Generator().manual_seed(1)) < 0.5
    problem, _ = noisy()
    results = []
    for value in (0.0, 1e3):
        y = torch.where(missing, value, problem.y)
        results.append(fit(sgld(), Problem(y, Mask(missing), problem.noise)).mean)
    assert torch.equal(results[0], results[1])


def test_exact_data_are_asked_for_within_the_smallest_sigma():
    problem, _ = noisy()
    exact = Problem(problem.y, problem.operator, Gaussian(0.0))
    target = Energy.of(exact, TINY, torch.Generator().manual_seed(0), "cpu")
    assert target.variance.flatten()[0].item() == pytest.approx(SMALLEST_SIGMA**2)
    assert target.fit(target.problem.y) == 0.0


def test_of_exact_data_the_input_is_perturbed_while_they_are_sampled():
    """But not where a Metropolis test needs the same energy twice."""
    seen = []

    class Noting(Psgld):
        def __init__(self, *args, **options):
            seen.append(options["input_noise"])
            super().__init__(*args, **options)

    class Exact(Noting):
        needs_exact_energy = True

    problem, _ = noisy()
    exact = Problem(problem.y, problem.operator, Gaussian(0.0))
    fit(sgld(20, sampler=Noting), problem)
    fit(sgld(20, sampler=Noting), exact)
    fit(sgld(20, sampler=Exact), exact)
    assert seen == [0.0, Schedule(20).input_noise, 0.0]


def test_most_of_a_run_on_exact_data_is_the_fit():
    problem, _ = noisy()
    exact = Problem(problem.y, problem.operator, Gaussian(0.0))
    shares = [len(sampled(fit(sgld(60), m))) for m in (problem, exact)]
    assert shares[1] < 0.5 * shares[0]


def test_the_mean_of_the_fit_to_exact_data_stands_where_the_samples_do_not_predict_held_out_pixels_better(
    monkeypatch,
):
    problem, _ = noisy(sigma=1e-9)
    held_out = torch.rand(GRID, generator=torch.Generator().manual_seed(1)) < 0.3
    given = Problem(problem.y, problem.operator, Gaussian(0.0), held_out=held_out).training
    schedule = Schedule(200).of_exact()
    either = fit_by(schedule, given, initial=False, temperature=1000.0)
    monkeypatch.setattr(sampling, "FIT_AVERAGED_FROM", 2.0)
    samples = fit_by(schedule, given, initial=False, temperature=1000.0)
    missed = [float((found.mean - given.y)[:, held_out].square().mean()) for found in (either, samples)]
    assert missed[0] < missed[1]
    # The samples lie around the mean that is given, and the standard deviation counts how far it is from theirs.
    between = either.mean - samples.mean
    assert torch.allclose(either.samples - samples.samples, between.to(samples.samples), atol=1e-6)
    assert torch.allclose(either.std, (samples.std.square() + between.square()).sqrt(), atol=1e-6)


@pytest.mark.parametrize(("noise", "factor"), [(25, 1.0), (25 / 4, 0.5), (1000, LARGEST_STEP_FACTOR)])
def test_steps_go_by_the_root_of_the_noise(noise, factor):
    assert step_factor(noise / 255) == pytest.approx(factor)


@pytest.mark.slow
def test_little_noise_is_left_alone_as_well():
    """With steps of one size for every noise the mean squared residual rose to 1.4 noise variances here."""
    problem, _ = noisy(sigma=5 / 255)
    fits = torch.tensor(sampled(fit_by(Schedule(1500, step_size=0.06), problem)))
    assert 0.8 < float(fits.square().mean()) < 1.25


@pytest.mark.slow
def test_a_long_run_at_temperature_one_does_not_fit_the_noise():
    """The plateau of the fit is reached and kept; at temperature zero the noise is fitted."""
    problem, ramp = noisy(sigma=0.15)
    warm, cold = (fit(sgld(2500, temperature=t), problem) for t in (1.0, 0.0))
    at_one, at_zero = (torch.tensor(sampled(run)) for run in (warm, cold))
    # Medians: on 16x16 pixels a few steps leave the plateau for a moment, on some machines more than on others.
    early, late = at_one.square().chunk(2)
    assert abs(early.median() / late.median() - 1) < 0.08
    assert at_zero.median() < 0.8 * at_one.median()
    assert (warm.mean - ramp).square().mean() < 0.6 * (cold.mean - ramp).square().mean()


@pytest.mark.slow
def test_between_the_fit_and_its_samples_the_picture_does_not_get_worse():
    """Muon goes on below the noise level before sampling; a run stopped there has what it had at that level."""
    from skimage import data

    clean = torch.from_numpy(data.camera()[60:124, 210:274] / 255.0)[None]
    noise = Gaussian(25 / 255)
    y = noise.sample(clean, torch.Generator().manual_seed(0))
    errors = []

    def note(snapshot):
        if snapshot.mean is not None and snapshot.phase != "initial estimate":
            errors.append(float((snapshot.mean() - clean).square().mean()))

    found = fit(sgld(SCHEDULES["fast"].steps), Problem(y, Identity((64, 64)), noise), Progress(note))
    assert found.info["counted"] >= ENOUGH_SAMPLES
    best = float("inf")
    for error in errors:
        assert error < 1.1 * best  # 0.4 dB
        best = min(best, error)
