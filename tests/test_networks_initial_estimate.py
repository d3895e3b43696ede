"""The picture that a network's run gives before the network has learnt one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bayesdip.pipeline import working_units
from bayesdip.settings import Settings
from skimage.data import camera

import bayesdip as bd
from bayesdip.arch import Skip
from bayesdip.errors import NoResultError
from bayesdip.gp.inference import posterior
from bayesdip.methods import map as fit_map
from bayesdip.methods import sgld
from bayesdip.networks import initial_estimate as first
from bayesdip.networks.initial_estimate import InitialEstimate, process_mean
from bayesdip.noise import Gaussian
from bayesdip.operators import Downsample, Identity, Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress

SIGMA = 0.1
CLEAN = torch.from_numpy(camera()[100:164, 200:264] / 255.0)[None]
NOISY = CLEAN + SIGMA * torch.randn(
    CLEAN.shape, generator=torch.Generator().manual_seed(0), dtype=CLEAN.dtype
)
GRID = (64, 64)


@pytest.fixture
def settings(tiny_arch) -> Settings:
    return Settings(arch=tiny_arch, effort="fast")


def psnr(picture: torch.Tensor) -> float:
    return float(-10 * (picture.double().clamp(0, 1) - CLEAN).square().mean().log10())


def at_once() -> Progress:
    return Progress(callback=lambda snapshot: True)


def noisy(operator=None) -> Problem:
    return Problem(NOISY, operator or Identity(GRID), Gaussian(SIGMA))


def test_the_picture_is_the_posterior_mean_of_the_process_that_gp_has() -> None:
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


@pytest.mark.parametrize("run", [sgld.run, fit_map.run])
def test_stopped_at_the_first_word_a_run_gives_the_mean_of_the_process(settings: Settings, run) -> None:
    found = run(noisy(), replace(settings, stop="discrepancy"), at_once())
    expected = process_mean(noisy())
    assert expected is not None and float((found.mean - expected).abs().max()) < 1e-5
    assert found.std is None and found.stopped == "interrupted" and found.info["initial_estimate"]
    assert psnr(found.mean) > psnr(NOISY) + 4


@pytest.mark.parametrize("method", ["sgld", "map", "stack"])
def test_the_pictures_told_get_better_and_are_there_from_the_start(tiny_arch, method: str) -> None:
    told: list[tuple[str, float]] = []
    units = working_units(NOISY, Identity(GRID))

    def watch(snapshot) -> bool:
        if snapshot.mean is not None:
            told.append((snapshot.phase, psnr(units.to_own(snapshot.mean()))))
        return snapshot.step >= 20

    image = NOISY[0].numpy()
    r = bd.denoise(image, SIGMA, method=method, arch=tiny_arch, effort="fast", callback=watch)
    scores = [score for _, score in told]
    assert [phase for phase, _ in told[:2]] == ["first picture"] * 2
    assert scores[1] > scores[0] + 4  # the data, then the process
    assert min(scores[1:]) > scores[1] - 0.1  # never the network's poor beginning
    assert r.std is None or method == "stack"


def test_exact_data_are_judged_by_pixels_that_neither_saw(settings: Settings) -> None:
    generator = torch.Generator().manual_seed(2)
    missing, held_out = (torch.rand(GRID, generator=generator) < share for share in (0.5, 0.05))
    held_out &= ~missing
    given = Problem(CLEAN, Mask(missing | held_out), Gaussian(0.0), held_out=held_out)
    target, _ = fit_map.pose(given, settings)
    begun = InitialEstimate.of(target, given, Progress(), 10)
    assert begun.picture is not None
    better, worse = (CLEAN + size * (begun.picture - CLEAN) for size in (0.9, 1.1))
    assert begun.or_better(better) is better
    assert begun.or_better(worse) is begun.picture
    swallowed = torch.where(held_out, 0.5, CLEAN)  # it fits all that the network sees
    assert begun.or_better(swallowed) is begun.picture


def test_noisy_data_are_judged_by_the_fit(settings: Settings) -> None:
    target, _ = fit_map.pose(noisy(), settings)
    begun = InitialEstimate.of(target, noisy(), Progress(), 10)
    assert begun.or_better(None) is begun.picture
    assert begun.or_better(CLEAN) is CLEAN
    blurred = torch.full_like(CLEAN, float(CLEAN.mean()))
    assert begun.or_better(blurred) is begun.picture


def test_any_operator_has_a_first_picture(settings: Settings) -> None:
    operator = Downsample(GRID, 2)
    y = operator.forward(CLEAN)
    found = sgld.run(Problem(y, operator, Gaussian(0.0)), settings, at_once())
    coarse = torch.nn.functional.interpolate(y[None], scale_factor=2)[0]
    assert psnr(found.mean) > psnr(coarse)


def test_without_a_process_a_run_stopped_too_early_has_no_result(settings: Settings, monkeypatch) -> None:
    monkeypatch.setattr(first, "process_mean", lambda problem: None)
    with pytest.raises(NoResultError, match="before its first picture"):
        sgld.run(noisy(), settings, at_once())


def test_the_papers_recipe_begins_without_one(settings: Settings) -> None:
    progress = Progress(callback=lambda snapshot: snapshot.step >= 1)
    found = sgld.run(noisy(), replace(settings, sampler="adam-noise"), progress)
    assert not found.info["initial_estimate"] and found.info["steps"] == 1


def test_a_finished_run_gives_the_networks_picture(settings: Settings, quick) -> None:
    for run in (sgld.run, fit_map.run):
        assert not run(noisy(), settings, Progress()).info["initial_estimate"]


def test_stack_stopped_at_the_first_word_gives_the_process() -> None:
    r = bd.denoise(NOISY[0].numpy(), SIGMA, method="stack", callback=lambda snapshot: True)
    assert r.std is None and r.info["initial_estimate"]
    assert psnr(torch.from_numpy(np.asarray(r.mean))[None]) > psnr(NOISY) + 4
