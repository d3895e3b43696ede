"""What ``method="auto"`` stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.arch import Shuffle
from bayesdip.methods.registry import DEEP, NARROW, suited
from bayesdip.networks.schedule import schedule_of
from bayesdip.noise import Gaussian, Laplace, Speckle
from bayesdip.operators import Blur, Downsample, Identity, Mask
from bayesdip.pipeline import settings_of

HOLES = torch.zeros(8, 8, dtype=torch.bool)
HOLES[2, 3] = True


@pytest.mark.parametrize(
    ("operator", "effort", "method"),
    [
        (Identity((8, 8)), "fast", "gp"),
        (Identity((8, 8)), "best", "stack"),
        (Identity((8,)), "balanced", "stack"),
        (Mask(HOLES, (8, 8)), "balanced", "gp"),
        (Mask(HOLES, (8, 8)), "best", "stack"),
        (Downsample((8, 8), 2), "best", "gp"),
        (Blur((8, 8), torch.ones(3, 3) / 9), "fast", "gp"),
        (Blur((4, 4, 4), torch.ones(3, 3, 3) / 27), "fast", "gp"),
        (Identity((4, 4, 4)), "best", "gp"),
    ],
)
def test_the_task_decides(operator: Any, effort: str, method: str) -> None:
    assert suited(operator, effort, {})["method"] == method


@pytest.mark.parametrize(
    ("option", "method"),
    [
        ({"kernel": "matern32"}, "gp"),
        ({"draws": 4}, "gp"),
        ({"arch": "skip"}, "sgld"),
        ({"sampler": "sghmc"}, "sgld"),
        ({"chains": 2}, "sgld"),
        ({"stop": "sure"}, "map"),
        ({"optimiser": "sgd"}, "map"),
        ({"samples": 4}, "stack"),
        ({"samples": 0}, "gp"),
    ],
)
def test_an_option_that_one_method_has_means_that_method(option: dict[str, Any], method: str) -> None:
    for operator in (Identity((8, 8)), Mask(HOLES, (8, 8))):
        assert settings_of({"method": "auto", **option}, operator).method == method


@pytest.mark.parametrize("noise", [Laplace(0.1), Speckle(4.0)])
def test_noise_far_from_gaussian_is_for_both(noise: Any) -> None:
    assert suited(Identity((8, 8)), "fast", {}, noise)["method"] == "stack"
    assert suited(Identity((8, 8)), "fast", {}, Gaussian(0.1))["method"] == "gp"


@pytest.mark.parametrize("noise", [Laplace(0.1), Speckle(4.0)])
def test_noise_far_from_gaussian_on_a_blurred_picture_is_for_a_network(noise: Any) -> None:
    blur = Blur((8, 8), torch.ones(3, 3) / 9)
    assert suited(blur, "fast", {}, noise) == {"method": "sgld"}
    assert suited(blur, "fast", {"samples": 4}) == {"method": "sgld"}
    assert suited(blur, "fast", {}, Gaussian(0.1)) == {"method": "gp", "kernel": "nonlocal"}


def test_options_at_their_defaults_mean_nothing() -> None:
    defaults = {
        "kernel": None,
        "arch": None,
        "sampler": "psgld",
        "temperature": 1.0,
        "chains": 1,
        "stop": None,
    }
    assert suited(Identity((8, 8)), "fast", defaults) == {"method": "gp", "kernel": "nonlocal"}


def test_upscaling_samples_several_networks_in_the_steps_of_one() -> None:
    several = settings_of({"arch": "shuffle"}, Downsample((8, 8), 2))
    assert several.method == "sgld" and several.chains == 3
    assert settings_of({"chains": 1, "sampler": "sghmc"}, Downsample((8, 8), 2)).sampler == "sghmc"
    assert 3 * schedule_of(several).steps == pytest.approx(
        schedule_of(replace(several, chains=1)).steps, abs=3
    )


def test_exact_data_have_deep_networks_and_several_of_them_where_patches_stand_beside() -> None:
    holes = Mask(HOLES, (8, 8))
    best = settings_of({"effort": "best"}, holes, Gaussian(0.0))
    assert (best.method, best.chains, best.arch) == ("stack", 2, DEEP)
    noisy = settings_of({"effort": "best"}, holes, Gaussian(0.1))
    assert (noisy.method, noisy.chains, noisy.arch) == ("stack", 1, NARROW)
    assert settings_of({"method": "sgld"}, holes, Gaussian((0.0, 0.0))).arch == DEEP
    assert settings_of({"method": "sgld"}, holes, Gaussian((0.0, 0.1))).arch == NARROW
    assert settings_of({"method": "map"}, holes, Gaussian(0.0)).arch == Shuffle()
    large = Identity((512, 512))
    assert settings_of({"method": "sgld"}, large, Gaussian(0.1)).arch == Shuffle()
    assert settings_of({"method": "stack"}, large, Gaussian(0.1)).arch == NARROW  # in parts


def test_a_fit_by_adam_alone_has_more_steps() -> None:
    fitted, sampled = (schedule_of(settings_of({"method": m}, Identity((8, 8)))) for m in ("map", "sgld"))
    assert fitted.steps > 1.5 * sampled.steps


def test_the_preset_is_not_overruled_by_the_task() -> None:
    settings = settings_of({"method": "auto", "preset": "paper"}, Identity((8, 8)))
    assert (settings.method, settings.sampler) == ("sgld", "adam-noise")


def test_the_restoration_says_what_ran() -> None:
    picture = np.random.default_rng(0).random((24, 24))
    r = bd.inpaint(picture, picture < 0.3)
    assert r.settings["method"] == "gp" and "PatchKernel" in r.settings["kernel"]
