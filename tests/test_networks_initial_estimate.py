"""The initial estimate: what a network's run gives before the network has learnt a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.data import camera

import bayesdip as bd
from bayesdip.arch import Architecture, Skip
from bayesdip.errors import NoResultError
from bayesdip.gp.inference import posterior
from bayesdip.methods import Method
from bayesdip.networks import initial_estimate
from bayesdip.networks.energy import Energy
from bayesdip.networks.initial_estimate import InitialEstimate, process_mean
from bayesdip.noise import Gaussian
from bayesdip.operators import Downsample, Identity, Mask, Operator
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.snapshot import Snapshot

SIGMA = 0.1
CLEAN = torch.from_numpy(camera()[100:164, 200:264] / 255.0)[None]
NOISY = CLEAN + SIGMA * torch.randn(
    CLEAN.shape, generator=torch.Generator().manual_seed(0), dtype=CLEAN.dtype
)
GRID = (64, 64)


def psnr(picture: torch.Tensor) -> float:
    return float(-10 * (picture.double().clamp(0, 1) - CLEAN).square().mean().log10())


def at_once() -> Progress:
    """Stops a run at the first thing that it shows."""
    return Progress(callback=lambda snapshot: True)


def fit(method: Method, problem: Problem, progress: Progress) -> bd.result.Posterior:
    return method.resolved(problem).fit(problem, progress)


def energy(problem: Problem, arch: Architecture) -> Energy:
    return Energy.of(problem, arch, torch.Generator().manual_seed(0), "cpu")


def noisy(operator: Operator | None = None) -> Problem:
    return Problem(NOISY, operator or Identity(GRID), Gaussian(SIGMA))


def test_the_estimate_is_the_posterior_mean_of_the_process() -> None:
    kernel = Skip(scales=2, width=1024, skip=4).kernel(dims=2)
    exact = posterior(NOISY, Identity(GRID), kernel, Gaussian(SIGMA), tol=1e-6).mean
    found = process_mean(noisy())
    assert found is not None and float((found - exact).abs().max()) < 0.01
    assert psnr(found) > psnr(NOISY) + 4


def test_a_few_pixels_missing_among_noise_hardly_change_it() -> None:
    missing = torch.rand(GRID, generator=torch.Generator().manual_seed(1)) < 0.02
    kernel = Skip(scales=2, width=1024, skip=4).kernel(dims=2)
    exact = posterior(NOISY, Mask(missing), kernel, Gaussian(SIGMA), tol=1e-4).mean
    spoilt = replace(noisy(Mask(missing)), y=torch.where(missing, 100.0, NOISY))  # it must not look there
    found = process_mean(spoilt)
    assert found is not None
    assert float((found - exact).square().mean().sqrt()) < SIGMA / 10
    assert psnr(found) > psnr(exact) - 0.1


@pytest.mark.parametrize("method", [bd.SGLD(), bd.MAP(stop="discrepancy")])
def test_stopped_at_once_a_run_gives_the_mean_of_the_process(
    tiny_arch: Architecture, method: bd.SGLD | bd.MAP
) -> None:
    found = fit(replace(method, arch=tiny_arch), noisy(), at_once())
    expected = process_mean(noisy())
    assert expected is not None and float((found.mean - expected).abs().max()) < 1e-5
    assert found.std is None and found.stopped == "interrupted" and found.info["initial_estimate"]
    assert psnr(found.mean) > psnr(NOISY) + 4


@pytest.mark.parametrize("method", [bd.SGLD, bd.MAP, bd.Stack])
def test_pictures_are_there_from_the_start_and_get_better(tiny_arch: Architecture, method: type) -> None:
    heard: list[tuple[str, float]] = []

    def watch(snapshot: Snapshot) -> bool:
        if snapshot.mean is not None:
            heard.append((snapshot.phase, psnr(torch.from_numpy(np.asarray(snapshot.mean()))[None])))
        return snapshot.step >= 20

    made = method(sgld=bd.SGLD(arch=tiny_arch)) if method is bd.Stack else method(arch=tiny_arch)
    r = bd.denoise(NOISY[0].numpy(), SIGMA, method=made, effort="fast", callback=watch)
    scores = [score for _, score in heard]
    assert [phase for phase, _ in heard[:2]] == ["initial estimate"] * 2
    assert min(scores[:2]) > psnr(NOISY) + 4  # a simple filter, then the process
    assert min(scores[1:]) > scores[1] - 0.1  # never the network's poor beginning
    assert (r.std is None) == (method is not bd.Stack)


def test_exact_data_are_judged_by_pixels_that_neither_saw(tiny_arch: Architecture) -> None:
    generator = torch.Generator().manual_seed(2)
    missing, held_out = (torch.rand(GRID, generator=generator) < share for share in (0.5, 0.05))
    held_out &= ~missing
    given = Problem(CLEAN, Mask(missing), Gaussian(0.0), held_out=held_out).training
    begun = InitialEstimate.of(energy(given, tiny_arch), given, Progress(), 10)
    assert begun.picture is not None
    better, worse = (CLEAN + size * (begun.picture - CLEAN) for size in (0.9, 1.1))
    assert begun.or_better(better) is better
    assert begun.or_better(worse) is begun.picture
    perfect_where_seen = torch.where(held_out, 0.5, CLEAN)
    assert begun.or_better(perfect_where_seen) is begun.picture


def test_the_mean_of_a_fit_to_exact_data_stands_unless_held_out_pixels_prefer_the_samples_beyond_chance(
    tiny_arch: Architecture,
) -> None:
    generator = torch.Generator().manual_seed(2)
    missing, held_out = (torch.rand(GRID, generator=generator) < share for share in (0.5, 0.05))
    held_out &= ~missing
    given = Problem(CLEAN, Mask(missing), Gaussian(0.0), held_out=held_out).training
    far, near, little_nearer = (torch.where(held_out, CLEAN + size, 0.5) for size in (0.1, 0.01, 0.1))
    little_nearer = little_nearer + 1e-3 * torch.randn(CLEAN.shape, generator=generator, dtype=CLEAN.dtype)
    choose = InitialEstimate(energy(given, tiny_arch), None, given).mean_of_fit_or_samples
    assert choose(far, near) is near and choose(near, far) is near
    assert choose(far, little_nearer) is far and choose(little_nearer, far) is little_nearer
    assert choose(None, far) is far and choose(far, None) is None
    among_noise = InitialEstimate(energy(noisy(), tiny_arch), None, noisy()).mean_of_fit_or_samples
    assert among_noise(far, near) is near and among_noise(near, far) is far


def test_noisy_data_are_judged_by_the_fit(tiny_arch: Architecture) -> None:
    begun = InitialEstimate.of(energy(noisy(), tiny_arch), noisy(), Progress(), 10)
    assert begun.or_better(None) is begun.picture
    assert begun.or_better(CLEAN) is CLEAN
    blurred = torch.full_like(CLEAN, float(CLEAN.mean()))
    assert begun.or_better(blurred) is begun.picture


def test_any_operator_has_an_initial_estimate(tiny_arch: Architecture) -> None:
    operator = Downsample(GRID, 2)
    y = operator.forward(CLEAN)
    found = fit(bd.SGLD(arch=tiny_arch), Problem(y, operator, Gaussian(0.0)), at_once())
    coarse = torch.nn.functional.interpolate(y[None], scale_factor=2)[0]
    assert psnr(found.mean) > psnr(coarse)


def test_without_a_process_a_run_stopped_too_early_has_no_result(
    tiny_arch: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(initial_estimate, "process_mean", lambda problem: None)
    with pytest.raises(NoResultError, match="before its first picture"):
        fit(bd.SGLD(arch=tiny_arch), noisy(), Progress(stop_reason="interrupted"))


def test_the_papers_recipe_begins_without_one(tiny_arch: Architecture) -> None:
    progress = Progress(callback=lambda snapshot: snapshot.step >= 1)
    found = fit(bd.SGLD(arch=tiny_arch, sampler="adam-noise"), noisy(), progress)
    assert not found.info["initial_estimate"] and found.info["steps"] == 1


@pytest.mark.parametrize("method", [bd.SGLD, bd.MAP])
def test_a_finished_run_gives_the_networks_picture(tiny_arch: Architecture, method: type) -> None:
    assert not fit(method(arch=tiny_arch, steps=20), noisy(), Progress()).info["initial_estimate"]


def test_it_stands_where_held_out_pixels_say_beyond_chance_that_it_is_better(
    tiny_arch: Architecture,
) -> None:
    """Among noise too: the pixels are the same for both, so that their noise cancels."""
    generator = torch.Generator().manual_seed(0)
    given = replace(noisy(), held_out=torch.rand(GRID, generator=generator) < 0.5).training
    begun = InitialEstimate(energy(given, tiny_arch), CLEAN, given)
    assert begun.predicts_better(CLEAN + 0.1)
    assert not begun.predicts_better(CLEAN + 1e-4 * torch.randn(CLEAN.shape, generator=generator))
    assert not replace(begun, picture=CLEAN + 0.1).predicts_better(CLEAN)
    assert not replace(begun, given=noisy()).predicts_better(CLEAN + 0.1)


@pytest.mark.parametrize("sigma", [SIGMA, 0.0])
def test_a_finished_run_gives_back_no_less_than_its_first_picture(
    tiny_arch: Architecture, sigma: float
) -> None:
    """By the held-out pixels, which neither saw: twenty steps are far too few for a network."""
    generator = torch.Generator().manual_seed(3)
    missing, held_out = (torch.rand(GRID, generator=generator) < share for share in (0.5, 0.2))
    problem = Problem(
        NOISY if sigma else CLEAN, Mask(missing), Gaussian(sigma), held_out=held_out & ~missing
    ).training
    first = process_mean(problem)
    found = fit(bd.SGLD(arch=tiny_arch, steps=20), problem, Progress())
    assert found.stopped == "finished" and found.info["initial_estimate"]
    assert first is not None
    error, of_first = (
        float((picture - problem.y)[problem.held_out_entries].square().mean())
        for picture in (found.mean.double(), first.double())
    )
    assert error <= of_first + 1e-4
